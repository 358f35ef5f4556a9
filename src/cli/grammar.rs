//! What can be written on a command line, and how a slip is answered.
//!
//! Not here: the words after `sip` (`words`), what a command does.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::blast::Consent;
use super::errors::{Exit, Failure};

/// One control plane over a mixed fleet of SIP servers.
#[derive(Debug, Parser)]
#[command(name = "ifbus", bin_name = "ifbus", disable_help_subcommand = true, disable_version_flag = true)]
#[command(after_help = "More: ifbus help examples, exit-codes, environment, json")]
pub struct Cli {
    /// Print what the API answers, as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// No colour, also on a terminal
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Ask this orchestrator and start none: http://HOST:PORT on this machine, or a name of orchestrators.toml
    #[arg(long, global = true, value_name = "URL|NAME")]
    pub on: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The one protocol there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Protocol {
    /// SIP
    Sip,
}

/// Everything that can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Needs an orchestrator; one is started if none runs.
    #[command(flatten)]
    Ask(Ask),
    /// Is answered without one.
    #[command(flatten)]
    Here(Here),
}

/// Commands that ask an orchestrator.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Add a server, or change one that was added
    Add(AddArgs),
    /// Look at every interface of a server; changes nothing
    Test {
        /// The protocol: sip
        #[arg(value_name = "sip", hide_possible_values = true)]
        protocol: Protocol,
        /// The server
        name: String,
    },
    /// Place a call: from=1001 to=1002
    Call(CallArgs),
    /// End a call: call_id=ID
    Hangup(HangupArgs),
    /// List the servers
    List {
        /// The protocol: sip
        #[arg(value_name = "sip", hide_possible_values = true)]
        protocol: Protocol,
    },
    /// Remove a server
    Remove(RemoveArgs),
    /// Put a party on hold: call_id=ID [leg=b]
    Hold(VerbArgs),
    /// Take a call off hold: call_id=ID
    Resume(VerbArgs),
    /// Play digits to a party: call_id=ID digits=123# [leg=b]
    Dtmf(VerbArgs),
    /// Silence a party: call_id=ID [leg=a] [direction=in]
    Mute(VerbArgs),
    /// Open a silenced party again: call_id=ID [leg=a] [direction=in]
    Unmute(VerbArgs),
    /// Move a party to another one: call_id=ID to=1003
    Transfer(TransferArgs),
    /// Conferences: parties of several calls that all hear each other
    Conference {
        /// What to do
        #[command(subcommand)]
        command: ConferenceCommand,
    },
    /// Record a call, and fetch what was recorded
    Record {
        /// What to do
        #[command(subcommand)]
        command: RecordCommand,
    },
    /// Give a server no new calls; those it has go on
    Drain(DrainArgs),
    /// Give a server calls again
    Undrain {
        /// The protocol: sip
        #[arg(value_name = "sip", hide_possible_values = true)]
        protocol: Protocol,
        /// The server
        name: String,
    },
    /// List the calls
    Calls(CallsArgs),
    /// Show everything about a call or a server
    Show {
        /// call or server
        what: Shown,
        /// A call's id or its last characters, or a server's name
        id: String,
    },
    /// Watch what happens, as it happens
    Events(EventsArgs),
    /// Ask a host what kind of server it is; no login is tried
    Detect(DetectArgs),
}

/// Commands that ask nobody.
#[derive(Debug, Subcommand)]
pub enum Here {
    /// Print what has to be configured on a server
    Setup(SetupArgs),
    /// Print which verb works on which kind of server
    Matrix(MatrixArgs),
    /// Run the orchestrator in the foreground
    Serve(ServeArgs),
    /// Stop the orchestrator of this machine; calls go on
    Stop,
    /// Calls and verbs on simulated servers, from start to end
    Demo,
    /// Check a configuration file, read it again, or print its form
    Config {
        /// What to do with it
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print the version, ours and the orchestrator's
    Version,
    /// Help on a topic or a command: examples, exit-codes, environment, json
    Help {
        /// The topic or command
        topic: Vec<String>,
    },
    /// Look at files, orchestrator and every server: what is to be fixed, what to be known
    Doctor(DoctorArgs),
    /// Write the manual pages, one for each command
    Man {
        /// The folder; made if it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Print the completion script of a shell
    Completion {
        /// bash, zsh or fish
        shell: Shell,
    },
    /// What may come next on a command line; asked by the scripts of `completion`
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The line up to the cursor
        #[arg(allow_hyphen_values = true)]
        line: String,
    },
}

/// `ifbus add`
#[derive(Debug, Args)]
pub struct AddArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// Its name
    pub name: String,
    /// Its kind, or auto
    #[arg(value_name = "KIND")]
    pub words: Vec<String>,
    /// Where it is
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub host: String,
    /// Its management port; the kind's own if nothing is said
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// Who we are there: user=NAME,secret=prompt (or env:NAME, file:PATH, - for stdin)
    #[arg(long, value_name = "K=V[,K=V...]", allow_hyphen_values = true)]
    pub auth: Vec<String>,
    /// Everything else: dial_extension=PJSIP/{n}, capacity=200, cps=10, tag.site=north
    #[arg(long, value_name = "K=V")]
    pub set: Vec<String>,
}

