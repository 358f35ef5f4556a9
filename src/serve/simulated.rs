//! Two simulated Asterisk servers on loopback, for the demo and for rehearsals: phones 1001 to 1008 answer, 1009 is busy.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::Kind;
use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::phone::{Phones, Plan};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;

use super::ServeError;

/// The servers; gone when this is dropped.
pub(super) struct Simulated {
    servers: Vec<(&'static str, AsteriskServer)>,
}

impl Simulated {
    /// Starts them on free ports.
    pub(super) fn start() -> Result<Self, ServeError> {
        let mut servers = Vec::new();
        for (name, profile) in [("pbx1", Profile::V22), ("pbx2", Profile::V16)] {
            let options = Options::new(profile).with_phones(1009..=1009);
            let server = AsteriskServer::start(Bind::default(), options)
                .map_err(|source| ServeError::System { what: "a simulated server", source })?;
            // Slow enough to be watched, fast enough not to be waited for.
            for number in 1001..=1008 {
                server.plan(&number.to_string(), Plan::answers(Duration::from_millis(400)));
            }
            server.plan("1009", Plan::busy());
            servers.push((name, server));
        }
        Ok(Self { servers })
    }

    /// How they are reached.
    pub(super) fn servers(&self) -> Vec<ServerSpec> {
        self.servers.iter().map(|(name, server)| spec(name, server)).collect()
    }
}

fn spec(name: &str, server: &AsteriskServer) -> ServerSpec {
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret")];
    let set = [("ari_port", server.http().port().to_string()), ("sip", "off".to_owned())];
    ServerSpec {
        name: name.parse().expect("our own names are names"),
        kind: Kind::Asterisk,
        settings: Settings {
            host: server.ami().ip().to_string(),
            port: Some(server.ami().port()),
            auth: auth.map(|(key, value)| (key.to_owned(), adapter::Secret::new(value))).into(),
            set: set.map(|(key, value)| (key.to_owned(), value)).into(),
        },
        capacity: ServerSpec::CAPACITY,
        cps: ServerSpec::CPS,
        tags: BTreeMap::new(),
        origin: Origin::Config,
    }
}
