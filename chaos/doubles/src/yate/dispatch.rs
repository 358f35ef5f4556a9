//! What the messages of clients do, and what is answered.

use std::time::Duration;

use super::line::{Params, get};
use super::world::{Sound, Timer, What, World};

/// The answer to a message.
pub(super) struct Answer {
    pub(super) processed: bool,
    pub(super) name: String,
    pub(super) value: String,
    pub(super) params: Params,
}

impl World {
    /// Carries out a message of a client.
    pub(super) fn dispatch(&mut self, name: &str, params: Params) -> Answer {
        let mut answer = Answer { processed: false, name: name.to_owned(), value: String::new(), params };
        match name {
            "call.execute" => self.execute(&mut answer),
            "chan.masquerade" => self.masquerade(&mut answer),
            "chan.connect" => {
                let (a, b) =
                    (get(&answer.params, "id").to_owned(), get(&answer.params, "targetid").to_owned());
                answer.processed = a != b && self.channels.contains_key(&a) && self.channels.contains_key(&b);
                let joined = self.channels.get(&a).and_then(|channel| channel.peer.as_ref()) == Some(&b);
                if answer.processed && !joined {
                    let reason = get(&answer.params, "reason").to_owned();
                    self.connect(&a, &b, &reason);
                }
            }
            "call.drop" => answer.processed = self.drop_channels(&answer.params.clone()),
            "chan.control" => answer.processed = self.control(&answer.params.clone()),
            "chan.dtmf" => {
                let id = get(&answer.params, "targetid").to_owned();
                answer.processed = self.send_digit(&id, get(&answer.params, "text"));
            }
            "engine.status" => self.status(&mut answer),
            _ => {}
        }
        answer.params.push(("handlers".to_owned(), "engine:90".to_owned()));
        answer
    }

    // ---- call.execute ----------------------------------------------------------------------------------------------

    fn execute(&mut self, answer: &mut Answer) {
        let params = answer.params.clone();
        let text = |key: &str| get(&params, key).to_owned();
        let number = self.whom(&params);
        // without a target nothing is called, also with `direct` (seen)
        let full = self.options.maxchans.is_some_and(|most| self.sip_channels() >= most);
        if text("target").is_empty() || full {
            return;
        }
        let number = match number {
            Ok(Some(number)) => number,
            Ok(None) => return,
            Err(()) => {
                answer.params.push(("error".to_owned(), "notransport".to_owned()));
                answer.params.push(("reason".to_owned(), "Failed to create party".to_owned()));
                return;
            }
        };
        let Some((place, driver)) = self.placeholder(&text("callto")) else { return };
        self.dials += 1;
        let copied: Vec<&str> = params
            .iter()
            .rev()
            .find(|(key, _)| key == "copyparams")
            .map_or(vec![], |(_, list)| list.split(',').collect());
        let leg = self.call(&number, &text("caller"), &place);
        let prefix =
            if copied.contains(&"chanparams-prefix") { text("chanparams-prefix") } else { String::new() };
        let limit = |key: &str| text(key).parse().ok().map(Duration::from_millis);
        let dumb = driver == "dumb";
        if let Some(channel) = self.channels.get_mut(&leg) {
            channel.called = text("target");
            for (key, value) in &params {
                if !prefix.is_empty()
                    && copied.contains(&key.as_str())
                    && let Some(name) = key.strip_prefix(&prefix)
                {
                    channel.tags.insert(name.to_owned(), value.clone());
                }
            }
        }
        if dumb || copied.contains(&"timeout") {
            self.limit(&leg, limit("timeout"));
        }
        if (dumb || copied.contains(&"maxcall"))
            && let Some(most) = limit("maxcall")
        {
            self.after(most, Timer::MaxCall(leg.clone()));
        }
        if dumb {
            self.started(&place);
        }
        self.started(&leg);
        self.connect(&place, &leg, "");
        answer.processed = true;
        answer.params.push(("id".to_owned(), place));
        answer.params.push(("peerid".to_owned(), leg.clone()));
        if dumb {
            answer.params.push(("targetid".to_owned(), leg));
        }
    }

    /// The phone that is called; nobody if the routing knows none, an error if it has no address.
    fn whom(&self, params: &Params) -> Result<Option<String>, ()> {
        let direct = get(params, "direct");
        if direct.is_empty() {
            let target = get(params, "target");
            return Ok(self.options.phones.contains(target).then(|| target.to_owned()));
        }
        let Some(uri) = direct.strip_prefix("sip/sip:").or_else(|| direct.strip_prefix("sip/")) else {
            return Ok(None);
        };
        let (user, host) = uri.trim_start_matches("sip:").split_once('@').unwrap_or((uri, ""));
        if host.is_empty() || host.ends_with(".invalid") { Err(()) } else { Ok(Some(user.to_owned())) }
    }

    fn sip_channels(&self) -> usize {
        self.channels.keys().filter(|id| id.starts_with("sip/")).count()
    }

