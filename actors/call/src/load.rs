//! How busy a server says it is.

use serde::{Deserialize, Serialize};

/// A server's own figures; what it does not report is absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Legs it has now, foreign ones included.
    pub legs: Option<u32>,
    /// The most legs it allows.
    pub legs_max: Option<u32>,
    /// Legs it has carried since its start.
    pub legs_ever: Option<u64>,
}
