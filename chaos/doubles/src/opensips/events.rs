//! Events: who hears them, until when, and what is told (sheet, section 5).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::mi::{Result, id, refusal};
use super::{Door, OpenSips};
use crate::proxy::{Dialog, State};

/// Without another word.
const EXPIRES: u64 = 3600;
const BUILT_IN: [&str; 4] =
    ["E_CORE_THRESHOLD", "E_UL_CONTACT_INSERT", "E_UL_CONTACT_DELETE", "E_DLG_STATE_CHANGED"];

/// Somebody who hears one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subscription {
    event: String,
    socket: String,
    expire: u64,
    since: Duration,
}

impl Subscription {
    fn is_over(&self, now: Duration) -> bool {
        self.since + Duration::from_secs(self.expire) <= now
    }

    fn told(&self, now: Duration) -> Value {
        let ttl = match self.is_over(now) {
            true => json!("expired"),
            false => json!(self.expire - now.saturating_sub(self.since).as_secs()),
        };
        json!({"socket": self.socket, "expire": self.expire, "ttl": ttl})
    }
}

impl OpenSips {
    fn raised(&self) -> impl Iterator<Item = &'static str> {
        BUILT_IN.into_iter().chain(self.options.raises.iter().copied())
    }

    pub(super) fn events_list(&self) -> Value {
        let events: Vec<Value> =
            self.raised().enumerate().map(|(number, name)| json!({"name": name, "id": number})).collect();
        json!({ "Events": events })
    }

    pub(super) fn subscribe(&mut self, given: &[Value]) -> Result {
        let (event, socket) = (given[0].as_str().unwrap_or_default(), given[1].as_str().unwrap_or_default());
        let address = socket.strip_prefix("udp:").or_else(|| socket.strip_prefix("tcp:"));
        let sound = address.is_some_and(|address| address.parse::<SocketAddr>().is_ok());
        if !sound || self.raised().all(|known| known != event) {
            return Err(refusal(400, "Bad parameter value"));
        }
        let expire = given
            .get(2)
            .map_or(Some(EXPIRES), |value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let Some(expire) = expire else { return Err(refusal(400, "Bad parameter value")) };
        let new =
            Subscription { event: event.to_owned(), socket: socket.to_owned(), expire, since: self.now };
        let same = |old: &&mut Subscription| old.event == new.event && old.socket == new.socket;
        match self.subscriptions.iter_mut().find(same) {
            Some(old) => *old = new,
            None => self.subscriptions.push(new),
        }
        Ok(json!("OK"))
    }

    pub(super) fn subscribers_list(&self, given: &[Value]) -> Result {
        let of = |event: &str| {
            let hears = self.subscriptions.iter().filter(|one| one.event == event);
            hears.map(|one| one.told(self.now)).collect::<Vec<_>>()
        };
        match given {
            [] => {
                let heard = self.raised().filter(|event| !of(event).is_empty());
                let told: Vec<_> =
                    heard.map(|event| json!({"name": event, "Subscribers": of(event)})).collect();
                Ok(json!({ "Events": told }))
            }
            [event, socket] => {
                let name = event.as_str().unwrap_or_default();
                let found = of(name).into_iter().find(|one| one["socket"] == *socket);
                let found = found.ok_or(refusal(404, "Subscriber does not exist"))?;
                Ok(json!({"Event": {"name": name, "id": 15, "Subscriber": found}}))
            }
            [event, ..] => {
                let name = event.as_str().unwrap_or_default();
                match self.raised().any(|known| known == name) {
                    true => Ok(json!({"Event": {"name": name, "id": 15, "Subscribers": of(name)}})),
                    false => Err(refusal(404, "Event not published")),
                }
            }
        }
    }

    /// Tells everything that has happened. What nobody listens to is lost.
    pub(super) fn tell(&mut self) {
        while self.proxy.happening().is_some() {}
        let dialogs: Vec<Dialog> = self.proxy.dialogs.values().cloned().collect();
        for dialog in &dialogs {
            let old = self.told.insert(dialog.key, dialog.state);
            let old = old.unwrap_or(State::Unconfirmed);
            if old != dialog.state {
                self.changed(dialog, old);
            }
        }
        self.told.retain(|key, _| self.proxy.dialogs.contains_key(key));
        if let Some(every) = self.options.heartbeat {
            while self.beat + every <= self.now {
                self.beat += every;
                self.raise("E_IFBUS_HEARTBEAT", &Value::Null);
            }
        }
    }

    /// The built-in event first, then what the script tells of an answered call that is over (sheet, section 5.3).
    fn changed(&mut self, dialog: &Dialog, old: State) {
        let params = json!({
            "id": id(dialog.key), "db_id": "6186238745722", "callid": dialog.call_id, "from_tag": dialog.from_tag,
            "to_tag": dialog.to_tag, "old_state": old as u8, "new_state": dialog.state as u8,
        });
        self.raise("E_DLG_STATE_CHANGED", &params);
        if dialog.state == State::Ended && dialog.started.is_some() {
            let by_mi = self.by_mi.contains(&dialog.key);
            self.by_mi.retain(|key| *key != dialog.key);
            let reason = if by_mi { "MI Termination" } else { "-" };
            // reversed, as the stacks are
            self.raise("E_IFBUS_END", &json!({"reason": reason, "callid": dialog.call_id}));
        }
    }

    fn raise(&mut self, event: &str, params: &Value) {
        if self.raised().all(|known| known != event) {
            return;
        }
        let mut told = json!({"jsonrpc": "2.0", "method": event});
        // one without parameters has no such member
        if !params.is_null() {
            told["params"] = params.clone();
        }
        let text = told.to_string();
        let now = self.now;
        let hears = self.subscriptions.iter().filter(|one| one.event == event && !one.is_over(now));
        let to: Vec<SocketAddr> =
            hears.filter_map(|one| one.socket.strip_prefix("udp:")?.parse().ok()).collect();
        for to in to {
            if self.wire.random.chance(self.wire.faults.double_events) {
                self.wire.datagram(Door::Events, to, text.clone().into_bytes());
            }
            self.wire.datagram(Door::Events, to, text.clone().into_bytes());
        }
    }
}
