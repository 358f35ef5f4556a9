//! Legs that are lent to a media anchor: a server with media calls us for the leg, and its phone talks to that server from
//! then on.
//!
//! The anchor is told an address that nobody can guess; whoever calls it is the anchor. The dialog it makes is a leg like
//! any other, the partner of the one that was lent, under the id the anchor knows its own end by.
//!
//! Not here: who asks for a loan and what the anchor does with it ([`crate::anchor`]).

use ifbus_call::{Address, LegId, Nanos};

use super::agent::{Agent, Standing};
use super::command::SipCommand;
use super::dialog::{Dialog, Media, Progress, Wire};
use super::legs::Leg;
use super::sdp::Sdp;

/// A leg that an anchor was told to call for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loan {
    leg: LegId,
    anchor: LegId,
}

impl Agent {
    /// Where an anchor has to call for an answered leg; absent while that cannot be. Its dialog will be the leg `anchor`.
    pub fn lend(&mut self, leg: LegId, anchor: LegId, now: Nanos) -> Option<Address> {
        self.now = self.now.max(now);
        let contact = self.anchor_contact.clone().filter(|_| self.standing == Standing::Open)?;
        self.legs.get(&leg).filter(|known| known.is_up())?;
        let user = format!("ifbus-{:032x}", self.random.next());
        let address = format!("sip:{user}@{contact}").parse().ok()?;
        self.loans.insert(user, Loan { leg, anchor });
        Some(address)
    }

    /// The loan is over: whoever calls for it is refused, its dialog is ended, and the leg is silent unless it got
    /// another partner before.
    pub fn take_loan_back(&mut self, anchor: LegId, now: Nanos) {
        self.now = self.now.max(now);
        self.loans.retain(|_, loan| loan.anchor != anchor);
        self.end(anchor, None);
        self.settle();
    }

    /// Two legs talk to each other, whoever they were lent to.
    pub fn rejoin(&mut self, a: LegId, b: LegId, now: Nanos) {
        self.now = self.now.max(now);
        for (leg, partner) in [(a, b), (b, a)] {
            if let Some(known) = self.legs.get_mut(&leg) {
                known.dialog.partner = Some(partner);
                known.dialog.waits = false;
            }
            self.unsettle(leg);
        }
        self.settle();
    }

    /// What is lent: the leg, and the dialog of the anchor.
    #[must_use]
    pub fn loans(&self) -> Vec<(LegId, LegId)> {
        let lent = |(anchor, known): (&LegId, &Leg)| Some((known.dialog.lends?, *anchor));
        self.legs.iter().filter_map(lent).collect()
    }

    /// Somebody calls us.
    pub(super) fn invited(&mut self, token: u64, user: &str, wire: Wire, sdp: Option<&str>) {
        let Some(Loan { leg, anchor }) = self.loans.remove(user) else {
            return self.command(SipCommand::Decline { token, code: 404 });
        };
        let offer = sdp.and_then(|text| Some((Sdp::parse(text).ok()?, text)));
        let lent = self.legs.get(&leg).filter(|known| known.is_up());
        let theirs = lent.and_then(|known| Some((known.theirs()?, known.dialog.tag.clone(), known.wants())));
        let (Some((offer, text)), Some((theirs, tag, wants))) = (offer, theirs) else {
            return self.command(SipCommand::Decline { token, code: 488 });
        };
        let dialog = Dialog {
            leg: anchor,
            tag,
            progress: Progress::Up,
            wire,
            media: Media {
                id: u64::try_from(self.random.next() >> 66).expect("62 bits fit"),
                theirs: text.to_owned(),
                ..Media::default()
            },
            partner: Some(leg),
            waits: false,
            holds: None,
            lends: Some(leg),
            guest: false,
            moved: None,
        };
        let mut made = Leg::new(dialog, self.now);
        made.tried = true;
        made.past.answered = true;
        self.enter(made);
        let answer = theirs.answering(&offer).directed(offer.direction().mirrored().and(wants));
        let Some(sdp) = self.say(anchor, &answer) else { return };
        if let Some(made) = self.legs.get_mut(&anchor) {
            made.dialog.media.ours.clone_from(&sdp);
        }
        if let Some(known) = self.legs.get_mut(&leg) {
            known.dialog.partner = Some(anchor);
            known.dialog.waits = false;
        }
        self.unsettle(leg);
        self.watch(anchor);
        self.write_down(anchor, vec![SipCommand::Accept { leg: anchor, token, sdp }]);
    }
}
