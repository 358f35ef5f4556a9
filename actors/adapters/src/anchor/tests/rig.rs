//! A proxy whose phones answer at once, a media server that does what it is told, and a world that carries messages.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use ifbus_call::order::{Dial, Done, Evidence, Interface, Role, Tag, Wait};
use ifbus_call::{
    Boot, By, CallId, Cause, Epoch, Event, InstanceId, LegId, Nanos, Order, Outcome, Refused, Said, Seen,
    Stage, Why,
};

use crate::adapter::{Adapter, Down, DownReason, Input, Output, Ready, Ticket};
use crate::anchor::{Anchored, Media, Proxied};
use crate::sip::{
    Agent, AgentOptions, Dialog, Ended, Reply, SipAnchor, SipCommand, SipEndpoint, SipEvent, SipTransport,
    Wire,
};

pub(super) const A: LegId = LegId(0xa);
pub(super) const B: LegId = LegId(0xb);
pub(super) const C: LegId = LegId(0xc);

/// The proxy: an agent and nothing else.
pub(super) struct Proxy {
    agent: Agent,
    out: VecDeque<Output>,
    ready: bool,
}

impl Proxy {
    fn take(&mut self) {
        while let Some(output) = self.agent.poll() {
            self.out.push_back(output);
        }
    }
}

impl Adapter for Proxy {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        match input {
            Input::Start(_) => self.agent.start(now),
            Input::Restored(dialogs) => self.agent.restore(dialogs),
            Input::Sip(event) => {
                self.agent.sip_event(event, now);
                if !std::mem::replace(&mut self.ready, true) {
                    let ready = Ready {
                        epoch: Epoch(1),
                        boot: Boot("b1".into()),
                        version: "1".to_owned(),
                        seen: self.agent.seen(),
                    };
                    self.out.push_back(Output::Ready(ready));
                }
            }
            Input::Persisted(number, well) => self.agent.persisted(number, well, now),
            Input::Order(ticket, Order::List) => {
                self.out.push_back(Output::Answer(ticket, Ok(Done::Listed(self.agent.seen()))));
            }
            Input::Order(ticket, order) => self.agent.order(ticket, order, now),
            Input::Tick => self.agent.tick(now),
            Input::Stop => {
                self.agent.release_orders(now);
                self.take();
                let down = Down { interface: Interface::Management, reason: DownReason::Stopped };
                self.out.push_back(Output::Down(down));
            }
            _ => {}
        }
        self.take();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        self.agent.deadline()
    }
}

impl Proxied for Proxy {
    fn agent(&self) -> &Agent {
        &self.agent
    }

    fn with_agent(&mut self, work: &mut dyn FnMut(&mut Agent)) {
        work(&mut self.agent);
        self.take();
    }
}

/// What the media server has and was told.
#[derive(Default)]
pub(super) struct Studio {
    pub(super) orders: Vec<Order>,
    /// It refuses to call.
    pub(super) deaf: bool,
    /// It takes the order to call and does nothing.
    pub(super) mute_dial: bool,
    /// Its list is not there yet.
    pub(super) slow: bool,
    down: bool,
    legs: BTreeMap<LegId, (Tag, Option<LegId>)>,
    out: VecDeque<Output>,
    /// Addresses it calls, by leg.
    calling: Vec<(LegId, String)>,
    /// Its dialogs that are over.
    byes: Vec<LegId>,
}

