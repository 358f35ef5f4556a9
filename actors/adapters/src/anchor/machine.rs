//! The machine: both halves, which of them an input belongs to, and whose output it is.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ifbus_call::order::{Direction, Tag};
use ifbus_call::{Epoch, Event, LegId, Nanos, Order, Outcome, RecordingId, Seen, ServerName};

use super::Proxied;
use super::jobs::Job;
use crate::adapter::{Adapter, Down, Input, LinkId, Output, Ready, RequestId, Ticket, Warning};
use crate::random::Random;
use crate::sip::SipEvent;

/// The media server's links follow those of the proxy, which never has so many.
const LINKS: u8 = 128;
/// The same for requests.
const REQUESTS: u64 = 1 << 62;
/// Tickets of our own follow those of whoever drives us.
const TICKETS: u64 = 1 << 63;
/// The first pause before a media server that went away is tried again; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a fleet waits for a media server before it goes on without.
const RISING_MAX: Duration = Duration::from_secs(8);

/// A server without media, and one that lends it.
pub struct Anchored {
    pub(super) proxy: Box<dyn Proxied>,
    pub(super) media: Media,
    pub(super) now: Nanos,
    pub(super) out: VecDeque<Output>,
    pub(super) random: Random,
    /// Legs that are lent, or about to be.
    pub(super) loans: BTreeMap<LegId, Loan>,
    /// The leg that a dialog of the media server is for.
    pub(super) lent_to: BTreeMap<LegId, LegId>,
    /// Legs of ours, with what is to be written beside them.
    pub(super) tags: BTreeMap<LegId, Tag>,
    /// Who talks to whom, whichever server sees to it.
    pub(super) partners: BTreeMap<LegId, LegId>,
    pub(super) jobs: BTreeMap<Ticket, Job>,
    /// Orders of our own, and what they are for.
    pub(super) own: BTreeMap<Ticket, Own>,
    tickets: u64,
    /// What the proxy told when it was ready, until the media server is, too.
    pub(super) rising: Option<(Ready, Nanos)>,
    /// What the agent has from before is known: what it does not know of can be ended.
    pub(super) taken_up: bool,
    /// To be heard once both lists are.
    pub(super) held: Vec<Held>,
    /// Recordings that the media server makes of a leg.
    pub(super) records: BTreeMap<LegId, (RecordingId, u16)>,
    /// Directions of its dialogs that are silenced.
    pub(super) muted: BTreeSet<(LegId, Direction)>,
    /// Lists that wait for the media server's half.
    pub(super) lists: BTreeMap<Ticket, Vec<Seen>>,
}

/// The server that lends media.
pub struct Media {
    /// Its name in the fleet.
    pub name: ServerName,
    /// Its adapter, of an instance of its own.
    pub adapter: Box<dyn Adapter>,
    pub(super) epoch: Epoch,
    pub(super) standing: Standing,
    /// What it lists, as of its last readiness.
    pub(super) seen: Vec<Seen>,
    pub(super) pause: Duration,
    pub(super) retry: Option<Nanos>,
    pub(super) said_down: bool,
}

impl Media {
    /// A media server that is not spoken to yet.
    #[must_use]
    pub fn new(name: ServerName, adapter: Box<dyn Adapter>) -> Self {
        Self {
            name,
            adapter,
            epoch: Epoch(0),
            standing: Standing::Off,
            seen: Vec::new(),
            pause: PAUSE,
            retry: None,
            said_down: false,
        }
    }
}

/// How the links to the media server stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Off,
    Rising,
    Ready,
}

/// How far a loan has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loan {
    /// The media server's name of its end, and the agent's of ours.
    pub(super) anchor: LegId,
    /// The media server has called, and was answered.
    pub(super) up: bool,
}

/// What one half said while the other one was waited for: its list was older.
#[derive(Debug)]
pub(super) enum Held {
    Proxy(Event),
    Media(Event),
}

/// What an order of our own is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// The media server calls us for this leg.
    Lend(LegId),
    /// It joins two, for a job.
    Join(Ticket),
    /// Its end of a loan that is over is ended.
    End,
    /// Its half of a list.
    List(Ticket),
}

impl std::fmt::Debug for Anchored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Anchored").field("media", &self.media.name).field("loans", &self.loans).finish()
    }
}

