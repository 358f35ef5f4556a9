//! The two names of a leg: our 128 bits, and the same bits as the server's UUID; and the variables beside it.
//!
//! A UUID says nothing of whose it is, so a variable does. The rest: [`crate::names`].

use ifbus_call::{ConferenceId, InstanceId, LegId, Tag};

use crate::names::{conference, read};
pub(super) use crate::names::{foreign, recorded, room, written};
use crate::wire_format::esl::{Event, Uuid};

/// The variable that holds the instance.
pub(super) const OWNER: &str = "ifbus_owner";
/// The variable that holds call, role and party.
pub(super) const CALL: &str = "ifbus_call";
/// The variable that holds `from` and `to`.
pub(super) const ENDS: &str = "ifbus_ends";

/// The server's name of a leg of ours.
pub(super) const fn native(leg: LegId) -> Uuid {
    Uuid(leg.0)
}

/// The leg that an event is about, if a variable beside it says that this instance made it. Nobody who calls the server
/// can set a variable of this name.
pub(super) fn ours(instance: InstanceId, event: &Event<'_>) -> Option<LegId> {
    let owner = event.get("variable_ifbus_owner").filter(|owner| *owner == instance.to_string());
    owner.and_then(|_| Uuid::read(event.get("Unique-ID")?)).map(|uuid| LegId(uuid.0))
}

/// What was written beside a leg.
pub(super) fn tag(event: &Event<'_>) -> Option<Tag> {
    read(event.get("variable_ifbus_call")?, event.get("variable_ifbus_ends")?)
}

/// A conference on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Room {
    /// One of this instance.
    Ours(ConferenceId),
    /// One of the operator, or of another instance.
    Foreign,
}

/// Whose conference the room of this name is; a profile and flags may follow it.
pub(super) fn room_named(instance: InstanceId, name: &str) -> Room {
    let name = name.split(['@', '+']).next().unwrap_or_default();
    conference(instance, name).map_or(Room::Foreign, Room::Ours)
}
