//! What an `api` does and answers. Most take effect a moment later; the answer comes before (sheet sections 3 and 13).

use std::time::Duration;

use super::lists;
use super::world::{BROADCAST, TURN, Timer, World};

const NO_LEG: &str = "-ERR No such channel!\n";
const OK: &str = "+OK\n";

/// `bgapi`.
pub(super) fn background(world: &mut World, job: &str, name: &str, arguments: &str) {
    if name == "originate" {
        return world.originate(arguments, Some(job.to_owned()));
    }
    let body = api(world, name, arguments);
    world.after(Duration::ZERO, Timer::Job(job.to_owned(), body));
}

/// `api`.
pub(super) fn api(world: &mut World, name: &str, arguments: &str) -> String {
    let words: Vec<&str> = arguments.split(' ').filter(|word| !word.is_empty()).collect();
    match (name, words.as_slice()) {
        ("echo", _) => arguments.to_owned(),
        ("version", ["short"]) => world.options.profile.version.to_owned(),
        ("status", _) => lists::status(world),
        ("json", _) => lists::json_status(world),
        ("global_getvar", ["core_uuid"]) => world.core.clone(),
        ("global_getvar", ["recordings_dir"]) => world.options.recordings.clone(),
        ("module_exists", [module]) => world.options.modules.contains(*module).to_string(),
        ("show", ["channels", "as", "json"]) => lists::channels(world),
        ("show", ["channels", "count", "as", "json"]) => lists::count(world),
        ("uuid_dump", [uuid, "json"]) => lists::dump(world, uuid).unwrap_or_else(|| NO_LEG.into()),
        ("uuid_exists", [uuid]) => world.legs.contains_key(*uuid).to_string(),
        ("uuid_exists", _) => "false".into(),
        ("uuid_getvar", [uuid, name]) => getvar(world, uuid, name),
        ("uuid_setvar", [uuid, name, rest @ ..]) => setvar(world, uuid, name, &rest.join(" ")),
        ("uuid_setvar_multi", [uuid, pairs]) => {
            let pairs = pairs.split(';').filter_map(|pair| pair.split_once('='));
            pairs.fold(OK.to_owned(), |_, (name, value)| setvar(world, uuid, name, value))
        }
        ("uuid_kill", []) => "-USAGE: <uuid> [cause]\n".into(),
        ("uuid_kill", [uuid, cause @ ..]) => kill(world, uuid, cause.first().copied()),
        ("uuid_bridge", [a, b]) => world.bridge_ordered(a, b),
        ("uuid_transfer", [uuid, "-both", app, "inline"]) => transfer(world, uuid, app, true),
        ("uuid_transfer", [uuid, app, "inline"]) => transfer(world, uuid, app, false),
        ("uuid_transfer", [uuid, to]) => transfer(world, uuid, &format!("nowhere:{to}"), false),
        ("uuid_broadcast", [uuid, sound, _]) => broadcast(world, uuid, sound),
        ("uuid_break", [uuid, ..]) => stop_sound(world, uuid),
        // it answers this for a leg that does not exist, too
        ("uuid_hold", _) => "+OK Success\n".into(),
        ("uuid_audio", [uuid, rest @ ..]) => audio(world, uuid, rest),
        ("uuid_send_dtmf", [uuid, digits]) => world.send_dtmf(uuid, digits),
        ("uuid_send_dtmf", _) => "-USAGE: <uuid> <dtmf_data>\n".into(),
        ("uuid_recv_dtmf", [uuid, digits]) => world.receive_dtmf(uuid, digits),
        ("uuid_record", [uuid, "start", path]) => world.record(uuid, path),
        ("uuid_record", [uuid, "stop", path]) => world.stop_record(uuid, path),
        ("uuid_buglist", [uuid]) => world.bugs(uuid).unwrap_or_else(|| NO_LEG.into()),
        ("sched_hangup", [time, uuid, cause @ ..]) => {
            schedule(world, time, uuid, cause.first().copied().unwrap_or("ALLOTTED_TIMEOUT"))
        }
        ("sched_del", [uuid]) => {
            let number = world.leg_mut(uuid).map_or(0, |leg| std::mem::take(&mut leg.scheduled).len());
            format!("+OK Deleted: {number}\n")
        }
        ("fsctl", words) => fsctl(world, words),
        ("conference", words) => world.conference(words),
        ("system", _) => world.system(arguments),
        ("hupall", _) => {
            for uuid in world.uuids() {
                world.hang_up(&uuid, "MANAGER_REQUEST", "send_bye");
            }
            "+OK hangup all channels with cause: MANAGER_REQUEST\n".into()
        }
        ("originate", _) => {
            world.originate(arguments, None);
            OK.into()
        }
        (name, _) => format!("-ERR {name} Command not found!\n"),
    }
}

