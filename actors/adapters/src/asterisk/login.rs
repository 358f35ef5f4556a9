//! From nothing to ready: connect, log in, learn version and boot, open the event stream, list.
//!
//! The order matters in one place: the list is asked for when events are already flowing, so nothing falls between
//! them (sheet, section 10). What is listed: `listing.rs`.

use std::time::Duration;

use ifbus_call::{Boot, Interface};

use super::flight::{Purpose, Timer};
use super::machine::{Asterisk, COMMANDS, Link, Phase, Request, SILENT_MAX, STREAM, Stream, TONES, WATCH};
use super::options::Tls;
use crate::adapter::{DownReason, Endpoint, HttpReply, HttpRequest, LinkError, Output, Ready};
use crate::wire_format::ami::{Field, Message};
use crate::wire_format::{ari, md5};

/// From opening a connection to its login; a refusal takes one second (sheet, section 2).
pub(super) const LOGIN_WITHIN: Duration = Duration::from_secs(5);

/// A booted server says so at once; one without the `system` right never does.
const BOOTED_WITHIN: Duration = Duration::from_secs(5);

/// Where ARI hangs, AMI alone is better than nothing.
const STREAM_WITHIN: Duration = Duration::from_secs(5);

/// How long an older stream of ours may take to be closed by the server.
const REOPEN_AFTER: Duration = Duration::from_millis(200);

/// The longest stream message: an event is about 700 bytes.
const STREAM_MESSAGE_MAX: usize = 1024 * 1024;

/// What a session logs in for. `call` brings `OriginateResponse`, `system` the life of the server.
const fn mask(slot: u8) -> &'static str {
    match slot {
        COMMANDS => "call",
        WATCH => "system",
        _ => "off",
    }
}

/// What the watch connection hears where there is no ARI.
const ALONE: &str = "system,call,dtmf,user";

impl Asterisk {
    /// Opens everything that is needed to be ready.
    pub(super) fn rise(&mut self) {
        for slot in [COMMANDS, WATCH] {
            self.open_session(slot);
            self.life.timers.arm(Timer::Login(slot), self.now + LOGIN_WITHIN);
        }
        if self.options.ari.is_some() {
            self.life.timers.arm(Timer::Stream, self.now + STREAM_WITHIN);
            self.open_stream();
        }
    }

    // ---- AMI -------------------------------------------------------------------------------------------------------

    /// The server has greeted: ask for a challenge, so that the secret itself is never sent.
    pub(super) fn greeted(&mut self, slot: u8) {
        let (id, action) = self.action("Challenge");
        self.ask(slot, id, action.with("AuthType", "MD5"), Purpose::Challenge(slot))
            .expect("it has no value from outside");
    }

    /// A server that knows no challenge gets the secret itself, but only where nobody else can read it: whoever stands
    /// between would say that it knows none.
    pub(super) fn challenged(&mut self, slot: u8, message: &Message<'_>) {
        let challenge = message.only("Challenge");
        if challenge.is_none() && self.options.tls == Tls::Off && !self.options.is_loopback() {
            let why =
                "it offers no challenge, and the secret is not sent in clear text; set tls=pin".to_owned();
            return self.down(Interface::Management, DownReason::LoginRefused(why));
        }
        let (id, action) = self.action("Login");
        let action = action.with("Username", &self.options.user);
        let action = match challenge {
            Some(challenge) => action
                .with("AuthType", "MD5")
                .with("Key", md5::hex(format!("{challenge}{}", self.options.secret.expose()).as_bytes())),
            None => action.with("Secret", self.options.secret.expose()),
        };
        self.ask(slot, id, action.with("Events", mask(slot)), Purpose::Login(slot))
            .expect("options and digests are fit");
    }

    pub(super) fn logged_in(&mut self, slot: u8, success: bool, message: &Message<'_>) {
        let said = message.text(Field::Message).unwrap_or("no reason given").to_owned();
        match (slot, success) {
            (TONES, false) => self.tones_closed(),
            (_, false) => self.down(Interface::Management, DownReason::LoginRefused(said)),
            (COMMANDS, true) => {
                let (id, action) = self.action("Filter");
                let action = action.with("Operation", "Add").with("Filter", "Event: OriginateResponse");
                self.ask(COMMANDS, id, action, Purpose::Filter).expect("it has no value from outside");
                self.ask_plain(COMMANDS, "CoreSettings", Purpose::Settings);
                self.enter(COMMANDS);
            }
            (WATCH, true) => {
                self.ask_plain(WATCH, "CoreStatus", Purpose::Boot);
                self.life.timers.arm(Timer::Booted, self.now + BOOTED_WITHIN);
                self.enter(WATCH);
            }
            (_, true) => {
                self.enter(TONES);
                self.tones_ready();
            }
        }
    }

