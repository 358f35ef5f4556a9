//! A phone's own transfer (REFER): whom it names is called as a guest and gets its place, before the phone is hung up.
//!
//! The phone keeps its call until that has come off, and is told how it goes; one that hangs up before leaves its partner
//! to the guest. Two calls that a phone joins are both ours: their other legs are given each other. Of all this the
//! calls above hear what they hear of a server that does it by itself ([`Event::MovedByPhone`], ADR 0010).
//!
//! A leg that is lent to a media anchor has the anchor's dialog for a partner; then that dialog, with everything that
//! sounds behind it, is given to the guest.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::{Cause, Event, LegId, Outcome, Said, Tag};

use super::agent::{Agent, Asked};
use super::command::SipCommand;
use super::legs::Leg;
use super::orders::{JOIN_WITHIN, Outgoing, Work};
use super::refer_to::{ReferTo, Replaces, without_port};
use crate::adapter::{Output, Ticket};
use crate::q850::q850;

/// How long a guest may ring: less than proxies let anybody ring (sheet sip-3pcc, section 5).
const RING_WITHIN: Duration = Duration::from_secs(45);
/// How long a phone has to take the word about its transfer before it is hung up.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
/// Tickets of our own; those of whoever drives us are far below.
const OWN: u64 = 1 << 61;

/// A transfer that a phone has asked for.
#[derive(Debug)]
pub(super) struct Transfer {
    /// The dialog that its leg talks to: the partner's, or that of a media anchor.
    across: LegId,
    /// Its partner, who is sent elsewhere.
    stays: LegId,
    /// To whom.
    guest: LegId,
    /// The leg of the same phone that the guest talks to, if it is one of ours.
    other: Option<LegId>,
    /// To whom, for people.
    to: String,
    /// What names its REFER in the words about it.
    id: Option<u32>,
    /// The phone has hung up, and left its partner to the guest.
    alone: bool,
}

impl Agent {
    /// A phone asks for a transfer.
    pub(super) fn referred(&mut self, leg: LegId, token: u64, to: &str) {
        let answer = |code| SipCommand::Answer { leg, token, code, sdp: None };
        let (transfer, replaces) = match self.transfer_of(leg, to) {
            Ok(transfer) => transfer,
            Err(code) => return self.command(answer(code)),
        };
        self.command(answer(202));
        let asks = transfer.other.is_none();
        self.transfers.insert(leg, transfer);
        self.tell_phone(leg, 100);
        if asks { self.call_guest(leg, replaces) } else { self.join_guest(leg) }
    }

    /// What a REFER means, or why it is refused.
    fn transfer_of(&mut self, leg: LegId, to: &str) -> Result<(Transfer, Option<Replaces>), u16> {
        const NOT_NOW: u16 = 603;
        let known = self.legs.get(&leg).filter(|known| known.is_up()).ok_or(481_u16)?;
        let (across, stays) = self.opposite(leg).ok_or(NOT_NOW)?;
        let theirs = self.legs.get(&stays).filter(|other| other.is_up()).ok_or(NOT_NOW)?;
        // a leg that has only a guest has nobody whom its call could go on with
        let fixed = theirs.dialog.guest || known.dialog.lends.is_some();
        let in_use = |used: LegId| {
            self.is_being_moved(used)
                || self.transfers.iter().any(|(by, other)| {
                    [*by, other.across, other.stays, other.guest].contains(&used) || other.other == Some(used)
                })
        };
        if fixed || [leg, across, stays].into_iter().any(in_use) {
            return Err(NOT_NOW);
        }
        let refer = ReferTo::parse(to).ok_or(400_u16)?;
        if !self.is_our_host(&refer.host) {
            let text = format!(
                "{leg}: its phone transfers to {} at {}, which is not the domain of this server: refused",
                refer.address, refer.host
            );
            self.warn("refer_elsewhere", text);
            return Err(403);
        }
        let id = Some(known.dialog.wire.remote_cseq).filter(|_| known.refers > 0);
        let mut transfer = Transfer {
            across,
            stays,
            guest: LegId(0),
            other: None,
            to: refer.address.as_str().to_owned(),
            id,
            alone: false,
        };
        match &refer.replaces {
            Some(replaces) if replaces.call_id.starts_with(&self.call_id_prefix()) => {
                let other = self.replaced(replaces).filter(|other| *other != leg).ok_or(NOT_NOW)?;
                let (_, guest) = self.opposite(other).ok_or(NOT_NOW)?;
                let apart = ![leg, across, stays].contains(&guest);
                let party = self.legs.get(&guest).filter(|guest| guest.is_up() && !guest.dialog.guest);
                let party =
                    party.filter(|_| apart && ![other, guest].into_iter().any(in_use)).ok_or(NOT_NOW)?;
                transfer.to = party.dialog.tag.party.as_str().to_owned();
                (transfer.guest, transfer.other) = (guest, Some(other));
            }
            _ => transfer.guest = LegId(self.random.next()),
        }
        if let Some(known) = self.legs.get_mut(&leg) {
            known.refers += 1;
        }
        Ok((transfer, refer.replaces))
    }

