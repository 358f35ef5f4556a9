//! What is written comes back; what cannot be written is said.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use ifbus_adapters::sip::{Dialog, Media, Progress, Wire};
use ifbus_call::call::{Recording, Stored};
use ifbus_call::order::Direction;
use ifbus_call::{Address, CallId, Goal, InstanceId, LegId, RecordingId, Role, Tag};

use super::{Change, Claim, Claimed, Key, Store, StoreError};
use crate::conference::Room;
use crate::view::{CallView, Status};

const GUARD: Duration = Duration::from_secs(20);

/// A folder of the test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ifbus-store-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("ifbus.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn view(id: CallId) -> CallView {
    CallView {
        status: Status::InProgress,
        server: Some("pbx1".parse().unwrap()),
        seq: 3,
        ..CallView::new(id, "1001".parse().unwrap(), "1002".parse().unwrap(), NOON)
    }
}

const NOON: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

fn needed() -> Stored {
    Stored { goal: Some(Goal::Talk { a: LegId(1), b: LegId(2) }), recording: None, muted: vec![] }
}

fn dialog(leg: u128, version: u64) -> Dialog {
    let party: Address = "1001".parse().unwrap();
    let call = CallId::new(1, 2);
    Dialog {
        leg: LegId(leg),
        tag: Tag { call, role: Role::A, party: party.clone(), from: party.clone(), to: party },
        progress: Progress::Up,
        wire: Wire { route: vec!["<sip:192.0.2.1;lr;did=1>".to_owned()], ..Wire::default() },
        media: Media { version, ..Media::default() },
        partner: None,
        waits: false,
        holds: None,
        lends: None,
        guest: false,
        moved: None,
    }
}

fn written(store: &Store, change: Change) -> bool {
    let (sender, receiver) = mpsc::channel();
    store.write(change, Box::new(move |well| sender.send(well).unwrap()));
    receiver.recv_timeout(GUARD).unwrap()
}

#[test]
fn what_was_written_is_there_after_a_restart() {
    let folder = Folder::new("restart");
    let id = CallId::new(1, 2);
    let goal = Goal::Consult { asks: LegId(1), waits: LegId(2), target: LegId(3) };
    let stored = Stored {
        goal: Some(goal),
        recording: Some(Recording::new(RecordingId::new(1, 1))),
        muted: vec![(LegId(1), Direction::In)],
    };
    let room = Room { id: "standup".parse().unwrap(), server: "pbx1".parse().unwrap(), created_at: NOON };
    {
        let (store, _thread, instance, found) =
            Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap();
        assert_eq!((instance, found.calls.len()), (InstanceId(7), 0));
        store.note(Change::Call(Box::new(view(id))));
        store.note(Change::Server("pbx1".parse().unwrap(), "{}".into()));
        store.note(Change::Conference(room.clone()));
        store.note(Change::Drain("pbx1".parse().unwrap(), Some(NOON)));
        for leg in [1, 2] {
            store.note(Change::Dialog("proxy1".parse().unwrap(), Box::new(dialog(leg, 1))));
            store.note(Change::Dialog("proxy1".parse().unwrap(), Box::new(dialog(leg, 9))));
        }
        store.note(Change::NoDialog(LegId(2)));
        assert!(written(&store, Change::Stored(id, stored.clone())));
    }
    let (_store, _thread, instance, found) =
        Store::open(&folder.file(), InstanceId(8), Box::new(|_| {})).unwrap();
    assert_eq!(instance, InstanceId(7), "the installation keeps its id");
    assert_eq!(found.calls, [view(id)]);
    assert_eq!(found.stored.get(&id), Some(&stored));
    assert_eq!(found.servers.len(), 1);
    assert_eq!(found.dialogs, BTreeMap::from([("proxy1".parse().unwrap(), vec![dialog(1, 9)])]));
    assert_eq!((found.conferences, found.drains.len()), (vec![room], 1));
}

