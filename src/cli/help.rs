//! `ifbus` alone, and `ifbus help`: topics, and every command in its long form.

use clap::CommandFactory;

use super::errors::Failure;
use super::grammar::Cli;
use super::screen::Screen;

/// What `ifbus` alone prints: at most 20 lines.
const WELCOME: &str = include_str!("help/welcome.txt");
const EXAMPLES: &str = include_str!("help/examples.txt");
const TOPICS: [(&str, &str); 4] = [
    ("examples", EXAMPLES),
    ("exit-codes", include_str!("help/exit-codes.txt")),
    ("environment", include_str!("help/environment.txt")),
    ("json", include_str!("help/json.txt")),
];

/// `ifbus` alone.
pub fn welcome(screen: &Screen) -> Result<(), Failure> {
    screen.document("help", WELCOME)
}

/// `ifbus help [TOPIC]`.
pub fn run(screen: &Screen, words: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => screen.document("help", &Cli::command().render_help().to_string()),
        ["examples", verb] => examples(screen, verb),
        [topic, ..] => match TOPICS.iter().find(|(name, _)| *name == topic) {
            Some((_, text)) => screen.document("help", text),
            None => command(screen, &words),
        },
    }
}

/// The examples of one verb: the block that begins with its name.
fn examples(screen: &Screen, verb: &str) -> Result<(), Failure> {
    let block = EXAMPLES
        .split("\n\n")
        .find(|block| block.lines().next().is_some_and(|head| names(head).any(|name| name == verb)));
    match block {
        Some(block) => screen.document("help", block),
        None => {
            Err(Failure::usage(format!("there are no examples of `{verb}`")).with("all: ifbus help examples"))
        }
    }
}

fn names(head: &str) -> impl Iterator<Item = &str> {
    head.split([',', ':']).map(str::trim)
}

fn command(screen: &Screen, words: &[&str]) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut found = &mut command;
    for word in words {
        let Some(next) = found.find_subcommand_mut(word) else {
            let topics = TOPICS.map(|(name, _)| name).join(", ");
            let failure = Failure::usage(format!("there is no help on `{}`", words.join(" ")));
            return Err(failure.with(format!("topics: {topics}; and every command: ifbus --help")));
        };
        found = next;
    }
    screen.document("help", &found.render_long_help().to_string())
}
