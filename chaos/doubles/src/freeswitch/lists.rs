//! What the server tells when it is asked: its figures, its legs, one leg in full.

use std::fmt::Write as _;

use super::events::json;
use super::leg::Leg;
use super::world::World;

/// `status`, the line with the version alone.
pub(super) fn status(world: &World) -> String {
    let profile = world.options.profile;
    format!(
        "FreeSWITCH (Version {} {}) is ready\n{} session(s) since startup\n{} session(s) - peak 3, last 5min 3 \n",
        profile.version,
        profile.build,
        world.sessions_ever,
        world.legs.len()
    )
}

/// `json {"command":"status","data":""}`
pub(super) fn json_status(world: &World) -> String {
    let profile = world.options.profile;
    format!(
        "{{\"command\":\"status\",\"data\":\"\",\"status\":\"success\",\"response\":{{\"systemStatus\":\"ready\",\
         \"version\":{},\"sessions\":{{\"count\":{{\"total\":{},\"active\":{},\"peak\":3,\"peak5Min\":3,\"limit\":{}}},\
         \"rate\":{{\"current\":1,\"max\":{},\"peak\":2,\"peak5Min\":2}}}},\
         \"idleCPU\":{{\"used\":0,\"allowed\":0}}}}}}",
        json(&format!("{} {}", profile.version, profile.build)),
        world.sessions_ever,
        world.legs.len(),
        world.options.sessions_max,
        world.options.per_second
    )
}

/// The legs as the lists show them: late by up to 0.3 s, both ways.
fn shown(world: &World) -> Vec<&Leg> {
    let ghosts = world.ghosts.iter().filter(|ghost| ghost.until > world.now).map(|ghost| &ghost.leg);
    let legs = world.legs.values().filter(|leg| leg.listed <= world.now);
    let mut shown: Vec<&Leg> = legs.chain(ghosts).collect();
    shown.sort_by_key(|leg| leg.rank);
    shown
}

/// `show channels as json`; an empty list has no array.
pub(super) fn channels(world: &World) -> String {
    let legs = shown(world);
    if legs.is_empty() {
        return "{\"row_count\": 0}".into();
    }
    let rows: Vec<String> = legs.iter().map(|leg| row(world, leg)).collect();
    format!("{{\"row_count\":{},\"rows\":[{}]}}", rows.len(), rows.join(","))
}

/// `show channels count as json`
pub(super) fn count(world: &World) -> String {
    format!("{{\"row_count\":{},\"rows\":[]}}", shown(world).len())
}

fn row(world: &World, leg: &Leg) -> String {
    let created = world.options.wall + leg.created.as_secs();
    let direction = if leg.inbound { "inbound" } else { "outbound" };
    let call = leg.partner.as_deref().unwrap_or(&leg.uuid);
    let mut text = String::from("{");
    for (name, value) in [
        ("uuid", leg.uuid.as_str()),
        ("direction", direction),
        ("created_epoch", &created.to_string()),
        ("name", &leg.name),
        ("state", leg.state),
        ("cid_name", &leg.caller),
        ("cid_num", &leg.caller),
        ("ip_addr", "127.0.0.1"),
        ("dest", &leg.dest),
        ("application", &leg.app.0),
        ("application_data", &leg.app.1),
        ("dialplan", leg.dialplan),
        ("context", "default"),
        ("callstate", leg.call_state()),
        ("call_uuid", call),
    ] {
        let _ = write!(text, "\"{name}\":{},", json(value));
    }
    text.pop();
    text.push('}');
    text
}

/// `uuid_dump <uuid> json`
pub(super) fn dump(world: &mut World, uuid: &str) -> Option<String> {
    let event = world.event("CHANNEL_DATA");
    Some(world.about(event, world.legs.get(uuid)?, true).json())
}
