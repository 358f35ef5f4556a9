//! The command line: one file per verb, each asks the orchestrator and shows what it said.
//!
//! Not here: decisions about calls and servers; a command knows only what the API answers. Grammar below, dispatch in
//! [`run`]; then read `session` (which orchestrator), `call` (the richest verb), `errors` (how a command ends).

mod act;
mod add;
mod auth;
mod background;
mod blast;
mod call;
mod calls;
mod client;
mod completion;
mod conference;
mod config;
mod demo;
mod detect;
mod doctor;
mod drain;
mod dtmf;
mod errors;
mod events;
mod grammar;
mod hangup;
mod help;
mod hold;
mod list;
mod man;
mod matrix;
mod mute;
mod prompt;
mod record;
mod remove;
mod render;
mod screen;
mod serve;
mod session;
mod setup;
mod show;
mod stop;
mod stream;
mod table;
mod test;
#[cfg(test)]
mod tests;
mod transfer;
mod version;
mod watch;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use errors::Failure;
use grammar::{Ask, Cli, Command, Here};
use screen::Screen;
use session::Session;

/// Runs the command in `args`, the program's name first, and says how it ended.
pub fn run(args: Vec<OsString>) -> ExitCode {
    let (cli, screen) = match grammar::parse(args) {
        Ok(cli) => {
            let screen = Screen::of_process(cli.json, cli.no_color);
            (cli, screen)
        }
        Err(grammar::NotParsed { failure, json }) => {
            return end(&Screen::of_process(json, false), Err(failure));
        }
    };
    let done = dispatch(cli, &screen);
    end(&screen, done)
}

fn end(screen: &Screen, done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            screen.fail(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn dispatch(cli: Cli, screen: &Screen) -> Result<(), Failure> {
    let on = cli.on.as_deref();
    match cli.command {
        None => help::welcome(screen),
        // What is wrong with the words is said before anything is started.
        Some(Command::Ask(command)) => {
            let mut plan = Plan::make(command)?;
            plan.gather()?;
            block_on(async {
                let session = Session::open(screen.clone(), on, &plan.variables()).await?;
                plan.run(&session).await
            })
        }
        Some(Command::Here(command)) => match command {
            Here::Setup(args) => block_on(setup::run(screen, on, &args)),
            Here::Serve(args) => serve::run(screen, args),
            Here::Stop => block_on(stop::run(screen, on)),
            Here::Matrix(args) => matrix::run(screen, &args),
            Here::Man { folder } => man::run(screen, &folder),
            Here::Doctor(args) => block_on(doctor::run(screen, on, &args)),
            Here::Demo => block_on(demo::run(screen)),
            Here::Config { command } => config::run(screen, on, &command),
            Here::Version => block_on(version::run(screen, on)),
            Here::Help { topic } => help::run(screen, &topic),
            Here::Completion { shell } => completion::script(screen, shell),
            Here::Complete { line } => completion::offer(screen, on, &line),
        },
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(work)
}

/// A command for an orchestrator, its words checked.
enum Plan {
    Add(add::Add),
    Test(test::Test),
    Call(call::Place),
    Hangup(hangup::Hangup),
    Act(act::Act),
    Remove(remove::Remove),
    Conference(conference::Conference),
    Record(record::Record),
    Drain(drain::Drain),
    List,
    Calls(calls::Calls),
    Show(show::Show),
    Events(events::Listen),
    Detect(detect::Detect),
}

impl Plan {
    fn make(command: Ask) -> Result<Self, Failure> {
        Ok(match command {
            Ask::Add(args) => Self::Add(add::Add::plan(args)?),
            Ask::Test { name, .. } => Self::Test(test::Test::plan(&name)?),
            Ask::Call(args) => Self::Call(call::Place::plan(&args)?),
            Ask::Hangup(args) => Self::Hangup(hangup::Hangup::plan(&args)?),
            Ask::Hold(args) => Self::Act(hold::hold(&args.words)?),
            Ask::Resume(args) => Self::Act(hold::resume(&args.words)?),
            Ask::Mute(args) => Self::Act(mute::mute(&args.words)?),
            Ask::Unmute(args) => Self::Act(mute::unmute(&args.words)?),
            Ask::Dtmf(args) => Self::Act(dtmf::dtmf(&args.words)?),
            Ask::Transfer(args) => Self::Act(transfer::transfer(&args)?),
            Ask::Remove(args) => Self::Remove(remove::Remove::plan(&args)?),
            Ask::Conference { command } => Self::Conference(conference::Conference::plan(command)?),
            Ask::Record { command } => Self::Record(record::Record::plan(command)?),
            Ask::Drain(args) => Self::Drain(drain::Drain::plan(&args)?),
            Ask::Undrain { name, .. } => Self::Drain(drain::Drain::undo(&name)?),
            Ask::List { .. } => Self::List,
            Ask::Calls(args) => Self::Calls(calls::Calls::plan(args)?),
            Ask::Show { what, id } => Self::Show(show::Show::plan(what, &id)?),
            Ask::Detect(args) => Self::Detect(detect::Detect::plan(args)?),
            Ask::Events(args) => Self::Events(events::Listen::plan(args)?),
        })
    }

    /// Reads or asks for what the words only refer to.
    fn gather(&mut self) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.gather(),
            _ => Ok(()),
        }
    }

    /// The environment variables that this command takes secrets from.
    fn variables(&self) -> Vec<&str> {
        match self {
            Self::Add(add) => add.variables(),
            _ => Vec::new(),
        }
    }

    async fn run(self, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::Test(test) => test.run(session).await,
            Self::Call(call) => call.run(session).await,
            Self::Hangup(hangup) => hangup.run(session).await,
            Self::Act(act) => act.run(session).await,
            Self::Remove(remove) => remove.run(session).await,
            Self::Conference(conference) => conference.run(session).await,
            Self::Record(record) => record.run(session).await,
            Self::Drain(drain) => drain.run(session).await,
            Self::List => list::run(session).await,
            Self::Calls(calls) => calls.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Detect(detect) => detect.run(session).await,
            Self::Events(events) => events.run(session).await,
        }
    }
}
