//! Legs that are called: Originate, the phone's reaction to the invitation, and the ends of an attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use super::channels::{After, Channel, Landing, Originate, Party, Place, State};
use super::happening::{CALL, Happening, Teller};
use super::options::Contact;
use super::orders::FENCE;
use super::profile::cause_of_status;
use super::world::{Timer, World};
use crate::phone::Decision;

/// SIP timer B.
const NOBODY: Duration = Duration::from_secs(32);

/// An address after `PJSIP/`: endpoint, and the number the far end is known by.
pub(super) fn resource(dialed: &str) -> (String, String) {
    if let Some((endpoint, uri)) = dialed.split_once('/') {
        let user = uri.trim_start_matches("sip:").split(['@', ';']).next().unwrap_or_default();
        return (endpoint.to_owned(), user.to_owned());
    }
    match dialed.split_once('@') {
        Some((number, endpoint)) => (endpoint.to_owned(), number.to_owned()),
        None => (dialed.to_owned(), dialed.to_owned()),
    }
}

impl World {
    /// Carries out an accepted `Originate … Async: true`.
    pub(super) fn originate(
        &mut self,
        order: Originate,
        id: Option<String>,
        timeout: Duration,
        variables: Vec<(String, String)>,
    ) {
        self.originates += 1;
        let id = id.unwrap_or_else(|| self.next_id());
        let (tech, dialed) = order.asked.split_once('/').unwrap_or((&order.asked, ""));
        let (endpoint, number) = resource(dialed);
        let reachable = tech == self.style.tech && self.may_call(&endpoint);
        if !reachable || self.channels.contains_key(&id) {
            let told = self.originate_response(&order, &id, None, 0);
            return self.tell(told);
        }
        let mut channel = self.new_channel(id.clone(), &endpoint, number, dialed);
        channel.originate = Some(order.clone());
        self.begin(channel);
        self.occupy(&id, ("AppDial2", "(Outgoing Line)"));
        for (name, value) in variables {
            let told = self.varset(&self.channels[&id], &name, &value);
            self.tell(told);
            let channel = self.channels.get_mut(&id).expect("it was just inserted");
            channel.variables.insert(name.trim_start_matches('_').to_owned(), value.clone());
            if name == FENCE {
                self.fence(&id, &value);
            }
        }
        if let Some(caller) = order.caller {
            let channel = self.channels.get_mut(&id).expect("it was just inserted");
            channel.caller.number = caller.number.clone().or(channel.caller.number.take());
            channel.caller.name = caller.name.clone().or(channel.caller.name.take());
            let told = self.caller_id(&self.channels[&id]);
            self.tell(told);
            self.channels.get_mut(&id).expect("it was just inserted").connected = caller;
            let told = self.connected_line(&self.channels[&id]);
            self.tell(told);
        }
        self.invite(&id);
        self.after(timeout, Timer::DialTimeout(id));
    }

    /// Whether a channel to this endpoint would be made at all.
    pub(super) fn can_reach(&self, endpoint: &str) -> bool {
        let known = self.endpoints.get(endpoint);
        known.is_some_and(|e| e.contact != Contact::Unregistered) && !self.unreachable.contains(endpoint)
    }

    /// A new outgoing channel, not yet known to anybody.
    pub(super) fn new_channel(
        &mut self,
        id: String,
        endpoint: &str,
        number: String,
        dialed: &str,
    ) -> Channel {
        let named = self.endpoints.get(endpoint).is_some_and(|e| e.named);
        let context = self.endpoints.get(endpoint).map_or("default", |e| e.context.as_str()).to_owned();
        let caller = if named {
            Party { number: Some(endpoint.to_owned()), name: Some(format!("Phone {endpoint}")) }
        } else {
            Party::default()
        };
        Channel {
            name: self.next_name(endpoint),
            endpoint: endpoint.to_owned(),
            plan: self.plan_of(&number),
            number,
            dialed: dialed.to_owned(),
            linked: id.clone(),
            linked_rank: self.next_rank(),
            id,
            state: State::Down,
            caller,
            connected: Party::default(),
            place: Place { context, exten: "s".into(), priority: 1 },
            returns: vec![],
            back: None,
            transferer: None,
            app: String::new(),
            data: String::new(),
            idle: ("", ""),
            bridge: None,
            after: After::End,
            in_dialplan: false,
            variables: BTreeMap::new(),
            created: self.now,
            answered: None,
            originate: None,
            dialed_by: None,
            line: None,
            protocol: String::new(),
            phone_up: false,
            phone_holds: false,
            music: false,
            ringback: false,
            muted_in: false,
            muted_out: false,
            stay: 0,
            fence: 0,
        }
    }