    /// The dialog that a leg talks to, and whose it is: they differ where a media anchor is between them.
    fn opposite(&self, leg: LegId) -> Option<(LegId, LegId)> {
        let across = self.legs.get(&leg)?.dialog.partner?;
        let other = self.legs.get(&across).filter(|other| other.talks_to(leg))?;
        if other.dialog.lends.is_none() {
            return Some((across, across));
        }
        let stays = *self.elsewhere.get(&leg)?;
        (self.elsewhere.get(&stays) == Some(&leg)).then_some((across, stays))
    }

    /// A leg whose phone knows its call by these names.
    fn replaced(&self, replaces: &Replaces) -> Option<LegId> {
        let leg = self.owner(&replaces.call_id)?;
        let known = self.legs.get(&leg).filter(|known| known.is_up())?;
        let wire = &known.dialog.wire;
        (wire.local_tag == replaces.to_tag && wire.remote_tag == replaces.from_tag).then_some(leg)
    }

    /// Whether a phone that names this host means the server.
    fn is_our_host(&self, host: &str) -> bool {
        let ours = [self.options.domain.as_str(), self.options.endpoint.host.as_str()];
        ours.into_iter().any(|known| without_port(known).eq_ignore_ascii_case(host))
    }

    /// Whether an order gives this leg another partner now.
    fn is_being_moved(&self, leg: LegId) -> bool {
        self.busy.get(&leg).is_some_and(|ticket| self.moving.contains(ticket))
    }

    /// Calls whom a phone has named.
    fn call_guest(&mut self, by: LegId, replaces: Option<Replaces>) {
        let Some(Transfer { across, stays, guest, to, .. }) = self.transfers.get(&by) else { return };
        let (leg, plain) = (*guest, across == stays);
        let Some(staying) = self.legs.get(stays) else { return };
        let own = &staying.dialog.tag;
        let Ok(party) = to.parse() else { return };
        let tag = Tag { role: ifbus_call::Role::C, party, ..own.clone() };
        let caller = self.options.caller(&own.party);
        let offered = staying.theirs().filter(|_| plain).map(|theirs| theirs.directed(staying.wants()));
        let mut headers = Vec::new();
        if let Some(known) = self.legs.get(&by) {
            headers.push(("Referred-By", format!("<{}>", known.dialog.wire.remote_uri)));
        }
        headers.extend(replaces.map(|replaces| ("Replaces", replaces.header())));
        self.call_phone(Outgoing { leg, tag, caller, offered, headers, guest: true, within: RING_WITHIN });
    }

    /// A guest has answered: he gets the place of the phone that has named him.
    pub(super) fn guest_answered(&mut self, leg: LegId) {
        let by = self.transfers.iter().find(|(_, transfer)| transfer.guest == leg).map(|(by, _)| *by);
        match by {
            Some(by) => self.join_guest(by),
            None if self.is_lost_guest(leg) => self.end(leg, None),
            None => {}
        }
    }

    fn join_guest(&mut self, by: LegId) {
        let Some(transfer) = self.transfers.get(&by) else { return };
        let Transfer { across, stays, guest, .. } = *transfer;
        let up = |leg| self.legs.get(&leg).is_some_and(Leg::is_up) && !self.is_being_moved(leg);
        let waits = transfer.alone || self.legs.get(&by).is_some_and(|known| known.talks_to(across));
        if !waits || ![across, stays, guest].into_iter().all(up) {
            // something else was ordered meanwhile
            let said = Said::new(None, "the call was changed before its guest had answered");
            return self.transfer_failed(by, 603, (Cause::ServerFailure, said));
        }
        let before = self.point([(across, Some(guest), false), (guest, Some(across), false)]);
        self.set_moved(by, true);
        for leg in [across, stays, guest] {
            self.write_down(leg, Vec::new());
        }
        self.number += 1;
        let work = Work::Move { by, a: across, b: guest, before: before.0, waited: before.1 };
        self.running(Ticket(OWN | self.number), work, JOIN_WITHIN);
    }

