//! `ifbus demo`: the commands of a first day, typed for you against simulated servers, then everything is gone again.
//!
//! Each step is the command itself, read by the grammar and run as always. The simulated fleet has one server of each kind,
//! and telephones 1001 to 1008, which answer, and 1009, which is busy.

use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use ifbus::serve::http::body::ListBody;
use ifbus_config::{Paths, private};
use ifbus_fleet::view::CallView;
use rustix::process::{Pid, Signal, kill_process};

use super::client::{Base, Client};
use super::errors::{Exit, Failure};
use super::grammar::{self, Command};
use super::screen::{Colour, Screen};
use super::session::{Session, unless_interrupted};
use super::{Plan, background};

/// What is done next.
enum Step {
    /// A command, and how it is to end. `@` is the id of the latest call.
    Type(&'static str, Exit),
    /// Nothing is typed until every call that is not over talks.
    AllTalk,
}

use Exit::{Done, Failed};
use Step::{AllTalk, Type};

/// The story: the life of one call, a call that fails, and a call on each of the other kinds, all at once.
const STORY: &[Step] = &[
    Type("list sip", Done),
    Type("call sip pbx1 from=1001 to=1002", Done),
    Type("hold sip call_id=@", Done),
    Type("resume sip call_id=@", Done),
    Type("dtmf sip call_id=@ digits=42#", Done),
    Type("transfer sip call_id=@ to=1003", Done),
    Type("call sip from=1001 to=1009", Failed),
    Type("show call @", Done),
    Type("call sip pbx2 from=1001 to=1002 --detach", Done),
    Type("call sip pbx3 from=1001 to=1002 --detach", Done),
    Type("call sip pbx4 from=1001 to=1002 --detach", Done),
    Type("call sip proxy1 from=1001 to=1002 --detach", Done),
    Type("call sip proxy2 from=1003 to=1004 --detach", Done),
    Type("call sip proxy3 from=1005 to=1006 --detach", Done),
    AllTalk,
    Type("calls", Done),
    Type("hangup sip --all --yes", Done),
];
/// How long calls may take until all talk: long beyond what phones take that answer after less than a second.
const ALL_TALK_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The telephone that is busy.
const BUSY: &str = "1009";
/// How long the orchestrator of a demo may take to end.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// An orchestrator with simulated servers, gone when this is dropped.
struct Stage {
    child: Child,
    folder: PathBuf,
}

impl Drop for Stage {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let told = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let looks = ENDED_WITHIN.as_millis() / 20;
        let ended = told
            && (0..looks).any(|_| {
                let ended = matches!(self.child.try_wait(), Ok(Some(_)));
                if !ended {
                    std::thread::sleep(Duration::from_millis(20));
                }
                ended
            });
        if !ended {
            let _ = self.child.kill().and_then(|()| self.child.wait()); // it is ours, and of no use any more
        }
        let _ = std::fs::remove_dir_all(&self.folder); // a leftover in the temporary folder harms nobody
    }
}

/// Plays it.
pub async fn run(screen: &Screen) -> Result<(), Failure> {
    let began = Instant::now();
    let (_stage, session) = screen.wait("setting up simulated servers", set_up(screen)).await?;
    screen.note("one simulated server of each kind, simulated telephones; nothing leaves this machine");
    unless_interrupted(play(&session), || "the demo and its calls are gone".to_owned()).await?;
    if screen.json {
        return Ok(());
    }
    let seconds = began.elapsed().as_secs_f64();
    screen.line("")?;
    screen.line(&format!(
        "{} commands, each ended as it should, {seconds:.1} s; everything is gone again",
        STORY.iter().filter(|step| matches!(step, Type(..))).count()
    ))?;
    let real = "ifbus add sip NAME asterisk --host HOST --auth user=ifbus,secret=prompt";
    screen.line(&format!("{}: {real}", screen.paint(Some(Colour::Cyan), "the real thing")))
}

async fn set_up(screen: &Screen) -> Result<(Stage, Session), Failure> {
    let number = getrandom::u64().map_err(|error| Failure::here(format!("no random numbers: {error}")))?;
    let folder = std::env::temp_dir().join(format!("ifbus-demo-{number:016x}"));
    private::folder(&folder).map_err(|error| Failure::here(error.to_string()))?;
    let paths = Paths { config: folder.join("none.toml"), data: folder.clone(), runtime: folder.join("run") };
    let launched = background::launch(&paths, &["--simulated", "--listen", "127.0.0.1:0"], &[]).await;
    let (child, running) = launched.inspect_err(|_| drop(std::fs::remove_dir_all(&folder)))?;
    let stage = Stage { child, folder };
    let token =
        ifbus_config::token::read(&paths.token()).map_err(|error| Failure::here(error.to_string()))?;
    let client = Client::new(Base::of(running.address), token);
    Ok((stage, Session { screen: screen.clone(), client }))
}

/// Types every command of the story.
pub(super) async fn play(session: &Session) -> Result<(), Failure> {
    for step in STORY {
        match step {
            Type(words, expected) => type_it(session, words, *expected).await?,
            AllTalk => all_talk(session).await?,
        }
    }
    Ok(())
}

async fn type_it(session: &Session, words: &str, expected: Exit) -> Result<(), Failure> {
    let words = fill_in(session, words).await?;
    if !session.screen.json {
        session.screen.line(&format!("\n$ ifbus {words}"))?;
    }
    let ended = match typed(&words)?.run(session).await {
        Ok(()) => Done,
        Err(failure) => {
            session.screen.fail(&failure);
            failure.exit
        }
    };
    if ended == expected {
        return Ok(());
    }
    let detail = format!("`ifbus {words}` ended with {}, not with {}", ended as u8, expected as u8);
    Err(Failure::not_done(detail))
}

async fn all_talk(session: &Session) -> Result<(), Failure> {
    let until = Instant::now() + ALL_TALK_WITHIN;
    let wait = async {
        loop {
            let calls: ListBody<CallView> = session.client.get("/v1/calls?limit=500").await?.parse()?;
            // the one to the busy telephone is over, and was to be
            let silent =
                calls.data.iter().find(|call| call.answered_at.is_none() && call.to.as_str() != BUSY);
            match silent {
                None => return Ok(()),
                Some(call) if call.status.is_terminal() || Instant::now() > until => {
                    let on = call.server.as_ref().map_or("no server", |name| name.as_str());
                    let (from, to) = (&call.from, &call.to);
                    return Err(Failure::not_done(format!("{from} and {to} do not talk on {on}")));
                }
                Some(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    };
    session.screen.wait("waiting for the phones", wait).await
}

async fn fill_in(session: &Session, words: &str) -> Result<String, Failure> {
    if !words.contains('@') {
        return Ok(words.to_owned());
    }
    let calls: ListBody<CallView> = session.client.get("/v1/calls?limit=500").await?.parse()?;
    let latest = calls.data.iter().map(|call| call.id).max();
    let latest = latest.ok_or_else(|| Failure::not_done("no call is known any more"))?;
    Ok(words.replace('@', &latest.ending()))
}

fn typed(words: &str) -> Result<Plan, Failure> {
    let args = std::iter::once("ifbus").chain(words.split(' ')).map(Into::into).collect();
    match grammar::parse(args).map_err(|slip| slip.failure)?.command {
        Some(Command::Ask(command)) => Plan::make(command),
        _ => Err(Failure::not_done(format!("`{words}` is no command for an orchestrator"))),
    }
}
