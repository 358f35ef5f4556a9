//! ARI, the JSON of Asterisk's event stream: the few fields that are facts about a call, borrowed.
//!
//! It does not build a document: unknown fields are skipped unread (design section 10 forbids `serde_json::Value` on the
//! event path). Caller text is an escaped string here and cannot be mistaken for anything else (sheet asterisk, 19).

use std::borrow::Cow;

use serde::Deserialize;

/// The event types asked for; everything else would only wake us up. `ApplicationReplaced` tells of a rival instance.
pub const TYPES: [&str; 14] = [
    "ApplicationReplaced",
    "BridgeAttendedTransfer",
    "BridgeBlindTransfer",
    "ChannelCreated",
    "ChannelDestroyed",
    "ChannelDtmfReceived",
    "ChannelEnteredBridge",
    "ChannelHangupRequest",
    "ChannelHold",
    "ChannelLeftBridge",
    "ChannelStateChange",
    "ChannelUnhold",
    "ChannelUserevent",
    "Dial",
];

/// A text that is borrowed where the JSON has no escapes in it.
#[derive(Deserialize, Debug, Clone, PartialEq, Eq, Default)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// One event. A field that its type does not have is empty.
#[derive(Deserialize, Debug, Default)]
pub struct Event<'a> {
    /// What happened.
    #[serde(borrow, rename = "type", default)]
    pub kind: Cow<'a, str>,
    /// The channel it is about.
    #[serde(borrow, default)]
    pub channel: Option<Channel<'a>>,
    /// The channel that is dialled (`Dial`).
    #[serde(borrow, default)]
    pub peer: Option<Channel<'a>>,
    /// The bridge it entered or left.
    #[serde(borrow, default)]
    pub bridge: Option<Bridge<'a>>,
    /// How far a dialling has come: empty, `RINGING`, `PROGRESS`, `ANSWER`, or why it failed.
    #[serde(borrow, default)]
    pub dialstatus: Cow<'a, str>,
    /// Q.850 cause.
    #[serde(default)]
    pub cause: Option<i64>,
    /// The cause in words.
    #[serde(borrow, default)]
    pub cause_txt: Cow<'a, str>,
    /// SIP status, from version 22 on.
    #[serde(default)]
    pub tech_cause: Option<i64>,
    /// Whether the server or an order asked for the end; absent if the far end did.
    #[serde(default)]
    pub soft: bool,
    /// A key that was pressed.
    #[serde(borrow, default)]
    pub digit: Cow<'a, str>,
    /// The channel that a phone's own transfer sends elsewhere.
    #[serde(borrow, default)]
    pub transferee: Option<Channel<'a>>,
    /// The channel it is joined to, if the phone had a second call to it.
    #[serde(borrow, default)]
    pub transfer_target: Option<Channel<'a>>,
    /// The extension it is sent to, if the phone named one.
    #[serde(borrow, default)]
    pub exten: Cow<'a, str>,
    /// Whether the transfer has begun: `Success`.
    #[serde(borrow, default)]
    pub result: Cow<'a, str>,
    /// The name of a user event.
    #[serde(borrow, default)]
    pub eventname: Cow<'a, str>,
}

/// A channel inside an event.
#[derive(Deserialize, Debug, Default)]
pub struct Channel<'a> {
    /// Its id, ours for a leg of ours.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// `Down`, `Ring`, `Ringing`, `Up` and others.
    #[serde(borrow, default)]
    pub state: Cow<'a, str>,
    /// Who it says it is.
    #[serde(borrow, default)]
    pub caller: Caller<'a>,
}

/// A number inside a channel.
#[derive(Deserialize, Debug, Default)]
pub struct Caller<'a> {
    /// Written by a far end, as a rule.
    #[serde(borrow, default)]
    pub number: Cow<'a, str>,
}

/// A bridge inside an event.
#[derive(Deserialize, Debug, Default)]
pub struct Bridge<'a> {
    /// Its id.
    #[serde(borrow, default)]
    pub id: Cow<'a, str>,
    /// What made it: `ConfBridge` for a conference.
    #[serde(borrow, default)]
    pub creator: Cow<'a, str>,
    /// Its name; of a conference the name of the room.
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    /// Who is in it after the event.
    #[serde(borrow, default)]
    pub channels: Vec<Text<'a>>,
}

impl<'a> Event<'a> {
    /// Reads one message of the stream.
    ///
    /// # Errors
    ///
    /// If it is not JSON, or a known field has another type.
    pub fn parse(message: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message)
    }
}

/// The body that makes the server send only [`TYPES`].
#[must_use]
pub fn filter() -> Vec<u8> {
    let types: Vec<String> = TYPES.iter().map(|kind| format!("{{\"type\":\"{kind}\"}}")).collect();
    format!("{{\"allowed\":[{}]}}", types.join(",")).into_bytes()
}

#[cfg(test)]
mod tests;
