//! Simulated servers on loopback, for the demo and for rehearsals, two Asterisks and an Issabel: phones 1001 to 1008 answer,
//! 1009 is busy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::Kind;
use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::asterisk::{Options, Profile};
use ifbus_doubles::elastix::{self, Elastix, ElastixServer};
use ifbus_doubles::phone::{Phones, Plan};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;

use super::ServeError;

/// The servers; gone when this is dropped.
pub(super) struct Simulated {
    servers: Vec<(&'static str, AsteriskServer)>,
    issabel: ElastixServer,
}

impl Simulated {
    /// Starts them on free ports.
    pub(super) fn start() -> Result<Self, ServeError> {
        let mut servers = Vec::new();
        for (name, profile) in [("pbx1", Profile::V22), ("pbx2", Profile::V16)] {
            let options = Options::new(profile).with_phones(1009..=1009);
            let server = AsteriskServer::start(Bind::default(), options)
                .map_err(|source| ServeError::System { what: "a simulated server", source })?;
            plan(&server);
            servers.push((name, server));
        }
        let (options, web) = Elastix::issabel(1);
        let issabel = ElastixServer::start(elastix::Bind::default(), options.with_phones(1009..=1009), web)
            .map_err(|source| ServeError::System { what: "a simulated server", source })?;
        plan(&issabel);
        Ok(Self { servers, issabel })
    }

    /// How they are reached.
    pub(super) fn servers(&self) -> Vec<ServerSpec> {
        let asterisk = |(name, server): &(&str, AsteriskServer)| {
            let set = [("ari_port", server.http().port().to_string()), ("sip", "off".to_owned())];
            spec(name, Kind::Asterisk, server.ami(), &[], &set)
        };
        let mut specs: Vec<ServerSpec> = self.servers.iter().map(asterisk).collect();
        let set = [
            ("web_port", self.issabel.web().port().to_string()),
            ("web_tls", "off".to_owned()),
            ("sip", self.issabel.sip().to_string()),
        ];
        specs.push(spec("pbx3", Kind::Elastix, self.issabel.ami(), &[("api_secret", "admin-secret")], &set));
        specs
    }
}

/// Slow enough to be watched, fast enough not to be waited for.
fn plan(phones: &dyn Phones) {
    for number in 1001..=1008 {
        phones.plan(&number.to_string(), Plan::answers(Duration::from_millis(400)));
    }
    phones.plan("1009", Plan::busy());
}

fn spec(
    name: &str,
    kind: Kind,
    ami: SocketAddr,
    auth: &[(&str, &str)],
    set: &[(&str, String)],
) -> ServerSpec {
    let auth = [("user", "ifbus"), ("secret", "ifbus-secret")].iter().chain(auth);
    ServerSpec {
        name: name.parse().expect("our own names are names"),
        kind,
        settings: Settings {
            host: ami.ip().to_string(),
            port: Some(ami.port()),
            auth: auth.map(|(key, value)| ((*key).to_owned(), adapter::Secret::new(*value))).collect(),
            set: set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        },
        capacity: ServerSpec::CAPACITY,
        cps: ServerSpec::CPS,
        tags: BTreeMap::new(),
        origin: Origin::Config,
    }
}
