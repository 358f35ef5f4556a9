//! A Kamailio that does whatever the bytes say, and a driver that checks what an adapter promises.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Dial, Role};
use ifbus_call::{Address, CallId, Cause, Epoch, InstanceId, LegId, Nanos, Order, Tag, Wait};

use crate::adapter::{Adapter, HttpReply, Input, LinkError, LinkId, Output, RequestId, Ticket};
use crate::kamailio::{Kamailio, Options};
use crate::sip::{Ended, Reply, SipCommand, SipEvent};
use crate::wire_format::netstring;

/// Kamailio: every ticket is answered exactly once whatever the server says and whenever links break; nothing follows
/// the end of a life.
///
/// # Panics
/// A promise is broken.
pub fn kamailio_session(data: &[u8]) {
    run(data);
}

/// How far a session came.
#[derive(Debug, Default)]
pub(super) struct Reached {
    pub(super) ready: usize,
    pub(super) done: usize,
    pub(super) refused: usize,
    pub(super) down: usize,
}

pub(super) fn run(data: &[u8]) -> Reached {
    let mut chaos = Chaos::new(data);
    chaos.start();
    for _ in 0..6 {
        chaos.answer(true);
    }
    while !chaos.data.is_empty() {
        chaos.step();
    }
    chaos.input(Input::Stop);
    assert!(chaos.open.is_empty(), "tickets without an answer: {:?}", chaos.open);
    assert_eq!(chaos.machine.deadline(), None, "a timer outlives the life");
    chaos.reached
}

struct Chaos<'a> {
    data: &'a [u8],
    machine: Kamailio,
    now: Nanos,
    epoch: Epoch,
    alive: bool,
    tickets: u64,
    open: BTreeSet<Ticket>,
    requests: VecDeque<(RequestId, String)>,
    sip: VecDeque<SipCommand>,
    reached: Reached,
}

impl<'a> Chaos<'a> {
    fn new(data: &'a [u8]) -> Self {
        let given = [("host", "127.0.0.1"), ("secret", "s")];
        let given: BTreeMap<_, _> = given.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let options = Options::new(&given).expect("the settings are sound");
        let server = "edge".parse().expect("a name");
        Self {
            data,
            machine: Kamailio::new(options, InstanceId(1), server, 7),
            now: Nanos::ZERO,
            epoch: Epoch(0),
            alive: false,
            tickets: 0,
            open: BTreeSet::new(),
            requests: VecDeque::new(),
            sip: VecDeque::new(),
            reached: Reached::default(),
        }
    }

    fn byte(&mut self) -> u8 {
        match self.data.split_first() {
            Some((byte, rest)) => {
                self.data = rest;
                *byte
            }
            None => 0,
        }
    }

