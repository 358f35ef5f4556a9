//! What the stack holds, and where commands go.
//!
//! Commands are taken one after the other; whatever waits for the wire runs in a task of its own, so that none of them
//! waits for another (sheet sip-3pcc, W2). Tasks end with the endpoint.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::sip::{SipCommand, SipEndpoint, SipEvent, Wire};
use ifbus_call::LegId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::{AbortHandle, spawn_local};

use super::SipLeg;
use super::anchor::{self, Said};
use super::transport::{Orphan, Wires};
use crate::network::{Report, Sink};
use crate::tls::Pins;

/// The endpoint of one server.
pub(super) struct Stack {
    commands: UnboundedSender<SipCommand>,
    task: AbortHandle,
}

impl Stack {
    pub(super) fn new(pins: Arc<dyn Pins>, sink: Sink) -> Self {
        let (commands, mail) = unbounded_channel();
        let task = spawn_local(run(mail, pins, sink));
        Self { commands, task: task.abort_handle() }
    }
}

impl SipLeg for Stack {
    fn ask(&self, command: SipCommand) {
        // the task ends with this handle
        let _ = self.commands.send(command);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What every task of an endpoint shares.
#[derive(Clone)]
pub(super) struct Shared(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) settings: SipEndpoint,
    pub(super) wires: Wires,
    pub(super) sink: Sink,
    pub(super) dialogs: RefCell<Dialogs>,
    /// It is the one that media anchors call.
    pub(super) is_anchors: bool,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.wires.stop.cancel();
    }
}

/// Dialogs and what waits in them.
#[derive(Default)]
pub(super) struct Dialogs {
    pub(super) known: BTreeMap<LegId, Wire>,
    pub(super) by_call_id: BTreeMap<String, LegId>,
    /// Invitations under way: told when they are to be taken back.
    pub(super) inviting: BTreeMap<LegId, Rc<Notify>>,
    /// Offers of phones that wait for our answer, and requests for a transfer.
    pub(super) offers: BTreeMap<u64, oneshot::Sender<(u16, Option<String>)>>,
    /// Calls of anchors that wait for our answer.
    pub(super) calls: BTreeMap<u64, oneshot::Sender<Said>>,
    pub(super) tokens: u64,
    /// Invitations of an earlier life that were taken back.
    pub(super) canceled: BTreeSet<LegId>,
}

/// Ends the tasks of an endpoint when the one that holds it ends.
struct Tasks(Shared);

/// The endpoint of the server, and the one that its media anchor calls.
struct Open {
    server: Tasks,
    anchor: Option<Tasks>,
}

impl Open {
    /// To whichever endpoint it is about.
    fn carry_out(&self, command: SipCommand) {
        let anchor = self.anchor.as_ref().filter(|anchor| match &command {
            SipCommand::Accept { .. } | SipCommand::Decline { .. } => true,
            SipCommand::Restore(_, wire) => wire.by_anchor,
            SipCommand::Reinvite { leg, .. }
            | SipCommand::Info { leg, .. }
            | SipCommand::Options { leg: Some(leg), .. }
            | SipCommand::Refer { leg, .. }
            | SipCommand::Notify { leg, .. }
            | SipCommand::Bye { leg, .. }
            | SipCommand::Answer { leg, .. }
            | SipCommand::Forget(leg) => anchor.0.wire(*leg).is_some(),
            _ => false,
        });
        anchor.unwrap_or(&self.server).0.carry_out(command);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.0.wires.stop.cancel();
    }
}

async fn run(mut mail: UnboundedReceiver<SipCommand>, pins: Arc<dyn Pins>, sink: Sink) {
    let (mut settings, mut restored) = (None, BTreeMap::new());
    let mut open: Option<Open> = None;
    while let Some(command) = mail.recv().await {
        match (command, &open) {
            (SipCommand::Open(endpoint), _) => {
                open = None;
                restored.clear();
                settings = Some(*endpoint);
            }
            (SipCommand::Restore(leg, wire), None) => {
                restored.insert(leg, *wire);
            }
            // before anything can arrive for them (W7)
            (SipCommand::Bind, None) => {
                let Some(settings) = settings.clone() else { continue };
                let (theirs, dialogs) = std::mem::take(&mut restored)
                    .into_iter()
                    .partition(|(_, wire): &(_, Wire)| wire.by_anchor);
                let anchor = bind_anchor(&settings, theirs, &pins, &sink).await;
                match bind(settings, dialogs, Arc::clone(&pins), Rc::clone(&sink), false).await {
                    Ok(shared) => {
                        let contact = shared.0.wires.contact.clone();
                        open = Some(Open { server: Tasks(shared), anchor });
                        sink(Report::Sip(SipEvent::Opened { contact }));
                    }
                    Err(why) => sink(Report::Sip(SipEvent::Closed(why))),
                }
            }
            (SipCommand::Close, _) => open = None,
            (command, Some(open)) => open.carry_out(command),
            (_, None) => {}
        }
    }
}

