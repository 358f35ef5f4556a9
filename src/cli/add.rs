//! `ifbus add`: a server by name, kind, address and who we are there.

use std::collections::BTreeMap;
use std::time::Duration;

use ifbus_call::{Kind, ServerName};
use ifbus_config::Secret;
use ifbus_fleet::view::{ServerState, ServerView, TestReport};
use serde_json::{Value, json};

use super::auth::{self, Auth};
use super::errors::{Exit, Failure};
use super::grammar::AddArgs;
use super::render::{clean, count};
use super::screen::{Colour, Screen};
use super::session::Session;
use super::{detect, test, words};

/// How long the answer is held until the server is connected.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// Settings that are fields of a server of their own.
const NUMBERS: [&str; 2] = ["capacity", "cps"];
/// Settings that begin so are labels for policies.
const TAG: &str = "tag.";

/// What is said of its kind.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// This one.
    Said(Kind),
    /// Nothing, and there is one only.
    Taken(Kind),
    /// It is to be found out.
    Auto,
}

/// A server to add.
#[derive(Debug)]
pub struct Add {
    name: ServerName,
    kind: Asked,
    host: String,
    port: Option<u16>,
    auth: Auth,
    /// What `auth` refers to, once it was gathered.
    secrets: BTreeMap<String, Secret>,
    set: BTreeMap<String, String>,
}

impl Add {
    /// Sorts the words.
    pub fn plan(args: AddArgs) -> Result<Self, Failure> {
        // `--auth user=x secret=y`: the shell made two words of it, the meaning is plain.
        let (stray, rest): (Vec<String>, Vec<String>) =
            args.words.into_iter().partition(|word| auth::is_pair(word));
        let kind = match &rest[..] {
            [] => None,
            [kind] => Some(kind.as_str()),
            [_, more, ..] => {
                // What stands behind the sign may be a secret under a key that was mistyped.
                let more = more.split_once('=').map_or(more.clone(), |(key, _)| format!("{key}=..."));
                let failure = Failure::usage(format!("`{}` is one word too many", clean(&more)));
                return Err(failure.with(
                    "as in: ifbus add sip pbx1 asterisk --host 192.0.2.10 --auth user=ifbus,secret=prompt",
                ));
            }
        };
        let texts: Vec<String> = args.auth.into_iter().chain(stray).collect();
        Ok(Self {
            name: words::server(&args.name)?,
            kind: match kind {
                None => Asked::Taken(only_kind()?),
                Some("auto") => Asked::Auto,
                Some(kind) => Asked::Said(parse_kind(kind)?),
            },
            host: args.host,
            port: args.port,
            auth: Auth::split(&texts)?,
            secrets: BTreeMap::new(),
            set: settings(&args.set)?,
        })
    }

    /// Reads the secrets, or asks for them.
    pub fn gather(&mut self) -> Result<(), Failure> {
        self.secrets = self.auth.resolve(self.name.as_str())?;
        Ok(())
    }

    /// The environment variables its secrets come from.
    pub fn variables(&self) -> Vec<&str> {
        self.auth.variables()
    }

    /// Adds it and says how it stands.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let screen = &session.screen;
        warn_of_exposed(screen, &self.auth);
        let kind = match self.kind {
            Asked::Said(kind) => kind,
            Asked::Taken(kind) => {
                screen.note(&format!("taken for {kind}: the only kind this version knows"));
                kind
            }
            Asked::Auto => self.detect(session).await?,
        };
        let body = self.body(kind)?;
        let asked = session.client.post("/v1/servers", &body, Some(CONNECTED_WITHIN));
        let answer = screen.wait(&format!("connecting to {}", self.name), asked).await?;
        let server: ServerView = answer.parse()?;
        if screen.json {
            screen.line(answer.text.trim_end())?;
        } else {
            screen.line(&added(&server))?;
            for certificate in &server.certificates {
                let why = match certificate.trusted.as_str() {
                    "first-use" => "the first one seen, from now on the only one taken",
                    "pinned" => "the pinned one",
                    _ => "signed by the authority",
                };
                let (at, sha256) = (clean(&certificate.at), clean(&certificate.sha256));
                screen.note(&format!("certificate of {at}: {why}\n  sha256 {sha256}"));
            }
            for warning in &server.warnings {
                screen.note_as(Colour::Yellow, "warn", &clean(&warning.text));
            }
        }
        match server.state {
            ServerState::Up | ServerState::Degraded => {
                screen.note_as(
                    Colour::Cyan,
                    "next",
                    &format!("ifbus test sip {0}     ifbus call sip {0} from=1001 to=1002", self.name),
                );
                Ok(())
            }
            ServerState::Connecting | ServerState::Suspect | ServerState::Draining | ServerState::Drained => {
                screen.note_as(Colour::Cyan, "next", "how it goes on: ifbus list sip");
                Ok(())
            }
            ServerState::Down => self.down(session).await,
        }
    }

    /// It is added and cannot be used: the test tells why, and whether it is there at all.
    async fn down(&self, session: &Session) -> Result<(), Failure> {
        let path = format!("/v1/servers/{}/test", self.name);
        let tested = session
            .client
            .post(&path, &json!({}), None)
            .await
            .and_then(|answer| answer.parse::<TestReport>());
        session.screen.note_as(
            Colour::Cyan,
            "next",
            &format!(
                "put it right and add it again, or: ifbus test sip {0}     ifbus remove sip {0}",
                self.name
            ),
        );
        let Ok(report) = tested else { return Err(Failure::said(Exit::Failed)) };
        for finding in report.findings.iter().filter(|finding| finding.fix.is_some()) {
            let (text, fix) = (clean(&finding.text), clean(finding.fix.as_deref().unwrap_or_default()));
            session.screen.note(&format!("  {}: {text}\n      do: {fix}", clean(&finding.area)));
        }
        Err(Failure::said(if report.reachable { Exit::Failed } else { test::exit(&report) }))
    }

    /// Asks the host what it is, before anything is changed.
    async fn detect(&self, session: &Session) -> Result<Kind, Failure> {
        let (found, _) = detect::ask(session, &self.host, self.port).await?;
        let Some(word) = &found.kind else { return Err(detect::silent(&found)) };
        let Ok(kind) = word.parse::<Kind>() else { return Err(detect::cannot_drive(&found, word)) };
        let signs = found.signs.iter().filter(|sign| sign.kind.as_ref() == Some(word));
        let signs: Vec<String> =
            signs.map(|sign| format!("{} on {}", clean(&sign.said), sign.port)).collect();
        session.screen.note(&format!("detected {kind} ({})", signs.join("; ")));
        Ok(kind)
    }

    fn body(&self, kind: Kind) -> Result<Value, Failure> {
        let auth: BTreeMap<&str, &str> =
            self.secrets.iter().map(|(key, secret)| (key.as_str(), secret.expose())).collect();
        let (tags, set): (BTreeMap<&str, &str>, BTreeMap<&str, &str>) = self
            .set
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .partition(|(key, _)| key.starts_with(TAG));
        let tags: BTreeMap<&str, &str> =
            tags.into_iter().map(|(key, value)| (&key[TAG.len()..], value)).collect();
        let set: BTreeMap<&str, &str> = set.into_iter().filter(|(key, _)| !NUMBERS.contains(key)).collect();
        let mut body = json!({
            "name": self.name, "kind": kind, "host": self.host, "auth": auth, "set": set, "tags": tags,
        });
        if let Some(port) = self.port {
            body["port"] = json!(port);
        }
        for key in NUMBERS {
            let Some(text) = self.set.get(key) else { continue };
            body[key] = Value::Number(number(key, text)?);
        }
        Ok(body)
    }
}