impl Anchored {
    /// Both halves, not started. `seed` should be unguessable.
    #[must_use]
    pub fn new(proxy: Box<dyn Proxied>, media: Media, seed: u64) -> Self {
        Self {
            proxy,
            media,
            now: Nanos::ZERO,
            out: VecDeque::new(),
            random: Random::new(seed),
            loans: BTreeMap::new(),
            lent_to: BTreeMap::new(),
            tags: BTreeMap::new(),
            partners: BTreeMap::new(),
            jobs: BTreeMap::new(),
            own: BTreeMap::new(),
            tickets: TICKETS,
            rising: None,
            taken_up: false,
            held: Vec::new(),
            records: BTreeMap::new(),
            muted: BTreeSet::new(),
            lists: BTreeMap::new(),
        }
    }

    // ---- the halves -------------------------------------------------------------------------------------------------

    /// Gives the media server an order of our own.
    pub(super) fn tell_media(&mut self, own: Own, order: Order) {
        let ticket = self.own_ticket(own);
        self.media.adapter.handle(Input::Order(ticket, order), self.now);
    }

    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Takes everything both halves have to say.
    fn settle(&mut self) {
        loop {
            if let Some(output) = self.proxy.poll() {
                self.proxy_says(output);
            } else if let Some(output) = self.media.adapter.poll() {
                self.media_says(output);
            } else {
                return;
            }
        }
    }

    fn proxy_says(&mut self, output: Output) {
        match output {
            Output::Event(event) if self.rising.is_some() => self.held.push(Held::Proxy(event)),
            Output::Event(event) => self.proxy_event(event),
            Output::Answer(ticket, outcome) => self.proxy_answer(ticket, outcome),
            Output::Ready(ready) => self.proxy_ready(ready),
            Output::Down(down) => {
                self.rising = None;
                self.hear_held();
                self.end_jobs();
                self.out.push_back(Output::Down(down));
            }
            other => self.out.push_back(other),
        }
    }

    fn media_says(&mut self, output: Output) {
        match output {
            Output::Open(link, endpoint) => self.out.push_back(Output::Open(theirs(link), endpoint)),
            Output::Listen(link, mut listening) => {
                let slots = listening.slots;
                listening.slots = slots.start() + LINKS..=slots.end() + LINKS;
                self.out.push_back(Output::Listen(theirs(link), listening));
            }
            Output::Close(link) => self.out.push_back(Output::Close(theirs(link))),
            Output::Send(link, bytes) => self.out.push_back(Output::Send(theirs(link), bytes)),
            Output::Http(id, request) => {
                let id = RequestId { number: id.number + REQUESTS, ..id };
                self.out.push_back(Output::Http(id, request));
            }
            Output::Event(event) if self.rising.is_some() || !self.taken_up => {
                self.held.push(Held::Media(event));
            }
            Output::Event(event) => self.media_event(event),
            Output::Answer(ticket, outcome) => self.media_answer(ticket, outcome),
            Output::Ready(ready) => self.media_ready(ready),
            Output::Down(down) => self.media_down(&down),
            // What is wrong with that server is said where it is a server of the fleet itself.
            Output::Warning(_) => {}
            Output::Chunk(..) | Output::Unknown(_) => self.out.push_back(output),
            // A server with media speaks SIP by itself.
            Output::Sip(_) | Output::Persist(..) | Output::Forget(_) => {}
        }
    }

    // ---- the media server's life ------------------------------------------------------------------------------------

    fn start_media(&mut self) {
        self.media.epoch = Epoch(self.media.epoch.0 + 1);
        self.media.standing = Standing::Rising;
        self.media.retry = None;
        self.media.adapter.handle(Input::Start(self.media.epoch), self.now);
    }

    fn media_down(&mut self, down: &Down) {
        self.media.standing = Standing::Off;
        self.media.retry = Some(self.now + self.media.pause);
        self.media.pause = (self.media.pause * 2).min(PAUSE_MAX);
        if !std::mem::replace(&mut self.media.said_down, true) {
            let text = format!(
                "the media anchor {} is away ({down}): conferences, recordings, mute and music wait for it",
                self.media.name
            );
            self.out.push_back(Output::Warning(Warning { code: "anchor_down", text }));
        }
        self.ready_without_media();
    }