    /// What is written down of a transfer, or taken back: who is elsewhere, and whom a media anchor's dialog is for.
    fn set_moved(&mut self, by: LegId, on: bool) {
        let Some(Transfer { across, stays, guest, other, to, .. }) = self.transfers.get(&by) else { return };
        let party = |leg: &LegId| self.legs.get(leg).map(|known| known.dialog.tag.party.as_str().to_owned());
        let from = party(stays);
        let mut sent = vec![(*stays, Some(to.clone()))];
        sent.extend(other.map(|_| (*guest, from)));
        let (across, was, is) = if on { (*across, by, *guest) } else { (*across, *guest, by) };
        for (leg, to) in sent {
            if let Some(known) = self.legs.get_mut(&leg) {
                known.dialog.moved = to.filter(|_| on);
            }
        }
        if let Some(known) = self.legs.get_mut(&across).filter(|known| known.dialog.lends == Some(was)) {
            known.dialog.lends = Some(is);
        }
    }

    /// The two dialogs of a transfer are joined, or could not be.
    pub(super) fn moved(&mut self, by: LegId, before: [Option<LegId>; 2], outcome: &Outcome) {
        if let Err(refused) = outcome {
            let said = refused.said.clone().unwrap_or_default();
            let code = said.code.filter(|code| (300..700).contains(code)).unwrap_or(500);
            return self.transfer_failed(by, code, (refused.cause, said));
        }
        let Some(transfer) = self.transfers.get(&by) else { return };
        let Transfer { across, stays, guest, other, alone, .. } = *transfer;
        let to = Some(transfer.to.clone());
        self.out.push_back(Output::Event(Event::MovedByPhone { leg: stays, guest: Some(guest), to }));
        if other.is_some() {
            let to = self.legs.get(&guest).and_then(|guest| guest.dialog.moved.clone());
            self.out.push_back(Output::Event(Event::MovedByPhone { leg: guest, guest: Some(stays), to }));
        }
        if !alone {
            self.tell_phone(by, 200);
        }
        self.transfers.remove(&by);
        let lent = |leg: &LegId| {
            *leg != across && self.legs.get(leg).is_some_and(|known| known.dialog.lends == Some(guest))
        };
        let released = before[1].filter(lent);
        for leg in other.into_iter().chain(released) {
            self.end(leg, Some((16, "transferred")));
        }
    }

    /// Nobody took the place of the phone: it goes on as before, or, if it is gone, its partner is hung up.
    fn transfer_failed(&mut self, by: LegId, code: u16, why: (Cause, Said)) {
        let Some(Transfer { across, stays, guest, other, alone, .. }) =
            self.transfers.get(&by).map(Transfer::copy)
        else {
            return;
        };
        if !alone {
            self.set_moved(by, false);
            self.tell_phone(by, code.max(300));
        }
        self.transfers.remove(&by);
        for leg in [across, stays].into_iter().chain(other.map(|_| guest)) {
            self.write_down(leg, Vec::new());
        }
        if self.is_guest(guest) {
            self.end(guest, None);
        }
        // who was left to somebody that does not come ends for that one's reason
        let left = other.filter(|other| !self.legs.contains_key(other)).map(|_| guest);
        for leg in left.into_iter().chain(Some(stays).filter(|_| alone)) {
            if let Some(known) = self.legs.get_mut(&leg) {
                known.because = Some(why.0);
            }
            self.end(leg, Some((q850(why.0), why.0.as_str())));
        }
    }

    /// An invited guest does not come.
    pub(super) fn guest_refused(&mut self, leg: LegId, code: u16, why: (Cause, Said)) {
        let by = self.transfers.iter().find(|(_, transfer)| transfer.guest == leg).map(|(by, _)| *by);
        if let Some(by) = by {
            let late = self.legs.get(&leg).is_some_and(|known| known.past.timed_out);
            self.transfer_failed(by, if late { 408 } else { code }, why);
        }
    }

