//! The dialplan at work: where a channel stays, how it goes on, how it ends.

use std::time::Duration;

use super::channels::{After, Channel, Place, State};
use super::happening::Happening;
use super::world::{Timer, World};

/// What the server says of the audio when it is over.
const QUALITY: [(&str, &str); 5] = [
    (
        "RTPAUDIOQOS",
        "ssrc=612678091;themssrc=3054232653;lp=0;rxjitter=0.000000;rxcount=19;txjitter=0.000250;txcount=19;\
         rlp=0;rtt=0.000000;rxmes=0.000000;txmes=0.000000",
    ),
    (
        "RTPAUDIOQOSJITTER",
        "minrxjitter=000.000125;maxrxjitter=000.000250;avgrxjitter=000.000125;stdevrxjitter=000.000088;\
         mintxjitter=000.000000;maxtxjitter=000.000000;avgtxjitter=000.000000;stdevtxjitter=000.000000;",
    ),
    (
        "RTPAUDIOQOSLOSS",
        "  minrxlost=000.000000;  maxrxlost=000.000000;  avgrxlost=000.000000;  stdevrxlost=000.000000;\
         \u{20} mintxlost=000.000000;  maxtxlost=000.000000;  avgtxlost=000.000000;  stdevtxlost=000.000000;",
    ),
    (
        "RTPAUDIOQOSRTT",
        "     minrtt=000.000000;     maxrtt=000.000000;     avgrtt=000.000000;     stdevrtt=000.000000;",
    ),
    (
        "RTPAUDIOQOSMES",
        "   minrxmes=000.000000;   maxrxmes=000.000000;   avgrxmes=000.000000;   stdevrxmes=000.000000;\
         \u{20}  mintxmes=000.000000;   maxtxmes=000.000000;   avgtxmes=000.000000;   stdevtxmes=000.000000;",
    ),
];

/// Steps without a stay after which a channel is taken to run in a circle.
const CIRCLE: usize = 100;

impl World {
    /// Runs a channel from its place until it stays somewhere or ends.
    pub(super) fn run(&mut self, id: &str) {
        for _ in 0..CIRCLE {
            let Some(channel) = self.channels.get(id) else { return };
            let place = channel.place.clone();
            let Some(step) = self.dialplan.step(&place.context, &place.exten, place.priority) else {
                return self.end_in_dialplan(id, 16);
            };
            let data = if step.data.starts_with("${IF(") {
                format!("{},86400", channel.variables.get("IFBUS_MOH").map_or("default", String::as_str))
            } else {
                self.expand(&step.data, channel)
            };
            // The dialplan may spell the name as it likes; the channel shows the registered one.
            let app = if step.app == "Playtones" { "PlayTones" } else { &step.app };
            self.enter_app(id, app, &data);
            match step.app.as_str() {
                "Answer" => self.answer(id),
                "Wait" | "MusicOnHold" => return self.stay(id, &step.app, &data),
                "Playtones" | "PlayTones" => self.channel_mut(id).ringback = data == "ring",
                "Goto" | "GotoIf" | "Gosub" | "Return" => {
                    let Some(target) = self.target(id, &step.app, &data) else {
                        return self.end_in_dialplan(id, 16);
                    };
                    self.channel_mut(id).place = target;
                    continue;
                }
                "Set" => self.set(id, &data),
                "ConfBridge" => return self.enter_room(id, &data),
                "Dial" => return self.dial_from(id, &data),
                "Hangup" => {
                    self.refused += u64::from(self.channels[id].state == State::Ring);
                    return self.end_in_dialplan(id, data.parse().unwrap_or(16));
                }
                _ => return self.end_in_dialplan(id, 16),
            }
            self.channel_mut(id).place.priority += 1;
        }
    }

    /// Where a jump leads; `None` is nowhere.
    fn target(&mut self, id: &str, app: &str, data: &str) -> Option<Place> {
        let place = self.channels.get(id)?.place.clone();
        let next = Place { priority: place.priority + 1, ..place.clone() };
        match app {
            "Return" => self.channels.get_mut(id)?.returns.pop(),
            "GotoIf" => {
                let (condition, label) = data.split_once('?')?;
                if ["", "0"].contains(&condition) { Some(next) } else { self.dialplan.place(&place, label) }
            }
            _ => {
                let target = self.dialplan.place(&place, data)?;
                if app == "Gosub" {
                    self.channels.get_mut(id)?.returns.push(next);
                }
                Some(target)
            }
        }
    }

    /// `Set(A=1)`. What is set in a function, as for the room, is none of the double's business.
    fn set(&mut self, id: &str, data: &str) {
        if let Some((name, value)) = data.split_once('=').filter(|(name, _)| !name.contains('(')) {
            self.channel_mut(id).variables.insert(name.to_owned(), value.to_owned());
            let told = self.varset(&self.channels[id], name, value);
            self.tell(told);
        }
    }

