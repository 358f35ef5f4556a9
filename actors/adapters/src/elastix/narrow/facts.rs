//! What two lists in a row tell: who is new, who rings, talks, and is gone.
//!
//! Why a leg ended pbxapi never says; what can be said is concluded from how far it had come.

use std::collections::BTreeSet;
use std::time::Duration;

use ifbus_call::{By, Cause, Event, LegId, Said, Seen, Stage};

use super::super::machine::Elastix;
use super::{Leg, Narrow};
use crate::adapter::Output;
use crate::wire_format::pbxapi::Channel;

impl Elastix {
    /// Applies the last list; `told` is whether anybody hears of it.
    pub(super) fn learn(&mut self, told: bool) {
        let Some(narrow) = self.narrow() else { return };
        let mut events = narrow.gone();
        let channels = std::mem::take(&mut narrow.channels);
        for channel in &channels {
            narrow.update(channel, &mut events);
        }
        narrow.channels = channels;
        if told {
            self.out.extend(events.into_iter().map(Output::Event));
        }
    }

    pub(super) fn narrow_seen(&mut self) -> Vec<Seen> {
        let Some(narrow) = self.narrow() else { return Vec::new() };
        let seen = |(id, leg): (&LegId, &Leg)| Seen {
            leg: *id,
            tag: leg.tag.clone(),
            native: leg.name.clone(),
            stage: leg.stage,
            partners: narrow.partners(*id),
            conference: None,
            moved: None,
            hears_music: false,
            party: leg.tag.as_ref().map_or_else(|| leg.party.clone(), |tag| tag.party.to_string()),
            age: leg.age,
        };
        narrow.legs.iter().filter(|(_, leg)| !leg.name.is_empty()).map(seen).collect()
    }
}

impl Narrow {
    /// Forgets who is in the list no more.
    fn gone(&mut self) -> Vec<Event> {
        let there: BTreeSet<&str> = self.channels.iter().map(|channel| channel.id.0.as_str()).collect();
        let gone: Vec<String> =
            self.names.keys().filter(|name| !there.contains(name.as_str())).cloned().collect();
        let mut events = Vec::new();
        for native in gone {
            let Some(id) = self.names.remove(&native) else { continue };
            let Some(leg) = self.legs.remove(&id) else { continue };
            if leg.tag.is_some() {
                events.push(leg.end(id));
            }
        }
        events
    }

    fn update(&mut self, channel: &Channel, events: &mut Vec<Event>) {
        let Some(id) = self.names.get(&channel.id.0).copied() else { return };
        let before = self.partners(id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let ours = leg.tag.is_some();
        let new = leg.name.is_empty();
        let stage = match channel.state.0.as_str() {
            "6" => Stage::Up,
            "4" | "5" => Stage::Ringing,
            _ => Stage::Dialing,
        };
        let was = std::mem::replace(&mut leg.stage, stage);
        leg.name = channel.name.0.chars().take(120).collect();
        leg.bridge.clone_from(&channel.bridge.0);
        leg.party = channel.party.0.chars().take(120).collect();
        leg.age = Duration::from_secs(channel.seconds.0.parse().unwrap_or(0));
        leg.rang |= stage == Stage::Ringing;
        if !ours {
            return;
        }
        if new {
            events.push(Event::Started(id));
        }
        if stage != was {
            match stage {
                Stage::Dialing => {}
                Stage::Ringing => events.push(Event::Ringing(id)),
                Stage::Up => events.push(Event::Answered(id)),
            }
        }
        let after = self.partners(id);
        events.extend(
            after.iter().filter(|other| !before.contains(other)).map(|other| Event::Joined(id, *other)),
        );
        if after.is_empty() && !before.is_empty() {
            events.push(Event::Parted(id));
        }
    }

    pub(super) fn partners(&self, id: LegId) -> Vec<LegId> {
        let Some(leg) = self.legs.get(&id).filter(|leg| !leg.bridge.is_empty()) else { return Vec::new() };
        let with =
            |(other, known): (&LegId, &Leg)| (*other != id && known.bridge == leg.bridge).then_some(*other);
        self.legs.iter().filter_map(with).collect()
    }
}

impl Leg {
    /// The best that can be said about its end.
    fn end(&self, leg: LegId) -> Event {
        let cause = match self.stage {
            Stage::Up => Cause::Answered,
            _ if self.dropped => Cause::Canceled,
            _ if self.rang => Cause::NoAnswer,
            _ => Cause::Unreachable,
        };
        let by = if self.dropped { By::Us } else { By::Unknown };
        Event::Ended { leg, cause, by, said: Said::new(None, "pbxapi does not tell why") }
    }
}