    /// Tells a phone how its transfer goes; after a good word that is the last one it is hung up.
    fn tell_phone(&mut self, by: LegId, code: u16) {
        let Some(id) = self.transfers.get(&by).map(|transfer| transfer.id) else { return };
        let number = self.ask(Asked::Told(by, code / 100 == 2));
        let last = code >= 200;
        self.command(SipCommand::Notify { leg: by, number, id, code, last, within: TOLD_WITHIN });
    }

    // ---- ends -------------------------------------------------------------------------------------------------------

    /// A leg is over, and that is about to be told: where its partner is has to be known before.
    pub(super) fn before_the_end(&mut self, leg: LegId) {
        let moved = |leg, to| Output::Event(Event::MovedByPhone { leg, guest: None, to });
        if let Some(transfer) = self.transfers.get_mut(&leg) {
            transfer.alone = true;
            let Transfer { across, stays, ref to, .. } = *transfer;
            self.out.push_back(moved(stays, Some(to.clone())));
            self.set_moved(leg, true);
            self.write_down(stays, Vec::new());
            self.write_down(across, Vec::new());
        }
        for transfer in self.transfers.values().filter(|transfer| transfer.other == Some(leg)) {
            let party = self.legs.get(&transfer.stays).map(|known| known.dialog.tag.party.to_string());
            self.out.push_back(moved(transfer.guest, party));
        }
    }

    /// A leg is over: a transfer of it has no sense any more, and a guest of it is ended.
    pub(super) fn after_the_end(&mut self, leg: LegId, gone: &Leg) {
        let about = |transfer: &Transfer| transfer.stays == leg || transfer.across == leg;
        let senseless: Vec<LegId> =
            self.transfers.iter().filter(|(_, transfer)| about(transfer)).map(|(by, _)| *by).collect();
        for by in senseless {
            self.transfer_failed(by, 487, (Cause::Canceled, Said::default()));
        }
        if let Some(partner) = gone.dialog.partner
            && self.legs.get(&partner).is_some_and(|other| other.dialog.guest && other.talks_to(leg))
        {
            self.end(partner, None);
        }
    }

    /// There is no endpoint any more.
    pub(super) fn end_transfers(&mut self) {
        let moves = self.orders.iter().filter(|(_, running)| matches!(running.work, Work::Move { .. }));
        for ticket in moves.map(|(ticket, _)| *ticket).collect::<Vec<_>>() {
            self.order_late(ticket);
        }
        for by in self.transfers.keys().copied().collect::<Vec<_>>() {
            self.transfer_failed(by, 503, (Cause::ServerFailure, Said::default()));
        }
    }

    // ---- for whoever owns the agent ---------------------------------------------------------------------------------

    /// Whether a leg is one that a phone's own transfer called: it belongs to no call of ours.
    #[must_use]
    pub fn is_guest(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|known| known.dialog.guest)
    }

    /// Such legs, and what is written down beside them.
    pub fn guests(&self) -> impl Iterator<Item = (LegId, &Tag)> {
        self.legs.iter().filter(|(_, known)| known.dialog.guest).map(|(leg, known)| (*leg, &known.dialog.tag))
    }

    /// Who talks to whom by a media anchor. To be told before a REFER is.
    pub fn talk_elsewhere(&mut self, pairs: BTreeMap<LegId, LegId>) {
        self.elsewhere = pairs;
    }

    /// Whether the phone of a leg's partner has left it to a guest who is still called.
    pub(super) fn is_awaited(&self, leg: LegId) -> bool {
        self.transfers.values().any(|transfer| transfer.alone && transfer.stays == leg)
    }

    /// Whether nobody has this guest, or will have him.
    pub(super) fn is_lost_guest(&self, leg: LegId) -> bool {
        self.is_guest(leg)
            && !self.transfers.values().any(|transfer| transfer.guest == leg)
            && !self
                .legs
                .get(&leg)
                .and_then(|known| known.dialog.partner)
                .is_some_and(|partner| self.legs.get(&partner).is_some_and(|other| other.talks_to(leg)))
    }
}

impl Transfer {
    fn copy(&self) -> Self {
        Self { to: String::new(), ..*self }
    }
}
