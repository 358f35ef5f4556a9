//! The SIP side of a server, where its kind has one: the endpoint as a supervised actor, and what is written down of
//! dialogs before the wire hears of it.
//!
//! The endpoint is no link: it outlives the lives of the links, because calls do. What is written down is kept in the
//! server's memory, too, so that an actor that is born again after a panic has its dialogs.

use std::rc::Rc;
use std::sync::PoisonError;
use std::time::Duration;

use ifbus_adapters::adapter::{Input, LinkError};
use ifbus_adapters::sip::{Dialog, SipCommand, SipEvent};
use ifbus_call::LegId;
use ifbus_links::{Network, Report, Sink, SipLeg};
use ifbus_supervision::{ActorName, Address, Backoff, Behavior, Exit, On, Policy, World};

use super::{Heard, Server, at};
use crate::store::Change;

/// What it takes to make an endpoint.
pub(super) struct SipSeed {
    network: Rc<dyn Network>,
    sink: Sink,
}

/// An endpoint.
pub(super) struct SipSide {
    stack: Box<dyn SipLeg>,
    asked: u64,
}

/// A command for it.
struct Ask(SipCommand);

/// What came of writing down a dialog.
pub(super) struct Written {
    number: u64,
    well: bool,
}

impl Behavior for SipSide {
    type Seed = SipSeed;
    type State = u64;

    fn born(seed: &SipSeed, _world: &mut World<Self>) -> Self {
        Self { stack: seed.network.sip(Rc::clone(&seed.sink)), asked: 0 }
    }

    /// Commands taken.
    fn state(&self) -> u64 {
        self.asked
    }
}

impl On<Ask> for SipSide {
    type Reply = ();

    fn on(&mut self, Ask(command): Ask, _world: &mut World<Self>) {
        self.asked += 1;
        self.stack.ask(command);
    }
}

impl On<Written> for Server {
    type Reply = ();

    fn on(&mut self, written: Written, world: &mut World<Self>) {
        self.adapter.handle(Input::Persisted(written.number, written.well), at(world));
        self.drive(world);
    }
}

/// The endpoint of now; the number tells its reports from those of one before.
pub(super) type Endpoint = Option<(u64, Address<SipSide>)>;

impl Server {
    /// Gives the adapter the dialogs that were written down before it was made.
    pub(super) fn restore_dialogs(&mut self, world: &World<Self>) {
        let known = self.memory.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        let dialogs: Vec<Dialog> = known.values().cloned().collect();
        drop(known);
        if !dialogs.is_empty() {
            self.adapter.handle(Input::Restored(dialogs), at(world));
        }
    }

    pub(super) fn ask_sip(&mut self, command: SipCommand, world: &mut World<Self>) {
        if matches!(command, SipCommand::Open(_)) {
            self.close_sip(world);
            self.opened += 1;
            let (serial, me) = (self.opened, world.me().clone());
            let sink = move |report| me.tell(Heard { connection: Some(serial), report });
            let seed = SipSeed { network: Rc::clone(&self.shared.network), sink: Rc::new(sink) };
            let policy = Policy::new(Backoff::default(), 0, Duration::from_secs(1))
                .expect("no restarts in a second are a valid policy");
            let side = world.supervise::<SipSide>(&format!("sip-{serial}"), seed, policy);
            self.sip = Some((serial, side));
        }
        let closes = command == SipCommand::Close;
        if let Some((_, side)) = &self.sip {
            side.tell(Ask(command));
        }
        if closes {
            self.close_sip(world);
        }
    }

    fn close_sip(&mut self, world: &mut World<Self>) {
        if let Some((_, side)) = self.sip.take() {
            world.stop_child(&side);
        }
    }

    /// Whether a report is of the endpoint of now.
    pub(super) fn is_of_sip(&self, serial: u64) -> bool {
        self.sip.as_ref().is_some_and(|(open, _)| *open == serial)
    }

    /// The endpoint panicked, for the one time: for the adapter it is closed.
    pub(super) fn sip_gave_up(&mut self, child: &ActorName, last: &Exit, world: &mut World<Self>) {
        if self.sip.take_if(|(_, side)| side.name() == child).is_some() {
            let why = LinkError::Other(format!("our SIP stack failed: {}", last.reason()));
            self.heard(Report::Sip(SipEvent::Closed(why)), world);
        }
    }

    pub(super) fn persist(&mut self, number: u64, dialog: Dialog, world: &World<Self>) {
        let mut known = self.memory.dialogs.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(dialog.leg, dialog.clone());
        drop(known);
        let me = world.me().clone();
        let told = move |well| me.tell(Written { number, well });
        let change = Change::Dialog(self.spec.name.clone(), Box::new(dialog));
        self.shared.store.write(change, Box::new(told));
    }

    pub(super) fn forget_dialog(&mut self, leg: LegId) {
        self.memory.dialogs.lock().unwrap_or_else(PoisonError::into_inner).remove(&leg);
        self.shared.store.note(Change::NoDialog(leg));
    }
}
