//! The orders of a life without AMI.
//!
//! A call is one `originate`: the server rings the first party and then, by its own dialplan, the second. So the leg of
//! the first party takes the second one along, and the order for the second waits until the server has made it.

use std::time::Duration;

use ifbus_call::address::Form;
use ifbus_call::order::{Dial, Done, Evidence, Probed};
use ifbus_call::{
    Address, Cause, Interface, LegId, Load, Nanos, Order, Outcome, Refused, Role, Said, Verdict, Why,
};

use super::super::api::{Trouble, WITHIN};
use super::super::health::finding;
use super::super::machine::{Elastix, Purpose};
use super::{Asked, LEG, Leg};
use crate::adapter::{Output, Ticket};
use crate::asterisk::names::{self, Native};
use crate::q850::q850;
use crate::wire_format::pbxapi::{self, BadAnswer};

/// Where the server's own dialplan takes calls of its telephones.
const DIALPLAN: &str = "from-internal";
/// Each blocks a worker of the web server for as long as it rings (sheet, section 8).
const ORIGINATES_MAX: usize = 4;
/// What a question may take beyond the ringing.
const EXTRA: Duration = Duration::from_secs(10);
/// How long two that were answered may take to meet.
const JOIN_WITHIN: Duration = Duration::from_secs(10);

/// What an order does.
#[derive(Debug)]
pub(super) enum Work {
    /// Until the leg is seen.
    Dial(LegId, Nanos),
    /// Until the server has made the second party of this leg's call.
    Second(Box<Dial>, LegId, Nanos),
    Join(LegId, LegId, Nanos),
    /// How it ends, and whether the server was told.
    Drop {
        leg: LegId,
        cause: Cause,
        sent: bool,
        due: Nanos,
    },
    List(Nanos),
    Load(Nanos),
    /// When it was asked.
    Probe(Nanos),
}

impl Work {
    pub(super) fn due(&self) -> Nanos {
        match self {
            Self::Dial(_, due) | Self::Second(_, _, due) | Self::Join(_, _, due) => *due,
            Self::Drop { due, .. } | Self::List(due) | Self::Load(due) => *due,
            Self::Probe(began) => *began + WITHIN,
        }
    }
}

impl Elastix {
    pub(in super::super) fn narrow_order(&mut self, ticket: Ticket, order: Order) {
        let ready = self.narrow().is_some_and(|narrow| narrow.ready);
        let later = self.now + WITHIN + EXTRA;
        match order {
            _ if !ready => self.say(ticket, Err(Refused::unsent(Why::NotReady))),
            Order::Dial(dial) => self.narrow_dial(ticket, dial),
            Order::Join { a, b } => self.work(ticket, Work::Join(a, b, self.now + JOIN_WITHIN)),
            Order::Drop { leg, cause } => self.narrow_drop(ticket, leg, cause),
            Order::List => self.work(ticket, Work::List(later)),
            Order::Load => self.work(ticket, Work::Load(later)),
            Order::Probe => self.work(ticket, Work::Probe(self.now)),
            Order::ProbeSip => self.say(ticket, Ok(Done::Probed(Vec::new()))),
            Order::Inspect => self.narrow_inspect(ticket),
            Order::Park { .. }
            | Order::Dtmf { .. }
            | Order::Mute { .. }
            | Order::Enter { .. }
            | Order::Leave { .. }
            | Order::Record { .. }
            | Order::StopRecord { .. }
            | Order::Fetch { .. }
            | Order::Drain { .. } => self.needs_ami(ticket),
        }
        self.arm();
    }

    fn say(&mut self, ticket: Ticket, outcome: Outcome) {
        self.out.push_back(Output::Answer(ticket, outcome));
    }

    /// Remembers an order and looks at once.
    fn work(&mut self, ticket: Ticket, work: Work) {
        if let Some(narrow) = self.narrow() {
            narrow.orders.insert(ticket, work);
        }
        self.poll_now();
    }

    fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        if self.narrow().is_some_and(|narrow| narrow.orders.remove(&ticket).is_some()) {
            self.say(ticket, outcome);
        }
    }

    fn needs_ami(&mut self, ticket: Ticket) {
        let why = self.narrow().map(|narrow| narrow.why.clone()).unwrap_or_default();
        let text =
            format!("this needs AMI, which does not take us ({why}): ifbus setup elastix --only manager");
        let said = Some(Said::new(None, &text));
        self.say(ticket, Err(Refused { said, ..Refused::unsent(Why::Prerequisite) }));
    }

    // ---- a call ----------------------------------------------------------------------------------------------------

    fn narrow_dial(&mut self, ticket: Ticket, dial: Dial) {
        let Some(narrow) = self.narrow() else { return };
        let first = dial.toward.filter(|first| {
            let known = narrow.legs.get(first).and_then(|leg| leg.tag.as_ref());
            known.is_some_and(|tag| tag.call == dial.tag.call)
        });
        match (dial.tag.role, first) {
            (Role::B, Some(first)) => {
                let due = self.now + dial.within + EXTRA;
                self.work(ticket, Work::Second(Box::new(dial), first, due));
            }
            (Role::A, _) => self.originate(ticket, &dial),
            _ => self.needs_ami(ticket),
        }
    }

    fn originate(&mut self, ticket: Ticket, dial: &Dial) {
        if self.narrow().is_some_and(|narrow| narrow.originating.len() >= ORIGINATES_MAX) {
            return self.say(ticket, Err(Refused::unsent(Why::Overloaded)));
        }
        let Some((channel, second)) = self.inside.dialled(&dial.tag.party).zip(extension(&dial.tag.to))
        else {
            return self.say(ticket, Err(Refused::unsent(Why::NoTemplate)));
        };
        let (call, ends) = names::written(&dial.tag);
        let variables = format!(
            "__{}={call},__{}={ends},{LEG}={}",
            names::CALL,
            names::ENDS,
            Native(self.instance, dial.leg)
        );
        let caller = format!("\"{0}\" <{0}>", dial.caller.user());
        let timeout = dial.within.as_millis().to_string();
        let path = pbxapi::question(
            "manager/originate",
            &[
                ("channel", &channel),
                ("extension", &second),
                ("context", DIALPLAN),
                ("priority", "1"),
                ("timeout", &timeout),
                ("callerid", &caller),
                ("variable", &variables),
            ],
        );
        let Ok(path) = path else {
            let said = Some(Said::new(None, "an address is too long for pbxapi"));
            return self.say(ticket, Err(Refused { said, ..Refused::unsent(Why::Refused) }));
        };
        if let Some(narrow) = self.narrow() {
            narrow.originating.insert(dial.leg);
        }
        self.ask(Purpose::Of(Asked::Originate(ticket, dial.leg)), path, dial.within + EXTRA);
        self.work(ticket, Work::Dial(dial.leg, self.now + dial.within + EXTRA));
    }

    /// The first party has answered, or it will not: the server says the same words of every failure.
    pub(super) fn originate_told(&mut self, ticket: Ticket, leg: LegId, told: Result<Vec<u8>, Trouble>) {
        let Some(narrow) = self.narrow() else { return };
        narrow.originating.remove(&leg);
        let read = told.and_then(|body| pbxapi::manager(&body).map_err(Trouble::Answer));
        if let Some(known) = narrow.legs.get_mut(&leg) {
            known.failed = read.is_err();
            return self.poll_now();
        }
        let (why, cause, evidence) = match &read {
            // it has answered, and the next list shows it
            Ok(_) => return self.poll_now(),
            Err(Trouble::Answer(BadAnswer::Refused(_))) => {
                (Why::Refused, Cause::Unreachable, Evidence::NotDone)
            }
            Err(Trouble::Password | Trouble::Absent | Trouble::Token) => {
                (Why::Prerequisite, Cause::ServerFailure, Evidence::NotDone)
            }
            Err(_) => (Why::Unproven, Cause::ServerFailure, Evidence::Unknown),
        };
        let said = read.err().map(|trouble| Said::new(None, &trouble.to_string()));
        self.finish(ticket, Err(Refused { why, cause, evidence, said }));
    }

    /// The second party of a call: the channel that the server has made for the first one.
    pub(super) fn bind(&mut self) {
        let Some(narrow) = self.narrow() else { return };
        let mut bound = Vec::new();
        for work in narrow.orders.values() {
            let Work::Second(dial, first, _) = work else { continue };
            let Some(native) = narrow.legs.get(first).map(|leg| leg.native.clone()) else { continue };
            let is_ours = |id: &str| {
                let leg = narrow.names.get(id).and_then(|leg| narrow.legs.get(leg));
                leg.is_some_and(|leg| leg.tag.is_some())
            };
            let second = narrow.channels.iter().find(|channel| {
                let id = channel.id.0.as_str();
                channel.linked.0 == native
                    && id != native
                    && !is_ours(id)
                    && !channel.name.0.starts_with("Local/")
            });
            bound.extend(second.map(|channel| (channel.id.0.clone(), dial.leg, dial.tag.clone())));
        }
        for (native, id, tag) in bound {
            if let Some(foreign) = narrow.names.insert(native.clone(), id) {
                narrow.legs.remove(&foreign);
            }
            narrow.legs.insert(id, Leg::new(&native, Some(tag)));
        }
    }

    // ---- the end of one --------------------------------------------------------------------------------------------

    fn narrow_drop(&mut self, ticket: Ticket, leg: LegId, cause: Cause) {
        let due = self.now + WITHIN + EXTRA;
        let Some(narrow) = self.narrow() else { return };
        if !narrow.legs.contains_key(&leg) && !narrow.originating.contains(&leg) {
            return self.say(ticket, Ok(Done::Proven));
        }
        self.work(ticket, Work::Drop { leg, cause, sent: false, due });
        self.hang_up();
    }

    /// Hangs up whom the list shows by now.
    fn hang_up(&mut self) {
        let Some(narrow) = self.narrow() else { return };
        let mut told = Vec::new();
        for (ticket, work) in &mut narrow.orders {
            if let Work::Drop { leg, cause, sent: sent @ false, .. } = work
                && let Some(known) = narrow.legs.get_mut(leg)
            {
                (*sent, known.dropped) = (true, true);
                told.push((*ticket, known.native.clone(), q850(*cause).to_string()));
            }
        }
        for (ticket, native, cause) in told {
            // `Hangup` takes a pattern between slashes (sheet, section 5)
            match pbxapi::question("manager/hangup", &[("channel", &native), ("cause", &cause)]) {
                Ok(path) if !native.starts_with('/') => {
                    self.ask(Purpose::Of(Asked::Hangup(ticket)), path, WITHIN)
                }
                _ => {
                    let said =
                        Some(Said::new(None, "the server would take the name of this leg for a pattern"));
                    self.finish(ticket, Err(Refused { said, ..Refused::unsent(Why::Refused) }));
                }
            }
        }
    }

    /// Gone already is a success: the list shows both.
    pub(super) fn hangup_told(&mut self, ticket: Ticket, told: Result<Vec<u8>, Trouble>) {
        match told.and_then(|body| pbxapi::manager(&body).map_err(Trouble::Answer)) {
            Ok(_) | Err(Trouble::Answer(BadAnswer::Refused(_))) => self.poll_now(),
            Err(trouble) => {
                let said = Some(Said::new(None, &trouble.to_string()));
                self.finish(ticket, Err(Refused { why: Why::Unproven, said, ..Refused::link_lost() }));
            }
        }
    }

    // ---- what a list proves ----------------------------------------------------------------------------------------

    pub(super) fn progress(&mut self) {
        self.hang_up();
        let now = self.now;
        let seen = self.narrow_seen();
        let Some(narrow) = self.narrow() else { return };
        let mut over: Vec<(Ticket, Outcome)> = Vec::new();
        for (ticket, work) in &narrow.orders {
            let there = |leg: &LegId| narrow.legs.get(leg).is_some_and(|leg| !leg.name.is_empty());
            let lost = || Err(Refused { evidence: Evidence::NotDone, ..Refused::unsent(Why::NoSuchLeg) });
            let outcome = match work {
                Work::Dial(leg, _) => there(leg).then_some(Ok(Done::Proven)),
                Work::Second(dial, first, _) => match there(&dial.leg) {
                    true => Some(Ok(Done::Proven)),
                    false => (!there(first)).then(lost),
                },
                Work::Join(a, b, _) if !there(a) || !there(b) => Some(lost()),
                Work::Join(a, b, _) => narrow.partners(*a).contains(b).then_some(Ok(Done::Proven)),
                Work::Drop { leg, .. } => {
                    let over = !there(leg) && !narrow.originating.contains(leg);
                    over.then_some(Ok(Done::Proven))
                }
                Work::List(_) => Some(Ok(Done::Listed(seen.clone()))),
                Work::Load(_) => {
                    let legs = u32::try_from(narrow.channels.len()).ok();
                    Some(Ok(Done::Loaded(Load { legs, ..Load::default() })))
                }
                Work::Probe(began) => {
                    let answered = Ok(now.since(*began));
                    Some(Ok(Done::Probed(vec![Probed { interface: Interface::Management, answered }])))
                }
            };
            over.extend(outcome.map(|outcome| (*ticket, outcome)));
        }
        for (ticket, outcome) in over {
            self.finish(ticket, outcome);
        }
    }

    pub(super) fn narrow_late(&mut self, ticket: Ticket) {
        let Some(work) = self.narrow().and_then(|narrow| narrow.orders.get(&ticket)) else { return };
        let outcome = match work {
            Work::Probe(_) => {
                let answered = Err(format!("pbxapi: no answer within {WITHIN:?}"));
                Ok(Done::Probed(vec![Probed { interface: Interface::Management, answered }]))
            }
            _ => Err(Refused { why: Why::Unproven, ..Refused::link_lost() }),
        };
        self.finish(ticket, outcome);
    }

    /// The life is over: everything that waits is told.
    pub(in super::super) fn answer_narrow(&mut self) {
        let Some(narrow) = self.narrow() else { return };
        for (ticket, _) in std::mem::take(&mut narrow.orders) {
            self.say(ticket, Err(Refused::link_lost()));
        }
    }

    fn narrow_inspect(&mut self, ticket: Ticket) {
        let why = self.narrow().map(|narrow| narrow.why.clone()).unwrap_or_default();
        let closed = format!("AMI does not take us ({why}): originate, list and hang up are all that works");
        let mut findings = vec![finding(Verdict::Ok, "pbxapi answers".to_owned(), "")];
        let mut ami = finding(Verdict::Fail, closed, "ifbus setup elastix --only manager");
        ami.area = "management".to_owned();
        findings.insert(0, ami);
        self.say(ticket, Ok(Done::Inspected(findings)));
    }
}

/// What the dialplan of the server takes for the second party: a number as its telephones dial it.
fn extension(to: &Address) -> Option<String> {
    match to.form() {
        Form::Extension => Some(to.as_str().to_owned()),
        Form::E164 => Some(to.as_str().trim_start_matches('+').to_owned()),
        Form::Uri => None,
    }
}
