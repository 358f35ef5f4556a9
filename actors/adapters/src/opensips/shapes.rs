//! The results of the commands that are given, as they were recorded (sheet opensips, sections 5, 8 and 9).
//!
//! Every field may be absent or null: an early dialog has no callee, and no tag of one.

use serde::Deserialize;

/// One page of `dlg_list`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Page {
    /// All dialogs there are.
    pub(super) count: u64,
    #[serde(rename = "Dialogs")]
    pub(super) dialogs: Vec<Listed>,
}

/// `dlg_list` of one Call-ID.
#[derive(Debug, Deserialize)]
pub(super) struct One {
    #[serde(rename = "Dialog")]
    pub(super) dialog: Listed,
}

/// One dialog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) state: u8,
    /// When it was answered, in seconds since 1970; 0 before.
    pub(super) timestart: u64,
    pub(super) callid: String,
    pub(super) from_uri: String,
    pub(super) to_uri: String,
    pub(super) caller_tag: String,
}

/// How far a dialog has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Invited; nobody said a word.
    Invited,
    /// It rings.
    Ringing,
    /// Answered, with or without its ACK.
    Up,
    /// Over: it stays in the list for seconds or minutes.
    Over,
}

impl Listed {
    pub(super) const fn stage(&self) -> Stage {
        match self.state {
            1 => Stage::Invited,
            2 => Stage::Ringing,
            3 | 4 => Stage::Up,
            _ => Stage::Over,
        }
    }
}

/// `version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    #[serde(rename = "Server")]
    pub(super) server: String,
}

/// `uptime`.
#[derive(Debug, Deserialize)]
pub(super) struct Uptime {
    #[serde(rename = "Up since")]
    pub(super) up_since: String,
}

/// `events_list`.
#[derive(Debug, Deserialize)]
pub(super) struct Events {
    #[serde(rename = "Events")]
    pub(super) events: Vec<Named>,
}

/// One event.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// `subscribers_list` of one event.
#[derive(Debug, Deserialize)]
pub(super) struct Subscribers {
    #[serde(rename = "Event")]
    pub(super) event: Subscribed,
}

/// Who hears it: several, or one that was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subscribed {
    #[serde(rename = "Subscribers")]
    pub(super) subscribers: Vec<Subscriber>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(super) struct Subscriber {
    pub(super) socket: String,
    /// Seconds, or a word.
    #[serde(default)]
    pub(super) ttl: serde_json::Value,
}

/// `get_statistics`. What it does not know is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Figures {
    #[serde(rename = "dialog:active_dialogs")]
    pub(super) active: Option<u32>,
    #[serde(rename = "dialog:early_dialogs")]
    pub(super) early: Option<u32>,
    #[serde(rename = "dialog:processed_dialogs")]
    pub(super) processed: Option<u64>,
}

/// `shv_get` of one variable.
#[derive(Debug, Deserialize)]
pub(super) struct Variable {
    #[serde(rename = "VAR")]
    pub(super) var: Value,
}

/// What is in it.
#[derive(Debug, Deserialize)]
pub(super) struct Value {
    pub(super) value: serde_json::Value,
}

/// What is used of an event's parameters; which there are depends on the event.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) callid: String,
    pub(super) new_state: u8,
}

/// Any result: what matters is that there is one.
pub(super) type Anything = serde::de::IgnoredAny;