    /// The application of the dialling side shows on the channel: Newexten.
    pub(super) fn occupy(&mut self, id: &str, app: (&'static str, &'static str)) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.idle = app;
        (channel.app, channel.data) = (app.0.to_owned(), app.1.to_owned());
        let told = self.newexten(&self.channels[id]);
        self.tell(told);
    }

    /// Makes a channel known: Newchannel.
    pub(super) fn begin(&mut self, channel: Channel) {
        let told = self.newchannel(&channel);
        self.tell(told);
        self.names.insert(channel.name.clone(), channel.id.clone());
        self.channels.insert(channel.id.clone(), channel);
    }

    /// Sends the INVITE: DialBegin, and the phone begins to act on its plan.
    pub(super) fn invite(&mut self, id: &str) {
        let protocol = self.random.uuid();
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.protocol = protocol;
        let (number, plan, caller) =
            (channel.number.clone(), channel.plan.clone(), channel.connected.number.clone());
        let port = (10_000 + 2 * self.random.below(5000)).to_string();
        let source = ("res_rtp_asterisk.c", "rtp_allocate_transport", 4179);
        let test = self.test_event("RTP_PORT_ALLOCATED", source, &[("Port", &port)]);
        self.tell(test);
        let told = self.dial("DialBegin", &self.channels[id], None);
        self.tell(told);
        let outside = !self.sip_dead && self.call_outside(id);
        if outside {
            return;
        }
        if self.sip_dead || plan.decision == Decision::Silent {
            return self.after(NOBODY, Timer::NobodyThere(id.to_owned()));
        }
        let witness = self.witness(&number);
        witness.rings += 1;
        witness.caller = caller;
        if let Some(after) = plan.ringing {
            self.after(after, Timer::PhoneRings(id.to_owned()));
        }
        if let Some(after) = plan.early {
            self.after(after, Timer::PhoneProgress(id.to_owned()));
        }
        match plan.decision {
            Decision::Answer(after) => self.after(after, Timer::PhoneAnswers(id.to_owned())),
            Decision::Refuse(status, after) => self.after(after, Timer::PhoneRefuses(id.to_owned(), status)),
            Decision::Ring | Decision::Silent => {}
        }
    }

    pub(super) fn phone_rings(&mut self, id: &str) {
        let Some(channel) = self.channels.get_mut(id).filter(|c| c.state == State::Down) else { return };
        let before = channel.clone();
        let endpoint = channel.endpoint.clone();
        channel.state = State::Ringing;
        // DialState may still show the state before, when it is told first (seen).
        let swapped = self.random.chance(0.3);
        let now = self.channels[id].clone();
        let state = self.newstate(&now);
        let dial = self.dial("DialState", if swapped { &before } else { &now }, Some("RINGING"));
        let order = if swapped { [dial, state] } else { [state, dial] };
        order.into_iter().for_each(|told| self.tell(told));
        self.device_changed(&endpoint);
    }

    pub(super) fn phone_progresses(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id).filter(|c| !c.is_up()) else { return };
        let told = self.dial("DialState", channel, Some("PROGRESS"));
        self.tell(told);
    }

    pub(super) fn phone_answers(&mut self, id: &str) {
        if self.sip_dead {
            return;
        }
        let now = self.now;
        let Some(channel) = self.channels.get_mut(id).filter(|c| !c.phone_up) else { return };
        channel.phone_up = true;
        channel.state = State::Up;
        channel.answered = Some(now);
        for (after, act) in channel.plan.acts.clone() {
            self.after(after, Timer::PhoneActs(id.to_owned(), act));
        }
        let endpoint = self.channels[id].endpoint.clone();
        self.announce_answer(id);
        self.device_changed(&endpoint);
    }

    fn announce_answer(&mut self, id: &str) {
        let channel = &self.channels[id];
        let state = self.newstate(channel);
        let end = self.dial("DialEnd", channel, Some("ANSWER"));
        let Some(order) = channel.originate.clone() else {
            self.tell_at_once(vec![vec![state], vec![end]]);
            return self.dialed_leg_answered(id);
        };
        let response = self.originate_response(&order, id, Some(channel), 4);
        self.tell_at_once(vec![vec![state], vec![end], vec![response]]);
        self.processed += 1;
        self.land(id, order.landing);
    }

    fn land(&mut self, id: &str, landing: Landing) {
        let Some(channel) = self.channels.get_mut(id) else { return };
        channel.originate = None;
        match landing {
            Landing::Place(place) => {
                channel.in_dialplan = true;
                channel.after = After::Continue;
                channel.place = place;
                self.run(id);
            }
            Landing::App(app, data) => self.run_app_alone(id, &app, &data),
        }
    }

    pub(super) fn phone_refuses(&mut self, id: &str, status: u16) {
        if self.sip_dead || self.channels.get(id).is_none_or(|c| c.phone_up) {
            return;
        }
        let (cause, _) = cause_of_status(status);
        let told = self.hangup_request(&self.channels[id], false, Some(cause), Some(status));
        self.tell(told);
        self.attempt_failed(id, status);
    }

    pub(super) fn nobody_there(&mut self, id: &str) {
        if self.channels.get(id).is_none_or(|c| c.phone_up || c.state == State::Ringing) {
            return;
        }
        let told = self.hangup_request(&self.channels[id], false, Some(18), Some(408));
        self.tell(told);
        self.attempt_failed(id, 408);
    }

    fn attempt_failed(&mut self, id: &str, status: u16) {
        let (cause, dial_status) = cause_of_status(status);
        let end = self.dial("DialEnd", &self.channels[id], Some(dial_status));
        if self.channels[id].dialed_by.is_some() {
            self.tell(end);
            return self.dialed_leg_failed(id, cause, Some(status));
        }
        // chan_sip tells busy and declined alike, PJSIP neither (sheets asterisk section 7, elastix section 5)
        let reason = if self.style.tech == "SIP" && matches!(status, 486 | 600 | 603) { 5 } else { 0 };
        self.finish_attempt(id, reason, Some(end), cause, Some(status));
    }

    pub(super) fn dial_timed_out(&mut self, id: &str) {
        let Some(channel) = self.channels.get(id).filter(|c| !c.is_up()) else { return };
        if channel.dialed_by.is_some() {
            let told = self.dial("DialEnd", channel, Some("NOANSWER"));
            self.tell(told);
            self.dialed_leg_failed(id, 0, None);
        } else if channel.originate.is_some() {
            let status = self.profile.tech_cause.then_some(480);
            self.finish_attempt(id, 3, None, self.profile.timeout_cause, status);
        }
    }

    /// Our Hangup reached a leg that nobody has answered.
    pub(super) fn canceled(&mut self, id: &str, cause: u16) {
        let status = match cause {
            17 => "BUSY",
            34 => "CONGESTION",
            _ => "NOANSWER",
        };
        let end = self.dial("DialEnd", &self.channels[id], Some(status));
        self.finish_attempt(id, 0, Some(end), cause, super::profile::status_of_cause(cause));
    }

    /// The channel goes, and Originate is answered with a failure: in any order (sheet section 7).
    fn finish_attempt(
        &mut self,
        id: &str,
        reason: u8,
        end: Option<Happening>,
        cause: u16,
        status: Option<u16>,
    ) {
        let Some(channel) = self.remove(id) else { return };
        let gone = self.hangup_event(&channel, cause, status);
        let response =
            channel.originate.as_ref().map(|order| self.originate_response(order, id, None, reason));
        let threads = [end, Some(gone), response].into_iter().flatten().map(|told| vec![told]).collect();
        self.tell_at_once(threads);
        self.device_changed(&channel.endpoint);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Channel> {
        let channel = self.channels.remove(id)?;
        self.names.remove(&channel.name);
        self.stop_recorders(id);
        Some(channel)
    }

    /// `Event: OriginateResponse`; `channel` is the answered one.
    pub(super) fn originate_response(
        &self,
        order: &Originate,
        id: &str,
        channel: Option<&Channel>,
        reason: u8,
    ) -> Happening {
        let mut teller = Teller::new(self, CALL, "OriginateResponse")
            .maybe("ActionID", order.action_id.as_deref())
            .line("Response", if channel.is_some() { "Success" } else { "Failure" })
            .line("Channel", channel.map_or(&order.asked, |c| &c.name));
        teller = match &order.landing {
            Landing::Place(place) => teller.line("Context", &place.context).line("Exten", &place.exten),
            Landing::App(app, data) => teller.line("Application", app).line("Data", data),
        };
        let caller = order.caller.clone().unwrap_or_default();
        teller
            .line("Reason", reason)
            .line("Uniqueid", id)
            .line("CallerIDNum", caller.number.as_deref().unwrap_or("<unknown>"))
            .line("CallerIDName", caller.name.as_deref().unwrap_or("<unknown>"))
            .told()
    }
}
