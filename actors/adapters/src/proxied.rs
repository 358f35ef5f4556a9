//! What all kinds share that place their calls through a proxy: the settings of the SIP side, and the agent as an
//! adapter holds it.
//!
//! The agent lives as long as its adapter, longer than any life of the links: its calls do not notice that one ends. Not
//! here: what the agent does with a call (`sip/`), and what a server says of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use ifbus_call::order::{Done, Outcome};
use ifbus_call::{InstanceId, LegId, Nanos, Order, Refused, Said, ServerName, Why};

use crate::adapter::{LinkError, Output, Secret, Ticket};
use crate::key::{BadOptions, Key, is_of_host, key, name, required, sip, text};
use crate::sip::{Agent, AgentOptions, SipAnchor, SipCredential, SipEndpoint, SipTransport, Standing, Wire};

/// Tickets of an adapter's own questions to the agent: no driver counts so far.
const INSPECTING: u64 = 1 << 63;

/// Where calls are placed.
pub(crate) const SIP: Key = key(
    "sip",
    "where calls are placed: host:port, or off",
    "the host, port 5060",
    "without it calls are listed and ended, none is made",
);
/// How SIP travels.
pub(crate) const TRANSPORT: Key =
    key("sip_transport", "how SIP travels: udp or tcp", "udp", "every proxy has it");
/// Our own address.
pub(crate) const LISTEN: Key = key(
    "sip_listen",
    "our own address and port for SIP",
    "127.0.0.1:0 for a server on this machine, else required",
    "phones come back to it after a restart of ours, so it must stay the same",
);
/// What phones are told of it.
pub(crate) const ADVERTISE: Key =
    key("sip_advertise", "what phones are told of it instead, host:port", "", "behind NAT it is another one");
/// Who we are to the proxy.
pub(crate) const USER: Key =
    key("sip_user", "user for SIP digest authentication", "", "the usual other way is to trust our address");
/// The password to it.
pub(crate) const SECRET: Key = key("sip_secret", "its password", "", "never a default password").hidden();
/// The host part of addresses.
pub(crate) const DOMAIN: Key =
    key("domain", "host part of addresses that have none", "the host", "the proxy's own domain");

/// The server that lends its media.
pub(crate) const ANCHOR: Key = key(
    "anchor",
    "name of the server of the fleet that lends conferences, recordings, mute and music",
    "",
    "a proxy has no media; without it what needs media is refused",
);
/// Where that server calls us.
pub(crate) const ANCHOR_LISTEN: Key = key(
    "anchor_listen",
    "our own address and port for the anchor's calls",
    "that of sip_listen, the next port",
    "the anchor calls us for each leg; it must stay the same, too",
);

/// Where and as whom calls are placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Name or address of the proxy.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// One connection instead of datagrams.
    pub tcp: bool,
    /// Our own address and port.
    pub listen: SocketAddr,
    /// What phones are told instead.
    pub advertise: Option<(String, u16)>,
    /// User and password for digest authentication.
    pub user: Option<(String, Secret)>,
    /// Host part of addresses that have none.
    pub domain: String,
    /// Our own address and port for a media anchor.
    pub anchor_listen: SocketAddr,
    /// The SIP side of the media anchor, if there is one.
    pub anchor: Option<(String, u16)>,
}

impl Sip {
    /// Checks the settings of the SIP side; nothing, where it is switched off.
    pub(crate) fn new(given: &BTreeMap<String, String>, server: &str) -> Result<Option<Self>, BadOptions> {
        let Some((host, port)) = sip(given, server)? else { return Ok(None) };
        let tcp = match given.get("sip_transport").map_or("udp", String::as_str) {
            "udp" => false,
            "tcp" => true,
            _ => return Err(BadOptions::Text("sip_transport")),
        };
        let user = given.contains_key("sip_user").then(|| name(given, "sip_user", "")).transpose()?;
        let user = match user {
            Some(user) => Some((user, Secret::new(required(given, "sip_secret")?))),
            None => None,
        };
        let domain = text(given, "domain", server)?;
        if !domain.bytes().all(is_of_host) {
            return Err(BadOptions::Text("domain"));
        }
        // Which server that is, only the fleet knows.
        if let Some(anchor) = given.get("anchor") {
            anchor.parse::<ServerName>().map_err(|_| BadOptions::Text("anchor"))?;
        }
        let (listen, advertise) = (listen(given, &host)?, advertise(given)?);
        let anchor_listen = anchor_listen(given, listen)?;
        Ok(Some(Self { host, port, tcp, listen, advertise, user, domain, anchor_listen, anchor: None }))
    }

    fn agent(&self) -> AgentOptions {
        let credential = |(user, password): (String, _)| SipCredential { realm: None, user, password };
        AgentOptions {
            endpoint: SipEndpoint {
                host: self.host.clone(),
                port: self.port,
                transport: if self.tcp { SipTransport::Tcp } else { SipTransport::Udp },
                listen: self.listen,
                advertise: self.advertise.clone(),
                credentials: self.user.clone().map(credential).into_iter().collect(),
                anchor: self.anchor.clone().map(|(host, port)| SipAnchor {
                    host,
                    port,
                    listen: self.anchor_listen,
                }),
            },
            domain: self.domain.clone(),
            headers: Vec::new(),
        }
    }
}