fn warn_of_exposed(screen: &Screen, auth: &Auth) {
    let exposed = auth.exposed();
    if !exposed.is_empty() {
        let keys = exposed.join(", ");
        let safer = exposed.iter().map(|key| format!("{key}=prompt")).collect::<Vec<_>>().join(",");
        let text = format!(
            "{keys} in the command stays in the shell's history and shows in ps; safer: --auth {safer} (or env:NAME, file:PATH, -)"
        );
        screen.note_as(Colour::Yellow, "warn", &text);
    }
}

/// Without a kind there is nothing to ask as long as there is one kind only.
fn only_kind() -> Result<Kind, Failure> {
    match Kind::ALL[..] {
        [only] => Ok(only),
        _ => Err(Failure::usage("which kind of server is it?").with(format!("known: {}", Kind::names()))),
    }
}

fn parse_kind(text: &str) -> Result<Kind, Failure> {
    text.parse().map_err(|_: ifbus_call::kind::UnknownKind| {
        let failure =
            Failure::usage(format!("no kind of server is called `{}`; nothing was added", clean(text)));
        let near = ifbus_config::nearest(text, Kind::ALL.map(Kind::as_str));
        let near = near.map(|near| format!("did you mean {near}?   ")).unwrap_or_default();
        failure.with(format!("{near}known: {}", Kind::names()))
    })
}

fn settings(texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut set = BTreeMap::new();
    for text in texts {
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(
                Failure::usage("--set is written key=value").with("as in: --set dial_e164=PJSIP/{n}@trunk")
            );
        };
        if auth::is_pair(text) {
            return Err(Failure::usage(format!("{key} belongs to --auth, not to --set")));
        }
        if NUMBERS.contains(&key) {
            number(key, value)?;
        }
        let value = match (key, value.strip_prefix("ca:")) {
            ("tls", Some(file)) => authority(file)?,
            _ => value.to_owned(),
        };
        if set.insert(key.to_owned(), value).is_some() {
            return Err(Failure::usage(format!("--set {key}= is given twice")));
        }
    }
    Ok(set)
}

/// The file as the orchestrator finds it, which runs in a folder of its own.
fn authority(file: &str) -> Result<String, Failure> {
    let path = std::path::absolute(file).map_err(|_| {
        Failure::usage("--set tls=ca: names no file").with("as in: --set tls=ca:/etc/ifbus/ca.pem")
    })?;
    Ok(format!("ca:{}", path.display()))
}

fn number(key: &str, text: &str) -> Result<serde_json::Number, Failure> {
    text.parse().map_err(|_| Failure::usage(format!("--set {key}={} is not a number", clean(text))))
}

/// `added pbx1: up, asterisk 22.5.1, 0 calls of ours, 3 foreign legs seen and left alone`
fn added(server: &ServerView) -> String {
    let version = server.version.as_deref().map(|version| format!(" {}", clean(version))).unwrap_or_default();
    match server.state {
        ServerState::Up
        | ServerState::Degraded
        | ServerState::Suspect
        | ServerState::Draining
        | ServerState::Drained => format!(
            "added {}: {}, {}{version}, {} of ours adopted, {} seen and left alone",
            server.name,
            server.state.as_str(),
            server.kind,
            count(server.calls as usize, "call"),
            count(server.foreign as usize, "foreign leg"),
        ),
        ServerState::Connecting => {
            format!("added {}: still connecting to {}:{}", server.name, clean(&server.host), server.port)
        }
        ServerState::Down => {
            let why = server.note.as_deref().unwrap_or("no reason was given");
            format!("added {}, but it is down: {}", server.name, clean(why))
        }
    }
}
