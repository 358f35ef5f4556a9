//! Legs that are called: `originate`, and the dialplan's own `bridge`; the phone's reaction to the invitation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::leg::{Leg, Stage};
use super::world::{TURN, Timer, World};
use crate::phone::Decision;

/// SIP timer B.
const NOBODY: Duration = Duration::from_secs(32);

/// `{a=b,c='d e'}destination &app(data)`, read as the server reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) variables: Vec<(String, String)>,
    pub(super) destination: String,
    pub(super) app: String,
}

/// Reads an originate. A comma in a value has to be escaped even inside quotes; the application ends at the first `)`.
pub(super) fn read(arguments: &str) -> Option<Request> {
    let (variables, rest) = match arguments.strip_prefix('{') {
        Some(inside) => {
            let (inside, rest) = inside.split_once('}')?;
            (variables(inside), rest)
        }
        None => (vec![], arguments),
    };
    let (destination, app) = rest.split_once(" &")?;
    let app = app.split(')').next().unwrap_or_default();
    (!destination.contains(' ')).then(|| Request {
        variables,
        destination: destination.to_owned(),
        app: app.replacen('(', ":", 1).trim_end_matches(':').to_owned(),
    })
}

fn variables(text: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        match c {
            ',' | '\'' if escaped => parts.last_mut().expect("there is always one").push(c),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            ',' => parts.push(String::new()),
            '\'' => {}
            c => parts.last_mut().expect("there is always one").push(c),
        }
        escaped = false;
    }
    parts
        .iter()
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// The number that a destination rings: `sofia/lab/1001@h`, `user/1001`, `sofia/gateway/trunk/49301`,
/// `sofia/lab/sip:1001@h`.
fn number_of(destination: &str) -> Option<String> {
    let last = destination.rsplit('/').next()?;
    let last = last.strip_prefix("sip:").or(last.strip_prefix("sips:")).unwrap_or(last);
    Some(last.split(['@', '%', ';']).next()?.to_owned())
}

impl World {
    /// `originate`: the job ends when the leg is answered, or with the reason why not.
    pub(super) fn originate(&mut self, arguments: &str, job: Option<String>) {
        self.originates += 1;
        let fails = |world: &mut Self, job: Option<String>, cause: &str| {
            if let Some(job) = job {
                world.after(Duration::from_millis(2), Timer::Job(job, format!("-ERR {cause}\n")));
            }
        };
        let Some(request) = read(arguments) else { return fails(self, job, "DESTINATION_OUT_OF_ORDER") };
        let variables: BTreeMap<String, String> = request.variables.into_iter().collect();
        let uuid = variables.get("origination_uuid").cloned().unwrap_or_else(|| self.random.uuid());
        let number = number_of(&request.destination).unwrap_or_default();
        let cause = match request.destination.split('/').collect::<Vec<_>>().as_slice() {
            ["user", _] if !self.options.phones.contains(&number) => Some("USER_NOT_REGISTERED"),
            ["user", _] => None,
            ["sofia", "gateway", "gw-dead", ..] => Some("GATEWAY_DOWN"),
            ["sofia", "gateway", "nosuch", ..] => Some("INVALID_GATEWAY"),
            ["sofia", "nosuch", ..] => Some("INVALID_PROFILE"),
            ["sofia", _, ..] => None,
            _ => Some("CHAN_NOT_IMPLEMENTED"),
        };
        // every limit of the server's own says the same, without a leg (sheet section 0)
        let full = self.paused.1 || !self.has_room() || self.legs.contains_key(&uuid);
        let cause = if full { Some("DESTINATION_OUT_OF_ORDER") } else { cause };
        if let Some(cause) = cause {
            if matches!(cause, "GATEWAY_DOWN" | "INVALID_GATEWAY" | "INVALID_PROFILE") {
                let event =
                    self.event("CHANNEL_DESTROY").with("Channel-State", "CS_NONE").with("Unique-ID", &uuid);
                self.tell(event.with("Answer-State", "ringing"));
            }
            return fails(self, job, cause);
        }
        let mut leg = self.new_leg(uuid.clone(), &number, false);
        let caller = variables.get("origination_caller_id_number").cloned();
        leg.caller = caller.unwrap_or_else(|| "0000000000".into());
        leg.originate = Some((job, request.app));
        leg.by_directory = request.destination.starts_with("user/");
        let seconds = variables.get("originate_timeout").and_then(|text| text.parse().ok()).unwrap_or(60);
        leg.variables = variables;
        self.call(leg, seconds);
    }

