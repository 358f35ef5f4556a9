//! Actions on calls: Originate, Hangup, Redirect, Bridge, PlayDTMF, MuteAudio, Getvar, Setvar.

use std::time::Duration;

use super::actions::Answer;
use super::ami::{Message, Text};
use super::channels::{Channel, Landing, Originate, Party, Place};
use super::world::{Timer, World};

/// Time a Bridge with a ringing channel takes.
const UNANSWERED: Duration = Duration::from_millis(500);
/// Longest id that Originate accepts.
const ID: usize = 149;

pub(super) fn order(world: &mut World, action: &str, request: &Message) -> Answer {
    match action {
        "originate" => originate(world, request).into(),
        "hangup" => hangup(world, request).into(),
        "redirect" => redirect(world, request).into(),
        "bridge" => bridge(world, request),
        "playdtmf" => play_dtmf(world, request),
        "muteaudio" => mute(world, request).into(),
        "getvar" => getvar(world, request).into(),
        "setvar" => setvar(world, request).into(),
        other => unreachable!("action {other} has rights but no meaning"),
    }
}

fn originate(world: &mut World, request: &Message) -> String {
    match originate_order(world, request) {
        Err(message) => Text::error(request, message),
        Ok((order, timeout)) => {
            let id = request.text("ChannelId").map(str::to_owned);
            let variables = request.all("Variable").flat_map(variables).collect();
            world.originate(order, id, timeout, variables);
            Text::done(request, "Originate successfully queued")
        }
    }
}

fn originate_order(world: &World, request: &Message) -> Result<(Originate, Duration), &'static str> {
    let asked = request.text("Channel").ok_or("Channel not specified")?;
    if !asked.contains('/') {
        return Err("Invalid channel");
    }
    if request.text("ChannelId").is_some_and(|id| id.len() > ID) {
        return Err("Uniqueid length exceeds maximum of 149\n");
    }
    let timeout = match request.text("Timeout") {
        Some(text) => text.parse().map_err(|_| "Invalid timeout")?,
        None => 30_000,
    };
    let landing = match request.text("Application") {
        Some(app) => Landing::App(app.to_owned(), request.get("Data").unwrap_or_default().to_owned()),
        None => Landing::Place(landing_place(world, request)?),
    };
    let order = Originate {
        action_id: request.text("ActionID").map(str::to_owned),
        asked: asked.chars().take(255).collect(),
        landing,
        caller: request.text("CallerID").map(Party::parse),
    };
    Ok((order, Duration::from_millis(timeout)))
}

fn landing_place(world: &World, request: &Message) -> Result<Place, &'static str> {
    let fields = (request.text("Context"), request.text("Exten"), request.text("Priority"));
    let (Some(context), Some(exten), Some(priority)) = fields else {
        return Err("Originate with 'Exten' requires 'Context' and 'Priority'");
    };
    let priority = priority.parse().map_err(|_| "Invalid priority")?;
    if !world.dialplan.exists(context, exten, priority) {
        return Err("Extension does not exist.");
    }
    Ok(Place { context: context.to_owned(), exten: exten.to_owned(), priority })
}

/// `A=1,B=2` sets two variables; quotes and backslashes keep a comma (sheet section 6).
fn variables(header: &str) -> Vec<(String, String)> {
    let (mut parts, mut part, mut quoted) = (vec![], String::new(), false);
    let mut letters = header.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => quoted = !quoted,
            '\\' => part.extend(letters.next()),
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            other => part.push(other),
        }
    }
    parts.push(part);
    parts.iter().filter_map(|p| p.split_once('=')).map(|(k, v)| (k.trim().to_owned(), v.to_owned())).collect()
}

fn hangup(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Channel") else {
        return Text::error(request, "No channel specified");
    };
    if let Some(pattern) = name.strip_prefix('/').and_then(|p| p.strip_suffix('/')) {
        return hangup_matching(world, request, pattern);
    }
    let Some(id) = world.find(name) else {
        return Text::error(request, "No such channel");
    };
    let cause =
        request.text("Cause").and_then(|c| c.parse().ok()).filter(|c| (1..=127).contains(c)).unwrap_or(0);
    world.hang_up(&id, cause);
    Text::done(request, "Channel Hungup")
}

/// `Channel: /^PJSIP\/1001-/`: the double knows anchored prefixes.
fn hangup_matching(world: &mut World, request: &Message, pattern: &str) -> String {
    let prefix = pattern.trim_start_matches('^').replace("\\/", "/");
    let hit: Vec<(String, String)> = world
        .names
        .iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(n, id)| (n.clone(), id.clone()))
        .collect();
    let mut text = Text::list(request, "Channels hung up will follow");
    for (name, id) in &hit {
        text.line("Event", "ChannelHungup");
        text.line("Channel", name);
        text.id(request);
        text.gap();
        world.hang_up(id, 16);
    }
    text.close(request, "ChannelsHungupListComplete", hit.len());
    text.end()
}

