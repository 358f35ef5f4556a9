//! JSON-RPC: the methods that are imitated, with their odd answers.

use std::time::Duration;

use serde_json::{Value, json};

use super::Kamailio;
use crate::proxy::{Dialog, State};

const METHODS: &str = include_str!("data/methods-5.6.3.txt");

/// What a method says.
pub(super) enum Said {
    Result(Value),
    Error(u16, String),
    /// The process is dead, and says nothing any more.
    Dead,
}

fn error(code: u16, message: &str) -> Said {
    Said::Error(code, message.to_owned())
}

impl Kamailio {
    pub(super) fn call(&mut self, method: &str, params: &Value, now: Duration) -> Said {
        // members of an object are taken by their order, as the server does
        let params: Vec<Value> = match params {
            Value::Array(params) => params.clone(),
            Value::Object(members) => members.values().cloned().collect(),
            _ => Vec::new(),
        };
        let uptime = now.saturating_sub(self.booted).as_secs();
        match method {
            "core.version" => {
                Said::Result(json!(format!("kamailio {} (x86_64/linux) ", self.options.profile.version)))
            }
            "core.uptime" => {
                let began = self.wall(self.booted);
                Said::Result(
                    json!({"now": format!("@{}", self.wall(now)), "up_since": format!("@{began}"), "uptime": uptime}),
                )
            }
            // numbers come back as texts
            "core.echo" => Said::Result(json!(params.iter().map(text).collect::<Vec<_>>())),
            "system.listMethods" => {
                let more = self.options.profile.more.iter().copied();
                Said::Result(json!(METHODS.lines().chain(more).collect::<Vec<_>>()))
            }
            "core.shmmem" => {
                let used = 3_000_000 + 12_000 * self.proxy.dialogs.len();
                Said::Result(
                    json!({"total": 67_108_864, "free": 67_108_864 - used, "used": used, "real_used": used,
                                    "max_used": used, "fragments": 12}),
                )
            }
            "stats.fetch" => self.stats(&params, |number| json!(number.to_string())),
            "stats.fetchn" => self.stats(&params, |number| json!(number)),
            "dlg.list" => {
                let list: Vec<Value> =
                    self.proxy.dialogs.values().map(|dialog| self.listed(dialog, now)).collect();
                Said::Result(json!(list))
            }
            "dlg.dlg_list" => match params.first().and_then(Value::as_str) {
                None => error(500, "Invalid parameters"),
                Some(call_id) => {
                    let found = self.proxy.find(call_id, params.get(1).and_then(Value::as_str));
                    Said::Result(found.map_or_else(|| json!({}), |dialog| self.listed(dialog, now)))
                }
            },
            "dlg.briefing" => {
                // its to_tag is the tag of the caller, on every version that was seen
                let brief = |dialog: &Dialog| {
                    json!({"h_entry": dialog.key.0, "h_id": dialog.key.1, "call-id": dialog.call_id,
                           "from_tag": dialog.from_tag, "to_tag": dialog.from_tag})
                };
                Said::Result(json!(self.proxy.dialogs.values().map(brief).collect::<Vec<_>>()))
            }
            "dlg.stats_active" => {
                let of = |state| self.proxy.dialogs.values().filter(|dialog| dialog.state == state).count();
                let (a, b, c, d) =
                    (of(State::Unconfirmed), of(State::Early), of(State::Answered), of(State::Confirmed));
                Said::Result(
                    json!({"starting": a, "connecting": b, "answering": c, "ongoing": d, "all": a + b + c + d}),
                )
            }
            "dlg.end_dlg" => match (params.first().and_then(number), params.get(1).and_then(number)) {
                (Some(entry), Some(id)) => self.end(Some((entry, id)), now),
                _ if params.len() < 2 => error(500, "Invalid parameters"),
                _ => error(404, "Dialog not found"),
            },
            "dlg.terminate_dlg" => {
                let text = |at: usize| params.get(at).and_then(Value::as_str);
                let (Some(call_id), Some(from), Some(to)) = (text(0), text(1), text(2)) else {
                    return error(500, "Invalid parameters");
                };
                let found = self.proxy.find(call_id, Some(from));
                let found = found.filter(|dialog| dialog.to_tag.as_deref().unwrap_or_default() == to);
                let key = found.map(|dialog| dialog.key);
                self.end(key, now)
            }
            // seen on 5.6.3 and 6.1.5 with module sst: the worker dies, and the whole server with it
            "dlg.list_ctx" | "dlg.dlg_list_ctx" | "core.kill" => Said::Dead,
            "tm.cancel" => {
                let call_id = params.first().and_then(Value::as_str).unwrap_or_default().to_owned();
                // a number that is no text is not taken
                let cseq = params.get(1).and_then(Value::as_str).and_then(|cseq| cseq.parse().ok());
                match cseq.is_some_and(|cseq| self.proxy.take_back(&call_id, cseq, now)) {
                    true => Said::Result(json!("branches remaining (waiting for timeout)")),
                    false => error(400, "Transaction not found"),
                }
            }
            "htable.seti" | "htable.get" | "htable.dump" => self.htable(method, &params),
            "dispatcher.set_state" => match params.as_slice() {
                [Value::String(_), Value::Number(_), Value::String(_)] => {
                    Said::Result(json!("Ok. Dispatcher state updated."))
                }
                [_, _, _] => error(500, "State Update Failed"),
                _ => error(500, "Invalid parameters"),
            },
            "ul.lookup" => error(500, "AOR not found in location table"),
            known if METHODS.lines().any(|name| name == known) => Said::Result(json!({})),
            _ => error(500, "Method Not Found"),
        }
    }