fn getvar(world: &World, uuid: &str, name: &str) -> String {
    let Some(leg) = world.legs.get(uuid) else { return NO_LEG.into() };
    match name {
        "bridge_uuid" | "signal_bond" => leg.partner.clone(),
        _ => leg.variables.get(name).cloned(),
    }
    .unwrap_or_else(|| "_undef_".into())
}

fn setvar(world: &mut World, uuid: &str, name: &str, value: &str) -> String {
    let Some(leg) = world.leg_mut(uuid) else { return NO_LEG.into() };
    if value.is_empty() {
        leg.variables.remove(name);
    } else {
        leg.variables.insert(name.to_owned(), value.to_owned());
    }
    OK.into()
}

fn kill(world: &mut World, uuid: &str, cause: Option<&str>) -> String {
    if !world.legs.contains_key(uuid) {
        return NO_LEG.into();
    }
    let cause = cause.filter(|cause| cause.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
    let cause = cause.unwrap_or("NORMAL_CLEARING").to_owned();
    world.after(TURN, Timer::Kill(uuid.to_owned(), cause));
    OK.into()
}

fn transfer(world: &mut World, uuid: &str, app: &str, both: bool) -> String {
    if !world.legs.contains_key(uuid) {
        return NO_LEG.into();
    }
    world.after(TURN, Timer::Transfer(uuid.to_owned(), app.to_owned(), both));
    OK.into()
}

fn broadcast(world: &mut World, uuid: &str, sound: &str) -> String {
    if !world.legs.contains_key(uuid) {
        return NO_LEG.into();
    }
    world.after(BROADCAST, Timer::Plays(uuid.to_owned(), sound.to_owned()));
    "+OK Message sent\n".into()
}

fn stop_sound(world: &mut World, uuid: &str) -> String {
    if !world.legs.contains_key(uuid) {
        return NO_LEG.into();
    }
    world.silence(uuid);
    OK.into()
}

fn audio(world: &mut World, uuid: &str, words: &[&str]) -> String {
    let Some(leg) = world.leg_mut(uuid) else { return NO_LEG.into() };
    match words {
        ["start", "read", "mute", on] => leg.muted.0 = *on != "0",
        ["start", "write", "mute", on] => leg.muted.1 = *on != "0",
        ["stop"] => leg.muted = (false, false),
        _ => return "-USAGE: <uuid> [start [read|write] [mute|level <level>]|stop]\n".into(),
    }
    OK.into()
}

fn schedule(world: &mut World, time: &str, uuid: &str, cause: &str) -> String {
    let Some(seconds) = time.strip_prefix('+').and_then(|seconds| seconds.parse().ok()) else {
        return "-USAGE: [+]<time> <uuid>[ <cause>]\n".into();
    };
    let number = world.ticket();
    let Some(leg) = world.leg_mut(uuid) else { return NO_LEG.into() };
    leg.scheduled.push(number);
    let timer = Timer::Scheduled(uuid.to_owned(), number, cause.to_owned());
    world.after(Duration::from_secs(seconds), timer);
    OK.into()
}

fn fsctl(world: &mut World, words: &[&str]) -> String {
    match words {
        ["pause", "inbound"] => world.paused.0 = true,
        ["resume", "inbound"] => world.paused.0 = false,
        ["pause"] => world.paused = (true, true),
        ["resume"] => world.paused = (false, false),
        ["pause_check", "inbound"] => return world.paused.0.to_string(),
        ["pause_check"] => return world.paused.1.to_string(),
        ["ready_check"] => return (!world.paused.1).to_string(),
        ["sps", limit] => world.options.per_second = limit.parse().unwrap_or(world.options.per_second),
        ["max_sessions", limit] => {
            world.options.sessions_max = limit.parse().unwrap_or(world.options.sessions_max)
        }
        _ => return "-USAGE: fsctl\n".into(),
    }
    OK.into()
}
