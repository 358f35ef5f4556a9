//! From files to a fleet that is ready to start: everything that can be refused is refused here.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use ifbus_call::{InstanceId, ServerName};
use ifbus_config::{Config, Kept, Known, Paths, secrets};
use ifbus_fleet::archive::{Archive, ArchiveThread, Files};
use ifbus_fleet::clock::Clock;
use ifbus_fleet::journal::Journal;
use ifbus_fleet::office::{Counter, Enrolled, Office, OfficeSeed};
use ifbus_fleet::roster::Roster;
use ifbus_fleet::store::{Change, Remembered, Store, WriterThread};
use ifbus_fleet::view::Origin;
use ifbus_fleet::{Board, Fleet, Meter, ServerSpec};
use ifbus_links::Sockets;
use ifbus_supervision::{Kernel, Options as KernelOptions, Policy, Recipient, Watchdog, WhenFrozen};
use jiff::Timestamp;

use super::http::Token;
use super::keep::{Keeping, read_added};
use super::metrics::Metrics;
use super::pins::KeptPins;
use super::reload::{Holds, Reloader};
use super::simulated::Simulated;
use super::{ServeError, ServeOptions, specs};

/// A handler that runs longer than this holds up every call: it is told of.
const FROZEN_AFTER: std::time::Duration = std::time::Duration::from_secs(2);

/// All that was read.
pub(super) struct Opened {
    pub(super) config: Config,
    pub(super) tokens: Vec<Token>,
    pub(super) board: Arc<Board>,
    pub(super) boot: String,
    instance: InstanceId,
    servers: Vec<ServerSpec>,
    remembered: Remembered,
    pub(super) store: Store,
    archive: Arc<dyn Archive>,
    kept: Option<Kept>,
    pins: Option<KeptPins>,
    keepers: Keepers,
    /// The file that a reload reads; none if everything is simulated.
    file: Option<PathBuf>,
}

/// What has to live as long as the orchestrator.
pub(super) struct Keepers {
    /// Held as long as we run.
    _only: File,
    _writer: Option<WriterThread>,
    _archive: Option<ArchiveThread>,
    _simulated: Option<Simulated>,
}

/// What was started.
pub(super) struct Started {
    pub(super) fleet: Fleet,
    pub(super) kernel: Kernel,
    pub(super) keepers: Keepers,
    pub(super) reloader: Option<Reloader>,
}

/// Reads the configuration, the secrets and the store.
pub(super) fn open(
    options: &ServeOptions,
    metrics: &Arc<Metrics>,
    board: Arc<Board>,
) -> Result<Opened, ServeError> {
    let paths = &options.paths;
    ifbus_config::private::folder(&paths.data)?;
    ifbus_config::private::folder(&paths.runtime)?;
    let only = only_one(paths)?;
    let file = options.config.clone().or_else(|| paths.config.exists().then(|| paths.config.clone()));
    let config = match &file {
        Some(file) if !options.simulated => ifbus_config::load(file)?,
        _ => Config::default(),
    };
    let base = file.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).to_owned();
    let own = ifbus_config::token::read_or_make(&paths.token())?;
    let tokens = specs::tokens(own, &config, &base, &secrets::process_env)?;
    let mut servers = specs::servers(&config, &base, &secrets::process_env)?;
    let mut keepers = Keepers { _only: only, _writer: None, _archive: None, _simulated: None };
    let (files, thread) = Files::open(&paths.recordings())
        .map_err(|source| ServeError::System { what: "the folder of recordings", source })?;
    keepers._archive = Some(thread);
    let archive: Arc<dyn Archive> = Arc::new(files);
    let (store, instance, remembered, kept);
    let mut pins = None;
    if options.simulated {
        let simulated = Simulated::start()?;
        servers.extend(simulated.servers());
        keepers._simulated = Some(simulated);
        // In memory only: nothing is kept, but keys of requests hold as long as this runs.
        let (opened, writer, found, what) =
            Store::open(Path::new(":memory:"), fresh_instance(), Box::new(|_| {}))?;
        keepers._writer = Some(writer);
        (store, instance, remembered, kept) = (opened, found, what, None);
    } else {
        let metrics = Arc::clone(metrics);
        let timed = move |took| metrics.store_written(took);
        let path = config.store.as_ref().map_or_else(|| paths.store(), |path| base.join(path));
        // It tells who called whom: for us alone, whatever the folder lets in.
        private_file(&path)?;
        let (opened, writer, found, what) = Store::open(&path, fresh_instance(), Box::new(timed))?;
        let secrets = Kept::open(&paths.secrets())?;
        pins = Some(KeptPins::new(Known::open(&paths.certificates())?));
        refuse_clash(file.as_deref(), &config, &what)?;
        servers.extend(read_added(&what.servers, &secrets)?);
        keepers._writer = Some(writer);
        (store, instance, remembered, kept) = (opened, found, what, Some(secrets));
    }
    for spec in &servers {
        let bad = |bad| ServeError::Setting(spec.name.clone(), bad);
        let anchor = spec.anchor(servers.iter()).map_err(bad)?;
        drop(check(spec, anchor, instance).map_err(bad)?);
    }
    if let Some((one, other)) = twice(&servers) {
        return Err(ServeError::Twice(one, other));
    }
    let boot = format!("{:08x}", rand::random::<u32>());
    // One that is not there yet may be there at a reload.
    let file = (!options.simulated).then(|| file.unwrap_or_else(|| paths.config.clone()));
    Ok(Opened {
        config,
        tokens,
        board,
        boot,
        instance,
        servers,
        remembered,
        store,
        archive,
        kept,
        pins,
        keepers,
        file,
    })
}

