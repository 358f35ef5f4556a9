//! From nothing to ready: who it is, what it can do, since when; then events, then the list.
//!
//! The list is asked for when events are already flowing, so nothing falls between them. What is listed: `listing.rs`.

use ifbus_call::{Boot, Interface, Seen};

use super::flight::{Purpose, Timer};
use super::machine::{OpenSips, Phase};
use super::mi::{ASK_WITHIN, Answer, Command, Trouble};
use super::shapes::{Uptime, Version};
use crate::adapter::{DownReason, LinkError, Output, Ready};
use crate::proxied::Side;
use crate::wire_format::jsonrpc::Failure;

/// A life of the server's that never changes: calls of ours are between us and the phones, and go on when the proxy
/// begins anew (sheet, section 12). What it has forgotten itself is missing in its list.
const BOOT: &str = "calls outlive the proxy";

impl OpenSips {
    /// Asks and opens everything that is needed to be ready.
    pub(super) fn rise(&mut self) {
        self.ask_plain(Command::Version, Purpose::Version);
    }

    pub(super) fn version_told(&mut self, answer: &Answer) {
        let told = match answer.read::<Version>() {
            Ok(told) => told.server,
            Err(trouble) => return self.not_let_in(&trouble),
        };
        // `OpenSIPS (4.0.1 (x86_64/linux))`
        let Some(version) = told.strip_prefix("OpenSIPS ") else {
            let said = told.chars().filter(|c| !c.is_control()).take(60).collect();
            return self.down(Interface::Management, DownReason::NotTheKind(said));
        };
        let version = version.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(version);
        self.life.version = Some(version.chars().filter(|c| !c.is_control()).take(100).collect());
        self.ask_plain(Command::Which, Purpose::Which);
        self.ask_plain(Command::Uptime, Purpose::Boot);
        if self.options.is_in_the_open() {
            let text = "its management is spoken to in clear text off this host: keep it on a network that nobody \
                        else reads";
            self.warn("clear_text", text.to_owned());
        }
        if self.options.events.is_some() {
            self.open_events();
        } else {
            self.poll_instead();
        }
    }

    fn not_let_in(&mut self, trouble: &Trouble) {
        let reason = match trouble {
            Trouble::Link(LinkError::TimedOut) => DownReason::Silent(ASK_WITHIN * 2),
            Trouble::Link(error) => DownReason::Unreachable(error.clone()),
            Trouble::Said(denied @ Failure::Denied(_)) => DownReason::LoginRefused(denied.to_string()),
            Trouble::Said(other) => DownReason::NotTheKind(other.to_string()),
        };
        self.down(Interface::Management, reason);
    }

    pub(super) fn commands_told(&mut self, answer: &Answer) {
        match answer.read::<Vec<String>>() {
            Ok(commands) => {
                self.life.commands = Some(commands.into_iter().collect());
                if !self.has(Command::List) {
                    let text =
                        "module dialog is not loaded: calls of others are not seen, and cannot be ended";
                    self.warn("no_dialog", text.to_owned());
                }
                self.advance();
            }
            Err(trouble) => self.not_let_in(&trouble),
        }
    }

    pub(super) fn boot_told(&mut self, answer: &Answer) {
        match answer.read::<Uptime>() {
            Ok(uptime) => {
                self.life.up_since = Some(uptime.up_since);
                self.advance();
            }
            Err(trouble) => self.not_let_in(&trouble),
        }
    }

    /// Asks for the list as soon as everything else is there.
    pub(super) fn advance(&mut self) {
        let life = &self.life;
        let known = life.commands.is_some() && life.up_since.is_some();
        let settled = !life.events.is_rising();
        if self.phase != Phase::Rising || !known || !settled || life.listing {
            return;
        }
        match self.calls.side() {
            Side::Opening => {}
            Side::Failed(error) => self.down(Interface::Sip, DownReason::Unreachable(error)),
            Side::Open | Side::Off => {
                self.life.listing = true;
                self.list_for(None);
            }
        }
    }

    /// The list is there: orders are taken.
    pub(super) fn ready(&mut self, seen: Vec<Seen>) {
        let Some(version) = self.life.version.clone() else { return };
        self.phase = Phase::Ready;
        let boot = Boot(BOOT.to_owned());
        self.out.push_back(Output::Ready(Ready { epoch: self.epoch, boot, version, seen }));
    }

    // ---- another life of the server --------------------------------------------------------------------------------

    pub(super) fn ask_same_boot(&mut self) {
        self.ask_plain(Command::Uptime, Purpose::SameBoot);
    }

    pub(super) fn boot_again(&mut self, answer: &Answer) {
        match answer.read::<Uptime>() {
            Ok(uptime) => self.same_or_down(&uptime),
            // it is gone, and a probe would say so in a second
            Err(Trouble::Link(LinkError::Refused)) => {
                self.down(Interface::Management, DownReason::Lost(LinkError::Refused));
            }
            Err(_) => {}
        }
        if self.phase != Phase::Off && !self.life.events.is_bound() {
            self.life.timers.arm(Timer::Poll, self.now + super::events::POLL_EVERY);
        }
    }

    /// A server that began anew has forgotten drains, subscriptions and dialogs: all is asked and told again.
    pub(super) fn same_or_down(&mut self, uptime: &Uptime) {
        if self.life.up_since.as_ref().is_some_and(|known| *known != uptime.up_since) {
            let reason = DownReason::Lost(LinkError::Other("the server has been restarted".to_owned()));
            self.down(Interface::Management, reason);
        }
    }
}
