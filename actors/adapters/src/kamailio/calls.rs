//! Calls of ours: the SIP agent's, placed through the proxy. Here is only what goes between the two machines.
//!
//! The agent lives as long as this machine, longer than any life of the links: its calls do not notice that one ends.

use ifbus_call::order::{Done, Outcome};
use ifbus_call::{InstanceId, Nanos, Order, Refused, Said, Seen, Why};

use super::machine::{Kamailio, Phase};
use super::options::{Options, Sip};
use crate::adapter::{DownReason, LinkError, Output, Ticket};
use crate::sip::{Agent, AgentOptions, Dialog, SipCredential, SipEndpoint, SipEvent, SipTransport, Standing};

/// Tickets of our own questions to the agent: no driver counts so far.
const INSPECTING: u64 = 1 << 63;

/// The agent, if calls are wanted.
#[derive(Debug)]
pub(super) struct Calls(Option<Agent>);

/// How the side of SIP stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Side {
    /// Not wanted.
    Off,
    Opening,
    Open,
    Failed(LinkError),
}

impl Calls {
    pub(super) fn new(options: &Options, instance: InstanceId, seed: u64) -> Self {
        Self(options.sip.as_ref().map(|sip| Agent::new(agent_options(sip), instance, seed)))
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }
}

fn agent_options(sip: &Sip) -> AgentOptions {
    let credential = |(user, password): (String, _)| SipCredential { realm: None, user, password };
    AgentOptions {
        endpoint: SipEndpoint {
            host: sip.host.clone(),
            port: sip.port,
            transport: if sip.tcp { SipTransport::Tcp } else { SipTransport::Udp },
            listen: sip.listen,
            advertise: sip.advertise.clone(),
            credentials: sip.user.clone().map(credential).into_iter().collect(),
        },
        domain: sip.domain.clone(),
        headers: Vec::new(),
    }
}

impl Kamailio {
    pub(super) fn calls_restored(&mut self, dialogs: Vec<Dialog>) {
        if let Some(agent) = &mut self.calls.0 {
            agent.restore(dialogs);
        }
    }

    pub(super) fn calls_started(&mut self) {
        if let Some(agent) = &mut self.calls.0 {
            agent.start(self.now);
        }
    }

    pub(super) fn calls_released(&mut self) {
        if let Some(agent) = &mut self.calls.0 {
            agent.release_orders(self.now);
        }
        self.forward_calls();
    }

    pub(super) fn calls_stopped(&mut self) {
        if let Some(agent) = &mut self.calls.0 {
            agent.stop(self.now);
        }
        self.forward_calls();
    }

    pub(super) fn calls_tick(&mut self) {
        if let Some(agent) = &mut self.calls.0 {
            agent.tick(self.now);
        }
    }

    pub(super) fn calls_deadline(&self) -> Option<Nanos> {
        self.calls.0.as_ref().and_then(Agent::deadline)
    }

    pub(super) fn sip_event(&mut self, event: SipEvent) {
        if let Some(agent) = &mut self.calls.0 {
            agent.sip_event(event, self.now);
        }
    }

    pub(super) fn persisted(&mut self, number: u64, well: bool) {
        if let Some(agent) = &mut self.calls.0 {
            agent.persisted(number, well, self.now);
        }
    }

    pub(super) fn calls_side(&self) -> Side {
        match self.calls.0.as_ref().map(Agent::standing) {
            None => Side::Off,
            Some(Standing::Open) => Side::Open,
            Some(Standing::Failed(error)) => Side::Failed(error.clone()),
            Some(Standing::Off | Standing::Opening) => Side::Opening,
        }
    }

    pub(super) fn calls_seen(&self) -> Vec<Seen> {
        self.calls.0.as_ref().map(Agent::seen).unwrap_or_default()
    }

    /// Whether this installation began a dialog, whoever knows of it now.
    pub(super) fn is_of_ours(&self, call_id: &str) -> bool {
        self.calls.0.as_ref().is_some_and(|agent| agent.is_of_this_instance(call_id))
    }

    /// The server says of a dialog that it is over, or lists it no more: if it is ours, its phone is asked.
    pub(super) fn doubt_call(&mut self, call_id: &str) {
        if let Some(agent) = &mut self.calls.0
            && let Some(leg) = agent.owner(call_id)
        {
            agent.doubt(leg, self.now);
        }
    }

    pub(super) fn order_calls(&mut self, ticket: Ticket, order: Order) {
        match (&mut self.calls.0, order) {
            (Some(agent), order) => agent.order(ticket, order, self.now),
            (None, Order::ProbeSip) => {
                self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(Vec::new()))));
            }
            // a leg that is gone already
            (None, Order::Drop { .. }) => self.out.push_back(Output::Answer(ticket, Ok(Done::Proven))),
            (None, _) => {
                let said = Said::new(None, "sip=off: calls of others are listed and ended, none is made");
                let refused = Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) };
                self.refuse(ticket, refused);
            }
        }
    }

    /// Asks SIP for a sign of life, for an inspection.
    pub(super) fn ask_sip_for(&mut self, ticket: Ticket) {
        if let Some(agent) = &mut self.calls.0 {
            agent.order(Ticket(INSPECTING | ticket.0), Order::ProbeSip, self.now);
        }
    }

    fn sip_asked(&mut self, ticket: Ticket, outcome: Outcome) {
        let answered = match outcome {
            Ok(Done::Probed(probed)) => probed.into_iter().next().map(|probed| probed.answered),
            Ok(_) => None,
            Err(refused) => Some(Err(refused.to_string())),
        };
        self.sip_inspected(ticket, answered.unwrap_or_else(|| Err("nothing was asked".to_owned())));
    }

    /// Hands on what the agent wants, and goes on when its endpoint stands.
    pub(super) fn settle_calls(&mut self) {
        self.forward_calls();
        match (self.phase, self.calls_side()) {
            (Phase::Rising, Side::Open | Side::Failed(_)) => self.advance(),
            (Phase::Ready, Side::Failed(error)) => {
                self.down(ifbus_call::Interface::Sip, DownReason::Lost(error));
            }
            _ => {}
        }
        self.forward_calls();
    }

    fn forward_calls(&mut self) {
        while let Some(output) = self.calls.0.as_mut().and_then(Agent::poll) {
            match output {
                Output::Answer(ticket, outcome) if ticket.0 & INSPECTING != 0 => {
                    self.sip_asked(Ticket(ticket.0 & !INSPECTING), outcome);
                }
                other => self.out.push_back(other),
            }
        }
    }
}
