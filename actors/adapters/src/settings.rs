//! How a server is reached, as an operator wrote it: keys and values, not yet checked for a kind.

use std::collections::BTreeMap;

use crate::adapter::Secret;

/// Host, port, and the `--auth` and `--set` pairs of one server. Each kind checks its own keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Name or address.
    pub host: String,
    /// The management port; the kind's own default if nothing is said.
    pub port: Option<u16>,
    /// Who we are there.
    pub auth: BTreeMap<String, Secret>,
    /// Everything else.
    pub set: BTreeMap<String, String>,
}

/// A setting that a kind does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct BadSetting {
    /// Which key, as written: `auth.secret`, `set.ari_port`.
    pub key: String,
    /// What was expected. Never the value of a secret.
    pub why: String,
}
