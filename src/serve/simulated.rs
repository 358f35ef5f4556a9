//! Simulated servers on loopback, for the demo and for rehearsals, one of each kind and a second Asterisk: phones 1001 to
//! 1008 answer, 1009 is busy.

use std::any::Any;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::Kind;
use ifbus_doubles::asterisk::{self, AsteriskServer, Profile};
use ifbus_doubles::elastix::{self, Elastix, ElastixServer};
use ifbus_doubles::phone::{Phones, Plan};
use ifbus_doubles::yate::{self, YateServer};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;

use super::ServeError;

/// The servers; gone when this is dropped.
pub(super) struct Simulated {
    specs: Vec<ServerSpec>,
    /// What runs as long as it is held.
    _running: Vec<Box<dyn Any + Send>>,
}

impl Simulated {
    /// Starts them on free ports.
    pub(super) fn start() -> Result<Self, ServeError> {
        let mut fleet = Self { specs: Vec::new(), _running: Vec::new() };
        fleet.fill().map_err(|source| ServeError::System { what: "a simulated server", source })?;
        Ok(fleet)
    }

    /// How they are reached.
    pub(super) fn servers(&self) -> Vec<ServerSpec> {
        self.specs.clone()
    }

    fn fill(&mut self) -> std::io::Result<()> {
        for (name, profile) in [("pbx1", Profile::V22), ("pbx2", Profile::V16)] {
            let options = asterisk::Options::new(profile).with_phones(1009..=1009);
            let server = AsteriskServer::start(asterisk::Bind::default(), options)?;
            let set = [("ari_port", server.http().port().to_string()), ("sip", server.sip().to_string())];
            let settings = settings(server.ami(), MANAGER, &set);
            self.enter(name, Kind::Asterisk, settings, server);
        }
        let (options, web) = Elastix::issabel(1);
        let server = ElastixServer::start(elastix::Bind::default(), options.with_phones(1009..=1009), web)?;
        let auth = [MANAGER, &[("api_secret", "admin-secret")]].concat();
        let set = [
            ("web_port", server.web().port().to_string()),
            ("web_tls", "off".to_owned()),
            ("sip", server.sip().to_string()),
        ];
        self.enter("pbx3", Kind::Elastix, settings(server.ami(), &auth, &set), server);
        let options = yate::Options::default().with_phone("1009");
        let server = YateServer::start(yate::Bind::default(), options)?;
        let set = [("fetch", format!("http://{}", server.files())), ("sip", server.sip().to_string())];
        self.enter("pbx4", Kind::Yate, settings(server.engine(), &[], &set), server);
        Ok(())
    }

    fn enter(&mut self, name: &str, kind: Kind, settings: Settings, server: impl Phones + 'static) {
        // Slow enough to be watched, fast enough not to be waited for.
        for number in 1001..=1008 {
            server.plan(&number.to_string(), Plan::answers(Duration::from_millis(400)));
        }
        server.plan("1009", Plan::busy());
        self._running.push(Box::new(server));
        self.specs.push(ServerSpec {
            name: name.parse().expect("our own names are names"),
            kind,
            settings,
            capacity: ServerSpec::CAPACITY,
            cps: ServerSpec::CPS,
            tags: BTreeMap::new(),
            origin: Origin::Config,
        });
    }
}

/// Who we are to a manager interface.
const MANAGER: &[(&str, &str)] = &[("user", "ifbus"), ("secret", "ifbus-secret")];

fn settings(at: SocketAddr, auth: &[(&str, &str)], set: &[(&str, String)]) -> Settings {
    let secret = |(key, value): &(&str, &str)| ((*key).to_owned(), adapter::Secret::new(*value));
    Settings {
        host: at.ip().to_string(),
        port: Some(at.port()),
        auth: auth.iter().map(secret).collect(),
        set: set.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
    }
}