    fn enter(&mut self, slot: u8) {
        self.session(slot).link = Link::In;
        // what follows the login has the same deadline again
        self.life.timers.arm(Timer::Login(slot), self.now + LOGIN_WITHIN);
    }

    pub(super) fn login_late(&mut self, slot: u8) {
        if slot == TONES {
            self.out.push_back(Output::Close(self.link(TONES)));
            self.tones_closed();
        } else {
            self.down(Interface::Management, DownReason::Silent(LOGIN_WITHIN));
        }
    }

    pub(super) fn filtered(&mut self, success: bool, message: &Message<'_>) {
        if !success {
            let said = message.text(Field::Message).unwrap_or_default().to_owned();
            self.warn(
                "rights",
                format!("the AMI user may not set a filter ({said}): write=system is missing"),
            );
        }
    }

    pub(super) fn settings(&mut self, message: &Message<'_>) {
        self.life.timers.disarm(Timer::Login(COMMANDS));
        self.life.version = Some(message.only("AsteriskVersion").unwrap_or("unknown").to_owned());
        self.life.legs_max =
            message.only("CoreMaxCalls").and_then(|text| text.parse().ok()).filter(|most| *most > 0);
        self.advance();
    }

    /// The start time of the server names its life: when it changes, every call is gone.
    pub(super) fn boot(&mut self, message: &Message<'_>) {
        match (message.only("CoreStartupDate"), message.only("CoreStartupTime")) {
            (Some(date), Some(time)) => {
                self.life.timers.disarm(Timer::Login(WATCH));
                self.life.boot = Some(Boot(format!("{date} {time}")));
                self.advance();
            }
            _ => {
                let said = message.text(Field::Message).unwrap_or("no start time").to_owned();
                self.down(Interface::Management, DownReason::LoginRefused(format!("CoreStatus: {said}")));
            }
        }
    }

    /// It said so; or it did not in time, because it is booting for long or we may not hear it: nothing to wait for.
    pub(super) fn booted(&mut self) {
        self.life.timers.disarm(Timer::Booted);
        self.life.booted = true;
        self.advance();
    }

    /// Asks for the list as soon as everything else is there.
    pub(super) fn advance(&mut self) {
        let life = &self.life;
        let known = life.version.is_some() && life.boot.is_some() && life.booted;
        let settled = matches!(life.stream, Stream::Off | Stream::Up);
        if self.phase != Phase::Rising || !known || !settled || life.listing {
            return;
        }
        if self.life.stream == Stream::Off {
            let (id, action) = self.action("Events");
            self.ask(WATCH, id, action.with("EventMask", ALONE), Purpose::Mask)
                .expect("it has no value from outside");
        }
        self.list_for(None);
    }

    /// The list is there: orders are taken, and what was heard meanwhile is applied to it.
    pub(super) fn ready(&mut self, seen: Vec<ifbus_call::Seen>) {
        let (Some(boot), Some(version)) = (self.life.boot.clone(), self.life.version.clone()) else { return };
        self.phase = Phase::Ready;
        self.out.push_back(Output::Ready(Ready { epoch: self.epoch, boot, version, seen }));
        self.life.early_bytes = 0;
        for message in std::mem::take(&mut self.life.early) {
            // one of them may have ended this life
            if self.phase != Phase::Ready {
                return;
            }
            self.stream_event(&message);
        }
        for leg in std::mem::take(&mut self.life.doubts) {
            self.suspect(leg);
        }
    }

    // ---- ARI -------------------------------------------------------------------------------------------------------

    pub(super) fn open_stream(&mut self) {
        let Some(ari) = self.options.ari.clone() else { return };
        self.life.stream = Stream::Opening;
        let endpoint = Endpoint::WebSocket {
            host: self.options.host.clone(),
            port: ari.port,
            path: format!("/ari/events?app=ifbus-{}&subscribeAll=true", self.instance),
            basic: Some((ari.user, ari.secret)),
            message_max: STREAM_MESSAGE_MAX,
            tls: self.options.tls.trust(&self.server),
        };
        self.open(STREAM, endpoint);
    }

    /// The application exists from now on: let it send only what is used.
    pub(super) fn stream_opened(&mut self) {
        self.life.stream = Stream::Filtering;
        let path = format!("/ari/applications/ifbus-{}/eventFilter", self.instance);
        if let Some(request) = self.ari_request("PUT", path, Some(ari::filter())) {
            self.request(Request::Filter, request);
        }
    }

