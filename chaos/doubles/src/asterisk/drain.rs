//! Keeping new calls away: maintenance of endpoints on 22 (`PJSIPSetMaintenance`). Before 22.10 the
//! dialplan asks the global variable `IFBUS_DRAIN` instead; that is in [`super::dialplan`].
//!
//! While an endpoint is in maintenance its INVITEs are answered 503 before a channel exists, and calls to
//! it fail like calls to somebody unregistered. Calls in progress go on. A restart forgets it.

use super::ami::{Message, Text};
use super::happening::{SYSTEM, Teller};
use super::world::World;

/// `PJSIPSetMaintenance`. Only a change is told.
pub(super) fn set(world: &mut World, request: &Message) -> String {
    let Some(name) = request.text("Endpoint") else {
        return Text::error(request, "Endpoint parameter missing");
    };
    let on = match request.text("State") {
        None => return Text::error(request, "State parameter missing"),
        Some("on") => true,
        Some("off") => false,
        Some(_) => return Text::error(request, "State must be 'on' or 'off'"),
    };
    let all = name == "all";
    if !all && !world.endpoints.contains_key(name) {
        return Text::error(request, format!("Endpoint '{name}' not found"));
    }
    let before = world.maintenance.len();
    for endpoint in world.endpoints.keys().filter(|endpoint| all || *endpoint == name) {
        if on {
            world.maintenance.insert(endpoint.clone());
        } else {
            world.maintenance.remove(endpoint);
        }
    }
    let state = if on { "enabled" } else { "disabled" };
    if world.maintenance.len() != before {
        let teller = Teller::new(world, SYSTEM, "PJSIPMaintenanceStatus");
        let told = teller.line("Endpoint", name).line("Status", state).told();
        world.tell(told);
    }
    let whom = if all { " for all endpoints" } else { "" };
    Text::done(request, format!("Maintenance mode {state}{whom}"))
}

/// `PJSIPShowMaintenance`: endpoint by endpoint, also after `all`.
pub(super) fn show(world: &World, request: &Message) -> String {
    let mut text = Text::list(request, "Maintenance status events follow");
    for name in &world.maintenance {
        text.line("Event", "PJSIPMaintenanceStatus");
        text.id(request);
        text.line("Endpoint", name);
        text.line("Status", "enabled");
        text.gap();
    }
    text.close(request, "PJSIPMaintenanceStatusComplete", world.maintenance.len());
    text.end()
}

impl World {
    /// Whether a call to this endpoint would be tried.
    pub(super) fn may_call(&self, endpoint: &str) -> bool {
        self.can_reach(endpoint) && !self.maintenance.contains(endpoint)
    }
}
