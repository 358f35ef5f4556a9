//! Calls of ours: the SIP agent's, placed through the proxy. Here is only what goes between the two machines.
//!
//! The agent lives as long as this machine, longer than any life of the links: its calls do not notice that one ends.

use std::net::SocketAddr;

use ifbus_call::order::{Done, Outcome};
use ifbus_call::{InstanceId, Nanos, Order, Refused, Said, Seen, Why};

use super::machine::{Kamailio, Phase};
use super::options::Options;
use crate::adapter::{DownReason, LinkError, Output, Ticket};
use crate::anchor::Proxied;
use crate::sip::{Agent, AgentOptions, Dialog, SipCredential, SipEndpoint, SipEvent, SipTransport, Standing};

/// Tickets of our own questions to the agent: no driver counts so far.
const INSPECTING: u64 = 1 << 63;

/// The agent; where calls are not wanted it is never started.
#[derive(Debug)]
pub(super) struct Calls {
    agent: Agent,
    wanted: bool,
}

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
        let agent = Agent::new(agent_options(options), instance, seed);
        Self { agent, wanted: options.sip.is_some() }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.wanted
    }
}

fn agent_options(options: &Options) -> AgentOptions {
    let Some(sip) = &options.sip else { return nowhere() };
    let credential = |(user, password): (String, _)| SipCredential { realm: None, user, password };
    AgentOptions {
        endpoint: SipEndpoint {
            host: sip.host.clone(),
            port: sip.port,
            transport: if sip.tcp { SipTransport::Tcp } else { SipTransport::Udp },
            listen: sip.listen,
            advertise: sip.advertise.clone(),
            credentials: sip.user.clone().map(credential).into_iter().collect(),
            anchor: None,
        },
        domain: sip.domain.clone(),
        headers: Vec::new(),
    }
}

/// Of an agent that is never started.
fn nowhere() -> AgentOptions {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    AgentOptions {
        endpoint: SipEndpoint {
            host: "localhost".to_owned(),
            port: 5060,
            transport: SipTransport::Udp,
            listen,
            advertise: None,
            credentials: Vec::new(),
            anchor: None,
        },
        domain: "localhost".to_owned(),
        headers: Vec::new(),
    }
}

impl Proxied for Kamailio {
    fn agent(&self) -> &Agent {
        &self.calls.agent
    }

    fn with_agent(&mut self, work: &mut dyn FnMut(&mut Agent)) {
        work(&mut self.calls.agent);
        self.settle_calls();
    }
}

impl Kamailio {
    pub(super) fn calls_restored(&mut self, dialogs: Vec<Dialog>) {
        self.calls.agent.restore(dialogs);
    }

    pub(super) fn calls_started(&mut self) {
        if self.calls.wanted {
            self.calls.agent.start(self.now);
        }
    }

    pub(super) fn calls_released(&mut self) {
        self.calls.agent.release_orders(self.now);
        self.forward_calls();
    }

    pub(super) fn calls_stopped(&mut self) {
        self.calls.agent.stop(self.now);
        self.forward_calls();
    }

    pub(super) fn calls_tick(&mut self) {
        self.calls.agent.tick(self.now);
    }

    pub(super) fn calls_deadline(&self) -> Option<Nanos> {
        self.calls.agent.deadline()
    }

    pub(super) fn sip_event(&mut self, event: SipEvent) {
        self.calls.agent.sip_event(event, self.now);
    }

    pub(super) fn persisted(&mut self, number: u64, well: bool) {
        self.calls.agent.persisted(number, well, self.now);
    }

    pub(super) fn calls_side(&self) -> Side {
        match self.calls.agent.standing() {
            _ if !self.calls.wanted => Side::Off,
            Standing::Open => Side::Open,
            Standing::Failed(error) => Side::Failed(error.clone()),
            Standing::Off | Standing::Opening => Side::Opening,
        }
    }

    pub(super) fn calls_seen(&self) -> Vec<Seen> {
        self.calls.agent.seen()
    }

    /// Whether this installation began a dialog, whoever knows of it now.
    pub(super) fn is_of_ours(&self, call_id: &str) -> bool {
        self.calls.agent.is_of_this_instance(call_id)
    }

    /// The server says of a dialog that it is over, or lists it no more: if it is ours, its phone is asked.
    pub(super) fn doubt_call(&mut self, call_id: &str) {
        if let Some(leg) = self.calls.agent.owner(call_id) {
            self.calls.agent.doubt(leg, self.now);
        }
    }

    pub(super) fn order_calls(&mut self, ticket: Ticket, order: Order) {
        match (self.calls.wanted, order) {
            (true, order) => self.calls.agent.order(ticket, order, self.now),
            (false, Order::ProbeSip) => {
                self.out.push_back(Output::Answer(ticket, Ok(Done::Probed(Vec::new()))));
            }
            // a leg that is gone already
            (false, Order::Drop { .. }) => self.out.push_back(Output::Answer(ticket, Ok(Done::Proven))),
            (false, _) => {
                let said = Said::new(None, "sip=off: calls of others are listed and ended, none is made");
                let refused = Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) };
                self.refuse(ticket, refused);
            }
        }
    }

    /// Asks SIP for a sign of life, for an inspection.
    pub(super) fn ask_sip_for(&mut self, ticket: Ticket) {
        if self.calls.wanted {
            self.calls.agent.order(Ticket(INSPECTING | ticket.0), Order::ProbeSip, self.now);
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
        while let Some(output) = self.calls.agent.poll() {
            match output {
                Output::Answer(ticket, outcome) if ticket.0 & INSPECTING != 0 => {
                    self.sip_asked(Ticket(ticket.0 & !INSPECTING), outcome);
                }
                other => self.out.push_back(other),
            }
        }
    }
}
