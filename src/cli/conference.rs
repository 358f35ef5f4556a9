//! `ifbus conference`: named, filled, looked at, ended.
//!
//! Members are legs of calls, so each is named by a call. Not here: how one comes in (`join`), what is done to one that
//! is in (`member`).

mod join;
mod member;

use ifbus::serve::http::body::ListBody;
use ifbus_call::{ConferenceId, ServerName};
use ifbus_fleet::problem::Code;
use ifbus_fleet::view::{ConferenceView, MemberView};
use serde_json::json;

use super::blast::{Blast, Consent};
use super::errors::Failure;
use super::grammar::{ConferenceCommand, RoomArgs};
use super::render::{clean, count, id};
use super::screen::{Colour, Screen};
use super::session::Session;
use super::show;
use super::table::{Cell, Column, Table};
use super::words::Words;
pub use join::Join;
pub use member::Change;

/// What is to be done.
#[derive(Debug)]
pub enum Conference {
    /// Name one.
    Create {
        /// Its id.
        id: ConferenceId,
        /// Where; the orchestrator chooses if nothing is said.
        server: Option<ServerName>,
    },
    /// Bring somebody in.
    Join(Join),
    /// Look at all of them, or at one.
    List(Option<ConferenceId>),
    /// Do something to a member.
    Change(Change),
    /// Hang everybody up and forget it.
    End {
        /// Which.
        id: ConferenceId,
        /// Whether to ask.
        consent: Consent,
    },
}

impl Conference {
    /// Sorts the words.
    pub fn plan(command: ConferenceCommand) -> Result<Self, Failure> {
        Ok(match command {
            ConferenceCommand::Create(args) => {
                let words = sort("conference create", &args, &["server"])?;
                Self::Create { id: room(&args.id)?, server: words.get("server")? }
            }
            ConferenceCommand::Add { room, detach } => Self::Join(Join::plan(&room, detach)?),
            ConferenceCommand::List { id, .. } => Self::List(id.as_deref().map(room).transpose()?),
            ConferenceCommand::Kick(args) => Self::Change(Change::plan(member::What::Kick, &args)?),
            ConferenceCommand::Mute(args) => Self::Change(Change::plan(member::What::Mute, &args)?),
            ConferenceCommand::Unmute(args) => Self::Change(Change::plan(member::What::Unmute, &args)?),
            ConferenceCommand::End { id, consent, .. } => {
                Self::End { id: room(&id)?, consent: consent.into() }
            }
        })
    }

    /// Does it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Create { id, server } => create(session, &id, server.as_ref()).await,
            Self::Join(join) => join.run(session).await,
            Self::List(None) => list(session).await,
            Self::List(Some(id)) => members(session, &id).await,
            Self::Change(change) => change.run(session).await,
            Self::End { id, consent } => end(session, &id, consent).await,
        }
    }
}

/// A conference's name.
fn room(text: &str) -> Result<ConferenceId, Failure> {
    text.parse().map_err(|why| Failure::usage(format!("`{}`: {why}", clean(text))))
}

/// The words behind a conference, none of which is a bare name.
fn sort(verb: &str, args: &RoomArgs, known: &[&str]) -> Result<Words, Failure> {
    Words::sort(verb, &args.words, known)?.without_name(verb, known)
}

async fn create(session: &Session, id: &ConferenceId, server: Option<&ServerName>) -> Result<(), Failure> {
    let mut body = json!({ "id": id });
    if let Some(server) = server {
        body["server"] = json!(server);
    }
    let answer = match (session.client.post("/v1/conferences", &body, None).await, server) {
        (Err(failure), Some(name)) if failure.is(Code::UnknownServer) => {
            return Err(show::unknown_server(session, failure, name, "nothing was created").await);
        }
        (answered, _) => answered?,
    };
    if session.screen.json {
        return session.screen.line(answer.text.trim_end());
    }
    let view: ConferenceView = answer.parse()?;
    let how = if answer.status == 201 { "created" } else { "it was there already:" };
    let members = count(view.members.len(), "member");
    session.screen.line(&format!("{how} conference {} on {}, {members}", view.id, view.server))?;
    session.screen.note(&format!("next: ifbus conference add sip {} to=1003", view.id));
    Ok(())
}