    /// Variables filled in, and the one kind of expression there is: `$["a" = "b"]`.
    fn expand(&self, text: &str, channel: &Channel) -> String {
        let mut out = text.to_owned();
        while let Some((before, (name, after))) =
            out.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            let value = match name.strip_prefix("EXTEN") {
                Some("") => channel.place.exten.clone(),
                Some(cut) => {
                    let skip = cut.trim_start_matches(':').parse().unwrap_or(0);
                    channel.place.exten.chars().skip(skip).collect()
                }
                None => channel.variables.get(name).or(self.globals.get(name)).cloned().unwrap_or_default(),
            };
            out = format!("{before}{value}{after}");
        }
        let Some((before, (condition, after))) =
            out.split_once("$[").and_then(|(before, rest)| Some((before, rest.split_once(']')?)))
        else {
            return out;
        };
        let same = condition.split_once('=').is_some_and(|(a, b)| a.trim() == b.trim());
        format!("{before}{}{after}", u8::from(same))
    }

    pub(super) fn channel_mut(&mut self, id: &str) -> &mut Channel {
        self.channels.get_mut(id).expect("the channel was there a moment ago")
    }

    fn enter_app(&mut self, id: &str, app: &str, data: &str) {
        let channel = self.channel_mut(id);
        (channel.app, channel.data) = (app.to_owned(), data.to_owned());
        let told = self.newexten(&self.channels[id]);
        self.tell(told);
    }

    fn answer(&mut self, id: &str) {
        let now = self.now;
        let channel = self.channel_mut(id);
        if channel.state == State::Up {
            return;
        }
        let inbound = channel.state == State::Ring;
        channel.state = State::Up;
        channel.answered = Some(now);
        // A leg that still rings is only marked; its phone has not answered.
        channel.phone_up |= inbound;
        let told = self.newstate(&self.channels[id]);
        self.tell(told);
    }

    /// Stays in Wait or MusicOnHold for the time its data says.
    fn stay(&mut self, id: &str, app: &str, data: &str) {
        let music = app == "MusicOnHold";
        let channel = self.channel_mut(id);
        channel.stay += 1;
        let stay = channel.stay;
        if music {
            channel.music = true;
            let told = self.music(&self.channels[id], true);
            self.tell(told);
        }
        if let Some(seconds) = data.rsplit(',').next().and_then(|s| s.parse().ok()) {
            self.after(Duration::from_secs(seconds), Timer::StayOver(id.to_owned(), stay));
        }
    }

    pub(super) fn stay_over(&mut self, id: &str, stay: u64) {
        let Some(channel) = self.channels.get(id).filter(|c| c.stay == stay && c.bridge.is_none()) else {
            return;
        };
        if !channel.in_dialplan {
            return self.gone(id, if self.profile.tech_cause { 0 } else { 16 }, None);
        }
        self.leave_app(id);
        self.channel_mut(id).place.priority += 1;
        self.run(id);
    }

    /// `Application:` of an Originate: runs alone, then the channel ends.
    pub(super) fn run_app_alone(&mut self, id: &str, app: &str, data: &str) {
        let channel = self.channel_mut(id);
        (channel.app, channel.data) = (app.to_owned(), data.to_owned());
        match app {
            "Wait" | "MusicOnHold" => self.stay(id, app, data),
            "Echo" => {}
            "ConfBridge" => self.enter_room(id, data),
            "Dial" => self.dial_from(id, data),
            _ => self.gone(id, 0, None),
        }
    }

    /// Takes a channel out of the application it stays in; music stops.
    pub(super) fn leave_app(&mut self, id: &str) {
        if let Some(told) = self.leave_app_quietly(id) {
            self.tell(told);
        }
    }

    /// The same, handing the news back instead of telling it.
    pub(super) fn leave_app_quietly(&mut self, id: &str) -> Option<Happening> {
        let channel = self.channels.get_mut(id)?;
        channel.stay += 1;
        (channel.app, channel.data) = (channel.idle.0.to_owned(), channel.idle.1.to_owned());
        channel.ringback = false;
        if !std::mem::take(&mut channel.music) {
            return None;
        }
        Some(self.music(&self.channels[id], false))
    }

    /// The dialplan is at its end: SoftHangupRequest, Hangup.
    pub(super) fn end_in_dialplan(&mut self, id: &str, cause: u16) {
        for told in self.farewell(id, cause) {
            self.tell(told);
        }
    }

    /// Removes a channel whose dialplan has ended, and hands the news back.
    pub(super) fn farewell(&mut self, id: &str, cause: u16) -> Vec<Happening> {
        self.farewell_with(id, cause, super::profile::status_of_cause(cause))
    }

    pub(super) fn farewell_with(&mut self, id: &str, cause: u16, status: Option<u16>) -> Vec<Happening> {
        let Some(channel) = self.channels.get_mut(id) else { return vec![] };
        let music = std::mem::take(&mut channel.music).then(|| channel.clone());
        let music = music.map(|channel| self.music(&channel, false));
        if !self.profile.request_shows_app {
            let channel = self.channel_mut(id);
            (channel.app, channel.data) = (channel.idle.0.to_owned(), channel.idle.1.to_owned());
        }
        // Always 16, whatever the cause that follows (seen).
        let soft = self.hangup_request(&self.channels[id], true, Some(16), None);
        let ended = self.epitaph(id, cause, status);
        music.into_iter().chain([soft]).chain(ended).collect()
    }

    /// The last words about a channel: quality figures, if there was audio, and Hangup.
    pub(super) fn epitaph(&mut self, id: &str, cause: u16, status: Option<u16>) -> Vec<Happening> {
        let Some(mut channel) = self.remove(id) else { return vec![] };
        let mut news = self.quality(&channel);
        (channel.app, channel.data) = (channel.idle.0.to_owned(), channel.idle.1.to_owned());
        news.push(self.hangup_event(&channel, cause, status));
        news.extend(self.device_news(&channel.endpoint));
        news
    }

    /// A parked channel is sent where nothing is: it ends; on 22 its last request still shows the old place.
    pub(super) fn redirected_nowhere(&mut self, id: &str, place: Place) {
        self.leave_music(id);
        let shows_old = self.profile.request_shows_app;
        if !shows_old {
            let channel = self.channel_mut(id);
            channel.place = place.clone();
            (channel.app, channel.data) = (channel.idle.0.to_owned(), channel.idle.1.to_owned());
        }
        let told = self.hangup_request(&self.channels[id], true, Some(16), None);
        self.tell(told);
        let Some(mut channel) = self.remove(id) else { return };
        let mut news = self.quality(&channel);
        channel.place = place;
        (channel.app, channel.data) = (channel.idle.0.to_owned(), channel.idle.1.to_owned());
        news.extend(shows_old.then(|| self.newexten(&channel)));
        // A leg that was joined once has been through other hands, and ends normally (seen).
        let cause = if channel.idle.0.is_empty() { 16 } else { 0 };
        news.push(self.hangup_event(&channel, cause, None));
        news.extend(self.device_news(&channel.endpoint));
        news.into_iter().for_each(|told| self.tell(told));
    }

    pub(super) fn leave_music(&mut self, id: &str) {
        let music = self.channels.get_mut(id).is_some_and(|channel| std::mem::take(&mut channel.music));
        if music {
            let told = self.music(&self.channels[id], false);
            self.tell(told);
        }
    }

    /// What the server says of the audio when it is over.
    fn quality(&self, channel: &Channel) -> Vec<Happening> {
        let figures = QUALITY.iter().filter(|_| channel.phone_up && self.profile.figures);
        figures.map(|(name, value)| self.varset(channel, name, value)).collect()
    }

    /// The channel is gone without a word from the dialplan.
    pub(super) fn gone(&mut self, id: &str, cause: u16, status: Option<u16>) {
        self.leave_app(id);
        for told in self.epitaph(id, cause, status) {
            self.tell(told);
        }
    }

    /// State of an endpoint, if it is another one than was last told.
    pub(super) fn device_news(&mut self, endpoint: &str) -> Option<Happening> {
        let mine = || self.channels.values().filter(|c| c.endpoint == endpoint);
        let rings = mine().any(|c| c.state == State::Ringing);
        let state = match (mine().any(|c| c.state != State::Ringing), rings) {
            (true, true) => "RINGINUSE",
            (true, false) => "INUSE",
            (false, true) => "RINGING",
            (false, false) => "NOT_INUSE",
        };
        if self.devices.insert(endpoint.to_owned(), state).unwrap_or("NOT_INUSE") == state {
            return None;
        }
        Some(self.device_state(endpoint, state))
    }

    pub(super) fn device_changed(&mut self, endpoint: &str) {
        if let Some(told) = self.device_news(endpoint) {
            self.tell(told);
        }
    }

    /// What a channel does when its partner has left the bridge: goes on, or ends.
    pub(super) fn released(&mut self, id: &str) -> Vec<Happening> {
        let Some(channel) = self.channels.get(id) else { return vec![] };
        match channel.after {
            After::End => {
                return self.epitaph(id, 16, None);
            }
            // A transferred one goes on where it stood.
            After::Dialed if channel.back.is_some() => {
                let channel = self.channel_mut(id);
                channel.place = channel.back.take().expect("it was there a line above");
                channel.after = After::Continue;
                (channel.app, channel.data) = (String::new(), String::new());
            }
            // Dial without the option `g` ends the dialplan with the call.
            After::Dialed if channel.in_dialplan => return self.farewell(id, 16),
            After::Dialed => return self.epitaph(id, 16, None),
            After::Continue => {}
        }
        let place = &self.channels[id].place;
        match self.dialplan.step(&place.context, &place.exten, place.priority) {
            // Goes on somewhere else; that is run, and told, when the bridge is gone.
            Some(step) if step.app != "Hangup" => vec![],
            Some(step) => {
                let channel = self.channel_mut(id);
                (channel.app, channel.data) = (step.app, step.data.clone());
                let entered = self.newexten(&self.channels[id]);
                let news = self.farewell(id, step.data.parse().unwrap_or(16));
                [entered].into_iter().chain(news).collect()
            }
            None => self.farewell(id, 16),
        }
    }
}
