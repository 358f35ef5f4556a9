//! The management interface: the envelope, which parameters each command takes, and what it says (sheet, sections 2 to 9).

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Door, OpenSips};
use crate::calendar::ctime;
use crate::proxy::{Dialog, State};

const OLD: &str = include_str!("data/which-3.6.8.txt");
const NEW: &str = include_str!("data/which-4.0.1.txt");
/// The longest datagram of an answer.
const DATAGRAM_MAX: usize = 65_457;

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// It had no id.
    Nothing,
    /// At once.
    Now(String),
    /// After so long, because it waits for SIP.
    Later(Duration, String),
}

pub(super) type Result = std::result::Result<Value, Refusal>;

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal(i64, &'static str, Option<String>);

pub(super) const fn refusal(code: i64, message: &'static str) -> Refusal {
    Refusal(code, message, None)
}

fn unfit(why: &str) -> Refusal {
    Refusal(-32_602, "Invalid params", Some(why.to_owned()))
}

/// Names of 4.0, and the old ones of the commands that are imitated.
const NAMES: [(&str, &str); 16] = [
    ("core:version", "version"),
    ("core:which", "which"),
    ("core:uptime", "uptime"),
    ("core:ps", "ps"),
    ("evi:list", "events_list"),
    ("evi:subscribe", "event_subscribe"),
    ("evi:subscribers", "subscribers_list"),
    ("statistics:get", "get_statistics"),
    ("cfgutils:shv_get", "shv_get"),
    ("cfgutils:shv_set", "shv_set"),
    ("dialog:list", "dlg_list"),
    ("dialog:list_ctx", "dlg_list_ctx"),
    ("dialog:end_dlg", "dlg_end_dlg"),
    ("dialog:profile_end_dlgs", "profile_end_dlgs"),
    ("tm:uac_dlg", "t_uac_dlg"),
    ("usrloc:show_contact", "ul_show_contact"),
];

impl OpenSips {
    /// One document.
    pub(super) fn asked(&mut self, body: &[u8]) -> Said {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Said::Now(error(&refusal(-32_700, "Parse error"), &Value::Null));
        };
        let id = match body.get("id") {
            // cut to 32 bits
            Some(Value::Number(number)) => {
                number.as_i64().map_or(json!(0), |n| json!(n.clamp(-1 << 31, (1 << 31) - 1)))
            }
            Some(id) => id.clone(),
            None if body.is_object() && body.get("method").is_some() => return Said::Nothing,
            None => Value::Null,
        };
        let method = body.get("method").and_then(Value::as_str);
        let (Some(method), Some("2.0")) = (method, body.get("jsonrpc").and_then(Value::as_str)) else {
            return Said::Now(error(&refusal(-32_600, "Invalid Request"), &id));
        };
        let params = body.get("params").cloned().unwrap_or(Value::Null);
        let (wait, result) = self.called(method, &params);
        let answer = match result {
            Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": id}).to_string(),
            Err(refused) => error(&refused, &id),
        };
        if wait.is_zero() { Said::Now(answer) } else { Said::Later(wait, answer) }
    }

    pub(super) fn asked_by_datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let (wait, answer) = match self.asked(bytes) {
            Said::Nothing => return,
            Said::Now(answer) => (Duration::ZERO, answer),
            Said::Later(wait, answer) => (wait, answer),
        };
        // words instead of JSON
        let answer = match answer {
            broken if broken.contains("-32700") => "400 Parse_error".to_owned(),
            long if long.len() > DATAGRAM_MAX => "500 Internal error".to_owned(),
            answer => answer,
        };
        let due = self.now + wait + self.wire.faults.late.unwrap_or_default();
        if self.wire.random.chance(self.wire.faults.lose_replies) {
            return;
        }
        if self.wire.random.chance(self.wire.faults.duplicate_replies) {
            self.later.push((due, from, answer.clone().into_bytes()));
        }
        self.later.push((due, from, answer.into_bytes()));
    }

    /// Sends the datagrams that are due, later ones first if they are due first.
    pub(super) fn answer_datagrams(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.later).into_iter().partition(|(due, ..)| *due <= now);
        self.later = later;
        let due: Vec<_> = due;
        for (_, to, bytes) in due {
            self.wire.datagram(Door::Mi, to, bytes);
        }
    }

    /// The old name of a command, if this version takes the one that was given.
    fn known(&self, method: &str) -> std::result::Result<&'static str, Refusal> {
        if let Some((_, old)) = NAMES.iter().find(|(_, old)| *old == method) {
            return Ok(old);
        }
        if !self.options.profile.modules {
            return Err(refusal(-32_601, "Method not found"));
        }
        if let Some((_, old)) = NAMES.iter().find(|(new, _)| *new == method) {
            return Ok(old);
        }
        let short = |name: &&str| name.split_once(':').is_some_and(|(_, short)| short == method);
        let found: Vec<&str> = NEW.lines().filter(short).collect();
        match found.as_slice() {
            [] | [_] => Err(refusal(-32_601, "Method not found")),
            many => Err(Refusal(
                -32_001,
                "Method ambiguous",
                Some(format!("supported names: {}", many.join(", "))),
            )),
        }
    }

    fn called(&mut self, method: &str, params: &Value) -> (Duration, Result) {
        match self.known(method) {
            Ok("t_uac_dlg") => self.uac_dialog(params),
            Ok(method) => (Duration::ZERO, self.command(method, params)),
            Err(refused) => (Duration::ZERO, Err(refused)),
        }
    }

    fn command(&mut self, method: &str, params: &Value) -> Result {
        match method {
            "version" => self.taken(params, &[&[]]).map(
                |_| json!({"Server": format!("OpenSIPS ({} (x86_64/linux))", self.options.profile.version)}),
            ),
            "which" => self.taken(params, &[&[]]).map(|_| {
                json!(if self.options.profile.modules { NEW } else { OLD }.lines().collect::<Vec<_>>())
            }),
            "ps" => Ok(json!({"Processes": [{"ID": 0, "PID": 24_559, "Type": "attendant"}]})),
            "uptime" => self.taken(params, &[&[]]).map(|_| {
                let seconds = self.now.saturating_sub(self.booted).as_secs();
                json!({"Now": ctime(self.wall(self.now)), "Up since": ctime(self.wall(self.booted)),
                       "Up time": format!("{seconds} [sec]")})
            }),
            "events_list" => Ok(self.events_list()),
            "event_subscribe" => {
                let given = self.taken(params, &[&["event", "socket"], &["event", "socket", "expire"]])?;
                self.subscribe(&given)
            }
            "subscribers_list" => {
                let given = self.taken(params, &[&[], &["event"], &["event", "socket"]])?;
                self.subscribers_list(&given)
            }
            "get_statistics" => {
                self.taken(params, &[&["statistics"]]).map(|given| self.statistics(&given[0]))
            }
            "shv_get" => self.shared(&self.taken(params, &[&[], &["name"]])?),
            "shv_set" => {
                let given = self.taken(params, &[&["name", "type", "value"]])?;
                self.set_shared(&given)
            }
            "dlg_list" | "dlg_list_ctx" => self.list(params, method == "dlg_list_ctx"),
            "dlg_end_dlg" => {
                let given = self.taken(params, &[&["dialog_id"], &["dialog_id", "extra_hdrs"]])?;
                self.end(&text(&given[0]))
            }
            // also for a value that nobody has
            "profile_end_dlgs" => {
                self.taken(params, &[&["profile"], &["profile", "value"]]).map(|_| json!("OK"))
            }
            "ul_show_contact" => {
                let given = self.taken(params, &[&["table_name", "aor"]])?;
                match text(&given[1]).contains('@') {
                    true => Err(refusal(404, "AOR not found")),
                    false => Err(refusal(400, "Domain missing in AOR")),
                }
            }
            _ => Err(refusal(-32_601, "Method not found")),
        }
    }

    /// The values of the one form of a command that fits exactly.
    fn taken(&self, params: &Value, forms: &[&[&str]]) -> std::result::Result<Vec<Value>, Refusal> {
        let few = || unfit("Too few or too many parameters");
        match params {
            Value::Object(members) if !members.is_empty() => {
                if forms.iter().all(|form| form.len() != members.len()) {
                    let any = forms.iter().any(|form| !form.is_empty());
                    return Err(if any { few() } else { unfit("Named parameters do not match") });
                }
                let fits = |form: &&&[&str]| {
                    form.len() == members.len() && form.iter().all(|name| members.contains_key(*name))
                };
                let form = forms.iter().find(fits).ok_or_else(|| unfit("Named parameters do not match"))?;
                Ok(form.iter().map(|name| members[*name].clone()).collect())
            }
            Value::Array(values) => {
                forms.iter().find(|form| form.len() == values.len()).map(|_| values.clone()).ok_or_else(few)
            }
            _ => forms.iter().find(|form| form.is_empty()).map(|_| Vec::new()).ok_or_else(few),
        }
    }

    // ---- dialogs ---------------------------------------------------------------------------------------------------

    fn list(&self, params: &Value, context: bool) -> Result {
        let all = || self.proxy.dialogs.values();
        match params {
            Value::Null => {
                Ok(json!({"Dialogs": all().map(|one| self.listed(one, context)).collect::<Vec<_>>()}))
            }
            Value::Object(_) => {
                let forms: &[&[&str]] = &[&["index", "counter"], &["callid"], &["callid", "from_tag"]];
                let given = self.taken(params, forms)?;
                if params.get("callid").is_some() {
                    let tag = given.get(1).map(text);
                    let found = self.proxy.find(&text(&given[0]), tag.as_deref());
                    let found = found.ok_or(refusal(404, "No such dialog"))?;
                    return Ok(json!({"Dialog": self.listed(found, context)}));
                }
                let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
                let (Some(index), Some(counter)) = (number(&given[0]), number(&given[1])) else {
                    return Err(refusal(400, "Bad parameter value"));
                };
                let page = all().skip(index).take(counter).map(|one| self.listed(one, context));
                Ok(json!({"count": all().count(), "Dialogs": page.collect::<Vec<_>>()}))
            }
            _ => Err(unfit("Command only supports named parameters")),
        }
    }

    fn listed(&self, dialog: &Dialog, context: bool) -> Value {
        let started = dialog.started.map_or(0, |at| self.wall(at));
        let at = format!("udp:{}", self.proxy.rules.address);
        let callees = dialog.to_tag.as_ref().map(|tag| {
            json!({"callee_tag": tag, "callee_contact": dialog.callee.0, "caller_cseq": dialog.caller.1.to_string(),
                   "callee_route_set": "", "callee_bind_addr": at, "callee_sdp": ""})
        });
        let mut listed = json!({
            "ID": id(dialog.key), "db_id": (u64::from(dialog.key.0) << 32 | u64::from(dialog.key.1)).to_string(),
            "state": dialog.state as u8, "user_flags": "", "timestart": started, "timeout": started + 7200,
            "callid": dialog.call_id, "from_uri": dialog.from_uri, "to_uri": dialog.to_uri,
            "caller_tag": dialog.from_tag, "caller_contact": dialog.caller.0,
            "callee_cseq": dialog.callee.1.to_string(), "caller_route_set": "", "caller_bind_addr": at,
            "caller_sdp": "", "CALLEES": callees.into_iter().collect::<Vec<_>>(),
        });
        if context {
            listed["context"] = json!({"values": [{"ifbus": dialog.call_id}], "profiles": []});
        }
        listed
    }

    /// `OK` at once; it ends later.
    fn end(&mut self, named: &str) -> Result {
        let is_it = |dialog: &&Dialog| id(dialog.key) == named || dialog.call_id == named;
        let found =
            self.proxy.dialogs.values().find(is_it).ok_or(refusal(404, "Requested Dialog not found"))?;
        self.ending.push(found.key);
        Ok(json!("OK"))
    }

    // ---- figures, variables ----------------------------------------------------------------------------------------

    fn statistics(&self, wanted: &Value) -> Value {
        let of = |wanted: fn(State) -> bool| {
            self.proxy.dialogs.values().filter(|dialog| wanted(dialog.state)).count() as u64
        };
        let active = of(|state| matches!(state, State::Answered | State::Confirmed));
        let early = of(|state| matches!(state, State::Early));
        let all = [
            ("dialog", "active_dialogs", active),
            ("dialog", "early_dialogs", early),
            ("dialog", "processed_dialogs", self.proxy.processed),
            ("dialog", "failed_dialogs", self.proxy.failed),
            ("load", "load", 0),
            ("shmem", "total_size", 134_217_728),
            ("shmem", "used_size", 4_416_048 + 4_000 * self.proxy.dialogs.len() as u64),
        ];
        let names: Vec<String> = match wanted {
            Value::Array(names) => names.iter().map(text).collect(),
            name => vec![text(name)],
        };
        // what it does not know is left out
        let asked = |group: &str, name: &str| names.iter().any(|n| *n == name || *n == format!("{group}:"));
        let found = all.into_iter().filter(|(group, name, _)| asked(group, name));
        Value::Object(found.map(|(group, name, number)| (format!("{group}:{name}"), json!(number))).collect())
    }

    fn shared(&self, given: &[Value]) -> Result {
        let told = |(name, value): (&String, &i64)| json!({"name": name, "type": "integer", "value": value});
        match given.first() {
            None => Ok(json!([self.variables.iter().map(told).collect::<Vec<_>>()])),
            Some(name) => match self.variables.get(&text(name)) {
                Some(value) => Ok(json!({"VAR": {"type": "integer", "value": value}})),
                None => Err(refusal(404, "Not found")),
            },
        }
    }

    /// One that is not there is made.
    fn set_shared(&mut self, given: &[Value]) -> Result {
        let name = text(&given[0]);
        let Some(value) = text(&given[2]).parse::<i64>().ok().filter(|_| given[1] == "int") else {
            return Err(refusal(400, "Bad parameter value"));
        };
        if self.options.switch.as_ref() == Some(&name) {
            self.proxy.rules.drained = value == 1;
        }
        self.variables.insert(name, value);
        Ok(json!("OK"))
    }

    /// A request of its own: to itself, or to nobody.
    fn uac_dialog(&mut self, params: &Value) -> (Duration, Result) {
        let forms: &[&[&str]] = &[&["method", "ruri", "headers"], &["method", "ruri", "headers", "body"]];
        let given = match self.taken(params, forms) {
            Ok(given) => given,
            Err(refused) => return (Duration::ZERO, Err(refused)),
        };
        let to_me = text(&given[1]).contains(&self.proxy.rules.address.to_string());
        if to_me && !self.wire.faults.sip_dead {
            (Duration::from_millis(1), Ok(json!({"Status": "200 OK"})))
        } else {
            (self.options.fr_timer, Ok(json!({"Status": "408 Request Timeout"})))
        }
    }
}

/// The name of a dialog in this life of the server: `0a5.a7c10985`.
pub(super) fn id(key: (u32, u32)) -> String {
    format!("{:03x}.{:x}", key.0, key.1)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn error(Refusal(code, message, data): &Refusal, id: &Value) -> String {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        error["data"] = json!(data);
    }
    json!({"jsonrpc": "2.0", "error": error, "id": id}).to_string()
}
