//! From nothing to ready: connect, log in, subscribe, learn version and boot, list.
//!
//! The order matters in one place: the list is asked for when events are already flowing, and only after the server's
//! lists have caught up with them, so nothing falls between the two. What is listed: `listing.rs`.

use std::time::Duration;

use ifbus_call::{Boot, Interface};

use super::flight::{Purpose, Timer};
use super::machine::{COMMANDS, EVENTS, FILES, FreeSwitch, Link, Phase, interface};
use super::options::path;
use crate::adapter::{DownReason, Output, Ready};
use crate::wire_format::esl::{Command, Frame};

/// From opening a connection to its login, and again to what follows it.
pub(super) const LOGIN_WITHIN: Duration = Duration::from_secs(5);

/// A list may be late by so much against the events (0.3 s seen; sheet, sections 0 and 5).
const LISTS_LAG: Duration = Duration::from_millis(500);

/// What is heard. `CUSTOM` comes last: all words after it are subclasses (sheet, section 1).
const SUBSCRIPTION: &str = "json CHANNEL_CREATE CHANNEL_PROGRESS CHANNEL_PROGRESS_MEDIA CHANNEL_ANSWER CHANNEL_BRIDGE \
                            CHANNEL_UNBRIDGE CHANNEL_PARK CHANNEL_HOLD CHANNEL_UNHOLD CHANNEL_HANGUP_COMPLETE \
                            CHANNEL_DESTROY DTMF RECORD_START RECORD_STOP BACKGROUND_JOB HEARTBEAT SHUTDOWN \
                            CUSTOM conference::maintenance";

/// Version, limits and counters in one answer.
pub(super) fn status_command() -> Command {
    Command::api("json").words("{\"command\":\"status\",\"data\":\"\"}")
}

impl FreeSwitch {
    /// Opens everything that is needed to be ready.
    pub(super) fn rise(&mut self) {
        for slot in [COMMANDS, EVENTS] {
            self.open_session(slot);
            self.life.timers.arm(Timer::Login(slot), self.now + LOGIN_WITHIN);
        }
    }

    /// The server asks who we are. It asks once.
    pub(super) fn greeted(&mut self, slot: u8) {
        let session = self.session(slot);
        if session.link != Link::Open || !session.asked.is_empty() {
            return self.out_of_step(slot, "asked for the password again".to_owned());
        }
        let secret = self.options.secret.expose();
        let command = match &self.options.user {
            Some(user) => Command::plain("userauth").word(format_args!("{user}:{secret}")),
            None => Command::plain("auth").word(secret),
        };
        self.ask(slot, command, Purpose::Auth).expect("options are fit");
    }

    pub(super) fn logged_in(&mut self, slot: u8, ok: bool, frame: &Frame<'_>) {
        if !ok {
            let said = frame.said();
            let said = said.trim_start_matches("-ERR").trim().to_owned();
            return match slot {
                FILES => {
                    self.out.push_back(Output::Close(self.link(FILES)));
                    self.files_closed();
                }
                _ => self.down(interface(slot), DownReason::LoginRefused(said)),
            };
        }
        self.session(slot).link = Link::In;
        // what follows the login has the same deadline again
        self.life.timers.arm(Timer::Login(slot), self.now + LOGIN_WITHIN);
        match slot {
            COMMANDS => {
                let rights = frame.get("Allowed-API").map(String::from_utf8_lossy);
                self.life.rights = rights.map(|words| words.split_whitespace().map(str::to_owned).collect());
                self.ask_plain(COMMANDS, status_command(), Purpose::Status);
                self.ask_plain(COMMANDS, Command::api("global_getvar").word("core_uuid"), Purpose::Core);
                match self.options.recordings.clone() {
                    Some(folder) => self.life.folder = Some(folder),
                    None => {
                        let command = Command::api("global_getvar").word("recordings_dir");
                        self.ask_plain(COMMANDS, command, Purpose::Folder);
                    }
                }
            }
            EVENTS => {
                self.ask_plain(EVENTS, Command::plain("event").words(SUBSCRIPTION), Purpose::Subscribe);
            }
            _ => {
                self.life.timers.disarm(Timer::Login(FILES));
                self.files_ready();
            }
        }
    }