    /// A channel that holds a leg's place.
    fn placeholder(&mut self, callto: &str) -> Option<(String, &'static str)> {
        let (what, driver) = match callto.split_once('/')? {
            ("dumb", _) => (What::Dumb, "dumb"),
            ("tone", name) => (What::Tone(name == "ring"), "tone"),
            ("wave", rest) => {
                (What::Wave(self.sound(rest.strip_prefix("play/")?).unwrap_or(Sound::Silence)), "wave")
            }
            _ => return None,
        };
        Some((self.make(driver, what, false), driver))
    }

    /// The file of that path, if it is there.
    fn sound(&self, path: &str) -> Option<Sound> {
        let name = path.strip_prefix(self.options.sounds.as_str())?;
        match name {
            "/silence.slin" if self.options.has_sounds => Some(Sound::Silence),
            "/music.slin" if self.options.has_sounds => Some(Sound::Music),
            _ => None,
        }
    }

    fn limit(&mut self, id: &str, wait: Option<Duration>) {
        let at = wait.filter(|wait| !wait.is_zero()).map(|wait| self.now + wait);
        if let Some(channel) = self.channels.get_mut(id) {
            channel.timeout = at;
        }
        if let (Some(wait), Some(at)) = (wait, at) {
            self.after(wait, Timer::Timeout(id.to_owned(), at));
        }
    }

    // ---- chan.masquerade -------------------------------------------------------------------------------------------

    /// As if the channel had sent it: the answer has the inner name, unless there is no such channel.
    fn masquerade(&mut self, answer: &mut Answer) {
        let params = answer.params.clone();
        let (id, inner) = (get(&params, "id").to_owned(), get(&params, "message").to_owned());
        let Some(channel) = self.channels.get(&id) else { return };
        let has_audio = channel.peer.is_some() || channel.asked;
        answer.name.clone_from(&inner);
        answer.params.retain(|(key, _)| key != "message");
        match inner.as_str() {
            "call.execute" => self.place(&id, &params, answer),
            "call.conference" => self.gather(&id, &params, answer),
            "chan.attach" => {
                let over = get(&params, "override");
                let sound = over.strip_prefix("wave/play/").and_then(|path| self.sound(path));
                let single = get(&params, "single") == "true";
                if let Some(channel) = self.channels.get_mut(&id).filter(|_| has_audio)
                    && (over == "-" || sound.is_some())
                {
                    channel.over = sound;
                    // it acts also without, and says no (seen)
                    answer.processed = single;
                }
            }
            "chan.record" => {
                let (says, hears) = (get(&params, "call").to_owned(), get(&params, "peer").to_owned());
                answer.processed = true;
                if says == "-" {
                    self.end_recorder(&id);
                } else {
                    self.begin_recorder(&id, &says, &hears);
                }
            }
            _ => {}
        }
        let about = self.about(&id);
        answer.params.retain(|(key, _)| key != "id");
        answer.params.extend(about);
    }

    /// Replaces the peer of a leg.
    fn place(&mut self, id: &str, params: &Params, answer: &mut Answer) {
        let callto = get(params, "callto").to_owned();
        if let Some(room) = callto.strip_prefix("conf/") {
            let most = get(params, "maxusers").parse().unwrap_or(10);
            let Some((inside, new)) = self.enter_room(id, room, get(params, "lonely") == "true", most) else {
                return;
            };
            self.connect(id, &inside, "");
            let users = self.rooms.get(room).map_or(0, |room| room.members.len());
            answer.params.push(("room".to_owned(), callto));
            answer.params.push(("newroom".to_owned(), new.to_string()));
            answer.params.push(("users".to_owned(), users.to_string()));
        } else {
            let missing = callto.strip_prefix("wave/play/").is_some_and(|path| self.sound(path).is_none());
            let Some((place, _)) = self.placeholder(&callto) else { return };
            self.connect(id, &place, "");
            if missing {
                // the answer is true, and the leg ends all the same (seen)
                self.after(Duration::from_millis(20), Timer::NoFile(id.to_owned()));
            }
        }
        answer.processed = true;
    }

    /// Takes a leg and its peer into a room.
    fn gather(&mut self, id: &str, params: &Params, answer: &mut Answer) {
        let Some(room) = get(params, "room").strip_prefix("conf/").map(str::to_owned) else { return };
        let lonely = get(params, "lonely") == "true";
        let peer = self.channels.get(id).and_then(|channel| channel.peer.clone());
        // taken apart without anybody being told that he is alone
        for leg in [Some(id.to_owned()), peer.clone()].into_iter().flatten() {
            if let Some(channel) = self.channels.get_mut(&leg)
                && let Some(old) = channel.peer.take()
            {
                channel.last_peer = old;
            }
        }
        for leg in [Some(id.to_owned()), peer].into_iter().flatten() {
            if let Some((inside, _)) = self.enter_room(&leg, &room, lonely, 10) {
                self.connect(&leg, &inside, "conference");
            }
        }
        let users = self.rooms.get(&room).map_or(0, |room| room.members.len());
        answer.params.push(("newroom".to_owned(), "true".to_owned()));
        answer.params.push(("users".to_owned(), users.to_string()));
        answer.processed = true;
    }

    // ---- call.drop, chan.control -----------------------------------------------------------------------------------

