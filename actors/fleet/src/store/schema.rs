//! The tables, and how changes become rows.

use std::collections::BTreeMap;
use std::path::Path;

use ifbus_call::{CallId, Goal, InstanceId};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::{Change, Claim, Claimed, Remembered, StoreError};

/// The schema this ifbus writes. A file with a greater number is refused.
const SCHEMA: i64 = 2;

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
             CREATE TABLE IF NOT EXISTS goals (call TEXT PRIMARY KEY, goal TEXT NOT NULL) STRICT;
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
    let mut calls = Vec::new();
    for (id, view) in pairs("SELECT id, view FROM calls ORDER BY id")? {
        calls.push(serde_json::from_str(&view).map_err(|error| damaged(format!("call {id}: {error}")))?);
    }
    let mut goals: BTreeMap<CallId, Goal> = BTreeMap::new();
    for (id, goal) in pairs("SELECT call, goal FROM goals ORDER BY call")? {
        let call = id.parse().map_err(|error| damaged(format!("goal of {id}: {error}")))?;
        goals.insert(
            call,
            serde_json::from_str(&goal).map_err(|error| damaged(format!("goal of {id}: {error}")))?,
        );
    }
    let mut servers = Vec::new();
    for (name, spec) in pairs("SELECT name, spec FROM servers ORDER BY name")? {
        servers.push((name.parse().map_err(|error| damaged(format!("server {name}: {error}")))?, spec));
    }
    Ok(Remembered { calls, goals, servers })
}

/// Writes one change.
pub(super) fn apply(transaction: &Transaction<'_>, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Call(view) => transaction
            .prepare_cached("INSERT OR REPLACE INTO calls (id, view) VALUES (?1, ?2)")?
            .execute(params![view.id.to_string(), as_json(view)])?,
        Change::Ended(call) => {
            let id = call.to_string();
            transaction.prepare_cached("DELETE FROM goals WHERE call = ?1")?.execute([&id])?;
            transaction.prepare_cached("DELETE FROM calls WHERE id = ?1")?.execute([&id])?
        }
        Change::Goal(call, Some(goal)) => transaction
            .prepare_cached("INSERT OR REPLACE INTO goals (call, goal) VALUES (?1, ?2)")?
            .execute(params![call.to_string(), as_json(goal)])?,
        Change::Goal(call, None) => {
            transaction.prepare_cached("DELETE FROM goals WHERE call = ?1")?.execute([call.to_string()])?
        }
        Change::Server(name, spec) => transaction
            .prepare_cached("INSERT OR REPLACE INTO servers (name, spec) VALUES (?1, ?2)")?
            .execute(params![name.as_str(), spec])?,
        Change::NoServer(name) => {
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
