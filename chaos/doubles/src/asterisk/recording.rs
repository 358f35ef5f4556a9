//! MixMonitor: recorders on channels, the files they write, and how ARI serves them.
//!
//! A file holds what was said, as tones over time, and becomes samples when it is fetched: WAV, 8 kHz,
//! 16 bit, mono. Only `../recording/<name>.wav` is seen again, because only that folder is served; any
//! other name is accepted and lost, as the real server takes an unknown suffix (sheet section 8).

use std::collections::BTreeSet;
use std::time::Duration;

use super::ami::{Message, Text};
use super::happening::{CALL, Happening, Teller, json};
use super::http::Response;
use super::world::World;
use crate::phone::Tone;
use crate::sound;

/// The server writes in blocks of this many bytes, as long as it writes.
const BLOCK: usize = 32_768;
/// Samples are recorded in packets of 20 ms.
const PACKET: usize = 160;
/// Folder of recordings, as seen from where MixMonitor writes.
const FOLDER: &str = "../recording/";
/// A folder beside the server's own recordings, which a web server of the operator's may show.
const SHOWN: &str = "ifbus/";

/// One recorder.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    channel: String,
    /// Name and number of the file; none where nothing can be written.
    file: Option<(String, u64)>,
}

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// A new file of the same name has another number.
    number: u64,
    began: Duration,
    /// What is heard from when on.
    cuts: Vec<(Duration, BTreeSet<Tone>)>,
    /// When the recorder stopped, and when the file is complete.
    ended: Option<(Duration, Duration)>,
}

impl Stored {
    /// The process that wrote it is dead: it is never completed.
    pub(super) fn orphan(&mut self) {
        let last = self.cuts.last().map_or(self.began, |(at, _)| *at);
        self.ended.get_or_insert((last, Duration::MAX));
    }

    /// The file as it is on the disk at this time.
    fn bytes(&self, now: Duration) -> Vec<u8> {
        let complete = self.ended.is_some_and(|(_, complete)| complete <= now);
        let until = self.ended.map_or(now, |(ended, _)| ended);
        let packets = until.saturating_sub(self.began).as_millis() as usize / 20;
        let mut length = packets * PACKET * 2;
        if !complete {
            length -= length % BLOCK;
        }
        let mut bytes = sound::header(if complete { length } else { 0 }, complete);
        bytes.extend(sound::samples(&self.cuts, self.began, length / 2));
        bytes
    }
}

impl World {
    /// Whether the audio of a leg must pass the core: it is muted, or a recorder listens.
    pub(super) fn needs_the_core(&self, id: &str) -> bool {
        let muted = self.channels.get(id).is_some_and(|channel| channel.muted_in || channel.muted_out);
        muted || self.recorders.values().any(|recorder| recorder.channel == id)
    }

    /// Writes down what every recorder hears now, where that has changed.
    pub(super) fn listen(&mut self) {
        let now = self.now;
        let working: Vec<(String, String, u64)> = self
            .recorders
            .values()
            .filter_map(|r| r.file.as_ref().map(|(name, number)| (r.channel.clone(), name.clone(), *number)))
            .collect();
        for (channel, name, number) in working {
            let Some(heard) = self.channels.get(&channel).map(|leg| self.overheard(leg)) else { continue };
            let file = self.stored.get_mut(&name).filter(|file| file.number == number);
            if let Some(file) = file.filter(|file| file.cuts.last().is_none_or(|(_, last)| *last != heard)) {
                file.cuts.push((now, heard));
            }
        }
    }

    fn record(&mut self, id: &str, path: &str) -> String {
        let fresh = format!("0x7f{:010x}", self.random.next() & 0xff_ffff_fff0);
        // It is an address of the server's memory, which is used again (seen).
        let again = self.random.chance(0.5).then(|| self.freed.pop()).flatten();
        let handle = again.unwrap_or(fresh);
        let served = |folder: &str| {
            let name = path.strip_prefix(folder)?.strip_suffix(".wav")?;
            (!name.is_empty() && !name.contains('/')).then_some(name)
        };
        let shown = served(SHOWN).map(|name| format!("{SHOWN}{name}"));
        let file = served(FOLDER).map(str::to_owned).or(shown).map(|name| {
            let number = self.next_rank();
            let stored = Stored { number, began: self.now, cuts: vec![], ended: None };
            self.stored.insert(name.clone(), stored);
            (name, number)
        });
        self.recorders.insert(handle.clone(), Recorder { channel: id.to_owned(), file });
        let bridge = self.channels[id].bridge.clone();
        if let Some(bridge) = bridge.and_then(|bridge| self.bridges.get_mut(&bridge)) {
            (bridge.native, bridge.may_be_native) = (false, false);
        }
        handle
    }

