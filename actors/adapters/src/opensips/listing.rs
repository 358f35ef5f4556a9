//! The server's own list of dialogs, page by page, and what it teaches.
//!
//! A dialog is ours if the agent knows its Call-ID, which nobody else can guess; what a caller writes into his headers
//! makes it no leg of ours. One whose name this installation gave and that belongs to nobody is left over from a life
//! that was not written down.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::order::Done;
use ifbus_call::{Boot, Interface, LegId, Seen, Stage as Progress};

use super::flight::Purpose;
use super::machine::{OpenSips, Phase};
use super::mi::{ASK_WITHIN, Answer, Command, Trouble};
use super::options::Mi;
use super::orders::refused;
use super::shapes::{Anything, Listed, Page, Stage};
use crate::adapter::{DownReason, LinkError, Ticket};
use crate::names;
use crate::wire_format::jsonrpc::Param;

/// Dialogs of one page: 88 kB, in 3 ms (sheet, section 11).
const PAGE: u64 = 100;
/// By datagram, where 65,457 bytes are all there is.
const SMALL_PAGE: u64 = 20;
/// More than a server of 128 MB has room for; a list that never ends is none.
const DIALOGS_MAX: u64 = 50_000;
/// The longest text that is shown of what a caller wrote.
const SHOWN_MAX: usize = 120;

/// A dialog that is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The server's own name for it in this life of it.
    pub(super) id: String,
    pub(super) call_id: String,
    pub(super) from_tag: String,
}

/// A list on its way.
#[derive(Debug)]
pub(super) struct Listing {
    /// Whose, or for readiness.
    ticket: Option<Ticket>,
    /// Where the next page begins, and how long it is.
    index: u64,
    page: u64,
    found: Vec<Listed>,
}

impl OpenSips {
    /// Asks for all dialogs: for readiness, or for an order.
    pub(super) fn list_for(&mut self, ticket: Option<Ticket>) {
        if !self.has(Command::List) {
            return self.listed(ticket, &[]);
        }
        let page = if self.options.mi == Mi::Udp { SMALL_PAGE } else { PAGE };
        self.life.lists_ever += 1;
        let list = self.life.lists_ever;
        self.life.lists.insert(list, Listing { ticket, index: 0, page, found: Vec::new() });
        self.ask_page(list);
    }

    fn ask_page(&mut self, list: u64) {
        let Some(listing) = self.life.lists.get(&list) else { return };
        let number = |value: u64| Param::Number(i64::try_from(value).unwrap_or(i64::MAX));
        let params = [("index", number(listing.index)), ("counter", number(listing.page))];
        self.ask(Command::List, &params, Purpose::Page(list)).expect("numbers are fit");
    }

    pub(super) fn page_told(&mut self, list: u64, answer: &Answer) {
        let Some(listing) = self.life.lists.get_mut(&list) else { return };
        if answer.is_too_long() {
            if listing.page == 1 {
                // one dialog that fits into no datagram is not seen
                listing.index += 1;
            }
            listing.page = (listing.page / 2).max(1);
            return self.ask_page(list);
        }
        match answer.read::<Page>() {
            Ok(page) => {
                let got = u64::try_from(page.dialogs.len()).unwrap_or(u64::MAX);
                listing.index = listing.index.saturating_add(got);
                listing.found.extend(page.dialogs);
                if got > 0 && listing.index < page.count.min(DIALOGS_MAX) {
                    return self.ask_page(list);
                }
                if let Some(listing) = self.life.lists.remove(&list) {
                    self.listed(listing.ticket, &listing.found);
                }
            }
            Err(trouble) => {
                let ticket = listing.ticket;
                self.life.lists.remove(&list);
                self.not_listed(ticket, &trouble);
            }
        }
    }

    fn not_listed(&mut self, ticket: Option<Ticket>, trouble: &Trouble) {
        let reason = match (ticket, trouble) {
            (Some(ticket), _) => return self.finish(ticket, Err(refused(trouble))),
            (None, Trouble::Link(LinkError::TimedOut)) => DownReason::Silent(ASK_WITHIN * 2),
            (None, Trouble::Link(error)) => DownReason::Lost(error.clone()),
            (None, Trouble::Said(said)) => DownReason::Protocol(said.to_string()),
        };
        self.down(Interface::Management, reason);
    }

    fn listed(&mut self, ticket: Option<Ticket>, listed: &[Listed]) {
        let live: Vec<&Listed> = listed.iter().filter(|listed| listed.stage() != Stage::Over).collect();
        let first = self.phase == Phase::Rising;
        let mut seen = self.calls.agent().seen();
        let ours: BTreeSet<String> = seen.iter().map(|seen| seen.native.clone()).collect();
        self.life.foreign.clear();
        for listed in live.iter().filter(|listed| !ours.contains(&listed.callid)) {
            let leg = self.foreign_leg(listed);
            if self.calls.agent().is_of_this_instance(&listed.callid) {
                if first {
                    self.end_orphan(leg, listed);
                }
                continue;
            }
            let foreign = Foreign {
                id: listed.id.clone(),
                call_id: listed.callid.clone(),
                from_tag: listed.caller_tag.clone(),
            };
            // a page may show again what the page before it showed
            if self.life.foreign.insert(leg, foreign).is_none() {
                seen.push(foreign_seen(leg, listed));
            }
        }
        let known: BTreeSet<&str> = live.iter().map(|listed| listed.callid.as_str()).collect();
        if self.has(Command::List) {
            for call_id in ours.iter().filter(|call_id| !known.contains(call_id.as_str())) {
                self.calls.doubt(call_id, self.now);
            }
        }
        match ticket {
            Some(ticket) => self.finish(ticket, Ok(Done::Listed(seen))),
            None => self.ready(seen),
        }
    }

    fn foreign_leg(&self, listed: &Listed) -> LegId {
        let native = format!("{}\n{}", listed.callid, listed.caller_tag);
        names::foreign(&self.server, &Boot(String::new()), native.as_bytes())
    }

    // ---- left over -------------------------------------------------------------------------------------------------

    fn end_orphan(&mut self, leg: LegId, listed: &Listed) {
        let call = shown(&listed.callid);
        // whatever is unfit to be said stays where it is
        let params = [("dialog_id", Param::Text(&listed.id))];
        if self.ask(Command::End, &params, Purpose::Orphan(leg)).is_ok() {
            let text = format!("{call} was a call of ours that nothing is known of any more: it is ended");
            self.warn("orphan", text);
        }
    }

    pub(super) fn orphan_told(&mut self, leg: LegId, answer: &Answer) {
        if let Err(trouble) = answer.read::<Anything>() {
            self.warn("orphan", format!("{leg} could not be ended: {trouble}"));
        }
    }
}

fn foreign_seen(leg: LegId, listed: &Listed) -> Seen {
    Seen {
        leg,
        tag: None,
        native: shown(&listed.callid),
        stage: match listed.stage() {
            Stage::Invited => Progress::Dialing,
            Stage::Ringing => Progress::Ringing,
            Stage::Up | Stage::Over => Progress::Up,
        },
        partners: Vec::new(),
        conference: None,
        moved: None,
        hears_music: false,
        party: format!("{} to {}", user(&listed.from_uri), user(&listed.to_uri)),
        // it tells when a call was answered by its own clock, which is not ours to compare
        age: Duration::ZERO,
    }
}

/// What somebody wrote, as it can be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect()
}

/// The user part of a URI, or all of it.
fn user(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    shown(rest.split('@').next().unwrap_or(rest))
}
