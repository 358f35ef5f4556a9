//! `ifbus config`: check a file, print its form, an example, or what holds here.

use std::path::{Path, PathBuf};

use ifbus::serve::reload::ReloadBody;
use ifbus_config::{BadConfig, Config, Paths, file, schema};
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::{Map, json};

use super::errors::{Exit, Failure};
use super::grammar::ConfigCommand;
use super::render::{clean, count};
use super::screen::Screen;
use super::table::{Cell, Column, Table};
use super::{block_on, session};

/// The examples that come with ifbus; each is loaded by a test.
const EXAMPLES: [(&str, &str); 2] = [
    ("one-server", include_str!("../../config/examples/one-server.toml")),
    ("two-asterisk", include_str!("../../config/examples/two-asterisk.toml")),
];

/// Does it.
pub fn run(screen: &Screen, on: Option<&str>, command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Reload => block_on(reload(screen, on)),
        ConfigCommand::Check { file } => check(screen, file.as_deref()),
        ConfigCommand::Schema => screen.line(schema::schema().trim_end()),
        ConfigCommand::Example { name } => example(screen, name),
        ConfigCommand::Show { origin } => show(screen, *origin),
    }
}

/// Has the orchestrator read its file again. None is started for it: a start reads the file anyway.
async fn reload(screen: &Screen, on: Option<&str>) -> Result<(), Failure> {
    let Some(client) = session::existing(on).await? else {
        let failure =
            Failure::unreachable("no orchestrator runs here; the next one reads the file at its start");
        return Err(failure.suggest("ifbus config check"));
    };
    let body = json!({});
    let asked = client.post("/v1/config/reload", &body, None);
    let answer = screen.wait("reading the configuration again", asked).await?;
    let done: ReloadBody = answer.parse()?;
    if screen.json {
        screen.line(answer.text.trim_end())?;
    } else {
        screen.lines(told(&done))?;
    }
    if done.kept.is_empty() { Ok(()) } else { Err(Failure::said(Exit::Failed)) }
}

fn told(done: &ReloadBody) -> Vec<String> {
    let named = |word: &str, names: &[ifbus_call::ServerName]| {
        let names: Vec<&str> = names.iter().map(ifbus_call::ServerName::as_str).collect();
        (!names.is_empty()).then(|| format!("{word} {}", names.join(", ")))
    };
    let lists = [("added", &done.added), ("changed", &done.changed), ("removed", &done.removed)];
    let mut lines: Vec<String> = lists.into_iter().filter_map(|(word, names)| named(word, names)).collect();
    lines.extend(
        done.kept.iter().map(|kept| format!("kept as it was: {}: {}", kept.server, clean(&kept.why))),
    );
    if !done.at_restart.is_empty() {
        lines.push(format!("at the next start: {}", done.at_restart.join(", ")));
    }
    if lines.is_empty() {
        lines.push(format!("{} says what holds already", clean(&done.file)));
    }
    lines
}

fn check(screen: &Screen, file: Option<&Path>) -> Result<(), Failure> {
    let path = file.map_or_else(|| session::paths().map(|paths| paths.config), |path| Ok(path.to_owned()))?;
    let config = load(&path)?;
    if screen.json {
        return screen
            .line(&json!({ "file": path, "ok": true, "servers": config.servers.len() }).to_string());
    }
    let (servers, tokens) = (count(config.servers.len(), "server"), count(config.tokens.len(), "token"));
    screen
        .line(&format!("{} is well formed: {servers}, {tokens}. secrets were not looked up", path.display()))
}

/// Reads a file; a mistake is shown where it stands.
fn load(path: &Path) -> Result<Config, Failure> {
    file::load(path).map_err(|error| match &error {
        BadConfig::Unreadable { .. } => {
            Failure::here(error.to_string()).with("the form of a file: ifbus config example")
        }
        BadConfig::Wrong(mistake) => {
            let failure = Failure::here(error.to_string());
            let failure = excerpt(&error).into_iter().fold(failure, Failure::with);
            mistake.help.iter().fold(failure, |failure, help| failure.with(format!("do: {help}")))
        }
    })
}

/// The lines around a mistake. Secrets in them are masked where they come from.
fn excerpt(error: &BadConfig) -> Vec<String> {
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none());
    if handler.render_report(&mut text, error).is_err() {
        return Vec::new();
    }
    let is_source =
        |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '|' || c == ':');
    text.lines().filter(is_source).map(|line| line.trim_end().to_owned()).collect()
}

fn example(screen: &Screen, name: &str) -> Result<(), Failure> {
    match EXAMPLES.into_iter().find(|(known, _)| *known == name) {
        Some((_, text)) => screen.document("example", text),
        None => {
            let names = EXAMPLES.map(|(name, _)| name).join(", ");
            Err(Failure::usage(format!("there is no example `{}`", clean(name)))
                .with(format!("known: {names}")))
        }
    }
}

/// What holds here, and where it comes from.
fn show(screen: &Screen, origin: bool) -> Result<(), Failure> {
    let paths = session::paths()?;
    let config = if paths.config.exists() { Some(load(&paths.config)?) } else { None };
    let rows = rows(&paths, config.as_ref());
    if screen.json {
        let pair = |(key, value, from): (&'static str, String, &'static str)| {
            let value = if origin { json!({ "value": value, "origin": from }) } else { json!(value) };
            (key.to_owned(), value)
        };
        let object: Map<String, serde_json::Value> = rows.into_iter().map(pair).collect();
        return screen.line(&serde_json::Value::Object(object).to_string());
    }
    let mut columns = vec![Column::text("KEY").kept(), Column::text("VALUE").kept()];
    if origin {
        columns.push(Column::text("ORIGIN"));
    }
    let mut table = Table::new(&columns);
    for (key, value, from) in rows {
        let cells = [Cell::from(key), Cell::from(value), Cell::from(from)];
        table.row(&cells[..columns.len()]);
    }
    screen.lines(table.lines(screen))
}

fn rows(paths: &Paths, config: Option<&Config>) -> Vec<(&'static str, String, &'static str)> {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let folder = |own: &'static str, xdg: &'static str| match (is_set(own), is_set(xdg)) {
        (true, _) => own,
        (false, true) => xdg,
        (false, false) => "default",
    };
    let shown = |path: &PathBuf| path.display().to_string();
    let of_file = if config.is_some() { "file" } else { "default" };
    let listen = config.map_or(schema::LISTEN, |config| config.listen);
    let store = config.and_then(|config| config.store.clone());
    let url = std::env::var("IFBUS_URL").ok().filter(|url| !url.is_empty());
    let mut rows = vec![
        (
            "config",
            shown(&paths.config) + if config.is_some() { "" } else { " (not there)" },
            folder("IFBUS_CONFIG", "XDG_CONFIG_HOME"),
        ),
        ("data", shown(&paths.data), folder("IFBUS_DATA", "XDG_DATA_HOME")),
        ("runtime", shown(&paths.runtime), folder("IFBUS_RUNTIME", "XDG_RUNTIME_DIR")),
        ("token", shown(&paths.token()), if is_set("IFBUS_TOKEN") { "IFBUS_TOKEN" } else { "default" }),
        (
            "store",
            shown(store.as_ref().unwrap_or(&paths.store())),
            if store.is_some() { "file" } else { "default" },
        ),
        ("log", shown(&paths.log()), "default"),
        ("listen", listen.to_string(), of_file),
        ("servers", config.map_or(0, |config| config.servers.len()).to_string(), of_file),
    ];
    if let Some(url) = url {
        rows.push(("on", url, "IFBUS_URL"));
    }
    rows
}
