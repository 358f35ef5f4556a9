//! The configuration read again while calls go on: by SIGHUP, or as it is asked for through the API.
//!
//! First everything is read and checked: the file, its secrets, the settings of every server, names that were also added
//! by hand. A mistake anywhere changes nothing and is told with its place. Then servers are added, removed and changed
//! by difference. A server that carries calls is not taken away under them: it stays as it was and is **named, and the
//! rest goes on**; the next reload tries it again. (The other way, refusing everything, would keep a busy fleet from
//! ever being changed.) Keys outside of `servers` take effect at the next start and are named too.
//!
//! Not here: what a file may say (`ifbus-config`), how a server comes and goes (`office`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ifbus_call::{InstanceId, ServerName};
use ifbus_config::{BadConfig, Config, Diff, secrets};
use ifbus_fleet::office::Counter;
use ifbus_fleet::view::Origin;
use ifbus_fleet::{Board, Code, Control, Problem, ServerSpec};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::specs;

/// What a reload did.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct ReloadBody {
    /// Always `reload`.
    pub object: String,
    /// The file that was read.
    pub file: String,
    /// Servers that are new.
    #[schema(value_type = Vec<String>)]
    pub added: Vec<ServerName>,
    /// Servers that are described in another way.
    #[schema(value_type = Vec<String>)]
    pub changed: Vec<ServerName>,
    /// Servers that are gone.
    #[schema(value_type = Vec<String>)]
    pub removed: Vec<ServerName>,
    /// Servers that stay as they were although the file says otherwise, and why.
    pub kept: Vec<KeptBody>,
    /// Keys outside of `servers` that changed: they take effect at the next start.
    pub at_restart: Vec<String>,
}

/// A server that stays as it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeptBody {
    /// Which.
    #[schema(value_type = String)]
    pub server: ServerName,
    /// Why.
    pub why: String,
}

/// What holds now, and how it is changed.
pub(super) struct Reloader {
    file: PathBuf,
    instance: InstanceId,
    counter: Arc<Counter>,
    board: Arc<Board>,
    now: Mutex<Holds>,
}

/// What holds now.
pub(super) struct Holds {
    pub(super) config: Config,
    pub(super) servers: BTreeMap<ServerName, ServerSpec>,
}

/// A file that was read and found right.
struct Checked {
    config: Config,
    servers: BTreeMap<ServerName, ServerSpec>,
}

impl Reloader {
    pub(super) fn new(
        file: PathBuf,
        instance: InstanceId,
        counter: Arc<Counter>,
        board: Arc<Board>,
        holds: Holds,
    ) -> Self {
        Self { file, instance, counter, board, now: Mutex::new(holds) }
    }

    /// Reads the file and does what changed. One after the other, if it is asked for twice at once.
    ///
    /// # Errors
    /// Something is wrong with it; nothing was changed.
    pub(super) async fn reload(&self) -> Result<ReloadBody, Problem> {
        let mut now = self.now.lock().await;
        let Checked { config, servers } = self.check()?;
        let mut done = ReloadBody {
            object: "reload".to_owned(),
            file: self.file.display().to_string(),
            at_restart: Diff::between(&now.config, &config)
                .at_restart
                .into_iter()
                .map(str::to_owned)
                .collect(),
            ..ReloadBody::default()
        };
        let gone: Vec<ServerName> =
            now.servers.keys().filter(|name| !servers.contains_key(*name)).cloned().collect();
        for name in gone {
            let removed = self.counter.remove_of_config(name.clone()).await;
            if settle(&mut done.removed, &mut done.kept, &name, removed) {
                now.servers.remove(&name);
            }
        }
        for (name, spec) in servers {
            let was = now.servers.get(&name);
            // The descriptions with their secrets: a secret that changed behind its reference is a change.
            if was == Some(&spec) {
                continue;
            }
            let list = if was.is_some() { &mut done.changed } else { &mut done.added };
            let told = self.counter.add_server(spec.clone(), Duration::ZERO).await.map(drop);
            if settle(list, &mut done.kept, &name, told) {
                now.servers.insert(name, spec);
            }
        }
        now.config = config;
        Ok(done)
    }

    /// Reads and checks everything; nothing is changed.
    fn check(&self) -> Result<Checked, Problem> {
        let wrong = |why: &dyn std::fmt::Display| {
            Problem::new(Code::BadConfiguration, format!("{why}; nothing was changed"))
                .suggest(format!("ifbus config check {}", self.file.display()))
        };
        let config = ifbus_config::load(&self.file).map_err(|error| match &error {
            BadConfig::Wrong(mistake) => {
                mistake.help.iter().cloned().fold(wrong(&error), |problem, help| problem.suggest(help))
            }
            BadConfig::Unreadable { .. } => wrong(&error),
        })?;
        let base = self.file.parent().unwrap_or(Path::new("."));
        let servers = specs::servers(&config, base, &secrets::process_env).map_err(|error| wrong(&error))?;
        for spec in &servers {
            let bad = |bad| wrong(&format!("{}: the server {}: {bad}", self.file.display(), spec.name));
            let anchor = spec.anchor(servers.iter()).map_err(bad)?;
            drop(super::open::check(spec, anchor, self.instance).map_err(bad)?);
        }
        if let Some((one, other)) = super::open::twice(&servers) {
            let twice = super::ServeError::Twice(one, other);
            return Err(wrong(&format!("{}: {twice}", self.file.display())));
        }
        self.clash(&config).map_err(|error| wrong(&error))?;
        Ok(Checked { config, servers: servers.into_iter().map(|spec| (spec.name.clone(), spec)).collect() })
    }

    fn clash(&self, config: &Config) -> Result<(), BadConfig> {
        let servers = self.board.servers();
        let added: Vec<&ServerName> =
            servers.iter().filter(|server| server.origin == Origin::Cli).map(|server| &server.name).collect();
        let text = std::fs::read_to_string(&self.file)
            .map_err(|source| BadConfig::Unreadable { path: self.file.clone(), source })?;
        ifbus_config::file::refuse_clash(&text, &self.file.display().to_string(), config, added)
    }
}

/// Notes how it went with one server; whether it went.
fn settle(
    done: &mut Vec<ServerName>,
    kept: &mut Vec<KeptBody>,
    name: &ServerName,
    told: Result<(), Problem>,
) -> bool {
    match told {
        Ok(()) => {
            done.push(name.clone());
            true
        }
        Err(problem) => {
            kept.push(KeptBody { server: name.clone(), why: problem.detail });
            false
        }
    }
}