    fn end(&mut self, key: Option<(u32, u32)>, now: Duration) -> Said {
        match key.is_some_and(|key| self.proxy.terminate(key, now)) {
            true => Said::Result(json!({})),
            false => error(404, "Dialog not found"),
        }
    }

    fn stats(&self, params: &[Value], written: impl Fn(u64) -> Value) -> Said {
        let active = self.proxy.dialogs.values().filter(|dialog| dialog.is_live()).count();
        let all = [
            ("dialog.active_dialogs", active as u64),
            ("dialog.processed_dialogs", self.proxy.processed),
            ("dialog.failed_dialogs", self.proxy.failed),
            ("core.rcv_requests", self.proxy.processed + self.asked),
            ("sl.200_replies", self.asked),
        ];
        let wanted = |name: &str| {
            let mut groups = params.iter().filter_map(Value::as_str);
            groups.any(|group| group == "all" || name == group || name.starts_with(&group.replace(':', ".")))
        };
        let found = all.into_iter().filter(|(name, _)| wanted(name));
        Said::Result(Value::Object(found.map(|(name, number)| (name.to_owned(), written(number))).collect()))
    }

    fn htable(&mut self, method: &str, params: &[Value]) -> Said {
        let (table, key) = (params.first().and_then(Value::as_str), params.get(1).and_then(Value::as_str));
        if table != Some("ifbus") || !self.options.table {
            return error(500, "No such htable");
        }
        match (method, key, params.get(2)) {
            ("htable.seti", Some("drain"), Some(Value::Number(on))) => {
                self.proxy.rules.drained = on.as_i64() == Some(1);
                Said::Result(json!("Ok. Key set to new value."))
            }
            ("htable.seti", ..) => error(500, "Invalid parameters"),
            (_, Some("drain"), _) => {
                let on = u8::from(self.proxy.rules.drained);
                Said::Result(json!({"item": {"name": "drain", "value": on, "flags": 0, "expire": "NEVER"}}))
            }
            _ => error(500, "Key name doesn't exist in htable."),
        }
    }

    /// One dialog, with the figures that are nonsense when it was never answered.
    fn listed(&self, dialog: &Dialog, now: Duration) -> Value {
        let began = self.wall(dialog.began);
        let started = dialog.started.map_or(0, |at| self.wall(at));
        let duration = match dialog.started {
            Some(at) => dialog.ended.unwrap_or(now).saturating_sub(at).as_secs(),
            None if dialog.is_live() => 0,
            None => self.wall(now),
        };
        let socket = format!("udp:{}", self.proxy.rules.address);
        let side = |tag: Option<&str>, (contact, cseq): &(String, u32)| {
            let contact = (!contact.is_empty()).then_some(contact);
            json!({"tag": tag, "contact": contact, "cseq": cseq.to_string(), "route_set": "", "socket": socket})
        };
        let user = |uri: &str| {
            uri.split_once(':').map_or(uri, |(_, rest)| rest).split('@').next().unwrap_or_default().to_owned()
        };
        json!({
            "h_entry": dialog.key.0, "h_id": dialog.key.1, "ref": 2, "call-id": dialog.call_id,
            "from_uri": dialog.from_uri, "to_uri": dialog.to_uri, "state": dialog.state as u8, "start_ts": started,
            "init_ts": began, "end_ts": dialog.ended.map_or(0, |at| self.wall(at)), "duration": duration,
            "timeout": started + 7200, "lifetime": 7200, "dflags": 1539, "sflags": 0, "iflags": 0,
            "caller": side(Some(&dialog.from_tag), &dialog.caller),
            "callee": side(dialog.to_tag.as_deref(), &dialog.callee),
            "profiles": [{"callee": user(&dialog.ruri)}, {"caller": user(&dialog.from_uri)}, "all"],
            "variables": [],
        })
    }
}

/// Numbers also in quotes.
fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).or_else(|| value.as_str()?.parse().ok())
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