/// The endpoint that media anchors call, if there is one to be: without it calls go on, and what needs media is refused.
async fn bind_anchor(
    settings: &SipEndpoint,
    restored: BTreeMap<LegId, Wire>,
    pins: &Arc<dyn Pins>,
    sink: &Sink,
) -> Option<Tasks> {
    let settings = anchor::endpoint(settings, settings.anchor.as_ref()?);
    let listen = settings.listen;
    match bind(settings, restored, Arc::clone(pins), Rc::clone(sink), true).await {
        Ok(shared) => {
            let contact = shared.0.wires.contact.clone();
            sink(Report::Sip(SipEvent::AnchorOpened { contact }));
            Some(Tasks(shared))
        }
        Err(why) => {
            let text = format!("media anchors cannot call us at {listen}: {why}");
            sink(Report::Sip(SipEvent::Trouble { code: "anchor_listen", text }));
            None
        }
    }
}

async fn bind(
    settings: SipEndpoint,
    restored: BTreeMap<LegId, Wire>,
    pins: Arc<dyn Pins>,
    sink: Sink,
    is_anchors: bool,
) -> Result<Shared, LinkError> {
    let (orphans, mut orphaned) = unbounded_channel::<Orphan>();
    let mut dialogs = Dialogs::default();
    for (leg, wire) in restored {
        dialogs.by_call_id.insert(wire.call_id.clone(), leg);
        dialogs.known.insert(leg, wire);
    }
    let (wires, mut incoming) = Wires::bind(&settings, pins, orphans, is_anchors).await?;
    let shared = Shared(Rc::new(Inner { settings, wires, sink, dialogs: RefCell::new(dialogs), is_anchors }));
    let hears = shared.clone();
    shared.spawn(async move {
        loop {
            tokio::select! {
                biased;
                orphan = orphaned.recv() => match orphan {
                    Some(orphan) => hears.orphan(&orphan.response),
                    None => return,
                },
                transaction = incoming.recv() => match transaction {
                    Some(transaction) => hears.incoming(transaction),
                    None => return,
                },
            }
        }
    });
    Ok(shared)
}

impl Shared {
    /// Runs a task that ends with the endpoint.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let stop = self.0.wires.stop.clone();
        spawn_local(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    pub(super) fn tell(&self, event: SipEvent) {
        if !self.0.wires.stop.is_cancelled() {
            (self.0.sink)(Report::Sip(event));
        }
    }

    fn carry_out(&self, command: SipCommand) {
        match command {
            SipCommand::Invite(invite) => self.invite(*invite),
            SipCommand::Cancel { leg } => self.cancel(leg),
            SipCommand::Reinvite { leg, number, sdp, session, within } => {
                self.reinvite(leg, number, sdp, session, within);
            }
            SipCommand::Info { leg, number, kind, body, within } => {
                self.info(leg, number, kind, body, within);
            }
            SipCommand::Options { leg, number, within } => self.options(leg, number, within),
            SipCommand::Refer { leg, number, to, within } => self.refer(leg, number, &to, within),
            SipCommand::Notify { leg, number, id, code, last, within } => {
                self.notify(leg, number, (id, code, last), within);
            }
            SipCommand::Bye { leg, reason, within } => self.bye(leg, reason, within),
            SipCommand::Answer { token, code, sdp, .. } => {
                let waiting = self.0.dialogs.borrow_mut().offers.remove(&token);
                if let Some(waiting) = waiting {
                    // the offer may have been taken back
                    let _ = waiting.send((code, sdp));
                }
            }
            SipCommand::Accept { leg, token, sdp } => self.decided(token, Ok((leg, sdp))),
            SipCommand::Decline { token, code } => self.decided(token, Err(code)),
            SipCommand::Forget(leg) => self.forget(leg),
            SipCommand::Restore(leg, wire) => self.learn(leg, |known| *known = *wire),
            SipCommand::Open(_) | SipCommand::Bind | SipCommand::Close => {}
        }
    }

    /// Changes what is known of a dialog, and tells it if it changed.
    pub(super) fn learn(&self, leg: LegId, change: impl FnOnce(&mut Wire)) {
        let mut dialogs = self.0.dialogs.borrow_mut();
        let wire = dialogs.known.entry(leg).or_default();
        let before = wire.clone();
        change(wire);
        let after = wire.clone();
        if after.call_id != before.call_id {
            dialogs.by_call_id.insert(after.call_id.clone(), leg);
        }
        drop(dialogs);
        if after != before {
            self.tell(SipEvent::Changed(leg, Box::new(after)));
        }
    }

    /// What is known of a dialog.
    pub(super) fn wire(&self, leg: LegId) -> Option<Wire> {
        self.0.dialogs.borrow().known.get(&leg).cloned()
    }

    /// The dialog, with the number of a new request taken.
    pub(super) fn next_request(&self, leg: LegId) -> Option<Wire> {
        self.wire(leg)?;
        self.learn(leg, |wire| wire.local_cseq += 1);
        self.wire(leg)
    }

    pub(super) fn forget(&self, leg: LegId) {
        let mut dialogs = self.0.dialogs.borrow_mut();
        dialogs.canceled.remove(&leg);
        if let Some(wire) = dialogs.known.remove(&leg) {
            dialogs.by_call_id.remove(&wire.call_id);
        }
    }
}
