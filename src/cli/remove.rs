//! `ifbus remove`: a server goes; calls of ours on it live on there, out of our sight.

use ifbus_call::ServerName;
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::ServerView;

use super::blast::{Blast, Consent};
use super::errors::Failure;
use super::grammar::RemoveArgs;
use super::render::{clean, count};
use super::session::Session;
use super::{calls, show, words};

/// Which server.
#[derive(Debug)]
pub struct Remove {
    name: ServerName,
    consent: Consent,
}

impl Remove {
    /// Checks the name.
    pub fn plan(args: &RemoveArgs) -> Result<Self, Failure> {
        Ok(Self { name: words::server(&args.name)?, consent: args.consent.into() })
    }

    /// Removes it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let screen = &session.screen;
        let path = format!("/v1/servers/{}", self.name);
        let server: ServerView = match session.client.get(&path).await {
            Err(failure) if failure.is(Code::UnknownServer) => {
                return Err(show::unknown_server(session, failure, &self.name, "nothing was removed").await);
            }
            answered => answered?.parse()?,
        };
        let has_calls = server.calls > 0;
        let calls = if has_calls && screen.json { ids(session, &self.name).await? } else { Vec::new() };
        if !(Blast { text: text(&server), is_wide: has_calls, calls }).go_on(screen, self.consent)? {
            return Ok(());
        }
        // A call that came after the look is in the question's answer as well only if there was a question.
        let even_with_calls = if has_calls || self.consent.yes { "?even_with_calls=true" } else { "" };
        let answer = session.client.delete(&format!("{path}{even_with_calls}")).await?;
        if screen.json && !answer.text.trim().is_empty() {
            return screen.line(answer.text.trim_end());
        }
        if screen.json { Ok(()) } else { screen.line(&format!("removed {}", self.name)) }
    }
}

async fn ids(session: &Session, name: &ServerName) -> Result<Vec<String>, Failure> {
    let living = calls::living(session, Some(name)).await?;
    Ok(living.iter().map(|call| call.id.to_string()).collect())
}

fn text(server: &ServerView) -> String {
    let calls = match server.calls {
        0 => "it carries no call of ours".to_owned(),
        1 => "1 call of ours lives on there without us".to_owned(),
        n => format!("{} of ours live on there without us", count(n as usize, "call")),
    };
    format!("remove {} ({}, {}:{}): {calls}", server.name, server.kind, clean(&server.host), server.port)
}