    fn start(&mut self) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.requests.clear();
        self.alive = true;
        self.input(Input::Start(self.epoch));
    }

    fn step(&mut self) {
        match self.byte() % 16 {
            0..=4 => self.answer(true),
            5 => self.answer(false),
            6 => drop(self.requests.pop_front()),
            7 | 8 => self.order(),
            9 => self.event(),
            10 => self.tick(),
            11 => self.now = self.now + Duration::from_millis(u64::from(self.byte()) * 20),
            12 => {
                let raw: Vec<u8> = (0..self.byte() % 40).map(|_| self.byte()).collect();
                self.input(Input::Bytes(LinkId { epoch: self.epoch, slot: 0 }, &raw));
            }
            13 => {
                let epoch = Epoch(self.epoch.0.saturating_sub(u64::from(self.byte() % 2)));
                self.input(Input::Closed(LinkId { epoch, slot: 0 }, LinkError::Reset));
            }
            14 => self.stack(),
            _ if !self.alive => self.start(),
            _ if self.byte().is_multiple_of(16) => self.input(Input::Stop),
            _ => self.answer(true),
        }
    }

    fn tick(&mut self) {
        if let Some(at) = self.machine.deadline() {
            self.now = self.now.max(at);
            self.input(Input::Tick);
            assert!(self.machine.deadline().is_none_or(|next| next > self.now), "a due timer was not taken");
        }
    }

    fn order(&mut self) {
        let leg = LegId(u128::from(self.byte() % 4));
        let order = match self.byte() % 9 {
            0 => Order::List,
            1 => Order::Load,
            2 => Order::Probe,
            3 => Order::Inspect,
            4 => Order::Drain { on: true },
            5 => Order::ProbeSip,
            6 => dial(leg),
            7 => Order::Join { a: LegId(0), b: leg },
            _ => {
                let foreign = self.machine.foreign_legs().next();
                Order::Drop { leg: foreign.unwrap_or(leg), cause: Cause::Answered }
            }
        };
        self.tickets += 1;
        self.open.insert(Ticket(self.tickets));
        self.input(Input::Order(Ticket(self.tickets), order));
    }

    fn event(&mut self) {
        let events = [
            r#"{"event":"heartbeat","boot":"1"}"#,
            r#"{"event":"heartbeat","boot":"2"}"#,
            r#"{"event":"ended","call_id":"x@y"}"#,
            "{",
        ];
        let event = events[usize::from(self.byte()) % 8 % events.len()];
        self.input(Input::Bytes(LinkId { epoch: self.epoch, slot: 0 }, &netstring::encode(event.as_bytes())));
    }

    /// Answers a request as a server would, or in some other way.
    fn answer(&mut self, well: bool) {
        let Some((id, method)) = self.requests.pop_front() else { return };
        let which = if well { 0 } else { 1 + self.byte() % 5 };
        let good = match method.as_str() {
            "core.version" => r#""kamailio 5.6.3 ""#,
            "system.listMethods" => r#"["dlg.list","dlg.terminate_dlg","tm.cancel","htable.seti"]"#,
            "core.uptime" => r#"{"up_since":"x"}"#,
            "dlg.list" => r#"[{"call-id":"x@y","state":4,"caller":{"tag":"f"},"callee":{"tag":"t"}}]"#,
            "dlg.dlg_list" if self.byte().is_multiple_of(2) => "{}",
            "dlg.dlg_list" => r#"{"call-id":"x@y","state":2,"caller":{"tag":"f","cseq":"1"}}"#,
            "dlg.stats_active" => r#"{"all":1}"#,
            _ => "{}",
        };
        let ok = |status, body: String| Ok(HttpReply { status, body: body.into_bytes() });
        let result = match which {
            0 => ok(200, format!(r#"{{"result":{good},"id":{}}}"#, id.number)),
            1 => ok(500, format!(r#"{{"error":{{"code":500,"message":"no"}},"id":{}}}"#, id.number)),
            2 => ok(404, format!(r#"{{"error":{{"code":404,"message":"no"}},"id":{}}}"#, id.number)),
            3 => Err(LinkError::TimedOut),
            4 => Err(LinkError::Refused),
            _ => ok(200, "<html>".to_owned()),
        };
        self.input(Input::Http(id, result));
    }

    /// The SIP side says something about what it was asked.
    fn stack(&mut self) {
        let event = match self.sip.pop_front() {
            Some(SipCommand::Invite(invite)) => match self.byte() % 3 {
                0 => SipEvent::Rejected { leg: invite.leg, reply: Reply::of(486) },
                1 => SipEvent::Provisional { leg: invite.leg, code: 180, media: false },
                _ => SipEvent::Up { leg: invite.leg, sdp: invite.sdp, session: None },
            },
            Some(SipCommand::Bye { leg, .. }) => SipEvent::Ended { leg, ended: Ended::ByUs, reason: None },
            Some(SipCommand::Options { leg, number, .. }) => {
                SipEvent::Replied { leg, number, reply: Reply::of(200) }
            }
            _ if self.byte().is_multiple_of(32) => SipEvent::Closed(LinkError::Reset),
            _ => return,
        };
        self.input(Input::Sip(event));
    }

    fn input(&mut self, input: Input<'_>) {
        self.machine.handle(input, self.now);
        while let Some(output) = self.machine.poll() {
            match output {
                Output::Http(id, request) => {
                    assert!(self.alive, "a request after the end");
                    let body: serde_json::Value =
                        serde_json::from_slice(&request.body.expect("a body").1).expect("it is JSON");
                    self.requests.push_back((id, body["method"].as_str().expect("a method").to_owned()));
                }
                Output::Open(link, _) => {
                    assert_eq!(link.epoch, self.epoch);
                    self.machine.handle(Input::Opened(link), self.now);
                }
                Output::Sip(SipCommand::Bind) => {
                    let opened = SipEvent::Opened { contact: "127.0.0.1:5070".to_owned() };
                    self.machine.handle(Input::Sip(opened), self.now);
                }
                Output::Sip(command) => self.sip.push_back(command),
                Output::Persist(number, _) => self.machine.handle(Input::Persisted(number, true), self.now),
                Output::Answer(ticket, outcome) => {
                    assert!(self.open.remove(&ticket), "{ticket:?} was answered twice, or never given");
                    *(if outcome.is_ok() { &mut self.reached.done } else { &mut self.reached.refused }) += 1;
                }
                Output::Ready(_) => self.reached.ready += 1,
                Output::Down(_) => {
                    assert!(self.open.is_empty(), "down with open tickets");
                    self.alive = false;
                    self.reached.down += 1;
                }
                _ => {}
            }
        }
    }
}

fn dial(leg: LegId) -> Order {
    let address: Address = "1001".parse().expect("an address");
    let tag = Tag {
        call: CallId::new(1, 1),
        role: Role::A,
        party: address.clone(),
        from: address.clone(),
        to: address.clone(),
    };
    let within = Duration::from_secs(9);
    Order::Dial(Dial { leg, tag, caller: address, toward: None, wait: Wait::Silence, within })
}
