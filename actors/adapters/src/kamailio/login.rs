//! From nothing to ready: who it is, what it can do, since when; then events, then the list.
//!
//! The list is asked for when events are already flowing, so nothing falls between them. What is listed: `listing.rs`.

use ifbus_call::{Boot, Interface, Seen};

use super::flight::Purpose;
use super::machine::{Events, Kamailio, Phase};
use super::rpc::{ASK_WITHIN, Answer, Method, Trouble};
use super::shapes::Uptime;
use crate::adapter::{DownReason, LinkError, Output, Ready};
use crate::key::Tls;
use crate::proxied::Side;
use crate::wire_format::jsonrpc::Failure;

/// A life of the server's that never changes: calls of ours are between us and the phones, and go on when the proxy
/// begins anew (sheet, section 7). What it has forgotten itself is missing in its list.
const BOOT: &str = "calls outlive the proxy";

impl Kamailio {
    /// Opens everything that is needed to be ready.
    pub(super) fn rise(&mut self) {
        self.ask_plain(Method::Version, Purpose::Version);
        self.calls.start(self.now);
    }

    pub(super) fn version_told(&mut self, answer: &Answer) {
        let version = match answer.read::<String>() {
            Ok(version) => version,
            Err(trouble) => return self.not_let_in(&trouble),
        };
        if !version.starts_with("kamailio ") {
            let said = version.chars().filter(|c| !c.is_control()).take(60).collect();
            return self.down(Interface::Management, DownReason::NotTheKind(said));
        }
        // `kamailio 5.6.3 (x86_64/linux) `, with a blank at its end
        self.life.version = Some(version.trim_start_matches("kamailio ").trim().chars().take(100).collect());
        self.ask_plain(Method::Methods, Purpose::Methods);
        self.ask_plain(Method::Uptime, Purpose::Boot);
        if self.options.tls == Tls::Off && !self.options.is_loopback() {
            let text =
                "JSON-RPC is spoken in clear text off this host: keep it on a network that nobody else reads";
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
            Trouble::Link(LinkError::TimedOut) => DownReason::Silent(ASK_WITHIN),
            Trouble::Link(error) => DownReason::Unreachable(error.clone()),
            Trouble::Said(denied @ Failure::Denied(_)) => DownReason::LoginRefused(denied.to_string()),
            Trouble::Said(other) => DownReason::NotTheKind(other.to_string()),
        };
        self.down(Interface::Management, reason);
    }

    pub(super) fn methods_told(&mut self, answer: &Answer) {
        match answer.read::<Vec<String>>() {
            Ok(methods) => {
                self.life.methods = Some(methods.into_iter().collect());
                if !self.has(Method::List.name()) {
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
        let known = life.methods.is_some() && life.up_since.is_some();
        let settled = life.events != Events::Opening;
        if self.phase != Phase::Rising || !known || !settled || life.listing {
            return;
        }
        match self.calls.side() {
            Side::Opening => {}
            Side::Failed(error) => self.down(Interface::Sip, DownReason::Unreachable(error)),
            Side::Open | Side::Off => {
                self.life.listing = true;
                if self.has(Method::List.name()) {
                    self.ask_plain(Method::List, Purpose::List(None));
                } else {
                    let seen = self.calls.agent().seen();
                    self.ready(seen);
                }
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
        self.ask_plain(Method::Uptime, Purpose::SameBoot);
    }

    pub(super) fn boot_again(&mut self, answer: &Answer) {
        match answer.read::<Uptime>() {
            Ok(uptime) => self.same_or_down(&uptime),
            // it is gone, and a probe would say so in a second; a link that closed says it now
            Err(Trouble::Link(LinkError::Refused)) if self.life.events == Events::Off => {
                self.down(Interface::Management, DownReason::Lost(LinkError::Refused));
            }
            Err(_) => {}
        }
        if self.phase != Phase::Off && self.life.events == Events::Off {
            self.poll_again();
        }
    }

    /// A server that began anew has forgotten drains and dialogs: everything is asked and told again.
    pub(super) fn same_or_down(&mut self, uptime: &Uptime) {
        if self.life.up_since.as_ref().is_some_and(|known| *known != uptime.up_since) {
            self.restarted();
        }
    }

    pub(super) fn restarted(&mut self) {
        let reason = DownReason::Lost(LinkError::Other("the server has been restarted".to_owned()));
        self.down(Interface::Management, reason);
    }
}
