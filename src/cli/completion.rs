//! `ifbus completion`: the script of a shell, made from the grammar.

use clap::CommandFactory;
use clap_complete::Shell;

use super::errors::Failure;
use super::grammar::Cli;
use super::screen::Screen;

/// Prints it.
pub fn run(screen: &Screen, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ifbus", &mut script);
    screen.document("completion", &String::from_utf8_lossy(&script))
}
