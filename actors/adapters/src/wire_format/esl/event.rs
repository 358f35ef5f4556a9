//! An event, or the description of a leg, as the server writes it in JSON: of its 150 members the few we read.
//!
//! All values are strings; a variable with several values is an array, of which the first one counts. A member that is
//! there twice counts as it was first (sheet freeswitch, section 1).

use std::borrow::Cow;
use std::fmt;

use super::flat;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The members that are read, in the order of their bytes.
const KNOWN: [&str; 40] = [
    "Action",
    "Answer-State",
    "Bridge-A-Unique-ID",
    "Bridge-B-Unique-ID",
    "Call-Direction",
    "Caller-Caller-ID-Number",
    "Caller-Channel-Created-Time",
    "Caller-Channel-Progress-Time",
    "Caller-Destination-Number",
    "Caller-Dialplan",
    "Channel-Call-State",
    "Channel-Name",
    "Channel-State",
    "Conference-Name",
    "DTMF-Digit",
    "Event-Date-Timestamp",
    "Event-Name",
    "Event-Subclass",
    "Hangup-Cause",
    "Job-UUID",
    "Other-Leg-Destination-Number",
    "Other-Leg-Unique-ID",
    "Record-File-Path",
    "Unique-ID",
    "_body",
    "variable_bridge_uuid",
    "variable_current_application",
    "variable_current_application_data",
    "variable_endpoint_disposition",
    "variable_hangup_cause",
    "variable_ifbus_call",
    "variable_ifbus_ends",
    "variable_ifbus_owner",
    "variable_park_after_bridge",
    "variable_signal_bond",
    "variable_sip_hangup_disposition",
    "variable_sip_invite_failure_phrase",
    "variable_sip_network_ip",
    "variable_sip_refer_to",
    "variable_sip_term_status",
];

/// What a name looks like at a glance: no two of [`KNOWN`] look the same.
const fn glance(name: &[u8]) -> usize {
    let (early, late) = (name[name.len() * 2 / 5] as usize, name[name.len() - 2] as usize);
    (name.len() * 43 + early * 25 + late * 61) % 256
}

/// The member of [`KNOWN`] that looks so, counted from one.
const BY_GLANCE: [u8; 256] = {
    let mut found = [0; 256];
    let mut place = 0;
    while place < KNOWN.len() {
        let glance = glance(KNOWN[place].as_bytes());
        assert!(found[glance] == 0, "two names look the same: other factors are needed");
        place += 1;
        found[glance] = place as u8;
    }
    found
};

/// Which member that is, if it is read.
fn place(name: &str) -> Option<usize> {
    if name.len() < 2 {
        return None;
    }
    let place = usize::from(BY_GLANCE[glance(name.as_bytes())]).checked_sub(1)?;
    (KNOWN[place] == name).then_some(place)
}

/// One event.
#[derive(Debug, Clone, Default)]
pub struct Event<'a> {
    members: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Event<'a> {
    /// Reads an event.
    ///
    /// # Errors
    ///
    /// If it is not one JSON object.
    pub fn parse(json: &'a [u8]) -> Result<Self, serde_json::Error> {
        match Self::parse_plain(json) {
            Some(event) => Ok(event),
            None => serde_json::from_slice(json),
        }
    }

    /// Reads an event that is written as the server writes it; `None` says nothing about any other.
    pub(super) fn parse_plain(json: &'a [u8]) -> Option<Self> {
        let mut members = Vec::with_capacity(24);
        let mut seen = 0_u64;
        flat::walk(json, |name, value| {
            let Some(place) = place(name) else { return Some(()) };
            if seen & (1 << place) == 0 {
                seen |= 1 << place;
                members.push((KNOWN[place], value.read()?));
            }
            Some(())
        })?;
        Some(Self { members })
    }

    /// A member, if it is one of those that are read; an empty one is as good as none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.members.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_ref()).filter(|value| !value.is_empty())
    }

    /// The name of the event.
    #[must_use]
    pub fn name(&self) -> &str {
        self.get("Event-Name").unwrap_or_default()
    }

    /// A member that is a number.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Event<'de>, A::Error> {
        let mut members: Vec<(&'static str, Cow<'de, str>)> = Vec::with_capacity(24);
        while let Some(Key(key)) = map.next_key()? {
            let Some(key) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let Value(value) = map.next_value()?;
            if let Some(value) = value
                && !members.iter().any(|(known, _)| *known == key)
            {
                members.push((key, value));
            }
        }
        Ok(Event { members })
    }
}

/// The name of a member that is read.
struct Key(Option<&'static str>);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Key, E> {
                Ok(Key(place(name).map(|place| KNOWN[place])))
            }
        }
        deserializer.deserialize_str(Name)
    }
}

/// A text, or the first one of an array; whatever else there is counts as absent.
struct Value<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value<'de>, A::Error> {
        let mut first = None;
        while let Some(Value(item)) = array.next_element()? {
            first = first.or(item);
        }
        Ok(Value(first))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value(None))
    }
}
