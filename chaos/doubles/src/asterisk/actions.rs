//! What each AMI action does and answers. Calls are in [`super::orders`], lists in [`super::lists`].

use std::time::Duration;

use super::ami::{Message, Text};
use super::conference;
use super::drain;
use super::happening::{SYSTEM, Teller};
use super::lists;
use super::orders;
use super::recording;
use super::session::Login;
use super::world::World;

/// What comes back for one action.
pub(super) struct Answer {
    /// Bytes for the client, without their faults.
    pub(super) text: String,
    /// The session's thread is busy this long before the answer goes out (sheet section 2).
    pub(super) busy: Duration,
    /// The connection is closed afterwards.
    pub(super) close: bool,
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Answer { text, busy: Duration::ZERO, close: false }
    }
}

/// Classes of which one is needed for an action; `None` for an action that does not exist.
fn rights(action: &str, world: &World) -> Option<&'static [&'static str]> {
    Some(match action {
        "ping"
        | "events"
        | "listcommands"
        | "bridgelist"
        | "bridgetechnologylist"
        | "bridgetechnologysuspend"
        | "bridgetechnologyunsuspend"
        | "login"
        | "logoff"
        | "challenge" => &[],
        "filter" | "muteaudio" | "pjsipshowendpoints" | "dialplanextensionadd" | "reload" => &["system"],
        "corestatus" | "coresettings" | "coreshowchannels" | "pjsipqualify" => &["system", "reporting"],
        "showdialplan" => &["config", "reporting"],
        "originate" => &["originate"],
        "hangup" => &["system", "call"],
        "status" => &["system", "call", "reporting"],
        "setvar" | "redirect" | "bridge" | "playdtmf" => &["call"],
        "confbridgekick" | "confbridgemute" | "confbridgeunmute" => &["call"],
        "confbridgelist" | "confbridgelistrooms" => &["reporting"],
        "mixmonitor" => &["system"],
        "stopmixmonitor" => &["system", "call"],
        "getvar" => &["call", "reporting"],
        "userevent" => &["user"],
        "command" => &["command"],
        "pjsipsetmaintenance" if world.profile.maintenance => &["system"],
        "pjsipshowmaintenance" if world.profile.maintenance => &["system", "reporting"],
        _ => return None,
    })
}

/// Carries out one action of a logged-in session.
pub(super) fn act(world: &mut World, login: &mut Login, request: &Message) -> Answer {
    let Some(name) = request.text("Action") else {
        return Text::error(request, "Missing action in request").into();
    };
    let action = name.to_ascii_lowercase();
    let Some(needed) = rights(&action, world) else {
        let message =
            format!("Invalid/unknown command: {name}. Use Action: ListCommands to show available commands.");
        return Text::error(request, message).into();
    };
    if !login.write.any(needed) {
        return Text::error(request, "Permission denied").into();
    }
    match action.as_str() {
        "login" => Text::done(request, "Already authenticated").into(),
        "challenge" => challenge(world, login, request),
        "logoff" => {
            let mut text = Text::response("Goodbye", request);
            text.line("Message", "Thanks for all the fish.");
            Answer { close: true, ..text.end().into() }
        }
        "ping" => ping(world, request).into(),
        "events" => events(login, request).into(),
        "filter" => filter(login, request).into(),
        "coresettings" => core_settings(world, request).into(),
        "corestatus" => core_status(world, request).into(),
        "bridgetechnologysuspend" | "bridgetechnologyunsuspend" => {
            technology(world, request, action.ends_with("ysuspend")).into()
        }
        "dialplanextensionadd" => extension_add(world, request).into(),
        "reload" => reload(world, request).into(),
        "pjsipqualify" => qualify(world, request).into(),
        "userevent" => user_event(world, request).into(),
        "command" => command(request).into(),
        "pjsipsetmaintenance" => drain::set(world, request).into(),
        "pjsipshowmaintenance" => drain::show(world, request).into(),
        "listcommands" => lists::commands(world, login, request).into(),
        "bridgelist" => lists::bridges(world, request).into(),
        "bridgetechnologylist" => lists::technologies(world, request).into(),
        "coreshowchannels" => lists::channels(world, request).into(),
        "status" => lists::status(world, request).into(),
        "showdialplan" => lists::dialplan(world, request).into(),
        "pjsipshowendpoints" => lists::endpoints(world, request).into(),
        "confbridgelistrooms" => conference::rooms(world, request).into(),
        "confbridgelist" => conference::members(world, request).into(),
        "confbridgekick" => conference::kick(world, request).into(),
        "confbridgemute" | "confbridgeunmute" => {
            conference::mute(world, request, action == "confbridgemute").into()
        }
        "mixmonitor" => recording::start(world, request).into(),
        "stopmixmonitor" => recording::stop(world, request).into(),
        _ => orders::order(world, &action, request),
    }
}

pub(super) fn challenge(world: &mut World, login: &mut Login, request: &Message) -> Answer {
    if !request.get("AuthType").is_some_and(|kind| kind.eq_ignore_ascii_case("MD5")) {
        return Text::error(request, "Must specify AuthType").into();
    }
    let challenge = (world.random.next() % 1_000_000_000).to_string();
    let mut text = Text::success(request);
    text.line("Challenge", &challenge);
    login.challenge = Some(challenge);
    text.end().into()
}

fn ping(world: &World, request: &Message) -> String {
    let mut text = Text::success(request);
    text.line("Ping", "Pong");
    text.line("Timestamp", world.clock.stamp(world.now));
    text.end()
}

