//! One connection: commands come in as lines, answers go out in their order, events as they were asked for.

use std::time::Duration;

use super::commands;
use super::events::Event;
use super::options::Options;
use super::world::World;

/// What a session sends.
#[derive(Debug)]
pub(super) enum Sent {
    Reply(Vec<u8>),
    Event(Vec<u8>),
    Close,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Plain,
    Json,
}

/// What may be done and heard; everything, if nothing is said.
#[derive(Clone, Debug, Default)]
struct Rights {
    api: Option<Vec<String>>,
    events: Option<Vec<String>>,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    buffer: Vec<u8>,
    refused: bool,
    inside: bool,
    rights: Rights,
    format: Format,
    /// Names and subclasses.
    hears: Vec<String>,
    /// An `api` takes its time: nothing is read or told until then (sheet section 0).
    blocked: Option<Duration>,
    /// Events that wait for the end of it.
    late: Vec<Vec<u8>>,
}

/// The longest command; the server takes more.
const COMMAND_MAX: usize = 1024 * 1024;

/// What is said at every close.
const GOODBYE: &str = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n";

/// A farewell.
pub(super) fn notice(text: &str) -> Vec<u8> {
    format!("Content-Type: text/disconnect-notice\nContent-Length: {}\n\n{text}", text.len()).into_bytes()
}

fn reply(text: &str) -> Sent {
    Sent::Reply(format!("Content-Type: command/reply\nReply-Text: {text}\n\n").into_bytes())
}

fn response(text: &str) -> Sent {
    let text = if text.is_empty() { "-ERR no reply\n" } else { text };
    Sent::Reply(format!("Content-Type: api/response\nContent-Length: {}\n\n{text}", text.len()).into_bytes())
}

/// A command as it was read.
struct Command {
    line: String,
    headers: Vec<(String, String)>,
}

impl Session {
    pub(super) fn new(refused: bool) -> Self {
        Session {
            buffer: vec![],
            refused,
            inside: false,
            rights: Rights::default(),
            format: Format::Plain,
            hears: vec![],
            blocked: None,
            late: vec![],
        }
    }

    pub(super) fn is_in(&self) -> bool {
        self.inside
    }

    pub(super) fn greeting(&self) -> Vec<Sent> {
        if !self.refused {
            return vec![Sent::Event(b"Content-Type: auth/request\n\n".to_vec())];
        }
        let rude =
            b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n".to_vec();
        vec![Sent::Event(rude), Sent::Event(notice(GOODBYE)), Sent::Close]
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.blocked
    }

    /// The next whole command: lines up to a blank one. Leading blank lines are skipped, CRLF is taken.
    fn next(&mut self) -> Option<Command> {
        let skip = self.buffer.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        self.buffer.drain(..skip);
        let mut from = 0;
        let end = loop {
            let at = from + self.buffer[from..].iter().position(|byte| *byte == b'\n')?;
            match &self.buffer[at + 1..] {
                [b'\n', ..] => break (at, at + 2),
                [b'\r', b'\n', ..] => break (at, at + 3),
                _ => from = at + 1,
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..end.0]).into_owned();
        self.buffer.drain(..end.1);
        let mut lines = text.lines().map(str::to_owned);
        let line = lines.next().unwrap_or_default();
        let headers = lines.filter_map(|line| {
            line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        });
        Some(Command { line, headers: headers.collect() })
    }

    /// Does what can be done now.
    pub(super) fn work(&mut self, world: &mut World, options: &Options) -> Vec<Sent> {
        let mut sent = vec![];
        if self.blocked.is_some_and(|until| until <= world.now) {
            self.blocked = None;
            sent.push(response("+OK\n"));
            sent.extend(std::mem::take(&mut self.late).into_iter().map(Sent::Event));
        }
        if self.buffer.len() > COMMAND_MAX {
            sent.push(Sent::Close);
            return sent;
        }
        while self.blocked.is_none() {
            let Some(command) = self.next() else { break };
            self.command(&command, world, options, &mut sent);
            if matches!(sent.last(), Some(Sent::Close)) {
                break;
            }
        }
        sent
    }

    fn command(&mut self, command: &Command, world: &mut World, options: &Options, sent: &mut Vec<Sent>) {
        let (word, rest) = command.line.split_once(' ').unwrap_or((&command.line, ""));
        if word == "exit" {
            sent.extend([reply("+OK bye"), Sent::Event(notice(GOODBYE)), Sent::Close]);
            return;
        }
        if !self.inside {
            return match word {
                "auth" => self.auth(rest == options.password, Rights::default(), sent),
                "userauth" => self.userauth(rest, options, sent),
                _ => sent.push(reply("-ERR command not found")),
            };
        }
        match word {
            "api" => self.api(rest, world, sent),
            "bgapi" => self.background(rest, command, world, sent),
            "event" => sent.push(reply(&self.subscribe(rest))),
            "nixevent" => {
                self.hears.retain(|name| !rest.split_whitespace().any(|nixed| nixed == name));
                sent.push(reply("+OK events nixed"));
            }
            "noevents" if self.hears.is_empty() => sent.push(reply("-ERR not listening for events")),
            "noevents" => {
                self.hears.clear();
                sent.push(reply("+OK no longer listening for events"));
            }
            _ => sent.push(reply("-ERR command not found")),
        }
    }

