//! One AMI connection: login, what it is told, and the one thread that does both (sheet section 2: a
//! blocking action delays every answer and every event of its connection).

use std::collections::BTreeMap;
use std::time::Duration;

use super::actions::{self, Answer};
use super::ami::{Classes, Message, Reader, Text};
use super::happening::{AmiEvent, SECURITY, SYSTEM, Teller};
use super::options::User;
use super::world::World;
use crate::digest::md5_hex;

/// What a session may do and hears.
#[derive(Debug, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) read: Classes,
    pub(super) write: Classes,
    /// Classes asked for; `None` is `Events: off`.
    pub(super) mask: Option<Classes>,
    pub(super) filters: Vec<String>,
    pub(super) challenge: Option<String>,
}

impl Login {
    pub(super) fn listen(&mut self, mask: &str) {
        self.mask = Some(Classes::parse(mask)).filter(Classes::meaningful);
    }

    fn hears(&self, event: &AmiEvent) -> bool {
        self.user.is_some()
            && self.read.any(event.classes)
            && self.mask.as_ref().is_some_and(|mask| mask.any(event.classes))
            && self.passes(&event.text)
    }

    /// White filters let through what matches one of them; black ones (`!`) take away. The real server
    /// takes regular expressions; the double looks for the text, without `.*` and anchors.
    fn passes(&self, text: &str) -> bool {
        let plain = |filter: &str| {
            filter.trim_start_matches('^').trim_end_matches(".*").trim_end_matches('$').to_owned()
        };
        let (black, white): (Vec<&String>, Vec<&String>) =
            self.filters.iter().partition(|f| f.starts_with('!'));
        (white.is_empty() || white.iter().any(|f| text.contains(&plain(f))))
            && !black.iter().any(|f| text.contains(&plain(&f[1..])))
    }
}

/// Something for the wire.
#[derive(Debug)]
pub(super) enum Sent {
    /// An answer; reply faults apply.
    Reply(String),
    /// An event.
    Event(String),
    /// Ends the connection.
    Close,
}

#[derive(Debug)]
pub(super) struct Session {
    reader: Reader,
    pub(super) login: Login,
    opened: Duration,
    /// The thread is busy until then; this goes out afterwards.
    busy: Option<(Duration, Answer)>,
    waiting: Vec<AmiEvent>,
    closed: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("busy", &self.busy).field("close", &self.close).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(now: Duration) -> Self {
        let (reader, login) = (Reader::default(), Login::default());
        Session { reader, login, opened: now, busy: None, waiting: vec![], closed: false }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.reader.feed(bytes);
    }

    /// Queues an event, if this session is to hear it.
    pub(super) fn hear(&mut self, event: &AmiEvent) {
        if !self.closed && self.login.hears(event) {
            self.waiting.push(event.clone());
        }
    }

    /// Does what can be done now.
    pub(super) fn work(
        &mut self,
        world: &mut World,
        users: &BTreeMap<String, User>,
        login_within: Duration,
    ) -> Vec<Sent> {
        let mut sent = vec![];
        while !self.closed {
            if let Some((until, _)) = &self.busy {
                if *until > world.now {
                    break;
                }
                let (_, answer) = self.busy.take().expect("it was there a line above");
                self.send(answer, &mut sent);
                continue;
            }
            for event in self.waiting.drain(..) {
                sent.push(Sent::Event(event.text.to_string()));
            }
            let Some(request) = self.reader.next() else { break };
            let answer = self.answer(world, users, &request);
            if answer.busy > Duration::ZERO {
                self.busy = Some((world.now + answer.busy, answer));
            } else {
                self.send(answer, &mut sent);
                self.greet(world, &request, &mut sent);
                break;
            }
        }
        if !self.closed && self.login.user.is_none() && world.now >= self.opened + login_within {
            self.closed = true;
            sent.push(Sent::Close);
        }
        sent
    }

