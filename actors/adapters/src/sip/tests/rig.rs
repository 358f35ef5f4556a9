//! An agent, a store that writes at once unless told otherwise, and far ends whose answers a test writes.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::order::{Dial, Outcome};
use ifbus_call::{CallId, Event, InstanceId, LegId, Nanos, Order, Role, Tag, Wait};

use crate::adapter::{Output, Ticket, Warning};
use crate::sip::{
    Agent, AgentOptions, Dialog, Reply, Session, SipCommand, SipEndpoint, SipEvent, SipTransport,
};

pub(super) const A: LegId = LegId(0xa);
pub(super) const B: LegId = LegId(0xb);
pub(super) const C: LegId = LegId(0xc);

/// A phone's own description.
pub(super) fn phone(port: u16) -> String {
    format!(
        "v=0\r\no=phone 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

pub(super) fn directed(text: &str, direction: &str) -> String {
    text.replace("a=sendrecv", &format!("a={direction}"))
}

pub(super) fn options() -> AgentOptions {
    AgentOptions {
        endpoint: SipEndpoint {
            host: "192.0.2.1".to_owned(),
            port: 5060,
            transport: SipTransport::Udp,
            listen: "192.0.2.2:5070".parse().unwrap(),
            advertise: None,
            credentials: Vec::new(),
            anchor: None,
        },
        domain: "example.org".to_owned(),
        headers: Vec::new(),
    }
}

pub(super) struct Rig {
    pub(super) agent: Agent,
    pub(super) now: Nanos,
    /// What is asked of the stack, until it is looked at.
    pub(super) sent: Vec<SipCommand>,
    pub(super) events: Vec<Event>,
    pub(super) answers: BTreeMap<u64, Outcome>,
    pub(super) warnings: Vec<Warning>,
    pub(super) store: BTreeMap<LegId, Dialog>,
    /// Whether what is written down is told to be written.
    pub(super) writes: Option<bool>,
    pub(super) unwritten: Vec<u64>,
    tickets: u64,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Vec::new())
    }

    /// An agent with what was written down before.
    pub(super) fn with(dialogs: Vec<Dialog>) -> Self {
        let mut rig = Self {
            agent: Agent::new(options(), InstanceId(7), 1),
            now: Nanos::ZERO + Duration::from_secs(100),
            sent: Vec::new(),
            events: Vec::new(),
            answers: BTreeMap::new(),
            warnings: Vec::new(),
            store: dialogs.iter().map(|dialog| (dialog.leg, dialog.clone())).collect(),
            writes: Some(true),
            unwritten: Vec::new(),
            tickets: 0,
        };
        rig.agent.restore(dialogs);
        rig.agent.start(rig.now);
        rig.collect();
        rig.hear(SipEvent::Opened { contact: "192.0.2.2:5070".to_owned() });
        rig
    }

    pub(super) fn collect(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Sip(command) => self.sent.push(command),
                Output::Persist(number, dialog) => {
                    self.store.insert(dialog.leg, *dialog);
                    match self.writes {
                        Some(well) => self.agent.persisted(number, well, self.now),
                        None => self.unwritten.push(number),
                    }
                }
                Output::Forget(leg) => drop(self.store.remove(&leg)),
                Output::Event(event) => self.events.push(event),
                Output::Answer(ticket, outcome) => {
                    let before = self.answers.insert(ticket.0, outcome);
                    assert_eq!(before, None, "{ticket:?} was answered twice");
                }
                Output::Warning(warning) => self.warnings.push(warning),
                other => panic!("an agent does not say {other:?}"),
            }
        }
    }

    pub(super) fn hear(&mut self, event: SipEvent) {
        self.agent.sip_event(event, self.now);
        self.collect();
    }

    pub(super) fn order(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        self.agent.order(Ticket(self.tickets), order, self.now);
        self.collect();
        self.tickets
    }

    pub(super) fn outcome(&self, ticket: u64) -> Option<&Outcome> {
        self.answers.get(&ticket)
    }

    pub(super) fn is_done(&self, ticket: u64) -> bool {
        matches!(self.outcome(ticket), Some(Ok(_)))
    }

    /// Lets time pass, with everything that falls due on the way.
    pub(super) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.agent.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.agent.tick(self.now);
            self.collect();
        }
        self.now = end;
    }

    pub(super) fn take(&mut self) -> Vec<SipCommand> {
        std::mem::take(&mut self.sent)
    }

    pub(super) fn dial(&mut self, leg: LegId, toward: Option<LegId>) -> u64 {
        self.order(dial(leg, toward))
    }

    /// Takes the offer that was made to a leg, and says what it was.
    pub(super) fn offered(&mut self, leg: LegId) -> Option<(u64, String)> {
        let at = self
            .sent
            .iter()
            .position(|command| matches!(command, SipCommand::Reinvite { leg: to, .. } if *to == leg))?;
        match self.sent.remove(at) {
            SipCommand::Reinvite { number, sdp, .. } => Some((number, sdp)),
            other => panic!("{other:?}"),
        }
    }

    /// A leg's phone takes the offer it has, with this answer.
    pub(super) fn accept(&mut self, leg: LegId, answer: &str) -> String {
        let (number, offer) = self.offered(leg).unwrap_or_else(|| panic!("{leg} was offered nothing"));
        let reply = Reply { sdp: Some(answer.to_owned()), ..Reply::of(200) };
        self.hear(SipEvent::Replied { leg: Some(leg), number, reply });
        offer
    }

    pub(super) fn refuse(&mut self, leg: LegId, reply: Reply) {
        let (number, _) = self.offered(leg).unwrap_or_else(|| panic!("{leg} was offered nothing"));
        self.hear(SipEvent::Replied { leg: Some(leg), number, reply });
    }

    pub(super) fn up(&mut self, leg: LegId, port: u16) {
        self.up_with(leg, &phone(port), None);
    }

    pub(super) fn up_with(&mut self, leg: LegId, sdp: &str, session: Option<Session>) {
        self.hear(SipEvent::Provisional { leg, code: 180, media: false });
        self.hear(SipEvent::Up { leg, sdp: sdp.to_owned(), session });
    }

    /// Two legs that talk; nothing that was sent or told so far is kept.
    pub(super) fn joined() -> Self {
        let mut rig = Self::new();
        rig.dial(A, None);
        rig.up_with(A, &directed(&phone(4000), "inactive"), None);
        rig.dial(B, Some(A));
        rig.up(B, 5000);
        let ticket = rig.order(Order::Join { a: A, b: B });
        rig.accept(A, &phone(4000));
        assert!(rig.is_done(ticket), "{:?}", rig.outcome(ticket));
        rig.sent.clear();
        rig.events.clear();
        rig
    }
}

pub(super) fn dial(leg: LegId, toward: Option<LegId>) -> Order {
    let role = match leg {
        A => Role::A,
        B => Role::B,
        _ => Role::C,
    };
    let (from, to) = ("1001".parse().unwrap(), "1002".parse().unwrap());
    Order::Dial(Dial {
        leg,
        tag: Tag { call: CallId::new(1, 2), role, party: "1003".parse().unwrap(), from, to },
        caller: "1000".parse().unwrap(),
        toward,
        wait: Wait::Silence,
        within: Duration::from_secs(20),
    })
}
