//! `uuid_record`: recorders on legs, the files they write, and `system`, through which a file can be read.
//!
//! A file holds what was said, as tones over time, and becomes samples when it is read: WAV, 8 kHz, 16 bit, mono.

use std::collections::BTreeSet;
use std::time::Duration;

use super::world::World;
use crate::phone::Tone;
use crate::sound;

/// Samples are recorded in packets of 20 ms.
const PACKET: usize = 160;

/// One recorder.
#[derive(Clone, Debug)]
pub(super) struct Recorder {
    leg: String,
    path: String,
}

/// One file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    began: Duration,
    cuts: Vec<(Duration, BTreeSet<Tone>)>,
    ended: Option<Duration>,
    /// Its writer died: the lengths in its header are never set.
    orphan: bool,
}

impl Stored {
    pub(super) fn orphan(&mut self) {
        if self.ended.is_none() {
            self.ended = Some(self.cuts.last().map_or(self.began, |(at, _)| *at));
            self.orphan = true;
        }
    }

    /// The file as it is on the disk now: complete as soon as its recorder has stopped.
    fn bytes(&self, now: Duration) -> Vec<u8> {
        let complete = self.ended.is_some() && !self.orphan;
        let until = self.ended.unwrap_or(now);
        let samples = until.saturating_sub(self.began).as_millis() as usize / 20 * PACKET;
        let mut bytes = sound::header(if complete { samples * 2 } else { 0 }, complete);
        bytes.extend(sound::samples(&self.cuts, self.began, samples));
        bytes
    }
}

impl World {
    /// Starting the same path twice is one recording (sheet section 3).
    pub(super) fn record(&mut self, uuid: &str, path: &str) -> String {
        if !self.legs.contains_key(uuid) {
            return "-ERR Cannot locate session!\n".into();
        }
        let can = path.ends_with(".wav") && path.starts_with(&format!("{}/", self.options.recordings));
        if !can {
            return "-ERR Cannot record session!\n".into();
        }
        if !self.recorders.iter().any(|recorder| recorder.leg == uuid && recorder.path == path) {
            self.recorders.push(Recorder { leg: uuid.to_owned(), path: path.to_owned() });
            let stored = Stored { began: self.now, cuts: vec![], ended: None, orphan: false };
            self.files.insert(path.to_owned(), stored);
            self.tell_recording("RECORD_START", uuid, path);
        }
        "+OK Success\n".into()
    }

    pub(super) fn stop_record(&mut self, uuid: &str, path: &str) -> String {
        if !self.legs.contains_key(uuid) {
            return "-ERR Cannot locate session!\n".into();
        }
        let running: Vec<String> = self
            .recorders
            .iter()
            .filter(|recorder| recorder.leg == uuid && (path == "all" || recorder.path == path))
            .map(|recorder| recorder.path.clone())
            .collect();
        if running.is_empty() {
            return "-ERR Cannot stop record session!\n".into();
        }
        for path in running {
            self.end_recorder(uuid, &path);
        }
        "+OK Success\n".into()
    }

    fn end_recorder(&mut self, uuid: &str, path: &str) {
        self.listen();
        self.recorders.retain(|recorder| recorder.leg != uuid || recorder.path != path);
        let now = self.now;
        if let Some(file) = self.files.get_mut(path) {
            file.ended = Some(now);
        }
        self.tell_recording("RECORD_STOP", uuid, path);
    }

    /// Before the end of their leg is told (sheet section 13).
    pub(super) fn stop_recorders(&mut self, uuid: &str) {
        let on = self.recorders.iter().filter(|recorder| recorder.leg == uuid);
        for path in on.map(|recorder| recorder.path.clone()).collect::<Vec<_>>() {
            self.end_recorder(uuid, &path);
        }
    }

    fn tell_recording(&mut self, name: &'static str, uuid: &str, path: &str) {
        let Some(event) = self.leg_event(name, uuid) else { return };
        let mut event = event.with("Record-File-Path", path);
        if name == "RECORD_STOP" {
            let size = self.files.get(path).map_or(0, |file| file.bytes(self.now).len());
            event = event
                .with("variable_record_file_size", size)
                .with("Record-Completion-Cause", "success-maxtime");
        }
        self.tell(event);
    }

    pub(super) fn bugs(&self, uuid: &str) -> Option<String> {
        self.legs.get(uuid)?;
        let mut text = String::from("<media-bugs>\n");
        for recorder in self.recorders.iter().filter(|recorder| recorder.leg == uuid) {
            text.push_str(&format!(
                " <media-bug>\n  <function>session_record</function>\n  <target>{}</target>\n  \
                 <thread-locked>0</thread-locked>\n </media-bug>\n",
                recorder.path
            ));
        }
        text.push_str("</media-bugs>\n");
        Some(text)
    }

    /// Writes down what every recorder hears now, where that has changed.
    pub(super) fn listen(&mut self) {
        let now = self.now;
        for recorder in self.recorders.clone() {
            let heard = self.overheard(&recorder.leg);
            let file = self.files.get_mut(&recorder.path);
            if let Some(file) = file.filter(|file| file.cuts.last().is_none_or(|(_, last)| *last != heard)) {
                file.cuts.push((now, heard));
            }
        }
    }

    /// `system`: of all that a shell can do, slices of files in base64.
    pub(super) fn system(&self, line: &str) -> String {
        if !self.options.system {
            return "-ERR system Command not found!\n".into();
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["tail", "-c", from, path, "|", "head", "-c", length, "|", "base64", "-w0"] = words[..] else {
            return String::new();
        };
        let Some(file) = self.files.get(path) else { return String::new() };
        let from: usize = from.trim_start_matches('+').parse().unwrap_or(1);
        let length = length.parse().unwrap_or(0);
        let bytes = file.bytes(self.now);
        let slice: Vec<u8> = bytes.into_iter().skip(from.saturating_sub(1)).take(length).collect();
        base64(&slice)
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let value = three.iter().fold(0_u32, |value, byte| (value << 8) | u32::from(*byte))
            << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = (value >> (18 - 6 * place)) & 63;
            text.push(if place > three.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
    text
}