    pub(super) fn media_is_up(&mut self) {
        self.media.standing = Standing::Ready;
        self.media.pause = PAUSE;
        self.media.said_down = false;
    }

    fn tick(&mut self) {
        if self.media.retry.is_some_and(|at| at <= self.now) {
            self.start_media();
        }
        if self.rising.as_ref().is_some_and(|(_, at)| self.now.since(*at) >= RISING_MAX) {
            self.ready_without_media();
        }
        for due in [self.proxy.deadline(), self.media.adapter.deadline()].into_iter().enumerate() {
            match due {
                (0, Some(at)) if at <= self.now => self.proxy.handle(Input::Tick, self.now),
                (1, Some(at)) if at <= self.now => self.media.adapter.handle(Input::Tick, self.now),
                _ => {}
            }
        }
        self.jobs_late();
    }
}

/// A link of the media server, as whoever drives us knows it.
fn theirs(link: LinkId) -> LinkId {
    LinkId { slot: link.slot + LINKS, ..link }
}

/// Whether a link is the media server's, and its own name of it.
fn of_media(link: LinkId) -> Option<LinkId> {
    (link.slot >= LINKS).then(|| LinkId { slot: link.slot - LINKS, ..link })
}

/// Whether a request is the media server's, and its own name of it.
fn asked_by_media(id: RequestId) -> Option<RequestId> {
    (id.number >= REQUESTS).then(|| RequestId { number: id.number - REQUESTS, ..id })
}

impl Adapter for Anchored {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        let now = self.now;
        match input {
            Input::Start(epoch) => {
                self.proxy.handle(Input::Start(epoch), now);
                if self.media.standing == Standing::Off && self.media.retry.is_none() {
                    self.start_media();
                }
            }
            Input::Stop => {
                self.media.adapter.handle(Input::Stop, now);
                self.settle();
                self.media.retry = None;
                self.proxy.handle(Input::Stop, now);
            }
            Input::Tick => self.tick(),
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Opened(link) => match of_media(link) {
                Some(link) => self.media.adapter.handle(Input::Opened(link), now),
                None => self.proxy.handle(Input::Opened(link), now),
            },
            Input::Accepted { listener, link, from } => match (of_media(listener), of_media(link)) {
                (Some(listener), Some(link)) => {
                    self.media.adapter.handle(Input::Accepted { listener, link, from }, now);
                }
                _ => self.proxy.handle(Input::Accepted { listener, link, from }, now),
            },
            Input::Bytes(link, bytes) => match of_media(link) {
                Some(link) => self.media.adapter.handle(Input::Bytes(link, bytes), now),
                None => self.proxy.handle(Input::Bytes(link, bytes), now),
            },
            Input::Closed(link, why) => match of_media(link) {
                Some(link) => self.media.adapter.handle(Input::Closed(link, why), now),
                None => self.proxy.handle(Input::Closed(link, why), now),
            },
            Input::HttpPart(id, bytes) => match asked_by_media(id) {
                Some(id) => self.media.adapter.handle(Input::HttpPart(id, bytes), now),
                None => self.proxy.handle(Input::HttpPart(id, bytes), now),
            },
            Input::Http(id, reply) => match asked_by_media(id) {
                Some(id) => self.media.adapter.handle(Input::Http(id, reply), now),
                None => self.proxy.handle(Input::Http(id, reply), now),
            },
            Input::Sip(SipEvent::Referred { .. }) => {
                let pairs = self.partners.clone();
                self.proxy.with_agent(&mut |agent| agent.talk_elsewhere(pairs.clone()));
                self.proxy.handle(input, now);
            }
            Input::Restored(_) | Input::Sip(_) | Input::Persisted(..) => self.proxy.handle(input, now),
        }
        self.settle();
        self.go_on();
        self.settle();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        let rising = self.rising.as_ref().map(|(_, at)| *at + RISING_MAX);
        [self.proxy.deadline(), self.media.adapter.deadline(), self.media.retry, rising, self.job_deadline()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Anchored {
    /// Answers whoever drives us.
    pub(super) fn answer(&mut self, ticket: Ticket, outcome: Outcome) {
        self.out.push_back(Output::Answer(ticket, outcome));
    }
}