/// On this machine every port will do; elsewhere nobody can guess which of our addresses phones reach.
fn listen(given: &BTreeMap<String, String>, host: &str) -> Result<SocketAddr, BadOptions> {
    match given.get("sip_listen") {
        Some(value) => value.parse().map_err(|_| BadOptions::Text("sip_listen")),
        None if host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()) => {
            Ok(SocketAddr::from(([127, 0, 0, 1], 0)))
        }
        None => Err(BadOptions::Missing("sip_listen")),
    }
}

fn anchor_listen(given: &BTreeMap<String, String>, sip: SocketAddr) -> Result<SocketAddr, BadOptions> {
    match given.get("anchor_listen") {
        Some(value) => value.parse().map_err(|_| BadOptions::Text("anchor_listen")),
        // Where any port will do for the one, it will for the other.
        None if sip.port() == 0 => Ok(sip),
        None => Ok(SocketAddr::new(sip.ip(), sip.port().wrapping_add(1))),
    }
}

fn advertise(given: &BTreeMap<String, String>) -> Result<Option<(String, u16)>, BadOptions> {
    let Some(value) = given.get("sip_advertise") else { return Ok(None) };
    let bad = BadOptions::Text("sip_advertise");
    let Some((host, port)) = value.rsplit_once(':') else { return Err(bad) };
    match port.parse::<u16>() {
        Ok(port @ 1..) if !host.is_empty() && host.len() <= 100 && host.bytes().all(is_of_host) => {
            Ok(Some((host.to_owned(), port)))
        }
        _ => Err(bad),
    }
}

/// The agent. It is never started where calls are not wanted.
#[derive(Debug)]
pub(crate) struct Calls {
    agent: Agent,
    wanted: bool,
}

/// How the side of SIP stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Side {
    /// Not wanted.
    Off,
    Opening,
    Open,
    Failed(LinkError),
}

/// What the agent hands on.
#[derive(Debug)]
pub(crate) enum Handed {
    /// For the driver.
    Output(Box<Output>),
    /// What came of [`Calls::ask_sip`].
    Asked(Ticket, Result<Duration, String>),
}

impl Calls {
    pub(crate) fn new(sip: Option<&Sip>, instance: InstanceId, seed: u64) -> Self {
        let options = sip.map_or_else(unwanted, Sip::agent);
        Self { agent: Agent::new(options, instance, seed), wanted: sip.is_some() }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    pub(crate) const fn agent(&self) -> &Agent {
        &self.agent
    }

    pub(crate) const fn agent_mut(&mut self) -> &mut Agent {
        &mut self.agent
    }

    pub(crate) fn start(&mut self, now: Nanos) {
        if self.wanted {
            self.agent.start(now);
        }
    }

    pub(crate) fn side(&self) -> Side {
        match self.agent.standing() {
            _ if !self.wanted => Side::Off,
            Standing::Open => Side::Open,
            Standing::Failed(error) => Side::Failed(error.clone()),
            Standing::Off | Standing::Opening => Side::Opening,
        }
    }

    /// The server says of a dialog that it is over, or lists it no more: if it is ours, its phone is asked.
    pub(crate) fn doubt(&mut self, call_id: &str, now: Nanos) {
        if let Some(leg) = self.agent.owner(call_id) {
            self.agent.doubt(leg, now);
        }
    }

    /// Carries out an order of a call; what can be answered without an agent is the answer.
    pub(crate) fn order(&mut self, ticket: Ticket, order: Order, now: Nanos) -> Option<Outcome> {
        match order {
            order if self.wanted => {
                self.agent.order(ticket, order, now);
                None
            }
            Order::ProbeSip => Some(Ok(Done::Probed(Vec::new()))),
            // a leg that is gone already
            Order::Drop { .. } => Some(Ok(Done::Proven)),
            _ => {
                let said = Said::new(None, "sip=off: calls of others are listed and ended, none is made");
                Some(Err(Refused { said: Some(said), ..Refused::unsent(Why::Prerequisite) }))
            }
        }
    }

    /// Says BYE to a phone of a call of others, if SIP is spoken at all ([`Agent::end_stranger`]).
    pub(crate) fn end_stranger(&mut self, leg: LegId, wire: Wire, now: Nanos) {
        if self.wanted {
            self.agent.end_stranger(leg, wire, now);
        }
    }

    /// Asks SIP for a sign of life, for an inspection.
    pub(crate) fn ask_sip(&mut self, ticket: Ticket, now: Nanos) {
        if self.wanted {
            self.agent.order(Ticket(INSPECTING | ticket.0), Order::ProbeSip, now);
        }
    }

    pub(crate) fn poll(&mut self) -> Option<Handed> {
        Some(match self.agent.poll()? {
            Output::Answer(ticket, outcome) if ticket.0 & INSPECTING != 0 => {
                Handed::Asked(Ticket(ticket.0 & !INSPECTING), asked(outcome))
            }
            other => Handed::Output(Box::new(other)),
        })
    }
}

/// What an agent has that is never started.
fn unwanted() -> AgentOptions {
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let sip = Sip {
        host: String::new(),
        port: 0,
        tcp: false,
        listen: nowhere,
        advertise: None,
        user: None,
        domain: "localhost".to_owned(),
        anchor_listen: nowhere,
        anchor: None,
    };
    sip.agent()
}

fn asked(outcome: Outcome) -> Result<Duration, String> {
    match outcome {
        Ok(Done::Probed(probed)) => {
            let answered = probed.into_iter().next().map(|probed| probed.answered);
            answered.unwrap_or_else(|| Err("nothing was asked".to_owned()))
        }
        Ok(_) => Err("nothing was asked".to_owned()),
        Err(refused) => Err(refused.to_string()),
    }
}