async fn list(session: &Session) -> Result<(), Failure> {
    let screen = &session.screen;
    let answer = session.client.get("/v1/conferences").await?;
    if screen.json {
        return screen.line(answer.text.trim_end());
    }
    let list: ListBody<ConferenceView> = answer.parse()?;
    screen.lines(table(&list.data).lines(screen))?;
    if list.data.is_empty() {
        screen.note("no conference yet: ifbus conference create sip ID");
    }
    Ok(())
}

/// The table of conferences.
pub fn table(conferences: &[ConferenceView]) -> Table {
    let mut table = Table::new(&[
        Column::text("ID").kept(),
        Column::text("SERVER"),
        Column::number("MEMBERS"),
        Column::number("INSIDE"),
        Column::number("MUTED"),
        Column::text("NOTE"),
    ]);
    for conference in conferences {
        let members = &conference.members;
        let of = |is: fn(&&MemberView) -> bool| members.iter().filter(is).count().to_string();
        table.row([
            Cell::from(conference.id.as_str()),
            Cell::from(conference.server.as_str()),
            Cell::from(members.len().to_string()),
            Cell::from(of(|member| member.inside)),
            Cell::from(of(|member| member.muted)),
            Cell::from(foreign(conference).unwrap_or_default()),
        ]);
    }
    table
}

/// Who is in it and no member of ours.
fn foreign(conference: &ConferenceView) -> Option<String> {
    let legs = count(conference.foreign as usize, "leg");
    (conference.foreign > 0).then(|| format!("and {legs} that dialled in: ifbus calls --foreign"))
}

async fn members(session: &Session, id: &ConferenceId) -> Result<(), Failure> {
    let screen = &session.screen;
    let answer = session.client.get(&format!("/v1/conferences/{id}")).await?;
    if screen.json {
        return screen.line(answer.text.trim_end());
    }
    let view: ConferenceView = answer.parse()?;
    screen.lines(roll(&view.members, screen.is_terminal()).lines(screen))?;
    let also = foreign(&view).map(|foreign| format!(" {foreign}")).unwrap_or_default();
    screen.note(&format!("{} in {} on {}{also}", count(view.members.len(), "member"), view.id, view.server));
    Ok(())
}

/// The table of members.
pub fn roll(members: &[MemberView], is_terminal: bool) -> Table {
    let mut table = Table::new(&[
        Column::text("MEMBER").kept(),
        Column::text("STATE").kept(),
        Column::text("PARTY"),
        Column::text("MUTED"),
        Column::text("CALL"),
    ]);
    for member in members {
        let (state, colour) = match member.inside {
            true => ("inside", Some(Colour::Green)),
            false => (member.stage.as_str(), None),
        };
        table.row([
            Cell::from(name(member, is_terminal)),
            Cell::coloured(state, colour),
            Cell::from(member.party.as_str()),
            Cell::from(if member.muted { "muted" } else { "" }),
            Cell::from(id(member.call, is_terminal)),
        ]);
    }
    table
}

/// A member as `member=` takes it: short where people read it.
pub fn name(member: &MemberView, is_terminal: bool) -> String {
    if is_terminal { format!("{}.{}", member.call.ending(), member.role.letter()) } else { member.id.clone() }
}

async fn end(session: &Session, id: &ConferenceId, consent: Consent) -> Result<(), Failure> {
    let screen: &Screen = &session.screen;
    let path = format!("/v1/conferences/{id}");
    let view: ConferenceView = session.client.get(&path).await?.parse()?;
    let mut calls: Vec<String> = view.members.iter().map(|member| member.call.to_string()).collect();
    calls.dedup();
    let text = match calls.len() {
        0 => format!("end the conference {id}: nobody of ours is in it"),
        n => format!("end the conference {id} and hang up {} of ours in it", count(n, "call")),
    };
    let is_wide = !calls.is_empty();
    if !(Blast { text, is_wide, calls }).go_on(screen, consent)? {
        return Ok(());
    }
    let answer = session.client.delete(&path).await?;
    if screen.json {
        return screen.line(answer.text.trim_end());
    }
    let view: ConferenceView = answer.parse()?;
    let members = count(view.members.len(), "member");
    screen.line(&format!("ended {id}; {members} told to leave"))
}
