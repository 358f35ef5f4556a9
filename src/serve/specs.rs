//! From what a configuration file says to what the fleet and the API take: references resolved, defaults filled in.

#[cfg(test)]
mod tests;

use std::path::Path;

use ifbus_adapters::{Settings, adapter};
use ifbus_call::ServerName;
use ifbus_config::{BadSecret, Config, Reference, Secret, Server};
use ifbus_fleet::ServerSpec;
use ifbus_fleet::view::Origin;

use crate::serve::http::Token;

/// The shortest token taken from a configuration: below this it could be guessed.
const TOKEN_MIN: usize = 16;

/// A secret that a configuration names cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// It is not where the reference says.
    #[error("{key}: {source}")]
    Absent {
        /// Which key: `servers.pbx1.auth.secret`.
        key: String,
        /// Why.
        source: BadSecret,
    },
    /// It is too short to be a token.
    #[error("{key}: a token has at least {TOKEN_MIN} characters, without blanks")]
    Weak {
        /// Which key.
        key: String,
    },
}

/// A way to look up an environment variable.
type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The servers of a configuration. `base` is the folder of its file.
///
/// # Errors
/// The first secret that cannot be had.
pub fn servers(config: &Config, base: &Path, env: Env<'_>) -> Result<Vec<ServerSpec>, NoSecret> {
    config.servers.iter().map(|(name, server)| one_server(name, server, base, env)).collect()
}

fn one_server(name: &ServerName, server: &Server, base: &Path, env: Env<'_>) -> Result<ServerSpec, NoSecret> {
    let mut settings = Settings { host: server.host.clone(), port: server.port, ..Settings::default() };
    for (key, reference) in &server.auth {
        let secret = resolve(&format!("servers.{name}.auth.{key}"), reference, base, env)?;
        settings.auth.insert(key.clone(), adapter::Secret::new(secret.expose()));
    }
    settings.set = server.set.iter().map(|(key, text)| (key.clone(), text.0.clone())).collect();
    // A path in a file is relative to that file.
    if let Some(file) = settings.set.get("tls").and_then(|tls| tls.strip_prefix("ca:")) {
        let path = base.join(file);
        let path = std::path::absolute(&path).unwrap_or(path);
        settings.set.insert("tls".to_owned(), format!("ca:{}", path.display()));
    }
    Ok(ServerSpec {
        name: name.clone(),
        kind: server.kind,
        settings,
        capacity: server.capacity.unwrap_or(ServerSpec::CAPACITY),
        cps: server.cps.unwrap_or(ServerSpec::CPS),
        tags: server.tags.clone(),
        origin: Origin::Config,
    })
}

/// The tokens of the API: our own with every right, and those of a configuration.
///
/// # Errors
/// The first secret that cannot be had or is too short.
pub fn tokens(own: Secret, config: &Config, base: &Path, env: Env<'_>) -> Result<Vec<Token>, NoSecret> {
    let mut tokens = vec![Token::with_every_right("own", own)];
    for (name, token) in &config.tokens {
        let key = format!("tokens.{name}.secret");
        let secret = resolve(&key, &token.secret, base, env)?;
        let text = secret.expose();
        if text.len() < TOKEN_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NoSecret::Weak { key });
        }
        tokens.push(Token::new(name, secret, &token.scopes));
    }
    Ok(tokens)
}

fn resolve(key: &str, reference: &Reference, base: &Path, env: Env<'_>) -> Result<Secret, NoSecret> {
    reference.resolve(base, env).map_err(|source| NoSecret::Absent { key: key.to_owned(), source })
}
