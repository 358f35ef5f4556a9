//! The token of this installation: what a client on this machine shows to the orchestrator.
//!
//! Made once, kept in a file for us alone; it has every right. More tokens, with fewer rights, come from the
//! configuration file.

use std::path::Path;

use crate::private::{self, BadPrivate};
use crate::secrets::Secret;

/// What a token of ours begins with, so that scanners for leaked secrets can know it.
const PREFIX: &str = "ifbus_";

/// Reads the token, or makes one of 256 random bits if there is none.
///
/// # Errors
/// Others can read the file, it is no token, or the system says no.
pub fn read_or_make(path: &Path) -> Result<Secret, BadPrivate> {
    if let Some(token) = read(path)? {
        return Ok(token);
    }
    private::make(path, &format!("{}\n", fresh()))?;
    let missing = || BadPrivate::NotOurs { path: path.to_owned(), why: "it went away".to_owned() };
    read(path)?.ok_or_else(missing)
}

/// Reads the token; `None` if no orchestrator ever ran here.
///
/// # Errors
/// Others can read the file, it is no token, or the system says no.
pub fn read(path: &Path) -> Result<Option<Secret>, BadPrivate> {
    let Some(text) = private::read(path)? else { return Ok(None) };
    let token = text.trim_end();
    let is_token = token.strip_prefix(PREFIX).is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    });
    if is_token {
        Ok(Some(Secret::new(token)))
    } else {
        let why = "it holds no token; remove it and start again".to_owned();
        Err(BadPrivate::NotOurs { path: path.to_owned(), why })
    }
}

/// A new token: 256 random bits.
#[must_use]
pub fn fresh() -> String {
    use std::fmt::Write;
    (0..4).fold(PREFIX.to_owned(), |mut token, _| {
        write!(token, "{:016x}", random_u64()).expect("a String takes every text");
        token
    })
}

/// 64 bits from the system's generator.
pub(crate) fn random_u64() -> u64 {
    getrandom::u64().expect("the system's random generator works, or nothing here can be kept secret")
}
