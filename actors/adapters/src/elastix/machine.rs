//! The machine: the Asterisk inside, pbxapi beside it, and which of the two is listened to.
//!
//! As long as AMI takes us everything goes through the Asterisk inside, and pbxapi is asked for what it alone knows
//! (`health.rs`). If AMI does not take us and pbxapi does, the life is a narrow one (`narrow.rs`), until AMI opens.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::{Boot, Epoch, InstanceId, Interface, Nanos, Order, Outcome, Refused, ServerName, Why};

use super::api::{Client, Trouble, WITHIN};
use super::health::{Health, Inspection};
use super::narrow::Narrow;
use super::options::Options;
use crate::adapter::{
    Adapter, Down, DownReason, HttpReply, HttpRequest, Input, LinkError, Output, Ready, RequestId, Ticket,
    Warning,
};
use crate::asterisk::Asterisk;
use crate::random::Random;

/// Requests of pbxapi; below are those of the Asterisk inside.
pub(super) const OURS: u64 = 1 << 63;

/// The page that is looked at to know who it is.
const SNIFF: u64 = u64::MAX;

/// How long a server that is ready waits for its pbxapi.
const API_WITHIN: Duration = Duration::from_secs(6);

/// How long a server that does not take us by AMI has to show that it does by pbxapi.
const NARROW_WITHIN: Duration = Duration::from_secs(12);

/// An Elastix or Issabel, as a machine without input or output.
#[derive(Debug)]
pub struct Elastix {
    pub(super) options: Options,
    pub(super) instance: InstanceId,
    pub(super) server: ServerName,
    pub(super) random: Random,
    pub(super) inside: Asterisk,
    pub(super) now: Nanos,
    pub(super) epoch: Epoch,
    pub(super) out: VecDeque<Output>,
    pub(super) phase: Phase,
    pub(super) api: Option<Client<Purpose>>,
    pub(super) health: Health,
    pub(super) inspections: BTreeMap<Ticket, Inspection>,
    /// The last life of the server that it told of by AMI: pbxapi knows none.
    pub(super) boot: Option<Boot>,
    /// What is due for pbxapi or for the phase.
    pub(super) due: Option<Nanos>,
}

/// Which way the server is driven.
#[derive(Debug)]
pub(super) enum Phase {
    /// Not started, or over.
    Off,
    /// AMI and pbxapi are asked.
    Rising {
        /// AMI is there, and what it told since.
        ready: Option<Ready>,
        held: Vec<Output>,
        /// What pbxapi knows was told, or it did not answer.
        told: bool,
    },
    /// By AMI.
    Ready,
    /// AMI does not take us: what does pbxapi say?
    Closed(Down),
    /// By pbxapi alone.
    Narrow(Box<Narrow>),
}

/// What a question to pbxapi is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// How telephones are dialled.
    Extensions,
    /// Whether it is alive.
    Health,
    /// The same, for an inspection.
    Inspection(Ticket),
    /// Whether the server can be driven without AMI.
    Narrow,
    /// A question of a narrow life.
    Of(super::narrow::Asked),
}

impl Elastix {
    /// A machine that does nothing before [`Input::Start`]. `seed` should be unguessable: all ids are made from it.
    #[must_use]
    pub fn new(options: Options, instance: InstanceId, server: ServerName, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let inside = asterisk(&options, instance, &server, &mut random);
        Self {
            options,
            instance,
            server,
            random,
            inside,
            now: Nanos::ZERO,
            epoch: Epoch(0),
            out: VecDeque::new(),
            phase: Phase::Off,
            api: None,
            health: Health::default(),
            inspections: BTreeMap::new(),
            boot: None,
            due: None,
        }
    }

    pub(super) fn warn(&mut self, code: &'static str, text: String) {
        self.out.push_back(Output::Warning(Warning { code, text }));
    }

    pub(super) fn ask(&mut self, purpose: Purpose, path: String, within: Duration) {
        if let Some(api) = &mut self.api {
            api.ask(purpose, path, within, self.now);
        }
    }

    // ---- life ------------------------------------------------------------------------------------------------------