#[test]
fn an_ended_call_is_forgotten_with_what_it_needed() {
    let folder = Folder::new("ended");
    let id = CallId::new(1, 2);
    {
        let (store, _thread, ..) = Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap();
        store.note(Change::Call(Box::new(view(id))));
        store.note(Change::Stored(id, needed()));
        assert!(written(&store, Change::Ended(id)));
    }
    let (.., found) = Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap();
    assert_eq!((found.calls.len(), found.stored.len()), (0, 0));
}

#[test]
fn a_file_of_a_newer_ifbus_is_refused_and_left_alone() {
    let folder = Folder::new("newer");
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.execute_batch("PRAGMA user_version = 99").unwrap();
    drop(connection);
    let error = Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let folder = Folder::new("garbage");
    std::fs::write(folder.file(), vec![7; 4096]).unwrap();
    assert!(matches!(
        Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})),
        Err(StoreError::Sqlite { .. })
    ));
}

#[test]
fn a_store_that_cannot_write_says_so_and_recovers() {
    let folder = Folder::new("failing");
    let (store, _thread, ..) = Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap();
    let id = CallId::new(1, 2);
    let saboteur = rusqlite::Connection::open(folder.file()).unwrap();
    saboteur.execute_batch("ALTER TABLE stored RENAME TO elsewhere").unwrap();
    assert!(!written(&store, Change::Stored(id, needed())));
    assert!(!store.is_well());
    assert!(!written(&store, Change::Stored(id, needed())), "refused at once while it fails");
    saboteur.execute_batch("ALTER TABLE elsewhere RENAME TO stored").unwrap();
    store.note(Change::Call(Box::new(view(id))));
    let recovered = (0..2_000).any(|_| {
        std::thread::yield_now();
        store.is_well() || {
            std::thread::park_timeout(Duration::from_millis(10));
            store.is_well()
        }
    });
    assert!(recovered && written(&store, Change::Stored(id, needed())));
}

#[test]
fn a_forgetful_store_is_always_well() {
    let store = Store::forgetful();
    assert!(store.is_well() && written(&store, Change::Ended(CallId::new(1, 1))));
}

fn claimed(store: &Store, name: &str, request: &str, call: u128, now_ms: i64) -> Option<Claimed> {
    let (sender, receiver) = mpsc::channel();
    let key = Key { owner: "own".into(), key: name.into() };
    let claim = Claim { key, request: request.into(), call: CallId::new(1, call), now_ms, kept_ms: 1_000 };
    store.claim(claim, Box::new(move |claimed| sender.send(claimed).unwrap()));
    receiver.recv_timeout(GUARD).unwrap()
}

#[test]
fn point_21_a_key_has_one_first_user_also_across_lives_until_it_is_old() {
    let folder = Folder::new("keys");
    let open = || Store::open(&folder.file(), InstanceId(7), Box::new(|_| {})).unwrap();
    let before = |answer: Option<&str>| {
        let answer = answer.map(str::to_owned);
        Some(Claimed::Before { request: "r1".into(), call: CallId::new(1, 1), answer })
    };
    {
        let (store, _thread, ..) = open();
        assert_eq!(claimed(&store, "k1", "r1", 1, 0), Some(Claimed::First));
        assert_eq!(claimed(&store, "k1", "r2", 2, 10), before(None));
        let key = Key { owner: "own".into(), key: "k1".into() };
        assert!(written(&store, Change::Answered(key, "a1".into())));
    }
    let (store, _thread, ..) = open();
    assert_eq!(claimed(&store, "k1", "r1", 3, 999), before(Some("a1")));
    assert_eq!(claimed(&store, "k1", "r3", 4, 1_000), Some(Claimed::First), "it is old");
    assert!(written(&store, Change::NoKey(Key { owner: "own".into(), key: "k1".into() })));
    assert_eq!(claimed(&store, "k1", "r5", 5, 1_001), Some(Claimed::First), "it was given back");
}
