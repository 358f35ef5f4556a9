//! The results of the methods that are asked, as they were recorded (sheet kamailio, sections 3 and 6).
//!
//! Every field may be absent or null: a dialog that is not there is answered by `{}`, an early one has no tag of its
//! callee.

use serde::Deserialize;

/// One dialog of `dlg.list` and `dlg.dlg_list`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Listed {
    #[serde(rename = "call-id")]
    pub(super) call_id: String,
    pub(super) from_uri: String,
    pub(super) to_uri: String,
    pub(super) state: u8,
    pub(super) duration: u64,
    pub(super) caller: Side,
    pub(super) callee: Side,
}

/// One side of a dialog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Side {
    pub(super) tag: Option<String>,
    pub(super) cseq: Option<String>,
    pub(super) contact: Option<String>,
}

/// How far a dialog has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Invited, or ringing.
    Early,
    /// Answered, with or without its ACK.
    Up,
    /// Over: kept for some seconds.
    Over,
}

impl Listed {
    /// `None` for `{}`: there is no such dialog.
    pub(super) fn stage(&self) -> Option<Stage> {
        if self.call_id.is_empty() {
            return None;
        }
        Some(match self.state {
            1 | 2 => Stage::Early,
            3 | 4 => Stage::Up,
            _ => Stage::Over,
        })
    }

    pub(super) fn caller_tag(&self) -> &str {
        self.caller.tag.as_deref().unwrap_or_default()
    }

    pub(super) fn callee_tag(&self) -> &str {
        self.callee.tag.as_deref().unwrap_or_default()
    }
}

/// `core.uptime`.
#[derive(Debug, Deserialize)]
pub(super) struct Uptime {
    pub(super) up_since: String,
}

/// `dlg.stats_active`.
#[derive(Debug, Deserialize)]
pub(super) struct Active {
    pub(super) all: u32,
}

/// `stats.fetchn ["dialog:"]`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counters {
    #[serde(rename = "dialog.processed_dialogs")]
    pub(super) processed: Option<u64>,
}

/// `htable.get`.
#[derive(Debug, Deserialize)]
pub(super) struct Cell {
    pub(super) item: Item,
}

/// What is in it.
#[derive(Debug, Deserialize)]
pub(super) struct Item {
    pub(super) value: serde_json::Value,
}

/// An event of the configuration that `ifbus setup kamailio` prints.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) event: String,
    pub(super) call_id: String,
    pub(super) boot: String,
}

/// Any result: what matters is that there is one.
pub(super) type Anything = serde::de::IgnoredAny;