    fn send(&mut self, answer: Answer, sent: &mut Vec<Sent>) {
        sent.push(Sent::Reply(answer.text));
        if answer.close {
            self.closed = true;
            sent.push(Sent::Close);
        }
    }

    /// When the session has something to do by itself.
    pub(super) fn deadline(&self, login_within: Duration) -> Option<Duration> {
        if self.closed {
            return None;
        }
        let login = self.login.user.is_none().then_some(self.opened + login_within);
        self.busy.as_ref().map(|(until, _)| *until).into_iter().chain(login).min()
    }

    fn answer(&mut self, world: &mut World, users: &BTreeMap<String, User>, request: &Message) -> Answer {
        if let Some(fault) = request.fault() {
            return Text::error(request, fault).into();
        }
        if world.shutting_down {
            return Text::error(request, "Asterisk is shutting down").into();
        }
        if self.login.user.is_some() {
            return actions::act(world, &mut self.login, request);
        }
        let action = request.text("Action").unwrap_or_default().to_ascii_lowercase();
        match action.as_str() {
            "" => Text::error(request, "Missing action in request").into(),
            "login" => self.log_in(users, request),
            "challenge" => actions::challenge(world, &mut self.login, request),
            "logoff" => actions::act(world, &mut self.login, request),
            _ => Text::error(request, "Permission denied").into(),
        }
    }

    fn log_in(&mut self, users: &BTreeMap<String, User>, request: &Message) -> Answer {
        let name = request.get("Username").unwrap_or_default();
        let admitted = users.get(name).filter(|user| !user.refused && self.proves(&user.secret, request));
        let Some(user) = admitted else {
            // One second for every kind of failure, then the end (sheet section 2).
            let text = Text::error(request, "Authentication failed");
            return Answer { text, busy: Duration::from_secs(1), close: true };
        };
        self.login.user = Some(name.to_owned());
        (self.login.read, self.login.write) = (user.read.clone(), user.write.clone());
        self.login.listen(request.text("Events").unwrap_or("on"));
        Text::done(request, "Authentication accepted").into()
    }

    fn proves(&self, secret: &str, request: &Message) -> bool {
        if !request.get("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case("MD5")) {
            return request.get("Secret") == Some(secret);
        }
        let challenge = self.login.challenge.as_deref();
        challenge.is_some_and(|c| request.get("Key") == Some(&md5_hex(format!("{c}{secret}").as_bytes())))
    }

    /// What a login brings of itself: FullyBooted, and the news of the login.
    fn greet(&self, world: &World, request: &Message, sent: &mut Vec<Sent>) {
        let logged_in = matches!(sent.last(), Some(Sent::Reply(text)) if text.contains("Message: Authentication accepted"));
        if !logged_in || !request.get("Action").is_some_and(|a| a.eq_ignore_ascii_case("login")) {
            return;
        }
        let up = world.now.saturating_sub(world.booted).as_secs();
        let reloaded = world.now.saturating_sub(world.reloaded).as_secs();
        let booted = Teller::bare(world, SYSTEM, "FullyBooted")
            .line("Uptime", up)
            .line("LastReload", reloaded)
            .line("Status", "Fully Booted");
        let time = world.clock.iso(world.now);
        let login = Teller::new(world, SECURITY, "SuccessfulAuth")
            .line("EventTV", &time)
            .line("Severity", "Informational")
            .line("Service", "AMI")
            .line("EventVersion", 1)
            .line("AccountID", self.login.user.as_deref().unwrap_or_default())
            .line("SessionID", "0x7f0638002af0")
            .line("LocalAddress", "IPV4/TCP/127.0.10.1/5038")
            .line("RemoteAddress", "IPV4/TCP/127.0.0.1/43312")
            .line("UsingPassword", 0)
            .line("SessionTV", &time);
        for event in
            [booted.told().ami, login.told().ami].iter().flatten().filter(|event| self.login.hears(event))
        {
            sent.push(Sent::Event(event.text.to_string()));
        }
    }
}