    fn start(&mut self, epoch: Epoch) {
        if !matches!(self.phase, Phase::Off) {
            self.end_life();
        }
        self.epoch = epoch;
        let trust = |tls: &crate::key::Tls| tls.trust(&self.server);
        self.api = self.options.api.clone().map(|api| Client::new(api.clone(), trust(&api.tls)));
        self.health = Health::default();
        let told = self.api.is_none();
        self.phase = Phase::Rising { ready: None, held: Vec::new(), told };
        self.inside.handle(Input::Start(epoch), self.now);
        if !told {
            self.due = Some(self.now + API_WITHIN);
            self.ask_extensions();
        }
    }

    /// Everything that is open is answered and closed, without a word about the life itself.
    fn end_life(&mut self) {
        if let Phase::Narrow(_) = &self.phase {
            self.answer_narrow();
        }
        for (ticket, inspection) in std::mem::take(&mut self.inspections) {
            if let Some(findings) = inspection.inside {
                self.out.push_back(Output::Answer(ticket, Ok(ifbus_call::order::Done::Inspected(findings))));
            }
        }
        self.phase = Phase::Off;
        self.api = None;
        self.due = None;
        // what the Asterisk inside still had to say of its links and tickets is said, but not that it is over
        self.inside.handle(Input::Stop, self.now);
        while let Some(output) = self.inside.poll() {
            if matches!(output, Output::Open(..) | Output::Close(_) | Output::Send(..) | Output::Answer(..)) {
                self.out.push_back(output);
            }
        }
    }

    pub(super) fn down(&mut self, down: Down) {
        self.end_life();
        self.out.push_back(Output::Down(down));
    }

    fn stop(&mut self) {
        if !matches!(self.phase, Phase::Off) {
            self.down(Down { interface: Interface::Management, reason: DownReason::Stopped });
        }
    }

    /// AMI and pbxapi have said what they had to say.
    pub(super) fn advance(&mut self) {
        let Phase::Rising { ready, held, told: true } = &mut self.phase else { return };
        let Some(ready) = ready.take() else { return };
        let held = std::mem::take(held);
        self.phase = Phase::Ready;
        self.boot = Some(ready.boot.clone());
        self.due = self.api.is_some().then(|| self.next_health());
        self.out.push_back(Output::Ready(ready));
        self.out.extend(held);
    }

    pub(super) fn api_told(&mut self) {
        self.health.told = true;
        match &mut self.phase {
            Phase::Rising { told, .. } => *told = true,
            Phase::Narrow(_) => self.look(),
            _ => {}
        }
        self.advance();
    }

    // ---- the Asterisk inside ---------------------------------------------------------------------------------------

    /// Hands on what the Asterisk inside says.
    fn pump(&mut self) {
        while let Some(output) = self.inside.poll() {
            match (&mut self.phase, output) {
                (Phase::Off, _) => {}
                (Phase::Narrow(_), output) => self.scouted(output),
                (Phase::Rising { ready, .. }, Output::Ready(is)) => {
                    *ready = Some(is);
                    self.advance();
                }
                (Phase::Rising { ready: Some(_), held, .. }, output @ Output::Event(_)) => held.push(output),
                (Phase::Rising { .. }, Output::Down(down)) => self.closed_to_us(down),
                (_, Output::Down(down)) => self.down(down),
                (_, Output::Answer(ticket, outcome)) => self.answered(ticket, outcome),
                (_, output) => self.out.push_back(output),
            }
        }
        if let Some(api) = &mut self.api {
            for (number, request) in std::mem::take(&mut api.out) {
                let id = RequestId { epoch: self.epoch, number: OURS | number };
                self.out.push_back(Output::Http(id, request));
            }
        }
    }

    fn answered(&mut self, ticket: Ticket, outcome: Outcome) {
        match self.inspections.remove(&ticket) {
            Some(inspection) => self.inspected_inside(ticket, inspection, outcome),
            None => self.out.push_back(Output::Answer(ticket, outcome)),
        }
    }

    /// AMI has not let us in. Whoever stands between us and the server is no reason to go another way.
    fn closed_to_us(&mut self, down: Down) {
        let is_tls = matches!(
            &down.reason,
            DownReason::Unreachable(LinkError::Tls(_)) | DownReason::Lost(LinkError::Tls(_))
        );
        let unreachable = matches!(down.reason, DownReason::Unreachable(_));
        if is_tls || !(self.api.is_some() || unreachable && self.options.web.is_some()) {
            return self.down(down);
        }
        self.phase = Phase::Closed(down);
        self.due = Some(self.now + NARROW_WITHIN);
        if self.api.is_some() {
            self.ask(Purpose::Narrow, "/pbxapi/manager/status".to_owned(), WITHIN);
        } else {
            self.sniff();
        }
    }