/// The function by which a channel is given a time to live.
pub(super) const FENCE: &str = "TIMEOUT(absolute)";

impl World {
    /// The channel ends so many seconds from now, wherever it is then; 0 takes that back. `Bridge` does too, a conference
    /// does not (seen on both).
    pub(super) fn fence(&mut self, id: &str, seconds: &str) {
        let channel = self.channel_mut(id);
        channel.fence += 1;
        let (count, seconds) = (channel.fence, seconds.parse().unwrap_or(0));
        if seconds > 0 {
            self.after(Duration::from_secs(seconds), Timer::Fence(id.to_owned(), count));
        }
    }

    pub(super) fn fenced_out(&mut self, id: &str, count: u64) {
        if self.channels.get(id).is_some_and(|channel| channel.fence == count) {
            self.hang_up(id, 0);
        }
    }

    /// A hang-up by the server or by us.
    pub(super) fn hang_up(&mut self, id: &str, cause: u16) {
        let Some(channel) = self.channels.get(id) else { return };
        let up = channel.is_up();
        if !up && channel.originate.is_some() {
            return self.canceled(id, cause);
        }
        let (joined, in_dialplan) = (channel.bridge.is_some(), channel.in_dialplan);
        self.cancel_dialed(id, 16);
        // Who is in a bridge ends normally, if no cause was given (seen).
        let cause = if joined && cause == 0 { 16 } else { cause };
        match (joined, in_dialplan) {
            (true, _) => self.dissolve(id, cause, super::profile::status_of_cause(cause)),
            (false, true) => self.end_in_dialplan(id, cause),
            (false, false) => self.gone(id, cause, super::profile::status_of_cause(cause)),
        }
    }
}

fn place(request: &Message, prefix: &str) -> Result<Place, &'static str> {
    let get = |key: &str| request.text(&format!("{prefix}{key}")).map(str::to_owned);
    let missing = |what: &'static str| {
        if prefix.is_empty() { what } else { "ExtraContext, ExtraExten or ExtraPriority not specified" }
    };
    let context = get("Context").ok_or(missing("Context not specified"))?;
    let exten = get("Exten").ok_or(missing("Exten not specified"))?;
    let priority = get("Priority").ok_or(missing("Priority not specified"))?;
    let priority = priority.parse().map_err(|_| "Priority is invalid")?;
    Ok(Place { context, exten, priority })
}

fn redirect(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Channel") else {
        return Text::error(request, "Channel not specified");
    };
    let first = match place(request, "") {
        Ok(place) => place,
        Err(message) => return Text::error(request, message),
    };
    let Some(id) = world.find(name) else {
        return Text::error(request, format!("Channel does not exist: {name}"));
    };
    let mut moves = vec![(id.clone(), first.clone())];
    let Some(extra) = request.text("ExtraChannel") else {
        world.redirect(moves);
        return Text::done(request, "Redirect successful");
    };
    let Some(extra_id) = world.find(extra) else {
        return Text::error(request, format!("ExtraChannel does not exist: {extra}"));
    };
    let second = if request.text("ExtraContext").is_some() { place(request, "Extra") } else { Ok(first) };
    match second {
        Err(message) => Text::error(request, message),
        Ok(place) => {
            if extra_id != id {
                moves.push((extra_id, place));
            }
            world.redirect(moves);
            Text::done(request, "Dual Redirect successful")
        }
    }
}

fn bridge(world: &mut World, request: &Message) -> Answer {
    let (Some(first), Some(second)) = (request.text("Channel1"), request.text("Channel2")) else {
        return Text::error(request, "Missing channel parameter in request").into();
    };
    let Some(a) = world.find(first) else {
        return Text::error(request, format!("Channel1 does not exist: {first}")).into();
    };
    let Some(b) = world.find(second) else {
        return Text::error(request, format!("Channel2 does not exist: {second}")).into();
    };
    let done = Text::done(request, "Channels have been bridged");
    if !world.channels[&a].is_up() || !world.channels[&b].is_up() {
        world.after(UNANSWERED, Timer::LateBridge(a, b));
        return Answer { busy: UNANSWERED, ..done.into() };
    }
    match world.join(&a, &b) {
        Ok(()) => done.into(),
        Err(unjoinable) => {
            Text::error(request, format!("Unable to add {} to bridge: {}", unjoinable.which, unjoinable.name))
                .into()
        }
    }
}