    pub(super) fn login_late(&mut self, slot: u8) {
        if slot == FILES {
            self.out.push_back(Output::Close(self.link(FILES)));
            return self.files_closed();
        }
        self.down(interface(slot), DownReason::Silent(LOGIN_WITHIN));
    }

    pub(super) fn subscribed(&mut self, ok: bool, frame: &Frame<'_>) {
        if !ok {
            let said = frame.said();
            let text = format!(
                "event: {}: esl-allowed-events is too narrow",
                said.trim_start_matches("-ERR").trim()
            );
            return self.down(Interface::Events, DownReason::LoginRefused(text));
        }
        self.life.timers.disarm(Timer::Login(EVENTS));
        self.life.subscribed = true;
        self.life.timers.arm(Timer::List, self.now + LISTS_LAG);
    }

    /// Version and limits. A server that may not be asked tells nothing of either.
    pub(super) fn status(&mut self, frame: &Frame<'_>) {
        let Some(status) = Status::read(frame) else {
            let text = format!("json status: {}", refusal(frame));
            return self.down(Interface::Management, DownReason::LoginRefused(text));
        };
        self.life.version = Some(status.version);
        self.advance();
    }

    /// The id of a life of the server: when it changes, every call is gone.
    pub(super) fn core(&mut self, frame: &Frame<'_>) {
        let said = frame.said();
        if said.is_empty() || said.starts_with('-') || said.contains(char::is_whitespace) || said.len() > 100
        {
            let text = format!("global_getvar core_uuid: {}", refusal(frame));
            return self.down(Interface::Management, DownReason::LoginRefused(text));
        }
        self.life.boot = Some(Boot(said));
        self.advance();
    }

    /// Without a folder nothing is recorded; everything else works.
    pub(super) fn folder(&mut self, frame: &Frame<'_>) {
        self.life.folder = path(&frame.said()).ok();
    }

    /// Asks for the list as soon as everything else is there.
    pub(super) fn advance(&mut self) {
        let life = &self.life;
        let known = life.version.is_some() && life.boot.is_some() && life.subscribed;
        if self.phase != Phase::Rising || !known || life.listing > 0 || life.timers.is_armed(Timer::List) {
            return;
        }
        self.life.timers.disarm(Timer::Login(COMMANDS));
        self.list_for(None);
    }

    /// The list is there: orders are taken, and what was heard meanwhile is applied to it.
    pub(super) fn ready(&mut self, seen: Vec<ifbus_call::Seen>) {
        let (Some(boot), Some(version)) = (self.life.boot.clone(), self.life.version.clone()) else { return };
        self.phase = Phase::Ready;
        self.out.push_back(Output::Ready(Ready { epoch: self.epoch, boot, version, seen }));
        self.life.early_bytes = 0;
        for event in std::mem::take(&mut self.life.early) {
            // one of them may have ended this life
            if self.phase != Phase::Ready {
                return;
            }
            self.event(&event);
        }
    }
}

/// What a refusal says, or that it is none.
pub(super) fn refusal(frame: &Frame<'_>) -> String {
    let said = frame.said();
    match said.strip_prefix("-ERR") {
        Some(why) => why.trim().to_owned(),
        None => format!(
            "not understood: {}",
            said.chars().take(60).flat_map(char::escape_debug).collect::<String>()
        ),
    }
}

/// What `json status` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) legs: Option<u32>,
    pub(super) legs_max: Option<u32>,
    pub(super) legs_ever: Option<u64>,
}

impl Status {
    pub(super) fn read(frame: &Frame<'_>) -> Option<Self> {
        let json: serde_json::Value = serde_json::from_slice(frame.body).ok()?;
        let response = json.get("response")?;
        // the number alone: what follows it is the day of the build
        let version = response.get("version")?.as_str()?.split_whitespace().next()?;
        let count = response.get("sessions").and_then(|sessions| sessions.get("count"));
        let number = |name: &str| count.and_then(|count| count.get(name)?.as_u64());
        let small = |name: &str| number(name).and_then(|number| u32::try_from(number).ok());
        Some(Self {
            version: version.chars().take(100).collect(),
            legs: small("active"),
            legs_max: small("limit"),
            legs_ever: number("total"),
        })
    }
}
