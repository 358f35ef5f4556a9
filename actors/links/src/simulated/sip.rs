//! SIP without sockets and without a stack: commands and events cross the network as values, with its latency, in order.
//!
//! Not here: what a proxy and its phones do; that is a [`SipHost`], such as [`super::FarEnds`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::sip::{Ended, Reply, SipCommand, SipEvent};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, spawn_local};

use super::Simulated;
use crate::network::{Report, Sink, SipLeg};

/// The SIP side of a simulated machine: a proxy with the phones behind it, as values. Endpoints are numbered by the
/// network.
pub trait SipHost {
    /// Something is asked by an endpoint.
    fn ask(&mut self, endpoint: u64, command: SipCommand, now: Duration);
    /// [`SipHost::deadline`] has passed.
    fn tick(&mut self, now: Duration);
    /// The next thing to be told to an endpoint.
    fn poll(&mut self, endpoint: u64) -> Option<SipEvent>;
    /// When [`SipHost::tick`] is due.
    fn deadline(&self) -> Option<Duration>;
}

/// One endpoint; dropped, it is gone without a word, as after a kill.
struct Endpoint {
    commands: UnboundedSender<SipCommand>,
    task: AbortHandle,
}

impl SipLeg for Endpoint {
    fn ask(&self, command: SipCommand) {
        // the task ends with this handle
        let _ = self.commands.send(command);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn simulated(network: &Simulated, sink: Sink) -> Box<dyn SipLeg> {
    let (commands, mail) = unbounded_channel();
    let endpoint = network.new_endpoint();
    let task = spawn_local(run(network.clone(), endpoint, mail, sink));
    Box::new(Endpoint { commands, task: task.abort_handle() })
}

/// An invitation that nobody answers is over then (RFC 3261, 17.1.1.2).
const TIMER_B: Duration = Duration::from_secs(32);
/// When a reply is missed that was lost on its way back.
const REPLY_LOST: Duration = Duration::from_secs(5);

/// Something on its way.
enum Moving {
    There(SipCommand),
    Back(SipEvent),
}

/// The machine an endpoint speaks to.
type At = Option<(String, Rc<RefCell<dyn SipHost>>)>;

async fn run(network: Simulated, endpoint: u64, mut mail: UnboundedReceiver<SipCommand>, sink: Sink) {
    let mut host: At = None;
    let mut moving = OnTheWay::default();
    loop {
        let arrival = moving.items.keys().next().map(|(at, _)| *at);
        let due = host.as_ref().and_then(|(_, host)| host.borrow().deadline());
        tokio::select! {
            biased;
            command = mail.recv() => match command {
                Some(SipCommand::Open(settings)) => {
                    moving.items.clear();
                    let found = network.sip_host(&settings.host);
                    host = found.map(|found| (settings.host.clone(), found));
                    moving.there(&network, SipCommand::Open(settings));
                }
                Some(command) => moving.there(&network, command),
                None => return,
            },
            () = network.reached(arrival) => {
                let Some((_, item)) = moving.items.pop_first() else { continue };
                let cut = host.as_ref().is_some_and(|(name, _)| network.is_cut_off(name));
                match (item, &host) {
                    (Moving::Back(event), _) if !cut => sink(Report::Sip(event)),
                    (Moving::There(SipCommand::Bind), None) => {
                        sink(Report::Sip(SipEvent::Closed(LinkError::NoRoute("no such host".to_owned()))));
                    }
                    (Moving::There(command), Some((_, host))) if !cut || is_local(&command) => {
                        host.borrow_mut().ask(endpoint, command, network.now());
                    }
                    // what does not arrive is silence: the real stack says so at the deadline of whoever asked
                    (lost, _) => {
                        if let Some((within, event)) = silence(lost) {
                            moving.put(network.now() + within, Moving::Back(event));
                        }
                    }
                }
            }
            () = network.reached(due) => {
                if let Some((_, host)) = &host {
                    host.borrow_mut().tick(network.now());
                }
            }
            () = network.sip_touched() => {}
        }
        if let Some((_, host)) = &host {
            while let Some(event) = host.borrow_mut().poll(endpoint) {
                moving.put(network.now() + network.latency(), Moving::Back(event));
            }
        }
    }
}

/// What is on its way, by arrival and order of sending.
#[derive(Default)]
struct OnTheWay {
    items: BTreeMap<(Duration, u64), Moving>,
    sent: u64,
}

impl OnTheWay {
    fn put(&mut self, at: Duration, item: Moving) {
        self.sent += 1;
        self.items.insert((at, self.sent), item);
    }

    fn there(&mut self, network: &Simulated, command: SipCommand) {
        self.put(network.now() + network.latency(), Moving::There(command));
    }
}

/// What whoever asked is told of something that was lost, and when.
fn silence(lost: Moving) -> Option<(Duration, SipEvent)> {
    let silent = |leg, number| SipEvent::Replied { leg, number, reply: Reply::silence() };
    match lost {
        Moving::There(
            SipCommand::Reinvite { leg, number, within, .. }
            | SipCommand::Info { leg, number, within, .. }
            | SipCommand::Refer { leg, number, within, .. }
            | SipCommand::Notify { leg, number, within, .. },
        ) => Some((within, silent(Some(leg), number))),
        Moving::There(SipCommand::Options { leg, number, within }) => Some((within, silent(leg, number))),
        Moving::There(SipCommand::Bye { leg, within, .. }) => {
            Some((within, SipEvent::Ended { leg, ended: Ended::ByUs, reason: None }))
        }
        Moving::There(SipCommand::Invite(invite)) => {
            Some((TIMER_B, SipEvent::Rejected { leg: invite.leg, reply: Reply::silence() }))
        }
        Moving::Back(SipEvent::Replied { leg, number, .. }) => Some((REPLY_LOST, silent(leg, number))),
        Moving::There(_) | Moving::Back(_) => None,
    }
}

/// What is asked of our own side: no cable is needed for it.
const fn is_local(command: &SipCommand) -> bool {
    matches!(command, SipCommand::Open(_) | SipCommand::Restore(..) | SipCommand::Bind | SipCommand::Close)
}
