//! The tables, and how changes become rows.

use std::path::Path;

use ifbus_call::InstanceId;
use ifbus_call::call::Stored;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Change, Claim, Claimed, Remembered, StoreError};

/// The schema this ifbus writes. A file with a greater number is refused.
const SCHEMA: i64 = 3;

/// Sets the file up; a file of a newer ifbus is left alone.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(sqlite)?;
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = NORMAL;
             PRAGMA busy_timeout = 5000;
             CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS calls (id TEXT PRIMARY KEY, view TEXT NOT NULL) STRICT;
             DROP TABLE IF EXISTS goals;
             CREATE TABLE IF NOT EXISTS stored (call TEXT PRIMARY KEY, stored TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS recordings (id TEXT PRIMARY KEY, view TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS conferences (id TEXT PRIMARY KEY, room TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS drains (server TEXT PRIMARY KEY, since TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS dialogs (
                 leg TEXT PRIMARY KEY, server TEXT NOT NULL, dialog TEXT NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE IF NOT EXISTS servers (name TEXT PRIMARY KEY, spec TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS keys (
                 owner TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, call TEXT NOT NULL, answer TEXT,
                 at INTEGER NOT NULL, PRIMARY KEY (owner, key)) STRICT, WITHOUT ROWID;
             CREATE INDEX IF NOT EXISTS keys_by_age ON keys (at);
             PRAGMA user_version = {SCHEMA};"
        ))
        .map_err(sqlite)
}

/// The id of this installation; `fresh` if there was none.
pub(super) fn instance(connection: &Connection, fresh: InstanceId) -> rusqlite::Result<InstanceId> {
    let found: Option<String> = connection
        .query_row("SELECT value FROM meta WHERE key = 'instance'", [], |row| row.get(0))
        .optional()?;
    if let Some(instance) = found.and_then(|text| text.parse().ok()) {
        return Ok(instance);
    }
    connection
        .execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('instance', ?1)", [fresh.to_string()])?;
    Ok(fresh)
}

/// Everything that was written and not forgotten.
pub(super) fn read(connection: &Connection, path: &Path) -> Result<Remembered, StoreError> {
    let sqlite = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let pairs = |query: &str| -> Result<Vec<(String, String)>, StoreError> {
        let mut statement = connection.prepare(query).map_err(sqlite)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(sqlite)?;
        rows.collect::<rusqlite::Result<_>>().map_err(sqlite)
    };
    let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
    let mut found = Remembered::default();
    for (id, view) in pairs("SELECT id, view FROM calls ORDER BY id")? {
        found.calls.push(from_json(&view).map_err(|error| damaged(format!("call {id}: {error}")))?);
    }
    for (id, stored) in pairs("SELECT call, stored FROM stored ORDER BY call")? {
        let call = id.parse().map_err(|error| damaged(format!("what call {id} needs: {error}")))?;
        let stored = from_json(&stored).map_err(|error| damaged(format!("what call {id} needs: {error}")))?;
        found.stored.insert(call, stored);
    }
    for (id, view) in pairs("SELECT id, view FROM recordings ORDER BY id")? {
        found.recordings.push(from_json(&view).map_err(|error| damaged(format!("recording {id}: {error}")))?);
    }
    for (id, room) in pairs("SELECT id, room FROM conferences ORDER BY id")? {
        found
            .conferences
            .push(from_json(&room).map_err(|error| damaged(format!("conference {id}: {error}")))?);
    }
    for (name, since) in pairs("SELECT server, since FROM drains ORDER BY server")? {
        let server = name.parse().map_err(|error| damaged(format!("drain of {name}: {error}")))?;
        let since = since.parse().map_err(|error| damaged(format!("drain of {name}: {error}")))?;
        found.drains.insert(server, since);
    }
    for (name, dialog) in pairs("SELECT server, dialog FROM dialogs ORDER BY server, leg")? {
        let server = name.parse().map_err(|error| damaged(format!("dialog of {name}: {error}")))?;
        let dialog = from_json(&dialog).map_err(|error| damaged(format!("dialog of {name}: {error}")))?;
        found.dialogs.entry(server).or_default().push(dialog);
    }
    for (name, spec) in pairs("SELECT name, spec FROM servers ORDER BY name")? {
        let name = name.parse().map_err(|error| damaged(format!("server {name}: {error}")))?;
        found.servers.push((name, spec));
    }
    Ok(found)
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_str(text)
}

/// Writes one change.
pub(super) fn apply(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Call(view) => transaction
            .prepare_cached("INSERT OR REPLACE INTO calls (id, view) VALUES (?1, ?2)")?
            .execute(params![view.id.to_string(), as_json(view)])?,
        Change::Ended(call) => {
            let id = call.to_string();
            transaction.prepare_cached("DELETE FROM stored WHERE call = ?1")?.execute([&id])?;
            transaction.prepare_cached("DELETE FROM calls WHERE id = ?1")?.execute([&id])?
        }
        Change::Stored(call, stored) if *stored == Stored::default() => {
            transaction.prepare_cached("DELETE FROM stored WHERE call = ?1")?.execute([call.to_string()])?
        }
        Change::Stored(call, stored) => transaction
            .prepare_cached("INSERT OR REPLACE INTO stored (call, stored) VALUES (?1, ?2)")?
            .execute(params![call.to_string(), as_json(stored)])?,
        Change::Recording(view) => transaction
            .prepare_cached("INSERT OR REPLACE INTO recordings (id, view) VALUES (?1, ?2)")?
            .execute(params![view.id.to_string(), as_json(view)])?,
        Change::Conference(room) => transaction
            .prepare_cached("INSERT OR REPLACE INTO conferences (id, room) VALUES (?1, ?2)")?
            .execute(params![room.id.as_str(), as_json(room)])?,
        Change::NoConference(id) => {
            transaction.prepare_cached("DELETE FROM conferences WHERE id = ?1")?.execute([id.as_str()])?
        }
        Change::Drain(server, Some(since)) => transaction
            .prepare_cached("INSERT OR REPLACE INTO drains (server, since) VALUES (?1, ?2)")?
            .execute(params![server.as_str(), since.to_string()])?,
        Change::Drain(server, None) => {
            transaction.prepare_cached("DELETE FROM drains WHERE server = ?1")?.execute([server.as_str()])?
        }
        Change::Dialog(server, dialog) => transaction
            .prepare_cached("INSERT OR REPLACE INTO dialogs (leg, server, dialog) VALUES (?1, ?2, ?3)")?
            .execute(params![dialog.leg.to_string(), server.as_str(), as_json(dialog)])?,
        Change::NoDialog(leg) => {
            transaction.prepare_cached("DELETE FROM dialogs WHERE leg = ?1")?.execute([leg.to_string()])?
        }
        Change::Server(name, spec) => transaction
            .prepare_cached("INSERT OR REPLACE INTO servers (name, spec) VALUES (?1, ?2)")?
            .execute(params![name.as_str(), spec])?,
        Change::NoServer(name) => {
            // its calls are not ours any more (`Retire`)
            transaction.prepare_cached("DELETE FROM dialogs WHERE server = ?1")?.execute([name.as_str()])?;
            transaction.prepare_cached("DELETE FROM servers WHERE name = ?1")?.execute([name.as_str()])?
        }
        Change::Answered(key, answer) => transaction
            .prepare_cached("UPDATE keys SET answer = ?3 WHERE owner = ?1 AND key = ?2")?
            .execute(params![key.owner, key.key, answer])?,
        Change::NoKey(key) => transaction
            .prepare_cached("DELETE FROM keys WHERE owner = ?1 AND key = ?2")?
            .execute(params![key.owner, key.key])?,
    };
    Ok(())
}

/// Writes a key down, or tells what is known of it. Old ones are forgotten on the way.
pub(super) fn claim(transaction: &Transaction<'_>, claim: &Claim) -> rusqlite::Result<Claimed> {
    let Claim { key, request, call, now_ms, kept_ms } = claim;
    transaction.prepare_cached("DELETE FROM keys WHERE at <= ?1")?.execute([now_ms - kept_ms])?;
    let known = transaction
        .prepare_cached("SELECT request, call, answer FROM keys WHERE owner = ?1 AND key = ?2")?
        .query_row(params![key.owner, key.key], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        })
        .optional()?;
    if let Some((request, call, answer)) = known {
        let call = call.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
        return Ok(Claimed::Before { request, call, answer });
    }
    transaction
        .prepare_cached("INSERT INTO keys (owner, key, request, call, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![key.owner, key.key, request, call.to_string(), now_ms])?;
    Ok(Claimed::First)
}

fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own types have text keys only")
}