    fn auth(&mut self, right: bool, rights: Rights, sent: &mut Vec<Sent>) {
        if !right {
            sent.extend([reply("-ERR invalid"), Sent::Event(notice(GOODBYE)), Sent::Close]);
            return;
        }
        self.inside = true;
        let list = |name: &str, words: &Option<Vec<String>>| {
            words.as_ref().map(|words| format!("\nAllowed-{name}: {}", words.join(" "))).unwrap_or_default()
        };
        let (events, api) = (list("Events", &rights.events), list("API", &rights.api));
        let log = if rights.api.is_some() { "\nAllowed-LOG: false" } else { "" };
        sent.push(reply(&format!("+OK accepted{events}{api}{log}")));
        self.rights = rights;
    }

    fn userauth(&mut self, rest: &str, options: &Options, sent: &mut Vec<Sent>) {
        let user =
            rest.rsplit_once(':').and_then(|(name, password)| Some((options.users.get(name)?, password)));
        let right = user.is_some_and(|(user, password)| user.password == password);
        let rights = user.map_or_else(Rights::default, |(user, _)| Rights {
            api: Some(user.api.clone()),
            events: Some(user.events.clone()),
        });
        self.auth(right, rights, sent);
    }

    fn may(&self, api: &str) -> bool {
        self.rights
            .api
            .as_ref()
            .is_none_or(|allowed| allowed.iter().any(|known| known == api || known == "all"))
    }

    fn api(&mut self, rest: &str, world: &mut World, sent: &mut Vec<Sent>) {
        let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        if !self.may(name) {
            // in the other form, as it was seen
            return sent.push(reply("-ERR permission denied"));
        }
        if name == "msleep" {
            self.blocked = Some(world.now + Duration::from_millis(arguments.parse().unwrap_or(0)));
            return;
        }
        let text = commands::api(world, name, arguments);
        sent.push(response(&text));
    }

    /// Answered at once; the end is told as an event, after this answer.
    fn background(&mut self, rest: &str, command: &Command, world: &mut World, sent: &mut Vec<Sent>) {
        let (name, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
        if !self.may("bgapi") || !self.may(name) {
            return sent.push(reply("-ERR permission denied"));
        }
        let given = command.headers.iter().find(|(name, _)| name == "Job-UUID").map(|(_, job)| job.clone());
        let job = given.unwrap_or_else(|| world.random.uuid());
        sent.push(reply(&format!("+OK Job-UUID: {job}\nJob-UUID: {job}")));
        commands::background(world, &job, name, arguments);
    }

    /// Words after `CUSTOM` are subclasses; names that do not exist are ignored, unless there is no other.
    fn subscribe(&mut self, rest: &str) -> String {
        let mut words = rest.split_whitespace().peekable();
        let format = match words.peek() {
            Some(&"json") => Some(Format::Json),
            Some(&"plain") => Some(Format::Plain),
            _ => None,
        };
        if format.is_some() {
            words.next();
        }
        let mut custom = false;
        let mut wanted = vec![];
        for word in words {
            let known = custom || word == "ALL" || word.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            custom |= word == "CUSTOM";
            if known && word != "NOSUCH" {
                wanted.push(word.to_owned());
            }
        }
        if wanted.is_empty() {
            return "-ERR no keywords supplied".into();
        }
        let may = |word: &String| {
            word == "CUSTOM"
                || self
                    .rights
                    .events
                    .as_ref()
                    .is_none_or(|allowed| allowed.iter().any(|known| known == word || known == "all"))
        };
        if !wanted.iter().all(may) {
            return "-ERR permission denied".into();
        }
        self.format = format.unwrap_or(self.format);
        self.hears.extend(wanted);
        let word = if self.format == Format::Json { "json" } else { "plain" };
        format!("+OK event listener enabled {word}")
    }

    /// The event as this connection wants it, if it does; one that comes while an `api` runs waits.
    pub(super) fn hear(&mut self, event: &Event) -> Option<Vec<u8>> {
        let name = event.subclass.unwrap_or(event.name);
        if !self.hears.iter().any(|wanted| wanted == name || wanted == "ALL") {
            return None;
        }
        let (text, kind) = match self.format {
            Format::Json => (event.json(), "json"),
            Format::Plain => (event.plain(), "plain"),
        };
        let head = format!("Content-Length: {}\nContent-Type: text/event-{kind}\n\n", text.len());
        let bytes = [head.into_bytes(), text.into_bytes()].concat();
        if self.blocked.is_some() {
            self.late.push(bytes);
            return None;
        }
        Some(bytes)
    }
}