    /// An event of ours, which must come back over the stream.
    pub(super) fn marker_request(&self, marker: &str) -> Option<HttpRequest> {
        let path = format!("/ari/events/user/{marker}?application=ifbus-{}", self.instance);
        self.ari_request("POST", path, None)
    }

    pub(super) fn ari_request(
        &self,
        method: &'static str,
        path: String,
        body: Option<Vec<u8>>,
    ) -> Option<HttpRequest> {
        let ari = self.options.ari.as_ref()?;
        Some(HttpRequest {
            method,
            host: self.options.host.clone(),
            port: ari.port,
            path,
            basic: Some((ari.user.clone(), ari.secret.clone())),
            bearer: None,
            header: None,
            body: body.map(|body| ("application/json", body)),
            within: Duration::from_secs(2),
            reply_max: 64 * 1024,
            tls: self.options.tls.trust(&self.server),
            streamed: false,
        })
    }

    /// Without the filter the stream is four times as loud, and still better than AMI.
    pub(super) fn filter_set(&mut self, result: Result<HttpReply, LinkError>) {
        if self.life.stream != Stream::Filtering {
            return;
        }
        match result {
            Ok(reply) if reply.status == 200 => {}
            Ok(reply) if reply.status == 404 => return self.stream_again(),
            Ok(reply) => self.warn(
                "ari_filter",
                format!(
                    "the event filter was refused with http status {}: is the ARI user read_only?",
                    reply.status
                ),
            ),
            Err(error) => self.warn("ari_filter", format!("the event filter could not be set: {error}")),
        }
        self.life.stream = Stream::Proving;
        self.life.proof = format!("ifbus-{:032x}", self.random.next());
        if let Some(request) = self.marker_request(&self.life.proof) {
            self.request(Request::Marker(None), request);
        }
    }

    /// A server that is still closing an older stream of ours takes the application away from the new one, silently:
    /// seen on 22 with a close and an open in the same moment.
    fn stream_again(&mut self) {
        self.out.push_back(Output::Close(self.link(STREAM)));
        self.life.stream = Stream::Opening;
        self.life.timers.arm(Timer::Reopen, self.now + REOPEN_AFTER);
    }

    pub(super) fn proof_sent(&mut self, result: Result<HttpReply, LinkError>) {
        match result {
            _ if self.life.stream != Stream::Proving => {}
            Ok(reply) if reply.status < 300 => {}
            Ok(reply) if reply.status == 404 => self.stream_again(),
            // it may not be proven: then it has to be believed
            _ => self.stream_proven(),
        }
    }

    pub(super) fn stream_proven(&mut self) {
        self.life.stream = Stream::Up;
        self.life.timers.disarm(Timer::Stream);
        self.advance();
    }

    /// The stream does not come: go on without it. One that was proven once and is silent now is lost.
    pub(super) fn stream_late(&mut self) {
        if self.life.stream == Stream::Up {
            return self.down(Interface::Events, DownReason::Silent(SILENT_MAX));
        }
        self.out.push_back(Output::Close(self.link(STREAM)));
        self.stream_closed(LinkError::TimedOut);
    }

    /// Before the list the stream is a wish, and AMI alone will do; afterwards facts are missed, and this life is over.
    pub(super) fn stream_closed(&mut self, error: LinkError) {
        if self.life.stream == Stream::Off {
            return;
        }
        if self.life.stream == Stream::Up {
            self.life.stream = Stream::Off;
            let reason = self.lost(error);
            self.down(Interface::Events, reason);
            return;
        }
        // Somebody else at that port: going on by AMI would let him choose the weaker way.
        if matches!(error, LinkError::Tls(_)) {
            return self.down(Interface::Events, DownReason::Unreachable(error));
        }
        self.life.stream = Stream::Off;
        self.life.timers.disarm(Timer::Stream);
        self.life.timers.disarm(Timer::Reopen);
        self.life.early.clear();
        let port = self.options.ari.as_ref().map_or(0, |ari| ari.port);
        self.warn(
            "ari_off",
            format!(
                "no event stream on port {port} ({error}): AMI alone is used, which a caller can forge; \
                 enable http.conf and ari.conf, or set ari_port=0"
            ),
        );
        self.advance();
    }

    /// An instance under our name took the stream over: we hear nothing more.
    pub(super) fn stream_replaced(&mut self) {
        self.warn(
            "ari_replaced",
            "another ifbus with the same instance id has taken the event stream".to_owned(),
        );
        self.down(Interface::Events, DownReason::Lost(LinkError::Other("replaced".to_owned())));
    }
}