/// `ifbus call`
#[derive(Debug, Args)]
pub struct CallArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// [NAME] from=1001 to=1002 [caller_id=N] [timeout=30] [record=yes]
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    /// Do not wait; print the id and return
    #[arg(long, conflicts_with = "follow")]
    pub detach: bool,
    /// Watch the call until it ends
    #[arg(long)]
    pub follow: bool,
}

/// Before something that cannot be taken back.
#[derive(Clone, Copy, Debug, Args)]
pub struct ConsentArgs {
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Say what would be done, do nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl From<ConsentArgs> for Consent {
    fn from(ConsentArgs { yes, dry_run }: ConsentArgs) -> Self {
        Self { yes, dry_run }
    }
}

/// `ifbus hangup`
#[derive(Debug, Args)]
pub struct HangupArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// [NAME] call_id=ID
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    /// End every call of ours (on NAME)
    #[arg(long)]
    pub all: bool,
    /// Whether to ask.
    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// `ifbus remove`
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// The server
    pub name: String,
    /// Whether to ask.
    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// A verb on a call.
#[derive(Debug, Args)]
pub struct VerbArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// [NAME] call_id=ID and what else the verb takes
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
}

/// `ifbus transfer`
#[derive(Debug, Args)]
pub struct TransferArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// [NAME] call_id=ID to=1003 [leg=a]
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
    /// Let the transferring party talk to the target first
    #[arg(long, conflicts_with_all = ["complete", "cancel"])]
    pub attended: bool,
    /// Finish an attended transfer: the transferring party leaves
    #[arg(long, conflicts_with = "cancel")]
    pub complete: bool,
    /// Take a transfer back: the old pair talks again
    #[arg(long)]
    pub cancel: bool,
}

/// `ifbus conference`
#[derive(Debug, Subcommand)]
pub enum ConferenceCommand {
    /// Name a conference and the server it is on
    Create(RoomArgs),
    /// Bring a party in: to=1003 calls it, call_id=ID takes both parties of a call
    Add {
        /// The conference and who.
        #[command(flatten)]
        room: RoomArgs,
        /// Do not wait until it is inside; print the call's id and return
        #[arg(long)]
        detach: bool,
    },
    /// List the conferences, or the members of one
    List {
        /// The protocol: sip
        #[arg(value_name = "sip", hide_possible_values = true)]
        protocol: Protocol,
        /// The conference; all of them if nothing is said
        id: Option<String>,
    },
    /// Hang a member up: member=ID
    Kick(RoomArgs),
    /// Let nobody hear a member: member=ID
    Mute(RoomArgs),
    /// Let a member be heard again: member=ID
    Unmute(RoomArgs),
    /// Hang every member up and forget the conference
    End {
        /// The protocol: sip
        #[arg(value_name = "sip", hide_possible_values = true)]
        protocol: Protocol,
        /// The conference
        id: String,
        /// Whether to ask.
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

/// A conference and what is said about it.
#[derive(Debug, Args)]
pub struct RoomArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// The conference: letters, digits, `-` and `_`
    pub id: String,
    /// create: [server=NAME]; add: to=N or call_id=ID; kick, mute, unmute: member=ID
    #[arg(value_name = "WORDS")]
    pub words: Vec<String>,
}

/// `ifbus record`
#[derive(Debug, Subcommand)]
pub enum RecordCommand {
    /// Record a call from now, or from its first talk: call_id=ID
    Start(VerbArgs),
    /// Stop a recording and wait until its file is stored: call_id=ID or rec_id=ID
    Stop(VerbArgs),
    /// Write the file of a recording here, its digest checked: call_id=ID or rec_id=ID [out=FILE]
    Fetch {
        /// Which.
        #[command(flatten)]
        verb: VerbArgs,
        /// Write over a file that is there
        #[arg(long)]
        force: bool,
    },
}

/// `ifbus drain`
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The protocol: sip
    #[arg(value_name = "sip", hide_possible_values = true)]
    pub protocol: Protocol,
    /// The server
    pub name: String,
    /// Wait until it carries no call of ours any more
    #[arg(long)]
    pub wait: bool,
    /// Whether to ask.
    #[command(flatten)]
    pub consent: ConsentArgs,
}

/// `ifbus calls`
#[derive(Debug, Args)]
pub struct CallsArgs {
    /// Only calls with this status
    #[arg(long)]
    pub status: Option<String>,
    /// Only calls on this server
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
    /// Legs that are not ours, instead
    #[arg(long, conflicts_with = "status")]
    pub foreign: bool,
}

/// `ifbus events`
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only this type: call.*, server.down
    #[arg(long, value_name = "TYPE")]
    pub r#type: Option<String>,
    /// Only this call
    #[arg(long, value_name = "ID")]
    pub call: Option<String>,
    /// Only this server
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
}

