//! Everything a configuration file can say.
//!
//! Values are checked for their form here; what a kind of server makes of its own `auth` and `set` keys is its
//! adapter's business. `schema.json` is made from these types.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use ifbus_call::{Kind, ServerName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use crate::secrets::Reference;

/// Where the orchestrator listens if nothing is said: this machine only.
pub const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7070));

/// A configuration file of ifbus.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of the API. Off loopback there should be TLS in front of it.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// More values of the Host header that are taken, with port where the client sends one: `ifbus.example.net:443`.
    pub hosts: Vec<String>,
    /// The store; a file in the data folder if nothing is said. Relative to this file.
    pub store: Option<PathBuf>,
    /// Tokens beside the one in the data folder, by a name that is shown in logs.
    pub tokens: BTreeMap<String, Token>,
    /// Limits.
    pub limits: Limits,
    /// The servers, by name.
    #[schemars(with = "BTreeMap<String, Server>")]
    pub servers: BTreeMap<ServerName, Server>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: LISTEN,
            hosts: Vec::new(),
            store: None,
            tokens: BTreeMap::new(),
            limits: Limits::default(),
            servers: BTreeMap::new(),
        }
    }
}

/// A server.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its kind.
    #[schemars(schema_with = "kinds")]
    pub kind: Kind,
    /// Name or address.
    pub host: String,
    /// The management port; the kind's own default if nothing is said.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Who we are there. Every value is `env:NAME` or `file:PATH`; only `user` and keys that end in `_user` may be
    /// written out.
    #[serde(default)]
    pub auth: BTreeMap<String, Reference>,
    /// Everything else a kind of server can be told.
    #[serde(default)]
    pub set: BTreeMap<String, Text>,
    /// The most calls of ours it gets.
    #[schemars(range(min = 1))]
    pub capacity: Option<u32>,
    /// The most new calls a second it gets.
    pub cps: Option<f64>,
    /// Labels for policies.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
}

/// A token with rights.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// `env:NAME` or `file:PATH`; at least 16 characters.
    pub secret: Reference,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
}

/// A right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Look at calls.
    #[serde(rename = "calls:read")]
    CallsRead,
    /// Place calls and do things to them.
    #[serde(rename = "calls:write")]
    CallsWrite,
    /// Look at servers.
    #[serde(rename = "servers:read")]
    ServersRead,
    /// Add, test and remove servers.
    #[serde(rename = "servers:write")]
    ServersWrite,
    /// Listen to events.
    #[serde(rename = "events")]
    Events,
    /// Read the metrics.
    #[serde(rename = "metrics")]
    Metrics,
}

impl Scope {
    /// Every right.
    pub const ALL: [Self; 6] = [
        Self::CallsRead,
        Self::CallsWrite,
        Self::ServersRead,
        Self::ServersWrite,
        Self::Events,
        Self::Metrics,
    ];

    /// The word shown on every surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CallsRead => "calls:read",
            Self::CallsWrite => "calls:write",
            Self::ServersRead => "servers:read",
            Self::ServersWrite => "servers:write",
            Self::Events => "events",
            Self::Metrics => "metrics",
        }
    }
}

/// Limits of the orchestrator.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How many events are kept for readers that come back.
    #[schemars(range(min = 1))]
    pub events: usize,
    /// How many connections to the API are open at once.
    #[schemars(range(min = 1))]
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 100_000, connections: 4_096 }
    }
}

/// A setting: a text, a whole number or a truth value, kept as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl Visitor<'_> for AnyText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, true or false")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Text, E> {
                Ok(Text(truth.to_string()))
            }
        }
        deserializer.deserialize_any(AnyText)
    }
}

impl JsonSchema for Text {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Reference".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["env:PBX1_SECRET", "file:secrets/pbx1"] })
    }
}

fn kinds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Kind::ALL.map(Kind::as_str) })
}

/// The schema of a configuration file, as it is committed in `schema.json`.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Config);
    let text = serde_json::to_string_pretty(&schema).expect("a schema can be written as JSON");
    format!("{text}\n")
}