    /// Looks at the page anybody gets: 3CX has no AMI, and should be called by its name.
    fn sniff(&mut self) {
        let Some((port, tls)) = &self.options.web else { return };
        let request = HttpRequest {
            method: "GET",
            host: self.options.inside.host.clone(),
            port: *port,
            path: "/".to_owned(),
            basic: None,
            bearer: None,
            header: None,
            body: None,
            within: Duration::from_secs(3),
            reply_max: 64 * 1024,
            tls: tls.trust(&self.server),
            streamed: false,
        };
        self.out.push_back(Output::Http(RequestId { epoch: self.epoch, number: SNIFF }, request));
    }

    /// AMI is closed, and this is what pbxapi says about it.
    pub(super) fn no_other_way(&mut self, trouble: Option<&Trouble>) {
        let Phase::Closed(down) = &self.phase else { return };
        let mut down = down.clone();
        match trouble {
            Some(Trouble::ThreeCx) => down.reason = DownReason::NotTheKind(Trouble::ThreeCx.to_string()),
            Some(trouble) => self.warn("pbxapi_down", format!("pbxapi: {trouble}")),
            None => {}
        }
        self.down(down);
    }

    // ---- inputs ----------------------------------------------------------------------------------------------------

    fn order(&mut self, ticket: Ticket, order: Order) {
        match &self.phase {
            Phase::Ready => {
                if order == Order::Inspect {
                    self.inspect(ticket);
                }
                self.inside.handle(Input::Order(ticket, order), self.now);
            }
            Phase::Narrow(_) => self.narrow_order(ticket, order),
            Phase::Off | Phase::Rising { .. } | Phase::Closed(_) => {
                self.out.push_back(Output::Answer(ticket, Err(Refused::unsent(Why::NotReady))));
            }
        }
    }

    fn http(&mut self, id: RequestId, result: Result<HttpReply, LinkError>) {
        if id.number == SNIFF {
            let is_three_cx = result.is_ok_and(|reply| super::api::is_three_cx(&reply.body));
            return self.no_other_way(is_three_cx.then_some(&Trouble::ThreeCx));
        }
        let Some(api) = &mut self.api else { return };
        for (purpose, told) in api.answered(id.number & !OURS, result, self.now) {
            match purpose {
                Purpose::Extensions => self.extensions_told(told),
                Purpose::Health => self.health_told(told),
                Purpose::Inspection(ticket) => self.inspected_api(ticket, told),
                Purpose::Narrow => self.narrow_told(told),
                Purpose::Of(asked) => self.narrow_answered(asked, told),
            }
        }
    }

    fn tick(&mut self) {
        self.inside.handle(Input::Tick, self.now);
        self.pump();
        if self.due.is_none_or(|due| due > self.now) {
            return;
        }
        self.due = None;
        match &self.phase {
            Phase::Off => {}
            Phase::Rising { .. } => {
                self.extensions_late();
                self.api_told();
            }
            Phase::Ready => self.health_due(),
            Phase::Closed(_) => self.no_other_way(None),
            Phase::Narrow(_) => self.narrow_due(),
        }
    }
}

/// The Asterisk inside, anew.
pub(super) fn asterisk(
    options: &Options,
    instance: InstanceId,
    server: &ServerName,
    random: &mut Random,
) -> Asterisk {
    let seed = u64::try_from(random.next() >> 64).expect("64 bits fit");
    Asterisk::new(options.inside.clone(), instance, server.clone(), seed)
}

impl Adapter for Elastix {
    fn handle(&mut self, input: Input<'_>, now: Nanos) {
        self.now = self.now.max(now);
        match input {
            Input::Start(epoch) if epoch > self.epoch => self.start(epoch),
            Input::Start(_) => {}
            Input::Stop => self.stop(),
            Input::Http(id, result) if id.number >= OURS => {
                if id.epoch == self.epoch {
                    self.http(id, result);
                }
            }
            Input::HttpPart(id, _) if id.number >= OURS => {}
            Input::Order(ticket, order) => self.order(ticket, order),
            Input::Tick => self.tick(),
            input => self.inside.handle(input, self.now),
        }
        self.pump();
    }

    fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn deadline(&self) -> Option<Nanos> {
        [self.inside.deadline(), self.due].into_iter().flatten().min()
    }
}