impl Opened {
    /// Starts the actors.
    pub(super) async fn start(self, meter: Arc<dyn Meter>) -> Result<Started, ServeError> {
        for view in self.remembered.calls {
            let known = self.servers.iter().any(|spec| Some(&spec.name) == view.server.as_ref());
            if known {
                self.board.show_call(view);
            } else {
                // Its server left the fleet while we were away: nobody will ever tell how it ended.
                self.store.note(Change::Ended(view.id));
            }
        }
        let journal = Journal::new(&self.boot, self.config.limits.events);
        let roster = Arc::new(Roster::default());
        let of_file = self.servers.iter().filter(|spec| spec.origin == Origin::Config);
        let of_file = of_file.map(|spec| (spec.name.clone(), spec.clone())).collect();
        let holds = Holds { config: self.config.clone(), servers: of_file };
        for view in self.remembered.recordings {
            self.board.show_recording(view);
        }
        let (stored, drains) = (self.remembered.stored, self.remembered.drains);
        let mut dialogs = self.remembered.dialogs;
        let enrolled = self.servers.into_iter().map(|spec| {
            let draining = drains.get(&spec.name).copied();
            let dialogs = dialogs.remove(&spec.name).unwrap_or_default();
            (spec.name.clone(), Enrolled::found_with(spec, stored.clone(), draining, dialogs))
        });
        let rooms = self.remembered.conferences.into_iter().map(|room| (room.id.clone(), room));
        let report = Recipient::new("frozen", |freeze: ifbus_supervision::Freeze| {
            tracing::error!(event = "frozen", arbiter = freeze.arbiter, actor = ?freeze.actor, "a handler does not return");
        });
        let kernel = Kernel::start(KernelOptions {
            seed: rand::random(),
            watchdog: Some(Watchdog { threshold: FROZEN_AFTER, when_frozen: WhenFrozen::Report, report }),
            ..KernelOptions::default()
        });
        let seed = OfficeSeed {
            instance: self.instance,
            network: Rc::new(
                self.pins.clone().map_or_else(Sockets::default, |pins| Sockets::new(Arc::new(pins))),
            ),
            board: Arc::clone(&self.board),
            journal: journal.clone(),
            store: self.store.clone(),
            archive: self.archive,
            clock: Clock::new(Timestamp::now()),
            roster: Arc::clone(&roster),
            meter,
            check: Rc::new(|spec, anchor, instance| Ok(Rc::from(check(spec, anchor, instance)?))),
            servers: Arc::new(Mutex::new(enrolled.collect())),
            rooms: Arc::new(Mutex::new(rooms.collect())),
        };
        let office = kernel.supervise::<Office>("office", seed, Policy::default());
        let counter = Counter::open(office, roster, Arc::clone(&self.board))
            .await
            .map_err(|down| ServeError::Actors(down.to_string()))?;
        let counter = Arc::new(counter);
        let (instance, board) = (self.instance, Arc::clone(&self.board));
        let reloader =
            self.file.map(|file| Reloader::new(file, instance, Arc::clone(&counter), board, holds));
        let control = Arc::new(Keeping::new(counter, self.store, self.kept, self.pins));
        let fleet = Fleet { control, board: self.board, journal };
        Ok(Started { fleet, kernel, keepers: self.keepers, reloader })
    }
}

/// Two with the same folders would be one to the servers, and each would take the other's calls for lost. The system
/// gives the lock back however we end.
fn only_one(paths: &Paths) -> Result<File, ServeError> {
    let path = paths.lock();
    let system = |source| ServeError::System { what: "the lock of the orchestrator", source };
    let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let lock = lock.map_err(system)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            let running = ifbus_config::private::read(&paths.running()).ok().flatten().unwrap_or_default();
            let running: serde_json::Value = serde_json::from_str(&running).unwrap_or_default();
            let who = match (running["pid"].as_u64(), running["address"].as_str()) {
                (Some(pid), Some(address)) => format!(" (pid {pid}, http://{address})"),
                _ => String::new(),
            };
            Err(ServeError::Running(who))
        }
        Err(TryLockError::Error(error)) => Err(system(error)),
    }
}

/// Makes a file that only this user reads; one that is there is left as it is.
fn private_file(path: &Path) -> Result<(), ServeError> {
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(drop).map_err(|source| ServeError::System { what: "the store", source })
}

/// Two names for one server, if there are any.
pub(super) fn twice(servers: &[ServerSpec]) -> Option<(ServerName, ServerName)> {
    servers.iter().enumerate().find_map(|(n, one)| {
        let other = servers[n + 1..].iter().find(|other| one.is_at(other))?;
        Some((one.name.clone(), other.name.clone()))
    })
}

pub(super) fn check(
    spec: &ServerSpec,
    anchor: Option<&ServerSpec>,
    instance: InstanceId,
) -> Result<ifbus_adapters::settings::Make, ifbus_adapters::BadSetting> {
    let anchor = anchor.map(ServerSpec::as_helper);
    ifbus_adapters::check(spec.kind, &spec.settings, instance, &spec.name, anchor)
}

fn fresh_instance() -> InstanceId {
    InstanceId(rand::random())
}

/// A name that is both in the file and added by hand has two descriptions: the start is refused.
fn refuse_clash(file: Option<&Path>, config: &Config, found: &Remembered) -> Result<(), ServeError> {
    let Some(file) = file else { return Ok(()) };
    let added: Vec<&ServerName> = found.servers.iter().map(|(name, _)| name).collect();
    let text = std::fs::read_to_string(file)
        .map_err(|source| ServeError::System { what: "the configuration", source })?;
    ifbus_config::file::refuse_clash(&text, &file.display().to_string(), config, added)?;
    Ok(())
}
