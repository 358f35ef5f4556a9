//! A life without AMI: what pbxapi can do alone, which is to ring one party through the server's own dialplan, to list
//! and to hang up. Everything else is refused with the reason.
//!
//! pbxapi tells of no event: the list of channels is asked for again and again, and what has changed in it is told
//! (sheet elastix, section 3). Meanwhile AMI is tried, and this life ends as soon as it opens. Orders: `orders.rs`.

mod facts;
mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ifbus_call::{Boot, LegId, Nanos, Stage, Tag};

use self::orders::Work;
use super::api::{Trouble, WITHIN};
use super::machine::{Elastix, Phase, Purpose, asterisk};
use crate::adapter::{Adapter, Down, DownReason, Input, LinkError, Output, Ready, Ticket};
use crate::asterisk::names;
use crate::names::foreign;
use crate::wire_format::pbxapi::{self, Channel};
use ifbus_call::Interface;

/// How often the channels are listed while somebody waits for something.
const POLL: Duration = Duration::from_secs(1);
/// How often otherwise: each list logs into AMI on the server.
const POLL_IDLE: Duration = Duration::from_secs(5);
/// How often AMI is tried.
const SCOUT: Duration = Duration::from_secs(60);
/// How many channels are asked for their variables at once.
const QUESTIONS_MAX: usize = 8;
/// The variable with our name of a leg; a channel that the server makes for it does not inherit it.
pub(super) const LEG: &str = "IFBUS_LEG";
/// Between the three variables of one question; no address and no id has it.
const BETWEEN: char = '~';

/// What is known in such a life.
#[derive(Debug)]
pub(super) struct Narrow {
    /// Why AMI is closed.
    pub(super) why: String,
    legs: BTreeMap<LegId, Leg>,
    /// The leg behind a channel id.
    names: BTreeMap<String, LegId>,
    /// Channels whose variables are asked for.
    asked: BTreeSet<String>,
    /// The last list.
    channels: Vec<Channel>,
    orders: BTreeMap<Ticket, Work>,
    ready: bool,
    polling: bool,
    poll: Nanos,
    scout: Nanos,
    /// Legs whose call is still under way in pbxapi.
    originating: BTreeSet<LegId>,
}

/// One leg, as the last list showed it.
#[derive(Debug, Clone)]
struct Leg {
    native: String,
    name: String,
    stage: Stage,
    bridge: String,
    party: String,
    age: Duration,
    tag: Option<Tag>,
    rang: bool,
    dropped: bool,
    /// Its originate has failed: the next list will not have it.
    failed: bool,
}

/// A question of such a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// All channels.
    Status,
    /// The variables of one.
    Variables(String),
    /// A call.
    Originate(Ticket, LegId),
    /// Its end.
    Hangup(Ticket),
}

impl Elastix {
    /// What pbxapi says where AMI does not take us.
    pub(super) fn narrow_told(&mut self, told: Result<Vec<u8>, Trouble>) {
        let Phase::Closed(down) = &self.phase else { return };
        let why = down.to_string();
        let channels = told.and_then(|body| pbxapi::channels(&body).map_err(Trouble::Answer));
        match channels {
            Err(trouble) => self.no_other_way(Some(&trouble)),
            Ok(channels) => {
                self.warn(
                    "ami_closed",
                    format!(
                        "AMI does not take us ({why}): pbxapi alone is used, which can originate, list and hang up, \
                         and nothing else; ifbus setup elastix --only manager"
                    ),
                );
                let narrow = Narrow {
                    why,
                    legs: BTreeMap::new(),
                    names: BTreeMap::new(),
                    asked: BTreeSet::new(),
                    channels: Vec::new(),
                    orders: BTreeMap::new(),
                    ready: false,
                    polling: false,
                    poll: self.now + POLL_IDLE,
                    scout: self.now + SCOUT,
                    originating: BTreeSet::new(),
                };
                self.phase = Phase::Narrow(Box::new(narrow));
                self.listed(channels);
            }
        }
    }

    pub(super) fn narrow(&mut self) -> Option<&mut Narrow> {
        match &mut self.phase {
            Phase::Narrow(narrow) => Some(narrow),
            _ => None,
        }
    }

    /// Asks for the channels, at once.
    pub(super) fn poll_now(&mut self) {
        let Some(narrow) = self.narrow() else { return };
        if !std::mem::replace(&mut narrow.polling, true) {
            self.ask(Purpose::Of(Asked::Status), "/pbxapi/manager/status".to_owned(), WITHIN);
        }
    }

    pub(super) fn narrow_answered(&mut self, asked: Asked, told: Result<Vec<u8>, Trouble>) {
        let Some(narrow) = self.narrow() else { return };
        match asked {
            Asked::Status => {
                narrow.polling = false;
                match told.and_then(|body| pbxapi::channels(&body).map_err(Trouble::Answer)) {
                    Ok(channels) => self.listed(channels),
                    Err(trouble) => self.narrow_lost(&trouble),
                }
            }
            Asked::Variables(native) => {
                narrow.asked.remove(&native);
                let value = told.and_then(|body| pbxapi::value(&body).map_err(Trouble::Answer));
                self.identified(&native, &value.unwrap_or_default());
            }
            Asked::Originate(ticket, leg) => self.originate_told(ticket, leg, told),
            Asked::Hangup(ticket) => self.hangup_told(ticket, told),
        }
    }

    fn narrow_lost(&mut self, trouble: &Trouble) {
        let reason = DownReason::Lost(LinkError::Other(format!("pbxapi: {trouble}")));
        self.down(Down { interface: Interface::Management, reason });
    }

