//! What changed between two configurations: pure, so that a hot reload can be judged before it is done.

use ifbus_call::ServerName;

use crate::schema::Config;

/// What changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diff {
    /// Servers that are new.
    pub added: Vec<ServerName>,
    /// Servers that are gone.
    pub removed: Vec<ServerName>,
    /// Servers described in another way than before.
    pub changed: Vec<ServerName>,
    /// Keys outside of `servers` that changed: they take effect at the next start.
    pub at_restart: Vec<&'static str>,
}

impl Diff {
    /// What is to be done to come from `old` to `new`. References are compared, not the secrets behind them.
    #[must_use]
    pub fn between(old: &Config, new: &Config) -> Self {
        let absent = |in_this: &Config, of: &Config| {
            of.servers.keys().filter(|name| !in_this.servers.contains_key(*name)).cloned().collect()
        };
        let differs =
            |name: &&ServerName| old.servers.get(*name).is_some_and(|was| *was != new.servers[*name]);
        let keys = [
            ("listen", old.listen != new.listen),
            ("hosts", old.hosts != new.hosts),
            ("store", old.store != new.store),
            ("tokens", old.tokens != new.tokens),
            ("limits", old.limits != new.limits),
        ];
        Self {
            added: absent(old, new),
            removed: absent(new, old),
            changed: new.servers.keys().filter(differs).cloned().collect(),
            at_restart: keys.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect(),
        }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
