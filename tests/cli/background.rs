//! An orchestrator that a command starts by itself.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use crate::program::{Ended, Home};

/// A home whose orchestrator listens on a free port.
fn home() -> Home {
    let home = Home::new();
    configure(&home, "listen = \"127.0.0.1:0\"\n");
    home
}

fn configure(home: &Home, text: &str) {
    let folder = home.folder.join(".config/ifbus");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("ifbus.toml"), text).unwrap();
}

fn data(home: &Home) -> PathBuf {
    home.folder.join(".local/share/ifbus")
}

#[test]
fn point_9_the_first_command_starts_it_says_so_and_the_next_one_finds_it() {
    let home = home();
    let first = home.run("list sip");
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.out.starts_with("NAME\tKIND"));
    assert!(first.err.starts_with("orchestrator started in the background ("), "{}", first.err);
    assert!(first.err.contains(" s, pid ") && first.err.contains("http://127.0.0.1:"));

    let second = home.run("list sip");
    assert!(second.code == 0 && !second.err.contains("started"), "{second:?}");
    let version = home.run("version").out;
    assert!(
        version.contains(&format!("orchestrator {} at http://127.0.0.1:", env!("CARGO_PKG_VERSION"))),
        "{version}"
    );

    for file in ["orchestrator.log", "token"] {
        let mode = std::fs::metadata(data(&home).join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let stopped = home.run("stop");
    assert!(stopped.code == 0 && stopped.out.starts_with("stopped (pid "), "{stopped:?}");
    assert_eq!(home.run("stop").out, "no orchestrator runs here\n");
}

#[test]
fn point_9_of_ten_commands_at_once_exactly_one_starts_it() {
    let home = home();
    let children: Vec<_> = (0..10)
        .map(|_| home.command(&["calls"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let ended: Vec<Ended> =
        children.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    assert!(ended.iter().all(|ended| ended.code == 0), "{ended:?}");
    let started = ended.iter().filter(|ended| ended.err.contains("orchestrator started")).count();
    assert_eq!(started, 1, "{ended:?}");
}

#[test]
fn point_9_a_port_that_somebody_else_has_is_one_sentence_and_exit_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap();
    let home = Home::new();
    configure(&home, &format!("listen = \"{at}\"\n"));
    let ended = home.run("list sip");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    let first = format!("error: {at} is in use by another program; nothing was started");
    assert_eq!(ended.err.lines().next(), Some(first.as_str()), "{}", ended.err);
    assert!(!data(&home).join("run/orchestrator.json").exists());
}

#[test]
fn what_a_dying_child_said_is_said_by_the_command() {
    let home = Home::new();
    configure(&home, "lisen = \"127.0.0.1:0\"\n");
    let ended = home.run("list sip");
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert!(
        ended.err.starts_with("error: ")
            && ended.err.contains("ifbus.toml:1:1: there is no key `lisen` here"),
        "{}",
        ended.err
    );
}

#[test]
fn a_file_left_by_a_dead_orchestrator_is_not_believed() {
    let home = home();
    let run = data(&home).join("run");
    std::fs::create_dir_all(&run).unwrap();
    let mut dead = home.command(&["help"]).stdout(Stdio::null()).spawn().unwrap();
    dead.wait().unwrap();
    let file = run.join("orchestrator.json");
    std::fs::write(&file, format!("{{\"pid\":{},\"address\":\"127.0.0.1:9\"}}", dead.id())).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ended = home.run("list sip");
    assert!(ended.code == 0 && ended.err.contains("orchestrator started"), "{ended:?}");
}