    /// Makes a leg known and sends the INVITE.
    pub(super) fn call(&mut self, leg: Leg, seconds: u64) {
        let (uuid, number, plan, caller) =
            (leg.uuid.clone(), leg.number.clone(), leg.plan.clone(), leg.caller.clone());
        self.legs.insert(uuid.clone(), leg);
        self.tell_of("CHANNEL_CREATE", &uuid);
        if let Some(leg) = self.leg_mut(&uuid) {
            leg.state = "CS_CONSUME_MEDIA";
        }
        // the timer counts whole seconds, and was early by up to one (sheet section 3)
        let early = Duration::from_millis(50 + self.random.below(200) as u64);
        self.after(Duration::from_secs(seconds).saturating_sub(early), Timer::DialTimeout(uuid.clone()));
        if self.sip_dead || plan.decision == Decision::Silent {
            return self.after(NOBODY, Timer::NobodyThere(uuid));
        }
        let witness = self.witness(&number);
        witness.rings += 1;
        witness.caller = Some(caller);
        if let Some(after) = plan.ringing {
            self.after(after, Timer::PhoneRings(uuid.clone()));
        }
        if let Some(after) = plan.early {
            self.after(after, Timer::PhoneProgress(uuid.clone()));
        }
        match plan.decision {
            Decision::Answer(after) => self.after(after, Timer::PhoneAnswers(uuid)),
            Decision::Refuse(status, after) => self.after(after, Timer::PhoneRefuses(uuid, status)),
            Decision::Ring | Decision::Silent => {}
        }
    }

    pub(super) fn phone_rings(&mut self, uuid: &str) {
        let now = self.now;
        let Some(leg) = self.leg_mut(uuid).filter(|leg| leg.stage == Stage::Dialing) else { return };
        leg.rang = Some(now);
        leg.stage = Stage::Ringing;
        self.tell_of("CHANNEL_PROGRESS", uuid);
    }

    pub(super) fn phone_progresses(&mut self, uuid: &str) {
        let Some(leg) = self.leg_mut(uuid).filter(|leg| leg.stage < Stage::Early) else { return };
        leg.stage = Stage::Early;
        self.tell_of("CHANNEL_PROGRESS_MEDIA", uuid);
    }

    pub(super) fn phone_answers(&mut self, uuid: &str) {
        let now = self.now;
        let dead = self.sip_dead;
        let Some(leg) = self.leg_mut(uuid).filter(|leg| !leg.is_up() && !dead) else { return };
        leg.stage = Stage::Up;
        leg.up = true;
        leg.answered = Some(now);
        leg.disposition = "ANSWER";
        let (acts, caller) = (leg.plan.acts.clone(), leg.dialed_by.clone());
        self.tell_of("CHANNEL_ANSWER", uuid);
        for (after, act) in acts {
            self.after(after, Timer::PhoneActs(uuid.to_owned(), act));
        }
        if let Some(caller) = caller {
            return self.callee_answered(&caller, uuid);
        }
        self.after(TURN, Timer::Lands(uuid.to_owned()));
    }

    /// The leg runs what its originate said. One that was dialled through the directory and is wanted elsewhere by now
    /// does not, and its originate ends as if it had been canceled (seen).
    pub(super) fn lands(&mut self, uuid: &str) {
        let Some(leg) = self.leg_mut(uuid) else { return };
        let Some((job, app)) = leg.originate.take() else { return };
        let lost = leg.by_directory && leg.wanted;
        if let Some(job) = job {
            let body = if lost { "-ERR ORIGINATOR_CANCEL\n".to_owned() } else { format!("+OK {uuid}\n") };
            self.job_done(&job, &body);
        }
        if lost {
            return;
        }
        // it may have been joined in the moment before
        if self.legs.get(uuid).is_some_and(|leg| leg.partner.is_none()) {
            self.run(uuid, &app);
        }
    }

    pub(super) fn phone_refuses(&mut self, uuid: &str, status: u16) {
        if self.sip_dead || self.legs.get(uuid).is_none_or(Leg::is_up) {
            return;
        }
        if let Some(leg) = self.leg_mut(uuid) {
            leg.refused = Some(status);
        }
        self.hang_up(uuid, cause_of_status(status), "recv_refuse");
    }

    pub(super) fn nobody_there(&mut self, uuid: &str) {
        if self.legs.get(uuid).is_some_and(|leg| leg.stage == Stage::Dialing) {
            self.hang_up(uuid, "RECOVERY_ON_TIMER_EXPIRE", "recv_refuse");
        }
    }

    pub(super) fn dial_timed_out(&mut self, uuid: &str) {
        if self.legs.get(uuid).is_some_and(|leg| !leg.is_up()) {
            self.hang_up(uuid, "NO_ANSWER", "send_cancel");
        }
    }
}

/// The server's word for a SIP status (sheet section 3).
pub(super) fn cause_of_status(status: u16) -> &'static str {
    match status {
        486 | 600 => "USER_BUSY",
        480 => "NO_USER_RESPONSE",
        408 | 504 => "RECOVERY_ON_TIMER_EXPIRE",
        401..=403 | 407 | 603 | 608 => "CALL_REJECTED",
        404 => "UNALLOCATED_NUMBER",
        410 => "NUMBER_CHANGED",
        484 => "INVALID_NUMBER_FORMAT",
        485 | 604 => "NO_ROUTE_DESTINATION",
        487 => "ORIGINATOR_CANCEL",
        488 | 606 => "INCOMPATIBLE_DESTINATION",
        400 | 481 | 500 | 503 => "NORMAL_TEMPORARY_FAILURE",
        502 => "NETWORK_OUT_OF_ORDER",
        482 | 483 => "EXCHANGE_ROUTING_ERROR",
        _ => "NORMAL_UNSPECIFIED",
    }
}
