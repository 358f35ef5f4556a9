//! Which release it is, and whether it serves our domain: one question to SIP at the beginning of a life.
//!
//! OPTIONS to the proxy itself is answered without a name up to 2.3; OPTIONS to a user whom nobody knows is refused by the
//! proxy, with its `Server`, in every release that was run: 404 in a domain of its own, 483 elsewhere, 401, 403 or 407
//! to somebody it does not trust. Without an answer a life goes on without the name. Not here: whether the server lives.

use std::net::Ipv6Addr;
use std::time::Duration;

use ifbus_call::{Finding, Verdict};

use super::flight::Timer;
use super::inspect::finding;
use super::machine::{Flexisip, Phase};
use crate::adapter::{Endpoint, Output};
use crate::wire_format::sip_options::{Question, server};

/// The link that the question goes by: beyond those of whoever pushes.
pub(super) const LINK: u8 = 101;
/// Datagrams get lost: ask again after SIP's own T1.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// A life does not wait longer for a name.
const WITHIN: Duration = Duration::from_secs(2);
/// Where no more is kept of an answer.
const ANSWER_MAX: usize = 16 * 1024;
/// The longest name of a release that is shown.
const NAME_MAX: usize = 40;
/// What is shown of a server that tells no release.
const UNNAMED: &str = "Flexisip";

/// The question and what came of it.
#[derive(Debug, Default)]
pub(super) struct Release {
    question: Option<Question>,
    /// Bytes of answers that are not whole.
    pending: Vec<u8>,
    name: Option<String>,
    /// The status it was refused with.
    status: Option<u16>,
    settled: bool,
}

impl Flexisip {
    pub(super) fn ask_release(&mut self) {
        self.life.release.question = Some(Question { id: self.random.next() });
        let (host, port) = (self.options.sip.host.clone(), self.options.sip.port);
        let endpoint = if self.options.sip.tcp {
            Endpoint::Tcp { host, port, tls: None, quickack: false }
        } else {
            Endpoint::Udp { host, port }
        };
        self.out.push_back(Output::Open(self.link(LINK), endpoint));
        self.life.timers.arm(Timer::Unnamed, self.now + WITHIN);
    }

    pub(super) fn send_question(&mut self) {
        let Some(question) = &self.life.release.question else { return };
        let sip = &self.options.sip;
        let domain = match sip.domain.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => sip.domain.clone(),
        };
        let uri = format!("sip:ifbus-{:x}@{domain}", question.id & 0xffff_ffff);
        let from = format!("ifbus@{domain}");
        let message = question.message(&uri, &from, if sip.tcp { "TCP" } else { "UDP" });
        self.out.push_back(Output::Send(self.link(LINK), message));
        if !sip.tcp {
            self.life.timers.arm(Timer::AskAgain, self.now + ASK_AGAIN);
        }
    }

    pub(super) fn question_answered(&mut self, bytes: &[u8]) {
        let release = &mut self.life.release;
        if !self.options.sip.tcp {
            release.pending.clear();
        }
        release.pending.extend_from_slice(bytes);
        release.pending.truncate(ANSWER_MAX);
        // no answer to it has a body
        while let Some(end) = release.pending.windows(4).position(|four| four == b"\r\n\r\n") {
            let answer: Vec<u8> = release.pending.drain(..end + 4).collect();
            let Some(status) = release.question.as_ref().and_then(|asked| asked.answered_by(&answer)) else {
                continue;
            };
            if let Some(name) = server(&answer).and_then(name_of) {
                release.name = Some(name);
            }
            if status >= 200 {
                release.status = Some(status);
                return self.settle_release();
            }
        }
    }

    /// Nothing more is waited for.
    pub(super) fn settle_release(&mut self) {
        if std::mem::replace(&mut self.life.release.settled, true) {
            return;
        }
        self.life.release.question = None;
        self.life.timers.disarm(Timer::AskAgain);
        self.life.timers.disarm(Timer::Unnamed);
        self.out.push_back(Output::Close(self.link(LINK)));
        self.rise();
    }

    /// The life ends before an answer came.
    pub(super) fn drop_question(&mut self) {
        if self.life.release.question.take().is_some() {
            self.out.push_back(Output::Close(self.link(LINK)));
        }
    }

    /// SIP has answered, and the name is known or given up: orders are taken.
    pub(super) fn rise(&mut self) {
        if self.phase == Phase::Rising && self.life.sip_answers && self.life.release.settled {
            self.ready();
        }
    }

    pub(super) fn version(&self) -> String {
        self.life.release.name.clone().unwrap_or_else(|| UNNAMED.to_owned())
    }

    /// What the question showed, for an inspection.
    pub(super) fn what_it_showed(&self) -> [Finding; 2] {
        let Release { name, status, .. } = &self.life.release;
        let release = match name {
            Some(name) => finding("release", Verdict::Ok, format!("Flexisip {name}"), ""),
            None => finding("release", Verdict::Warn, "it does not tell its release".to_owned(), ""),
        };
        let domain = &self.options.sip.domain;
        let (verdict, text, fix) = match status {
            Some(404 | 480) => (Verdict::Ok, format!("{domain} is a domain of its own"), ""),
            Some(401 | 407) => (
                Verdict::Skip,
                format!("whether it serves {domain} is told only to whom it trusts"),
                "add the address of this machine to trusted-hosts",
            ),
            Some(status) => (
                Verdict::Warn,
                format!("it does not look for users of {domain} (SIP {status})"),
                "set domain to one of reg-domains",
            ),
            None => (Verdict::Skip, "the question was not answered".to_owned(), ""),
        };
        [release, finding("domain", verdict, text, fix)]
    }
}

/// `Flexisip/2.3.3 (sofia-sip-nta/2.0)` is `2.3.3`.
fn name_of(server: &str) -> Option<String> {
    let word = server.strip_prefix("Flexisip/")?.split(' ').next()?;
    let sound = word.starts_with(|first: char| first.is_ascii_digit())
        && word.len() <= NAME_MAX
        && word.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then(|| word.to_owned())
}