/// `ifbus detect`
#[derive(Debug, Args)]
pub struct DetectArgs {
    /// Name or address
    pub host: String,
    /// Its management port, if it is none of the usual ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
}

/// `ifbus setup`
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The kind of server, as `ifbus matrix` names it
    pub kind: String,
    /// The name it has, or will have, in ifbus
    #[arg(long = "for", value_name = "NAME")]
    pub name: Option<String>,
    /// Where it is, to fill in addresses; of a server that was added it is known
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// One part only: manager, http, ari, dialplan
    #[arg(long, value_name = "PART", conflicts_with = "all")]
    pub only: Option<String>,
    /// Every part, as if nothing is said
    #[arg(long)]
    pub all: bool,
    /// What this file of the server lacks, instead of the whole text
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub diff: Option<PathBuf>,
}

/// `ifbus doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Write a report for others, without secrets or numbers
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// `ifbus matrix`
#[derive(Debug, Args)]
pub struct MatrixArgs {
    /// Only these kinds
    #[arg(long, value_name = "KIND[,KIND...]")]
    pub kind: Option<String>,
}

/// `ifbus serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration; the one of this user if nothing is said
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen, in place of what the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Simulated servers and telephones, in place of real ones
    #[arg(long)]
    pub simulated: bool,
}

/// `ifbus config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a file; secrets are not looked up
    Check {
        /// The file; the one of this user if nothing is said
        file: Option<PathBuf>,
    },
    /// Read the file again while calls go on; changes servers by difference
    Reload,
    /// Print the JSON schema of a file
    Schema,
    /// Print an example: one-server, two-asterisk
    Example {
        /// Which
        #[arg(default_value = "one-server")]
        name: String,
    },
    /// Print what holds here
    Show {
        /// With where each value comes from
        #[arg(long)]
        origin: bool,
    },
}

/// What `show` shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shown {
    /// A call
    Call,
    /// A server
    Server,
}

/// A shell that is completed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// A command line that is none.
#[derive(Debug)]
pub struct NotParsed {
    /// What to say.
    pub failure: Failure,
    /// Whether a program wants to hear it.
    pub json: bool,
}

/// Reads a command line. A leading word `bus` is taken and means nothing, so that the program called `if` can be
/// spoken to as `if bus add ...`.
///
/// # Errors
/// A slip, or a request for help that was answered.
pub fn parse(mut args: Vec<OsString>) -> Result<Cli, NotParsed> {
    if args.get(1).is_some_and(|word| word == "bus") {
        args.remove(1);
    }
    let program = args.first().and_then(|name| Path::new(name).file_name()).filter(|name| *name == "if");
    let name = if program.is_some() { "if bus" } else { "ifbus" };
    let json = args.iter().any(|word| word == "--json");
    let command = Cli::command().bin_name(name);
    let parsed = command.try_get_matches_from(args).and_then(|found| {
        use clap::FromArgMatches;
        Cli::from_arg_matches(&found)
    });
    parsed.map_err(|error| NotParsed { failure: slip(&error), json })
}

fn slip(error: &clap::Error) -> Failure {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => texts.first().cloned(),
        _ => None,
    };
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        | ErrorKind::DisplayVersion => {
            let _ = error.print(); // help goes to stdout; a closed pipe is no failure
            let missing = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
            Failure::said(if missing { Exit::Usage } else { Exit::Done })
        }
        ErrorKind::InvalidSubcommand => {
            let word = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            let near = nearest_command(&word).or_else(|| text(ContextKind::SuggestedSubcommand));
            let failure = Failure::usage(format!("there is no command `{word}`; nothing was done"));
            let near = near.map(|near| format!("did you mean `{near}`?   ")).unwrap_or_default();
            failure.with(format!("{near}all commands: ifbus --help"))
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = text(ContextKind::InvalidArg).unwrap_or_else(|| "a word".to_owned());
            usage_of(error).into_iter().fold(Failure::usage(format!("{missing} is missing")), Failure::with)
        }
        _ => {
            let rendered = error.to_string();
            let mut lines = rendered.lines().map(str::trim).filter(|line| !line.is_empty());
            let first = lines.next().unwrap_or("not understood").trim_start_matches("error: ");
            let mut failure = Failure::usage(first);
            for line in lines.filter(|line| !line.starts_with("For more information")) {
                failure = failure.with(line.replace("Usage: ", "usage: ").replace("tip: ", ""));
            }
            failure
        }
    }
}

fn usage_of(error: &clap::Error) -> Option<String> {
    let text = error.to_string();
    text.lines().find_map(|line| line.strip_prefix("Usage: ").map(|usage| format!("usage: {usage}")))
}

fn nearest_command(word: &str) -> Option<String> {
    let command = Cli::command();
    let names: Vec<&str> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    ifbus_config::nearest(word, names).map(str::to_owned)
}