fn events(login: &mut Login, request: &Message) -> String {
    let Some(mask) = request.text("EventMask") else {
        return Text::error(request, "Invalid event mask");
    };
    login.listen(mask);
    let mut text = Text::success(request);
    text.line("Events", if login.mask.is_some() { "On" } else { "Off" });
    text.end()
}

fn filter(login: &mut Login, request: &Message) -> String {
    if !request.get("Operation").is_some_and(|o| o.eq_ignore_ascii_case("Add")) {
        return Text::error(request, "Unknown operation");
    }
    match request.text("Filter").unwrap_or_default() {
        "" => {
            Text::error(request, "Filter was formatted incorrectly.  Check the syntax of the filter given.")
        }
        "[" => Text::error(request, "Filter did not compile.  Check the syntax of the filter given."),
        filter => {
            login.filters.push(filter.to_owned());
            Text::done(request, "Success")
        }
    }
}

fn core_settings(world: &World, request: &Message) -> String {
    let profile = world.profile;
    let mut text = Text::success(request);
    text.line("AMIversion", profile.ami);
    text.line("AsteriskVersion", profile.version);
    text.line("SystemName", "lab");
    text.line("CoreMaxCalls", 0);
    text.line("CoreMaxLoadAvg", "0.000000");
    text.line("CoreRunUser", "");
    text.line("CoreRunGroup", "");
    text.line("CoreMaxFilehandles", 20000);
    text.line("CoreRealTimeEnabled", "No");
    text.line("CoreCDRenabled", "No");
    text.line("CoreHTTPenabled", "Yes");
    if profile.sounds_search {
        text.line("SoundsSearchCustomDir", "No");
    }
    text.end()
}

fn core_status(world: &World, request: &Message) -> String {
    let (date, time) = world.clock.date_time(world.booted);
    let (reload_date, reload_time) = world.clock.date_time(world.reloaded);
    let mut text = Text::success(request);
    text.line("CoreStartupDate", date);
    text.line("CoreStartupTime", time);
    text.line("CoreReloadDate", reload_date);
    text.line("CoreReloadTime", reload_time);
    // Counts channels, not calls (sheet section 5).
    text.line("CoreCurrentCalls", world.channels.len());
    if world.profile.processed_calls {
        text.line("CoreProcessedCalls", world.processed);
    }
    text.end()
}

fn technology(world: &mut World, request: &Message, suspend: bool) -> String {
    let name = request.get("BridgeTechnology").unwrap_or_default();
    if !lists::TECHNOLOGIES.iter().any(|(known, ..)| *known == name) {
        return Text::error(request, "BridgeTechnology not found");
    }
    if suspend {
        world.suspended.insert(name.to_owned());
        Text::done(request, "Suspended bridge technology")
    } else {
        world.suspended.remove(name);
        Text::done(request, "Unsuspended bridge technology")
    }
}

fn extension_add(world: &mut World, request: &Message) -> String {
    let fields = (
        request.text("Context"),
        request.text("Extension"),
        request.text("Priority"),
        request.text("Application"),
    );
    let (Some(context), Some(exten), Some(priority), Some(app)) = fields else {
        return Text::error(
            request,
            "Context, Extension, Priority, and Application must be defined in the headers of this action.",
        );
    };
    let Some(priority) = priority.parse().ok().filter(|p| *p > 0) else {
        return Text::error(request, "The priority specified was invalid.");
    };
    if world.dialplan.has(context, exten, priority) && !request.yes("Replace") {
        return Text::error(request, "That extension and priority already exist at that context");
    }
    let data = request.get("ApplicationData").unwrap_or_default();
    world.dialplan.add(context, exten, priority, app, data);
    Text::done(request, "Added requested extension")
}

/// Loses what was added to the dialplan at run time (sheet section 3).
fn reload(world: &mut World, request: &Message) -> String {
    let module = request.text("Module").unwrap_or("All");
    let known = ["All", "pbx_config", "res_pjsip", "manager", "http"].contains(&module);
    if known {
        world.reloaded = world.now;
        let ready = world.ready_dialplan;
        if ["All", "pbx_config"].contains(&module) {
            world.dialplan.reload(ready, world.style);
        }
    }
    let status = if known { 0 } else { 2 };
    let told = Teller::new(world, SYSTEM, "Reload").line("Module", module).line("Status", status).told();
    world.tell(told);
    if known { Text::done(request, "Module Reloaded") } else { Text::error(request, "No such module") }
}

fn qualify(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Endpoint") else {
        return Text::error(request, "Endpoint parameter missing.");
    };
    if !world.endpoints.contains_key(name) {
        // The bare line feed is the server's own.
        return Text::error(request, "Unable to retrieve endpoint\n");
    }
    world.probe(name);
    Text::done(request, "Endpoint found, will qualify")
}

fn user_event(world: &mut World, request: &Message) -> String {
    let mut teller = Teller::new(world, &["user"], "UserEvent")
        .line("UserEvent", request.get("UserEvent").unwrap_or_default());
    teller = teller.maybe("ActionID", request.text("ActionID"));
    for (key, value) in request.others(&["Action", "ActionID", "UserEvent"]) {
        teller = teller.line(key, value);
    }
    let told = teller.told();
    world.tell(told);
    Text::done(request, "Event Sent")
}

/// The command line is not simulated.
fn command(request: &Message) -> String {
    let command = request.get("Command").unwrap_or_default();
    let mut text = Text::response("Error", request);
    text.line("Message", "Command output follows");
    text.line(
        "Output",
        format!("No such command '{command}' (type 'core show help {command}' for other possible commands)"),
    );
    text.end()
}