/// Blocks the session as long as the digit sounds; an impossible digit is accepted (sheet section 5).
fn play_dtmf(world: &mut World, request: &Message) -> Answer {
    let channel = request.text("Channel").and_then(|name| world.find(name));
    let Some(id) = channel else {
        return Text::error(request, "Channel not found").into();
    };
    let Some(digit) = request.text("Digit").and_then(|d| d.chars().next()) else {
        return Text::error(request, "No digit specified").into();
    };
    let millis = request.text("Duration").and_then(|d| d.parse().ok()).unwrap_or(100).min(10_000);
    let done = Text::done(request, "DTMF successfully queued");
    if request.yes("Receive") {
        let told = world.dtmf_end(&world.channels[&id], digit, u128::from(millis), "Received");
        world.tell(told);
        return done.into();
    }
    if world.profile.figures {
        let told = world.test_digit(digit);
        world.tell(told);
    }
    if "0123456789ABCDabcd*#".contains(digit) && world.channels[&id].phone_up {
        world.send_digit(&id, digit);
    }
    Answer { busy: Duration::from_millis(millis), ..done.into() }
}

fn mute(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Channel") else {
        return Text::error(request, "Channel not specified");
    };
    let Some(channel) = world.find(name).and_then(|id| world.channels.get_mut(&id)) else {
        return Text::error(request, "No such channel");
    };
    let Some(direction) = request.text("Direction") else {
        return Text::error(request, "Direction not specified");
    };
    if request.text("State").is_none() {
        return Text::error(request, "State not specified");
    }
    let on = request.yes("State");
    match direction {
        "in" => channel.muted_in = on,
        "out" => channel.muted_out = on,
        "all" => (channel.muted_in, channel.muted_out) = (on, on),
        _ => return Text::error(request, "Failed to mute/unmute stream"),
    }
    // Muting needs the audio in the core: the bridge is native no longer (seen).
    let bridge = channel.bridge.clone();
    if let Some(bridge) = bridge.and_then(|bridge| world.bridges.get_mut(&bridge)) {
        (bridge.native, bridge.may_be_native) = (false, false);
    }
    // The answer has no message (seen).
    Text::success(request).end()
}

fn getvar(world: &World, request: &Message) -> String {
    let Some(variable) = request.text("Variable") else {
        return Text::error(request, "No variable specified");
    };
    let value = match request.text("Channel") {
        None => world.globals.get(variable).cloned(),
        Some(name) => match world.find(name) {
            None => return Text::error(request, "No such channel"),
            Some(id) => variable_of(world, &id, variable),
        },
    };
    let mut text = Text::success(request);
    text.line("Variable", variable);
    text.line("Value", value.unwrap_or_default());
    text.end()
}

/// A channel variable, or one of the functions that adapters may ask.
pub(super) fn variable_of(world: &World, id: &str, variable: &str) -> Option<String> {
    let channel = &world.channels[id];
    match variable {
        "CHANNEL(pjsip,call-id)" => Some(channel.protocol.clone()),
        "CHANNEL(state)" => Some(channel.state.name().to_owned()),
        _ => match variable.strip_prefix("EVAL(").and_then(|text| text.strip_suffix(')')) {
            Some(text) => Some(evaluated(channel, text)),
            None => channel.variables.get(variable).cloned(),
        },
    }
}

/// `${NAME}` becomes the value of the variable.
fn evaluated(channel: &Channel, text: &str) -> String {
    let (mut value, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("${") {
        value.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        value.push_str(channel.variables.get(name).map_or("", String::as_str));
        rest = after;
    }
    value + rest
}

fn setvar(world: &mut World, request: &Message) -> String {
    let Some(variable) = request.text("Variable") else {
        return Text::error(request, "No variable specified");
    };
    let fence = variable == FENCE && request.text("Channel").is_some();
    if variable.contains('(') && !fence {
        return Text::error(request, "Variable not set");
    }
    let value = request.get("Value").unwrap_or_default().to_owned();
    match request.text("Channel") {
        None => {
            world.globals.insert(variable.to_owned(), value);
        }
        Some(name) => {
            let Some(id) = world.find(name) else {
                return Text::error(request, "No such channel");
            };
            if fence {
                world.fence(&id, &value);
            }
            let channel = world.channels.get_mut(&id).expect("it was just found");
            channel.variables.insert(variable.trim_start_matches('_').to_owned(), value.clone());
            let told = world.varset(&world.channels[&id], variable, &value);
            world.tell(told);
        }
    }
    Text::done(request, "Variable Set")
}