    fn stop_recorder(&mut self, handle: &str) {
        let Some(recorder) = self.recorders.remove(handle) else { return };
        self.freed.push(handle.to_owned());
        // Complete a few milliseconds later (sheet section 5).
        let complete = self.now + Duration::from_millis(6 + self.random.below(14) as u64);
        let now = self.now;
        let Some((name, number)) = recorder.file else { return };
        if let Some(file) = self.stored.get_mut(&name).filter(|file| file.number == number) {
            file.ended = Some((now, complete));
        }
    }

    /// A file of the folder `monitor`, as it is on the disk now: `ifbus/name.wav`.
    pub(super) fn file(&self, path: &str) -> Option<Vec<u8>> {
        let name = path.strip_suffix(".wav").filter(|name| name.starts_with(SHOWN))?;
        self.stored.get(name).map(|file| file.bytes(self.now))
    }

    fn recorders_on(&self, id: &str) -> Vec<String> {
        let on = self.recorders.iter().filter(|(_, recorder)| recorder.channel == id);
        on.map(|(handle, _)| handle.clone()).collect()
    }

    /// The channel is gone, and its recorders with it, without a word.
    pub(super) fn stop_recorders(&mut self, id: &str) {
        self.recorders_on(id).iter().for_each(|handle| self.stop_recorder(handle));
    }

    fn monitor_event(&self, event: &str, id: &str) -> Happening {
        Teller::new(self, CALL, event).channel(&self.channels[id]).told()
    }
}

/// `MixMonitor`.
pub(super) fn start(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Channel") else {
        return Text::error(request, "No channel specified");
    };
    let Some(id) = world.find(name) else {
        return Text::error(request, "No such channel");
    };
    let Some(path) = request.text("File") else {
        return Text::error(request, "Could not start monitoring channel");
    };
    let handle = world.record(&id, path);
    let options = request.get("Options").unwrap_or_default();
    let variable = options.split_once("i(").and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name);
    let full = format!("/var/spool/asterisk/monitor/{path}");
    for (name, value) in [(Some("MIXMONITOR_FILENAME"), &full), (variable, &handle)] {
        let Some(name) = name else { continue };
        if let Some(channel) = world.channels.get_mut(&id) {
            channel.variables.insert(name.to_owned(), value.clone());
        }
        let told = world.varset(&world.channels[&id], name, value);
        world.tell(told);
    }
    let told = world.monitor_event("MixMonitorStart", &id);
    world.tell(told);
    let mut text = Text::success(request);
    if variable.is_some() {
        text.line("MixMonitorID", handle);
    }
    text.end()
}

/// `StopMixMonitor`. Without an id one of the recorders stops, whichever (sheet section 5).
pub(super) fn stop(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Channel") else {
        return Text::error(request, "No channel specified");
    };
    let Some(id) = world.find(name) else {
        return Text::error(request, "No such channel");
    };
    let running = world.recorders_on(&id);
    let handle = match request.text("MixMonitorID") {
        Some(asked) => running.into_iter().find(|handle| handle == asked),
        None if running.is_empty() => None,
        None => Some(running[world.random.below(running.len())].clone()),
    };
    let Some(handle) = handle else {
        return Text::error(request, "Could not stop monitoring channel");
    };
    world.stop_recorder(&handle);
    let told = world.monitor_event("MixMonitorStop", &id);
    world.tell(told);
    Text::success(request).end()
}

/// `/ari/recordings/stored…`
pub(super) fn serve(world: &mut World, method: &str, path: &[&str]) -> Response {
    const OK: (u16, &str) = (200, "OK");
    let entry = |name: &str| format!("{{\"name\":{},\"format\":\"wav\"}}", json(name));
    let missing = || Response::message((404, "Not Found"), "Recording not found");
    match (method, path) {
        ("GET", []) => {
            let all: Vec<String> =
                world.stored.keys().filter(|name| !name.contains('/')).map(|name| entry(name)).collect();
            Response::json(OK, format!("[{}]", all.join(",")))
        }
        ("GET", [name]) if world.stored.contains_key(*name) => Response::json(OK, entry(name)),
        ("GET", [name, "file"]) => match world.stored.get(*name) {
            Some(file) => Response { status: OK, extra: "", kind: "audio/wav", body: file.bytes(world.now) },
            None => missing(),
        },
        ("DELETE", [name]) => match world.stored.remove(*name) {
            Some(_) => Response::nothing(),
            None => missing(),
        },
        ("GET", [_]) => missing(),
        (_, [_]) => {
            let mut response = Response::message((405, "Method Not Allowed"), "Invalid method");
            response.extra = "Allow: OPTIONS,GET,DELETE\r\n";
            response
        }
        _ => Response::message((404, "Not Found"), "Resource not found"),
    }
}
