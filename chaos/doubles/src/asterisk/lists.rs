//! AMI actions that answer with a list.

use super::ami::{Message, Text};
use super::channels::Channel;
use super::options::Contact;
use super::orders::variable_of;
use super::session::Login;
use super::world::World;

/// Bridge technologies: name, kind, priority.
pub(super) const TECHNOLOGIES: [(&str, &str, u8); 4] = [
    ("native_rtp", "Native", 90),
    ("holding_bridge", "Holding", 50),
    ("simple_bridge", "1to1Mix", 50),
    ("softmix", "MultiMix", 10),
];

/// What the recorded server printed, less what the user may not do.
pub(super) fn commands(world: &World, login: &Login, request: &Message) -> String {
    let list = if world.profile.tech_cause {
        include_str!("data/commands-22.txt")
    } else {
        include_str!("data/commands-16.txt")
    };
    let mut text = Text::success(request);
    for line in list.lines() {
        let classes = line.rsplit_once("(Priv: ").map_or("", |(_, classes)| classes.trim_end_matches(')'));
        let needed: Vec<&str> =
            classes.split(',').filter(|class| !["all", "<none>"].contains(class)).collect();
        if login.write.any(&needed)
            && let Some((name, about)) = line.split_once(": ")
        {
            text.line(name, about);
        }
    }
    text.end()
}

pub(super) fn bridges(world: &World, request: &Message) -> String {
    let mut text = Text::list(request, "Bridge listing will follow");
    for bridge in world.bridges.values() {
        text.line("Event", "BridgeListItem");
        text.id(request);
        bridge.headers("", &mut text.0);
        text.gap();
    }
    text.close(request, "BridgeListComplete", world.bridges.len());
    text.end()
}

pub(super) fn technologies(world: &World, request: &Message) -> String {
    let mut text = Text::list(request, "Bridge technology listing will follow");
    for (name, kind, priority) in TECHNOLOGIES {
        text.line("Event", "BridgeTechnologyListItem");
        text.line("BridgeTechnology", name);
        text.line("BridgeType", kind);
        text.line("BridgePriority", priority);
        text.line("BridgeSuspended", if world.suspended.contains(name) { "Yes" } else { "No" });
        text.id(request);
        text.gap();
    }
    text.close(request, "BridgeTechnologyListComplete", TECHNOLOGIES.len());
    text.end()
}

pub(super) fn channels(world: &World, request: &Message) -> String {
    let mut text = Text::list(request, "Channels will follow");
    for channel in world.channels.values() {
        let age = world.now.saturating_sub(channel.created).as_secs();
        text.line("Event", "CoreShowChannel");
        text.id(request);
        channel.headers("", &mut text.0);
        text.line("Application", &channel.app);
        text.line("ApplicationData", &channel.data);
        text.line("Duration", format!("{:02}:{:02}:{:02}", age / 3600, age / 60 % 60, age % 60));
        text.line("BridgeId", channel.bridge.as_deref().unwrap_or_default());
        text.gap();
    }
    text.close(request, "CoreShowChannelsComplete", world.channels.len());
    text.end()
}

pub(super) fn status(world: &World, request: &Message) -> String {
    let wanted: Vec<&Channel> = match request.text("Channel") {
        None => world.channels.values().collect(),
        Some(name) => match world.find(name) {
            None => return Text::error(request, "No such channel"),
            Some(id) => vec![&world.channels[&id]],
        },
    };
    let variables: Vec<&str> = split_outside_brackets(request.get("Variables").unwrap_or_default());
    let mut text = Text::list(request, "Channel status will follow");
    for channel in &wanted {
        text.line("Event", "Status");
        text.line("Privilege", "Call");
        channel.headers("", &mut text.0);
        details(world, channel, &mut text);
        for variable in &variables {
            let value = variable_of(world, &channel.id, variable);
            text.line("Variable", format!("{variable}={}", value.as_deref().unwrap_or("(null)")));
        }
        text.id(request);
        text.gap();
    }
    text.close(request, "StatusComplete", wanted.len()).line("Items", wanted.len());
    text.end()
}

