//! `ifbus detect`: what kind of server a host is, by what it says to anybody.

use ifbus::serve::detect::DetectionBody;
use serde_json::json;

use super::errors::{Exit, Failure};
use super::grammar::DetectArgs;
use super::render::{clean, count};
use super::screen::{Colour, Screen};
use super::session::{Session, unless_interrupted};

/// A host to ask.
#[derive(Debug)]
pub struct Detect {
    host: String,
    port: Option<u16>,
}

impl Detect {
    /// Checks the words.
    pub fn plan(args: DetectArgs) -> Result<Self, Failure> {
        if !ifbus_config::file::is_host(&args.host) {
            return Err(Failure::usage(format!("`{}` is no name or address of a host", clean(&args.host))));
        }
        Ok(Self { host: args.host, port: args.port })
    }

    /// Asks it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let screen = &session.screen;
        let (found, text) = ask(session, &self.host, self.port).await?;
        if screen.json {
            screen.line(&text)?;
            return if found.kind.is_some() { Ok(()) } else { Err(Failure::said(Exit::Unreachable)) };
        }
        let widths = |of: fn(&ifbus::serve::detect::SignBody) -> &str| {
            found.signs.iter().map(|sign| clean(of(sign)).chars().count()).max().unwrap_or(0)
        };
        let (port, said) = (widths(|sign| &sign.port), widths(|sign| &sign.said));
        for sign in &found.signs {
            screen.line(&format!(
                "{:<port$}  {:<said$}  {}",
                sign.port,
                clean(&sign.said),
                clean(&sign.means)
            ))?;
        }
        let Some(kind) = &found.kind else { return Err(silent(&found)) };
        screen.line(&format!("{kind}, {}", certainty(&found)))?;
        next(screen, &found, kind);
        Ok(())
    }
}

/// Asks a host what it is.
///
/// # Errors
/// Every way to say no.
pub async fn ask(
    session: &Session,
    host: &str,
    port: Option<u16>,
) -> Result<(DetectionBody, String), Failure> {
    let mut body = json!({ "host": host });
    if let Some(port) = port {
        body["port"] = json!(port);
    }
    let asked = session.client.post("/v1/detect", &body, None);
    let asked = unless_interrupted(asked, || "interrupted; nothing was changed".to_owned());
    let answer = session.screen.wait(&format!("asking {host}"), asked).await?;
    Ok((answer.parse()?, answer.text.trim_end().to_owned()))
}

/// Nobody said anything that is known.
pub fn silent(found: &DetectionBody) -> Failure {
    let said = match found.signs.len() {
        0 => "nothing answers".to_owned(),
        n => format!("{} said something that is of no kind ifbus knows", count(n, "port")),
    };
    let failure = Failure::nothing_detected(format!("{}: {said}", found.host));
    failure
        .with(format!("asked, without a login: {}", found.asked.join(", ")))
        .with("name the kind if you know it: ifbus add sip NAME asterisk --host HOST")
}

/// The kind is known and this build has no adapter for it.
pub fn cannot_drive(found: &DetectionBody, kind: &str) -> Failure {
    let detail = format!(
        "{} is {kind} ({}), which this ifbus cannot drive; nothing was added",
        found.host,
        certainty(found)
    );
    Failure::not_done(detail)
        .with(format!("it can drive: {}", ifbus_call::Kind::names()))
        .suggest("ifbus matrix")
}

/// `certain: 2 signs agree (4 ports asked, no login tried, 0.1 s).`
fn certainty(found: &DetectionBody) -> String {
    let word = match (found.agree, found.differ) {
        (2.., 0) => "certain",
        (_, 0) => "likely",
        _ => "doubtful",
    };
    let agree = if found.agree == 1 { "1 sign".to_owned() } else { format!("{} signs agree", found.agree) };
    let differ = if found.differ == 0 { String::new() } else { format!(", {} differ", found.differ) };
    format!(
        "{word}: {agree}{differ}; {} ports asked, no login tried, {:.1} s",
        found.asked.len(),
        found.took_s
    )
}

fn next(screen: &Screen, found: &DetectionBody, kind: &str) {
    if found.can_drive {
        let text = format!("ifbus add sip NAME {kind} --host {} --auth user=ifbus,secret=prompt", found.host);
        screen.note_as(Colour::Cyan, "add", &text);
    } else {
        let text = format!("this ifbus cannot drive a {kind}; it can drive: {}", ifbus_call::Kind::names());
        screen.note_as(Colour::Yellow, "warn", &text);
    }
}