    /// Without an id it ends every channel there is, and says no (seen).
    fn drop_channels(&mut self, params: &Params) -> bool {
        let (id, reason) = (get(params, "id").to_owned(), get(params, "reason").to_owned());
        let ids: Vec<String> = match id.as_str() {
            "" => self.channels.keys().cloned().collect(),
            driver if !driver.contains('/') => {
                self.channels.keys().filter(|id| id.split('/').next() == Some(driver)).cloned().collect()
            }
            one if self.channels.contains_key(one) => vec![one.to_owned()],
            room => {
                let name = room.strip_prefix("conf/").unwrap_or_default();
                self.rooms.get(name).map(|room| room.members.clone()).unwrap_or_default()
            }
        };
        for one in &ids {
            let status = if reason.is_empty() { "dropped" } else { &reason };
            self.end(one, &reason, Some(status), false);
        }
        !id.is_empty() && !ids.is_empty()
    }

    fn control(&mut self, params: &Params) -> bool {
        let id = get(params, "targetid").to_owned();
        if let Some(wait) = get(params, "timeout").parse().ok().map(Duration::from_millis) {
            self.limit(&id, Some(wait));
        }
        let Some(channel) = self.channels.get_mut(&id) else { return false };
        let prefix = get(params, "chanparams-prefix");
        if !prefix.is_empty() {
            for (key, value) in params {
                if let Some(name) = key.strip_prefix(prefix) {
                    channel.tags.insert(name.to_owned(), value.clone());
                }
            }
        }
        if let What::Conf { muted, .. } = &mut channel.what
            && let Ok(on) = get(params, "mute").parse()
        {
            *muted = on;
            return true;
        }
        false
    }

    // ---- engine.status ---------------------------------------------------------------------------------------------

    fn status(&mut self, answer: &mut Answer) {
        let module = get(&answer.params, "module").to_owned();
        let item = |id: &str, address: &str| {
            let channel = &self.channels[id];
            let peer = channel.peer.as_deref().unwrap_or_default();
            format!("{id}={}|{address}|{peer}", channel.status.as_str())
        };
        let of = |driver: &str| {
            self.channels
                .keys()
                .filter(|id| id.split('/').next() == Some(driver))
                .cloned()
                .collect::<Vec<_>>()
        };
        let list = |name: &str, items: Vec<String>| {
            let total = self.counts.get(name).copied().unwrap_or(0);
            let rest = if items.is_empty() { String::new() } else { format!(";{}", items.join(",")) };
            format!(
                "name={name},type=varchans,format=Status|Address|Peer;routed=0,routing=0,total={total},chans={}{rest}\r\n",
                items.len()
            )
        };
        answer.value = match module.as_str() {
            "sip" => list("sip", of("sip").iter().map(|id| item(id, "127.0.0.2:5060")).collect()),
            "wave" => list("wave", of("wave").iter().map(|id| item(id, "")).collect()),
            "conf" => {
                let address = |id: &String| match &self.channels[id].what {
                    What::Conf { room, .. } => room.clone(),
                    _ => String::new(),
                };
                list("conf", of("conf").iter().map(|id| item(id, &address(id))).collect())
            }
            "cdrbuild" => {
                let one = |id: &String| {
                    let channel = &self.channels[id];
                    let age = self.now.saturating_sub(channel.since).as_secs();
                    let (caller, called) = (percent(&channel.caller), percent(&channel.called));
                    format!("{id}={}|{caller}|{called}|1|{age}", channel.status.as_str())
                };
                let items: Vec<String> = of("sip").iter().chain(&of("dumb")).map(one).collect();
                let rest = if items.is_empty() { String::new() } else { format!(";{}", items.join(",")) };
                format!(
                    "name=cdrbuild,type=cdr,format=Status|Caller|Called|BillId|Duration;cdrs={},hungup=0{rest}\r\n",
                    items.len()
                )
            }
            "" | "engine" => {
                let chans = self.sip_channels();
                let total = self.counts.get("sip").copied().unwrap_or(0);
                format!(
                    "name=engine,type=system,version={};messages=0,workers=4,acceptcalls=accept,congestion=0\r\n\
                     name=sip,type=varchans,format=Status|Address|Peer;routed=0,routing=0,total={total},chans={chans},transactions=0\r\n",
                    self.options.version
                )
            }
            id => {
                let Some(channel) = self.channels.get(id) else { return };
                answer.processed = true;
                let muted = matches!(channel.what, What::Conf { muted: true, .. });
                let left = channel.timeout.map_or(String::new(), |at| {
                    format!(",timeout={}", at.saturating_sub(self.now).as_millis())
                });
                let peer = channel.peer.clone().unwrap_or_default();
                let text = format!("name={id},type=channel;module=sip,peerid={peer},mute={muted}{left}\r\n");
                let about = self.about(id);
                answer.params.retain(|(key, _)| key != "module");
                answer.params.extend(about);
                text
            }
        };
        if matches!(module.as_str(), "conf" | "wave") {
            answer.processed = true;
        }
    }
}

/// A field of a status: escaped as in a URI where it would break the list.
fn percent(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@' | b'+' | b':') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
    out
}