fn details(world: &World, channel: &Channel, text: &mut Text) {
    let known = |text: &'_ str| if text.is_empty() { "(null)".to_owned() } else { text.to_owned() };
    text.line("Type", world.style.tech);
    text.line("DNID", "");
    text.line("EffectiveConnectedLineNum", channel.connected.number.as_deref().unwrap_or("<unknown>"));
    text.line("EffectiveConnectedLineName", channel.connected.name.as_deref().unwrap_or("<unknown>"));
    text.line("TimeToHangup", 0);
    text.line("BridgeID", channel.bridge.as_deref().unwrap_or_default());
    text.line("Application", known(&channel.app));
    text.line("Data", known(&channel.data));
    text.line("Nativeformats", "(ulaw)");
    text.line("Readformat", "ulaw");
    text.line("Readtrans", "");
    text.line("Writeformat", "ulaw");
    text.line("Writetrans", "");
    text.line("Callgroup", 0);
    text.line("Pickupgroup", 0);
    text.line("Seconds", world.now.saturating_sub(channel.created).as_secs());
}

/// `A,CHANNEL(pjsip,call-id)` is two variables.
fn split_outside_brackets(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .filter(|variable| !variable.is_empty())
    .collect()
}

pub(super) fn dialplan(world: &World, request: &Message) -> String {
    let contexts: Vec<&str> = match request.text("Context") {
        Some(context) => vec![context],
        None => world.dialplan.contexts().collect(),
    };
    let mut steps = Vec::new();
    for context in &contexts {
        let Some(listed) = world.dialplan.list(context, request.text("Extension")) else {
            return Text::error(request, format!("Did not find context {context}"));
        };
        if let (Some(exten), [_], true) = (request.text("Extension"), contexts.as_slice(), listed.is_empty())
        {
            return Text::error(request, format!("Did not find extension {exten}@{context}"));
        }
        steps.extend(listed.into_iter().map(|(exten, priority, step)| (*context, exten, priority, step)));
    }
    let mut text = Text::list(request, "DialPlan list will follow");
    let mut extensions: Vec<(&str, &str)> = vec![];
    for (context, exten, priority, step) in &steps {
        if extensions.last() != Some(&(*context, *exten)) {
            extensions.push((*context, *exten));
        }
        text.line("Event", "ListDialplan");
        text.id(request);
        text.line("Context", context);
        text.line("Extension", exten);
        if let Some(label) = step.label {
            text.line("ExtensionLabel", label);
        }
        text.line("Priority", priority);
        text.line("Application", &step.app);
        text.line("AppData", &step.data);
        text.line("Registrar", "pbx_config");
        text.gap();
    }
    let close = text.close(request, "ShowDialPlanComplete", steps.len());
    close.line("ListExtensions", extensions.len());
    close.line("ListPriorities", steps.len());
    close.line("ListContexts", contexts.len());
    text.end()
}

pub(super) fn endpoints(world: &World, request: &Message) -> String {
    let mut text = Text::list(request, "A listing of Endpoints follows, presented as EndpointList events");
    for (name, endpoint) in &world.endpoints {
        let channels = world.channels.values().filter(|c| c.endpoint == *name).count();
        let registers = endpoint.contact == Contact::Unregistered;
        text.line("Event", "EndpointList");
        text.id(request);
        text.line("ObjectType", "endpoint");
        text.line("ObjectName", name);
        text.line("Transport", "");
        text.line("Aor", name);
        text.line("Auths", if registers { name } else { "" });
        text.line("OutboundAuths", "");
        let contact = format!("{name}/{},", world.contact_uri(name));
        text.line("Contacts", if registers { "" } else { contact.as_str() });
        text.line(
            "DeviceState",
            match (world.can_reach(name), channels) {
                (false, _) => "Unavailable",
                (true, 0) => "Not in use",
                (true, _) => "In use",
            },
        );
        let counted = if world.profile.active_channels { channels.to_string() } else { String::new() };
        text.line("ActiveChannels", counted);
        text.gap();
    }
    text.close(request, "EndpointListComplete", world.endpoints.len());
    text.end()
}
