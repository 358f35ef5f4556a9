//! One leg of an agent: what is written down of it, and what is forgotten when we die.

use ifbus_call::{Cause, LegId, Nanos};

use super::cause::Past;
use super::dialog::{Dialog, Progress};
use super::event::{Reply, Session};
use super::sdp::{Direction, Sdp};

/// A leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) born: Nanos,
    pub(super) past: Past,
    /// It sounded before it was answered, and that was told.
    pub(super) early: bool,
    /// The server has said something about its invitation.
    pub(super) tried: bool,
    /// Its phone is to be offered what its partner says, until it took that.
    pub(super) settle: bool,
    /// The offer under way.
    pub(super) pending: Option<Pending>,
    /// Offers of ours that met one of the phone's, in a row.
    pub(super) glares: u32,
    /// The phone did not take an offer.
    pub(super) fault: Option<Reply>,
    pub(super) session: Option<Session>,
    /// Questions in a row whether it lives that were answered by a no.
    pub(super) misses: u32,
    /// Since when such questions are not answered at all.
    pub(super) silent_since: Option<Nanos>,
    /// Its end was not seen by the phone's or our own word: nobody knew it any more.
    pub(super) vanished: bool,
    /// Why it is ended by us, where that is no end of a talk.
    pub(super) because: Option<Cause>,
    /// Transfers its phone has asked for.
    pub(super) refers: u32,
}

/// An offer that was sent.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) number: u64,
    /// What was said before, and still counts if this one is refused.
    pub(super) before: String,
    /// Something else was decided since: that it fails says nothing about what is wanted now.
    pub(super) stale: bool,
    /// It only keeps the session alive.
    pub(super) refresh: bool,
}

impl Leg {
    pub(super) fn new(dialog: Dialog, born: Nanos) -> Self {
        Self {
            dialog,
            born,
            past: Past::default(),
            early: false,
            tried: false,
            settle: false,
            pending: None,
            glares: 0,
            fault: None,
            session: None,
            misses: 0,
            silent_since: None,
            vanished: false,
            because: None,
            refers: 0,
        }
    }

    /// As it was written down: requests may have been sent that were not, so the numbers leap (sheet, W8).
    pub(super) fn restored(mut dialog: Dialog) -> Self {
        // what is not answered is taken back, under the number of its invitation (RFC 3261, 9.1)
        if matches!(dialog.progress, Progress::Up | Progress::Ending) {
            dialog.wire.local_cseq = dialog.wire.local_cseq.saturating_add(LEAP);
        }
        dialog.media.version += u64::from(LEAP);
        let unsure = dialog.media.unsure;
        let mut leg = Self::new(dialog, Nanos::ZERO);
        leg.settle = unsure;
        leg.past.answered = leg.is_up();
        leg.tried = true;
        leg
    }

    pub(super) fn is_up(&self) -> bool {
        self.dialog.progress == Progress::Up
    }

    /// What its phone says of itself, if anything is known.
    pub(super) fn theirs(&self) -> Option<Sdp> {
        Sdp::parse(&self.dialog.media.theirs).ok()
    }

    /// What it was told last.
    pub(super) fn ours(&self) -> Option<Sdp> {
        Sdp::parse(&self.dialog.media.ours).ok()
    }

    /// The direction in which its phone wants media to flow.
    pub(super) fn wants(&self) -> Direction {
        self.dialog.holds.unwrap_or(Direction::SendRecv)
    }

    /// Takes what the phone said of itself, unless what is known is the same place in more words, or this one is none.
    pub(super) fn learn(&mut self, said: &Sdp, text: &str, complete: bool) {
        let better = match self.theirs() {
            None => true,
            Some(_) if !said.is_real() => false,
            Some(known) => complete || !known.is_real() || !known.same_transport(said),
        };
        if better {
            text.clone_into(&mut self.dialog.media.theirs);
        }
    }

    pub(super) fn talks_to(&self, other: LegId) -> bool {
        self.dialog.partner == Some(other)
    }
}

/// By how much numbers leap when a dialog is taken up again.
const LEAP: u32 = 10;
