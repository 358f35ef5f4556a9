//! `ifbus man`: the manual pages, one for each command, made from the grammar.

use std::path::Path;

use clap::{Command, CommandFactory};
use serde_json::json;

use super::errors::Failure;
use super::grammar::Cli;
use super::render::count;
use super::screen::Screen;

/// Writes them into a folder, which is made if it is not there.
pub fn run(screen: &Screen, folder: &Path) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::here(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut command = Cli::command();
    command.build();
    let mut names = Vec::new();
    write(&command, "ifbus", folder, &mut names).map_err(failed)?;
    if screen.json {
        return screen.line(&json!({ "object": "man", "folder": folder, "pages": names }).to_string());
    }
    screen.line(&format!("{} in {}", count(names.len(), "page"), folder.display()))?;
    screen.note(&format!("next: man -l {}", folder.join(&names[0]).display()));
    Ok(())
}

fn write(command: &Command, name: &str, folder: &Path, names: &mut Vec<String>) -> std::io::Result<()> {
    let file = format!("{name}.1");
    let page = command.clone().display_name(name);
    let mut text = Vec::new();
    clap_mangen::Man::new(page).title(name).section("1").manual("ifbus").render(&mut text)?;
    std::fs::write(folder.join(&file), text)?;
    names.push(file);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        write(inner, &format!("{name}-{}", inner.get_name()), folder, names)?;
    }
    Ok(())
}
