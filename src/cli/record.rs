//! `ifbus record`: a call is recorded, the recording stopped, its file fetched.
//!
//! A recording belongs to a call and has an id of its own; both name it. Not here: the file's way to this folder
//! (`fetch`), its way from the server to the orchestrator (`ifbus_fleet`).

mod fetch;

use ifbus::serve::http::body::ListBody;
use ifbus_call::{CallId, ServerName};
use ifbus_fleet::view::{CallView, RecordingStatus, RecordingView, Status};
use serde_json::json;

use super::act;
use super::errors::Failure;
use super::grammar::{RecordCommand, VerbArgs};
use super::render::{clean, id};
use super::session::{Session, unless_interrupted};
use super::watch::{self, Sign};
use super::words::{CallWord, RecordingWord, Words};
pub use fetch::Fetch;

/// What is to be done.
#[derive(Debug)]
pub enum Record {
    /// Record a call.
    Start {
        /// Which.
        call: CallWord,
        /// The server it is said to be on.
        server: Option<ServerName>,
    },
    /// Stop a recording.
    Stop(Which),
    /// Bring its file here.
    Fetch(Fetch),
}

/// A recording: by its id, or the newest one of a call.
#[derive(Debug)]
pub enum Which {
    /// By its id.
    Id(RecordingWord),
    /// By its call.
    Of {
        /// Which.
        call: CallWord,
        /// The server it is said to be on.
        server: Option<ServerName>,
    },
}

impl Record {
    /// Sorts the words.
    pub fn plan(command: RecordCommand) -> Result<Self, Failure> {
        Ok(match command {
            RecordCommand::Start(args) => {
                let words = Words::sort("record start", &args.words, &["call_id"])?;
                Self::Start { call: words.need("record start", "call_id")?, server: words.server }
            }
            RecordCommand::Stop(args) => {
                Self::Stop(Which::plan("record stop", &sort("record stop", &args, &["call_id", "rec_id"])?)?)
            }
            RecordCommand::Fetch { verb, force } => {
                let words = sort("record fetch", &verb, &["call_id", "rec_id", "out"])?;
                let which = Which::plan("record fetch", &words)?;
                Self::Fetch(Fetch { which, out: words.get("out")?, force })
            }
        })
    }

    /// Does it.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Start { call, server } => start(session, &call, server.as_ref()).await,
            Self::Stop(which) => stop(session, &which).await,
            Self::Fetch(fetch) => fetch.run(session).await,
        }
    }
}

fn sort(verb: &str, args: &VerbArgs, known: &[&str]) -> Result<Words, Failure> {
    Words::sort(verb, &args.words, known)
}

impl Which {
    fn plan(verb: &str, words: &Words) -> Result<Self, Failure> {
        match (words.get("rec_id")?, words.get("call_id")?) {
            (Some(_), Some(_)) => Err(Failure::usage("either call_id= or rec_id=, not both")),
            (Some(recording), None) => Ok(Self::Id(recording)),
            (None, Some(call)) => Ok(Self::Of { call, server: words.server.clone() }),
            (None, None) => {
                let failure = Failure::usage(format!("{verb} needs call_id= or rec_id="));
                Err(failure.with("examples: ifbus help examples record"))
            }
        }
    }

    /// The word that names it.
    fn word(&self) -> String {
        match self {
            Self::Id(word) => format!("rec_id={}", word.0),
            Self::Of { call, .. } => format!("call_id={}", call.0),
        }
    }

    /// The recording as it is now.
    async fn find(&self, session: &Session) -> Result<RecordingView, Failure> {
        let (call, server) = match self {
            Self::Id(word) => {
                return session.client.get(&format!("/v1/recordings/{}", word.0)).await?.parse();
            }
            Self::Of { call, server } => (call, server.as_ref()),
        };
        let call = act::find(session, call, server).await?;
        if let Some(recording) = call.recording {
            return session.client.get(&format!("/v1/recordings/{recording}")).await?.parse();
        }
        let recordings: ListBody<RecordingView> = session.client.get("/v1/recordings").await?.parse()?;
        let newest =
            recordings.data.into_iter().filter(|view| view.call == call.id).max_by_key(|view| view.id);
        newest.ok_or_else(|| {
            let short = id(call.id, session.screen.is_terminal());
            Failure::unknown_recording(format!("no recording of the call {short} is known"))
                .suggest(format!("ifbus record start sip call_id={short}"))
        })
    }
}

/// `rec_..., stored, 12.3 s, 196844 bytes`
pub fn line(recording: &RecordingView) -> String {
    let mut text = format!("{}, {}", recording.id, recording.status.as_str());
    if let (Some(seconds), Some(bytes)) = (recording.seconds, recording.bytes) {
        text.push_str(&format!(", {seconds:.1} s, {bytes} bytes"));
    }
    if let Some(why) = &recording.why {
        text.push_str(&format!(": {}", clean(why)));
    }
    text
}

async fn look(session: &Session, recording: &RecordingView) -> Result<RecordingView, Failure> {
    session.client.get(&format!("/v1/recordings/{}", recording.id)).await?.parse()
}

