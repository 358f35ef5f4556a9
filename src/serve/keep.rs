//! Servers that were added stay added: what is known of them goes to the store, their secrets to a file of their own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::{CallId, ConferenceId, Kind, LegId, RecordingId, ServerName, Verb};
use ifbus_config::{Kept, Secret};
use ifbus_fleet::control::Invitation;
use ifbus_fleet::store::{Change, Store};
use ifbus_fleet::view::{
    CallView, ConferenceView, ForeignView, Origin, RecordingView, ServerView, TestReport,
};
use ifbus_fleet::{Acted, Code, Control, PlaceCall, Problem, Reply, ServerSpec};
use serde::{Deserialize, Serialize};

use super::ServeError;
use super::pins::KeptPins;

/// A server in the store: everything but its secrets.
#[derive(Serialize, Deserialize)]
struct Added {
    kind: Kind,
    host: String,
    port: Option<u16>,
    set: BTreeMap<String, String>,
    capacity: u32,
    cps: f64,
    tags: BTreeMap<String, String>,
}

/// The servers that were added before, with their secrets.
pub(super) fn read_added(rows: &[(ServerName, String)], kept: &Kept) -> Result<Vec<ServerSpec>, ServeError> {
    let read = |(name, text): &(ServerName, String)| {
        let added: Added =
            serde_json::from_str(text).map_err(|error| ServeError::Added(name.clone(), error.to_string()))?;
        let secrets = kept.of(name).into_iter().flatten();
        let auth =
            secrets.map(|(key, secret)| (key.clone(), adapter::Secret::new(secret.expose()))).collect();
        Ok(ServerSpec {
            name: name.clone(),
            kind: added.kind,
            settings: Settings { host: added.host, port: added.port, auth, set: added.set },
            capacity: added.capacity,
            cps: added.cps,
            tags: added.tags,
            origin: Origin::Cli,
        })
    };
    rows.iter().map(read).collect()
}

/// A control that remembers what is added and removed.
pub(super) struct Keeping {
    inner: Arc<dyn Control>,
    store: Store,
    kept: Arc<Mutex<Option<Kept>>>,
    pins: Option<KeptPins>,
}

impl Keeping {
    /// Nothing is kept without a place for secrets.
    pub(super) fn new(
        inner: Arc<dyn Control>,
        store: Store,
        kept: Option<Kept>,
        pins: Option<KeptPins>,
    ) -> Self {
        Self { inner, store, kept: Arc::new(Mutex::new(kept)), pins }
    }
}

fn keep(store: &Store, kept: &Mutex<Option<Kept>>, spec: &ServerSpec) -> Result<(), Problem> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kept) = kept.as_mut() else { return Ok(()) };
    let settings = &spec.settings;
    let secrets =
        settings.auth.iter().map(|(key, secret)| (key.clone(), Secret::new(secret.expose()))).collect();
    let no = |error: ifbus_config::private::BadPrivate| {
        Problem::new(
            Code::StoreUnavailable,
            format!("{} works, but is forgotten with this orchestrator: {error}", spec.name),
        )
    };
    kept.keep(spec.name.clone(), secrets).map_err(no)?;
    let added = Added {
        kind: spec.kind,
        host: settings.host.clone(),
        port: settings.port,
        set: settings.set.clone(),
        capacity: spec.capacity,
        cps: spec.cps,
        tags: spec.tags.clone(),
    };
    let text = serde_json::to_string(&added).expect("our own types have text keys only");
    store.note(Change::Server(spec.name.clone(), text));
    Ok(())
}

fn forget(store: &Store, kept: &Mutex<Option<Kept>>, name: &ServerName) -> Result<(), Problem> {
    store.note(Change::NoServer(name.clone()));
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(kept) = kept.as_mut() else { return Ok(()) };
    kept.forget(name)
        .map_err(|error| Problem::new(Code::StoreUnavailable, format!("its secrets are still kept: {error}")))
}

impl Control for Keeping {
    fn place(&self, call: PlaceCall) -> Reply<CallView> {
        self.inner.place(call)
    }

    fn act(&self, call: CallId, verb: Verb) -> Reply<Acted> {
        self.inner.act(call, verb)
    }

    fn record(&self, call: CallId) -> Reply<RecordingView> {
        self.inner.record(call)
    }

    fn stop_recording(&self, recording: RecordingId) -> Reply<RecordingView> {
        self.inner.stop_recording(recording)
    }

    fn create_conference(&self, id: ConferenceId, server: Option<ServerName>) -> Reply<ConferenceView> {
        self.inner.create_conference(id, server)
    }

    fn invite(&self, conference: ConferenceId, invitation: Invitation) -> Reply<CallView> {
        self.inner.invite(conference, invitation)
    }

    fn enter(&self, conference: ConferenceId, call: CallId) -> Reply<Acted> {
        self.inner.enter(conference, call)
    }

    fn end_conference(&self, id: ConferenceId) -> Reply<ConferenceView> {
        self.inner.end_conference(id)
    }

    fn hang_up_foreign(&self, leg: LegId) -> Reply<ForeignView> {
        self.inner.hang_up_foreign(leg)
    }

    fn drain(&self, server: ServerName, on: bool) -> Reply<ServerView> {
        self.inner.drain(server, on)
    }

    fn add_server(&self, server: ServerSpec, wait: Duration) -> Reply<ServerView> {
        let added = self.inner.add_server(server.clone(), wait);
        let (store, kept) = (self.store.clone(), Arc::clone(&self.kept));
        Box::pin(async move {
            let view = added.await?;
            keep(&store, &kept, &server)?;
            Ok(view)
        })
    }

    fn remove_server(&self, name: ServerName, even_with_calls: bool) -> Reply<()> {
        let removed = self.inner.remove_server(name.clone(), even_with_calls);
        let (store, kept, pins) = (self.store.clone(), Arc::clone(&self.kept), self.pins.clone());
        Box::pin(async move {
            removed.await?;
            if let Some(pins) = pins {
                pins.forget(&name).map_err(|error| {
                    Problem::new(Code::StoreUnavailable, format!("its certificate is still known: {error}"))
                })?;
            }
            forget(&store, &kept, &name)
        })
    }

    fn test_server(&self, name: ServerName) -> Reply<TestReport> {
        self.inner.test_server(name)
    }
}