    // ---- the list --------------------------------------------------------------------------------------------------

    fn listed(&mut self, channels: Vec<Channel>) {
        let Some(narrow) = self.narrow() else { return };
        narrow.channels = channels;
        self.bind();
        self.ask_variables();
        self.look();
    }

    /// Asks who the channels are that nobody knows.
    fn ask_variables(&mut self) {
        let Some(narrow) = self.narrow() else { return };
        let mut unknown = Vec::new();
        for channel in &narrow.channels {
            let native = &channel.id.0;
            let free = QUESTIONS_MAX.saturating_sub(narrow.asked.len());
            if unknown.len() < free && !narrow.names.contains_key(native) && !narrow.asked.contains(native) {
                unknown.push((native.clone(), channel.name.0.clone()));
            }
        }
        for (native, name) in unknown {
            let variables =
                format!("EVAL(${{{}}}{BETWEEN}${{{}}}{BETWEEN}${{{LEG}}})", names::CALL, names::ENDS);
            let path = pbxapi::question("manager/getvar", &[("channel", &name), ("variable", &variables)]);
            match path {
                Ok(path) => {
                    if let Some(narrow) = self.narrow() {
                        narrow.asked.insert(native.clone());
                    }
                    self.ask(Purpose::Of(Asked::Variables(native)), path, WITHIN);
                }
                // a name that cannot be asked for is nobody of ours
                Err(_) => self.identified(&native, ""),
            }
        }
    }

    /// Who a channel is. What a caller writes into his number is no variable of his channel.
    fn identified(&mut self, native: &str, value: &str) {
        let (instance, server) = (self.instance, self.server.clone());
        let boot = self.boot_or_none();
        let Some(narrow) = self.narrow() else { return };
        let mut parts = value.split(BETWEEN);
        let (call, ends, leg) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        let ours = names::ours(instance, native.as_bytes()).or_else(|| names::ours(instance, leg.as_bytes()));
        let id = ours.unwrap_or_else(|| foreign(&server, &boot, native.as_bytes()));
        // it may have been bound meanwhile
        if !narrow.names.contains_key(native) {
            narrow.names.insert(native.to_owned(), id);
            let tag = ours.and_then(|_| names::read(call, ends));
            narrow.legs.entry(id).or_insert_with(|| Leg::new(native, tag));
        }
        self.ask_variables();
        self.look();
    }

    pub(super) fn boot_or_none(&self) -> Boot {
        self.boot.clone().unwrap_or_else(|| Boot("unknown".to_owned()))
    }

    /// Everybody in the list is known: what has changed is told, or the life begins.
    pub(super) fn look(&mut self) {
        // until pbxapi has told how telephones are dialled, they might be dialled wrongly
        let told = self.health.told;
        let Some(narrow) = self.narrow() else { return };
        if !told
            || !narrow.asked.is_empty()
            || narrow.channels.iter().any(|channel| !narrow.names.contains_key(&channel.id.0))
        {
            return;
        }
        let began = std::mem::replace(&mut narrow.ready, true);
        self.learn(began);
        if !began {
            let ready = Ready {
                epoch: self.epoch,
                boot: self.boot_or_none(),
                version: "unknown, by pbxapi alone".to_owned(),
                seen: self.narrow_seen(),
            };
            self.out.push_back(Output::Ready(ready));
        }
        self.progress();
        self.arm();
    }

    // ---- time ------------------------------------------------------------------------------------------------------

    /// When something is due next.
    pub(super) fn arm(&mut self) {
        let now = self.now;
        let Some(narrow) = self.narrow() else { return };
        let mine = narrow.legs.values().any(|leg| leg.tag.is_some());
        let every = if mine || !narrow.orders.is_empty() { POLL } else { POLL_IDLE };
        narrow.poll = narrow.poll.min(now + every).max(now);
        let orders = narrow.orders.values().map(|work| work.due());
        let due = orders.chain([narrow.poll, narrow.scout]).min();
        self.due = due;
    }

    pub(super) fn narrow_due(&mut self) {
        let now = self.now;
        let Some(narrow) = self.narrow() else { return };
        let late: Vec<Ticket> =
            narrow.orders.iter().filter(|(_, work)| work.due() <= now).map(|(ticket, _)| *ticket).collect();
        let (polls, scouts) = (narrow.poll <= now, narrow.scout <= now);
        if polls {
            narrow.poll = now + POLL_IDLE;
        }
        if scouts {
            narrow.scout = now + SCOUT;
        }
        for ticket in late {
            self.narrow_late(ticket);
        }
        if polls {
            self.poll_now();
        }
        if scouts {
            self.inside = asterisk(&self.options, self.instance, &self.server, &mut self.random);
            self.inside.know_phones(self.health.phones.clone());
            self.inside.handle(Input::Start(self.epoch), self.now);
        }
        self.arm();
    }

    /// What AMI says when it is tried again.
    pub(super) fn scouted(&mut self, output: Output) {
        match output {
            Output::Ready(_) => {
                let reason = DownReason::Lost(LinkError::Other("AMI takes us again".to_owned()));
                self.down(Down { interface: Interface::Management, reason });
            }
            Output::Open(..) | Output::Close(_) | Output::Send(..) => self.out.push_back(output),
            _ => {}
        }
    }
}

impl Leg {
    fn new(native: &str, tag: Option<Tag>) -> Self {
        Self {
            native: native.to_owned(),
            name: String::new(),
            stage: Stage::Dialing,
            bridge: String::new(),
            party: String::new(),
            age: Duration::ZERO,
            tag,
            rang: false,
            dropped: false,
            failed: false,
        }
    }
}
