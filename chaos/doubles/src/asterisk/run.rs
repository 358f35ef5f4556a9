//! The dialplan at work: where a channel stays, how it goes on, how it ends.

use std::time::Duration;

use super::channels::{After, Channel, State};
use super::happening::Happening;
use super::world::{Timer, World};

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
                step.data
            };
            self.enter_app(id, &step.app, &data);
            match step.app.as_str() {
                "Answer" => self.answer(id),
                "Wait" | "MusicOnHold" => return self.stay(id, &step.app, &data),
                "Playtones" => self.channel_mut(id).ringback = data == "ring",
                "Goto" => {
                    let target = self.dialplan.labelled(&place.context, &place.exten, &data);
                    let Some(priority) = target else { return self.end_in_dialplan(id, 16) };
                    self.channel_mut(id).place.priority = priority;
                    continue;
                }
                "Dial" => return self.dial_from(id, &data),
                "Hangup" => return self.end_in_dialplan(id, data.parse().unwrap_or(16)),
                _ => return self.end_in_dialplan(id, 16),
            }
            self.channel_mut(id).place.priority += 1;
        }
    }

    fn channel_mut(&mut self, id: &str) -> &mut Channel {
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
        channel.state = State::Up;
        channel.answered = Some(now);
        channel.phone_up = true;
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
        channel.app.clear();
        channel.data.clear();
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
        let music = self.leave_app_quietly(id);
        let Some(channel) = self.remove(id) else { return vec![] };
        // Always 16, whatever the cause that follows (seen).
        let soft = self.hangup_request(&channel, true, Some(16), None);
        let gone = self.hangup_event(&channel, cause, super::profile::status_of_cause(cause));
        music.into_iter().chain([soft, gone]).collect()
    }

    /// The channel is gone without a word from the dialplan.
    pub(super) fn gone(&mut self, id: &str, cause: u16, status: Option<u16>) {
        self.leave_app(id);
        if let Some(channel) = self.remove(id) {
            let told = self.hangup_event(&channel, cause, status);
            self.tell(told);
        }
    }

    /// What a channel does when its partner has left the bridge: goes on, or ends.
    pub(super) fn released(&mut self, id: &str) -> Vec<Happening> {
        let Some(channel) = self.channels.get_mut(id) else { return vec![] };
        match channel.after {
            After::End => {
                let gone = self.remove(id).map(|channel| self.hangup_event(&channel, 16, None));
                return gone.into_iter().collect();
            }
            After::Next => channel.place.priority += 1,
            After::Continue => {}
        }
        channel.after = After::Continue;
        let place = &self.channels[id].place;
        match self.dialplan.step(&place.context, &place.exten, place.priority) {
            // Goes on somewhere else; that is run, and told, when the bridge is gone.
            Some(step) if step.app != "Hangup" => vec![],
            Some(step) => self.farewell(id, step.data.parse().unwrap_or(16)),
            None => self.farewell(id, 16),
        }
    }
}