/// Prints a recording: its body for a program, else a line.
fn say(session: &Session, recording: &RecordingView, text: &str) -> Result<(), Failure> {
    if session.screen.json {
        return session
            .screen
            .line(&serde_json::to_string(recording).expect("a view can be written as JSON"));
    }
    session.screen.line(text)
}

async fn start(session: &Session, word: &CallWord, server: Option<&ServerName>) -> Result<(), Failure> {
    if server.is_some() {
        act::find(session, word, server).await?;
    }
    let last_words = || format!("interrupted; is it recorded? ifbus show call {}", word.0);
    let starting = async {
        let before = watch::before(session).await?;
        let path = format!("/v1/calls/{}/recordings", word.0);
        let recording: RecordingView = session.client.post(&path, &json!({}), None).await?.parse()?;
        let call: CallView = session.client.get(&format!("/v1/calls/{}", recording.call)).await?.parse()?;
        let now = if call.status == Status::InProgress {
            begun(session, &recording, before).await?
        } else {
            recording
        };
        Ok((now, call))
    };
    let (recording, call) = session.screen.wait("starting", unless_interrupted(starting, last_words)).await?;
    say(session, &recording, &recording.id.to_string())?;
    let when = if call.status == Status::InProgress { "recording" } else { "recording from the first talk" };
    let stop = format!("ifbus record stop sip rec_id={}", ending(session, &recording));
    session.screen.note(&format!("{when}. stop it: {stop}"));
    Ok(())
}

/// Waits until the server records, or said why not.
async fn begun(
    session: &Session,
    recording: &RecordingView,
    before: watch::Before,
) -> Result<RecordingView, Failure> {
    let name = recording.id.to_string();
    let waiting = watch::until(session, recording.call, before, "waiting for the server", async |sign| {
        let kind = if let Sign::Event(event) = sign { event.fact.kind.as_str() } else { "" };
        Ok(match sign {
            Sign::Event(event) if kind == "recording.started" && event.fact.text.contains(&name) => {
                Some(None)
            }
            Sign::Event(event) if matches!(kind, "call.verb_failed" | "call.ended" | "recording.failed") => {
                Some(Some(event.fact.text.clone()))
            }
            Sign::Event(_) => None,
            Sign::Missed => Some(None),
        })
    });
    match waiting.await? {
        Some(None) => look(session, recording).await,
        Some(Some(why)) => Err(not_done(session, recording.call, format!("not recorded: {}", clean(&why)))),
        None => {
            let text = format!("no start of it was seen within {} s", watch::WITHIN.as_secs());
            Err(not_done(session, recording.call, text))
        }
    }
}

fn not_done(session: &Session, call: CallId, text: String) -> Failure {
    let short = id(call, session.screen.is_terminal());
    Failure::not_done(text).suggest(format!("ifbus show call {short}"))
}

/// A recording's id, short where people read it.
fn ending(session: &Session, recording: &RecordingView) -> String {
    if session.screen.is_terminal() { recording.id.ending() } else { recording.id.to_string() }
}

async fn stop(session: &Session, which: &Which) -> Result<(), Failure> {
    let stopping = async {
        let before = watch::before(session).await?;
        let found = which.find(session).await?;
        let path = format!("/v1/recordings/{}/stop", found.id);
        let told: RecordingView = session.client.post(&path, &json!({}), None).await?.parse()?;
        settled(session, told, before).await
    };
    let last_words = || format!("how it ends: ifbus record stop sip {}", which.word());
    let recording = unless_interrupted(stopping, last_words).await?;
    let short = ending(session, &recording);
    match recording.status {
        RecordingStatus::Stored => {
            say(session, &recording, &line(&recording))?;
            session.screen.note(&format!("next: ifbus record fetch sip rec_id={short}"));
            Ok(())
        }
        RecordingStatus::Failed => {
            let why = recording.why.as_deref().map_or_else(|| "no reason was told".to_owned(), clean);
            Err(not_done(session, recording.call, format!("{} cannot be stored: {why}", recording.id)))
        }
        RecordingStatus::Recording | RecordingStatus::Stopping => {
            let why = recording.why.as_deref().map(|why| format!(": {}", clean(why))).unwrap_or_default();
            let text = format!("{} is not stored within {} s{why}", recording.id, watch::WITHIN.as_secs());
            Err(not_done(session, recording.call, text))
        }
    }
}

/// The recording once it is stored or failed, or as it is when that takes too long.
async fn settled(
    session: &Session,
    told: RecordingView,
    before: watch::Before,
) -> Result<RecordingView, Failure> {
    let now = look(session, &told).await?;
    if now.status.is_terminal() {
        return Ok(now);
    }
    let waiting = watch::until(session, told.call, before, "waiting for the file", async |sign| {
        if let Sign::Event(event) = sign
            && !event.fact.kind.starts_with("recording.")
        {
            return Ok(None);
        }
        let now = look(session, &told).await?;
        Ok(now.status.is_terminal().then_some(now))
    });
    match waiting.await? {
        Some(settled) => Ok(settled),
        None => look(session, &told).await,
    }
}