impl Studio {
    pub(super) fn words(&self) -> Vec<&'static str> {
        self.orders.iter().map(word).collect()
    }

    pub(super) fn live(&self) -> usize {
        self.legs.len()
    }

    fn order(&mut self, ticket: Ticket, order: Order) {
        let outcome = if self.down { Err(Refused::unsent(Why::NotReady)) } else { self.carry_out(&order) };
        self.orders.push(order);
        if let Some(outcome) = outcome.transpose() {
            self.out.push_back(Output::Answer(ticket, outcome));
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<Option<Done>, Refused> {
        let none = || Refused {
            why: Why::NoSuchLeg,
            cause: Cause::ServerFailure,
            evidence: Evidence::NotDone,
            said: None,
        };
        match order {
            Order::Dial(dial) => {
                if self.deaf {
                    return Err(Refused::unsent(Why::NoTemplate));
                }
                if self.mute_dial {
                    return Ok(None);
                }
                self.legs.insert(dial.leg, (dial.tag.clone(), None));
                self.calling.push((dial.leg, dial.tag.party.as_str().to_owned()));
                self.out.push_back(Output::Event(Event::Started(dial.leg)));
            }
            Order::Join { a, b } => {
                for (one, two) in [(a, b), (b, a)] {
                    let former = self.legs.get_mut(one).ok_or_else(none)?.1.replace(*two);
                    if let Some(former) = former.filter(|former| former != two) {
                        self.end(former);
                    }
                }
                self.out.push_back(Output::Event(Event::Joined(*a, *b)));
            }
            Order::Park { held, other, .. } => {
                for leg in [held, other] {
                    self.legs.get_mut(leg).ok_or_else(none)?.1 = None;
                    self.out.push_back(Output::Event(Event::Parted(*leg)));
                }
            }
            Order::Mute { leg, direction, on } => {
                self.legs.get(leg).ok_or_else(none)?;
                self.out.push_back(Output::Event(Event::Muted(*leg, *direction, *on)));
            }
            Order::Enter { leg, conference } => {
                self.legs.get(leg).ok_or_else(none)?;
                self.out.push_back(Output::Event(Event::Entered(*leg, conference.clone())));
            }
            Order::Leave { leg } => {
                self.legs.get(leg).ok_or_else(none)?;
                self.out.push_back(Output::Event(Event::Left(*leg)));
            }
            Order::Drop { leg, .. } => self.end(*leg),
            Order::List => return Ok(Some(Done::Listed(self.seen()))),
            _ => {}
        }
        Ok(Some(Done::Proven))
    }

    fn end(&mut self, leg: LegId) {
        if self.legs.remove(&leg).is_some() {
            self.byes.push(leg);
            let said = Said::default();
            self.out.push_back(Output::Event(Event::Ended { leg, cause: Cause::Answered, by: By::Us, said }));
        }
    }

    fn seen(&self) -> Vec<Seen> {
        let seen = |(leg, (tag, partner)): (&LegId, &(Tag, Option<LegId>))| Seen {
            leg: *leg,
            tag: Some(tag.clone()),
            native: leg.to_string(),
            stage: Stage::Up,
            partners: partner.iter().copied().collect(),
            conference: None,
            moved: None,
            hears_music: false,
            party: String::new(),
            age: Duration::ZERO,
        };
        self.legs.iter().map(seen).collect()
    }
}

/// The media server's adapter.
struct Desk(Rc<RefCell<Studio>>);

impl Adapter for Desk {
    fn handle(&mut self, input: Input<'_>, _: Nanos) {
        let mut studio = self.0.borrow_mut();
        match input {
            Input::Start(_) if studio.down => {
                let down = Down { interface: Interface::Management, reason: DownReason::ShuttingDown };
                studio.out.push_back(Output::Down(down));
            }
            Input::Start(_) if studio.slow => {}
            Input::Start(epoch) => {
                let seen = studio.seen();
                let ready = Ready { epoch, boot: Boot("m1".into()), version: "1".to_owned(), seen };
                studio.out.push_back(Output::Ready(ready));
            }
            Input::Order(ticket, order) => studio.order(ticket, order),
            _ => {}
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.0.borrow_mut().out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        None
    }
}

/// Everything together.
pub(super) struct Rig {
    pub(super) composite: Anchored,
    studio: Rc<RefCell<Studio>>,
    now: Nanos,
    tickets: u64,
    pub(super) events: Vec<Event>,
    answers: BTreeMap<Ticket, Vec<Outcome>>,
    pub(super) ready: Option<Ready>,
    /// The port each phone was told to send to: its own legs', the anchor's.
    told: BTreeMap<LegId, String>,
    dialogs: BTreeMap<LegId, Dialog>,
    ends: BTreeSet<LegId>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Rc::default(), Vec::new(), BTreeMap::new())
    }

    fn with(studio: Rc<RefCell<Studio>>, dialogs: Vec<Dialog>, told: BTreeMap<LegId, String>) -> Self {
        let options = AgentOptions {
            endpoint: SipEndpoint {
                host: "10.0.0.1".to_owned(),
                port: 5060,
                transport: SipTransport::Udp,
                listen: "10.0.0.9:5070".parse().unwrap(),
                advertise: None,
                credentials: Vec::new(),
                anchor: Some(SipAnchor {
                    host: "10.0.0.2".to_owned(),
                    port: 5060,
                    listen: "10.0.0.9:5071".parse().unwrap(),
                }),
            },
            domain: "example.org".to_owned(),
            headers: Vec::new(),
        };
        let agent = Agent::new(options, InstanceId(1), 7);
        let proxy = Proxy { agent, out: VecDeque::new(), ready: false };
        let media = Media::new("media1".parse().unwrap(), Box::new(Desk(Rc::clone(&studio))));
        let mut rig = Self {
            composite: Anchored::new(Box::new(proxy), media, 11),
            studio,
            now: Nanos::ZERO,
            tickets: 0,
            events: Vec::new(),
            answers: BTreeMap::new(),
            ready: None,
            told,
            dialogs: BTreeMap::new(),
            ends: BTreeSet::new(),
        };
        rig.put(Input::Restored(dialogs));
        rig.put(Input::Start(Epoch(1)));
        rig
    }

    /// We die and come again; the phones and the media server go on.
    pub(super) fn reborn(self) -> Self {
        let dialogs = self.dialogs.into_values().collect();
        self.studio.borrow_mut().orders.clear();
        Self::with(self.studio, dialogs, self.told)
    }

    /// The media server's list, at last.
    pub(super) fn list_of_media(&mut self) {
        let mut studio = self.studio.borrow_mut();
        let seen = studio.seen();
        let ready = Ready { epoch: Epoch(1), boot: Boot("m1".into()), version: "1".to_owned(), seen };
        studio.out.push_back(Output::Ready(ready));
        drop(studio);
        self.put(Input::Tick);
    }

    pub(super) fn reborn_without_dialogs(self) -> Self {
        Self::with(self.studio, Vec::new(), self.told)
    }

    pub(super) fn media(&self) -> RefMut<'_, Studio> {
        self.studio.borrow_mut()
    }

    pub(super) fn kill_media(&mut self) {
        let mut studio = self.studio.borrow_mut();
        studio.down = true;
        let down = Down { interface: Interface::Management, reason: DownReason::ShuttingDown };
        studio.out.push_back(Output::Down(down));
        drop(studio);
        self.put(Input::Tick);
    }

    /// The media server's dialogs end, as SIP notices it.
    pub(super) fn hang_up_anchors(&mut self) {
        let legs: Vec<LegId> = self.studio.borrow_mut().legs.keys().copied().collect();
        self.studio.borrow_mut().legs.clear();
        for leg in legs {
            self.put(Input::Sip(SipEvent::Ended { leg, ended: Ended::ByPeer, reason: None }));
        }
    }

    pub(super) fn phone_hangs_up(&mut self, leg: LegId) {
        self.put(Input::Sip(SipEvent::Ended { leg, ended: Ended::ByPeer, reason: None }));
    }

    /// The phone of a leg transfers by itself.
    pub(super) fn refer(&mut self, leg: LegId, to: &str) {
        self.put(Input::Sip(SipEvent::Referred { leg, token: 1, to: to.to_owned() }));
    }

    pub(super) fn proxy_goes_down(&mut self) {
        self.put(Input::Stop);
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(due) = self.composite.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.put(Input::Tick);
        }
        self.now = end;
    }

    pub(super) fn order(&mut self, order: Order) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.put(Input::Order(ticket, order));
        ticket
    }

    pub(super) fn dial(&mut self, leg: LegId) {
        let address = |text: &str| text.parse().unwrap();
        let party = address(&format!("100{}", leg.0));
        let role = Role::from_letter(&format!("{:x}", leg.0)).unwrap();
        let tag = Tag { call: CallId::new(1, 2), role, party, from: address("1001"), to: address("1002") };
        let dial = Dial {
            leg,
            tag,
            caller: address("1001"),
            toward: None,
            wait: Wait::Silence,
            within: Duration::from_secs(20),
        };
        let ticket = self.order(Order::Dial(dial));
        assert!(self.answer(ticket).is_ok());
        assert!(self.events.contains(&Event::Answered(leg)));
    }

    pub(super) fn talk(&mut self, a: LegId, b: LegId) {
        self.dial(a);
        self.dial(b);
        let joined = self.order(Order::Join { a, b });
        assert!(self.answer(joined).is_ok());
    }

    pub(super) fn answer(&self, ticket: Ticket) -> Outcome {
        let answers = self.answers.get(&ticket).unwrap_or_else(|| panic!("{ticket:?} was not answered"));
        answers[0].clone()
    }

    pub(super) fn open(&self, ticket: Ticket) -> bool {
        !self.answers.contains_key(&ticket)
    }

    pub(super) fn times(&self, ticket: Ticket) -> usize {
        self.answers.get(&ticket).map_or(0, Vec::len)
    }

    pub(super) fn ended(&self, leg: LegId) -> bool {
        self.ends.contains(&leg)
    }

    /// Whose media a phone was told to expect.
    pub(super) fn hears(&self, leg: LegId) -> Option<LegId> {
        let told = self.told.get(&leg)?;
        if told.contains("a=inactive") {
            return None;
        }
        [A, B, C].into_iter().find(|other| told.contains(&format!("m=audio {} ", port(*other))))
    }

    pub(super) fn is_at_the_anchor(&self, leg: LegId) -> bool {
        self.told.get(&leg).is_some_and(|told| told.contains("m=audio 9999 "))
    }

    fn put(&mut self, input: Input<'_>) {
        self.composite.handle(input, self.now);
        loop {
            while let Some(output) = self.composite.poll() {
                self.take(output);
            }
            let calling = std::mem::take(&mut self.studio.borrow_mut().calling);
            let byes = std::mem::take(&mut self.studio.borrow_mut().byes);
            if calling.is_empty() && byes.is_empty() {
                return;
            }
            for (leg, address) in calling {
                let user = address.trim_start_matches("sip:").split('@').next().unwrap().to_owned();
                let wire = Box::new(Wire { call_id: leg.to_string(), by_anchor: true, ..Wire::default() });
                let token = u64::try_from(leg.0 >> 64).unwrap();
                let sdp = Some(description(9999));
                self.composite.handle(Input::Sip(SipEvent::Invited { token, user, wire, sdp }), self.now);
            }
            for leg in byes {
                let ended = SipEvent::Ended { leg, ended: Ended::ByPeer, reason: None };
                self.composite.handle(Input::Sip(ended), self.now);
            }
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Event(event) => {
                if let Event::Ended { leg, .. } | Event::Vanished(leg) = &event {
                    self.ends.insert(*leg);
                }
                self.events.push(event);
            }
            Output::Answer(ticket, outcome) => self.answers.entry(ticket).or_default().push(outcome),
            Output::Ready(ready) => self.ready = Some(ready),
            Output::Persist(number, dialog) => {
                self.dialogs.insert(dialog.leg, *dialog);
                self.composite.handle(Input::Persisted(number, true), self.now);
            }
            Output::Forget(leg) => {
                self.dialogs.remove(&leg);
            }
            Output::Sip(command) => self.stack(command),
            _ => {}
        }
    }

    /// Phones that do what they are asked, at once.
    fn stack(&mut self, command: SipCommand) {
        let says: Vec<SipEvent> = match command {
            SipCommand::Bind => vec![
                SipEvent::AnchorOpened { contact: "10.0.0.9:5071".to_owned() },
                SipEvent::Opened { contact: "10.0.0.9:5070".to_owned() },
            ],
            SipCommand::Invite(invite) => {
                let leg = invite.leg;
                self.told.insert(leg, invite.sdp);
                vec![
                    SipEvent::Provisional { leg, code: 180, media: false },
                    SipEvent::Up { leg, sdp: description(port(leg)), session: None },
                ]
            }
            SipCommand::Reinvite { leg, number, sdp, .. } => {
                self.told.insert(leg, sdp);
                let lent = self.composite.lent_to.contains_key(&leg);
                let port = if lent { 9999 } else { port(leg) };
                let reply = Reply { sdp: Some(description(port)), ..Reply::of(200) };
                vec![SipEvent::Replied { leg: Some(leg), number, reply }]
            }
            SipCommand::Info { leg, number, .. } => {
                vec![SipEvent::Replied { leg: Some(leg), number, reply: Reply::of(200) }]
            }
            SipCommand::Notify { leg, number, .. } => {
                vec![SipEvent::Replied { leg: Some(leg), number, reply: Reply::of(200) }]
            }
            SipCommand::Options { leg, number, .. } => {
                vec![SipEvent::Replied { leg, number, reply: Reply::of(200) }]
            }
            SipCommand::Bye { leg, .. } => {
                if self.studio.borrow_mut().legs.remove(&leg).is_some() {
                    let event =
                        Event::Ended { leg, cause: Cause::Answered, by: By::Party, said: Said::default() };
                    self.studio.borrow_mut().out.push_back(Output::Event(event));
                }
                vec![SipEvent::Ended { leg, ended: Ended::ByUs, reason: None }]
            }
            SipCommand::Accept { leg, .. } => {
                self.studio.borrow_mut().out.push_back(Output::Event(Event::Answered(leg)));
                vec![]
            }
            SipCommand::Decline { .. } => panic!("the media server was not let in"),
            _ => vec![],
        };
        for event in says {
            self.composite.handle(Input::Sip(event), self.now);
        }
    }
}

/// Where a phone listens.
fn port(leg: LegId) -> u16 {
    4000 + u16::try_from(leg.0 % 2000 * 2).unwrap()
}

fn description(port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 10.0.0.50\r\ns=-\r\nc=IN IP4 10.0.0.50\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=sendrecv\r\n"
    )
}

fn word(order: &Order) -> &'static str {
    match order {
        Order::Dial(_) => "Dial",
        Order::Join { .. } => "Join",
        Order::Park { .. } => "Park",
        Order::Drop { .. } => "Drop",
        Order::Dtmf { .. } => "Dtmf",
        Order::Mute { .. } => "Mute",
        Order::Enter { .. } => "Enter",
        Order::Leave { .. } => "Leave",
        Order::Record { .. } => "Record",
        Order::StopRecord { .. } => "StopRecord",
        Order::List => "List",
        _ => "other",
    }
}
