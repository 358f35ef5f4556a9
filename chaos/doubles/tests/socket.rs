//! The Asterisk double on real sockets, used by a program without a runtime of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod client;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use client::{Ami, wait_for};
use ifbus_doubles::asterisk::Options;
use ifbus_doubles::asterisk::{AsteriskServer, Bind};
use ifbus_doubles::faults::HttpState;
use ifbus_doubles::phone::{Phones, Plan, Tone};

fn start() -> AsteriskServer {
    AsteriskServer::start(Bind::default(), Options::default().with_phones(2000..=2999)).unwrap()
}

fn originate(ami: &mut Ami, number: u32, id: &str) {
    ami.send(&format!(
        "Action: Originate\r\nChannel: PJSIP/{number}\r\nContext: ifbus\r\nExten: wait\r\nPriority: 1\r\n\
         Async: true\r\nChannelId: {id}\r\n\r\n"
    ));
}

/// True when the connection has ended, by reset or by a close.
fn ended(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 65_536];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => {
                return error.kind() != ErrorKind::WouldBlock && error.kind() != ErrorKind::TimedOut;
            }
        }
    }
}

#[test]
fn a_call_runs_over_real_sockets() {
    let server = start();
    server.plan("2001", Plan::default().then_hangs_up(Duration::from_secs(3600)));
    let mut ami = Ami::login(&server, "ifbus");
    originate(&mut ami, 2000, "a");
    originate(&mut ami, 2001, "b");
    wait_for("two answers", || server.live("2000") + server.live("2001") == 2);
    ami.send("Action: Bridge\r\nChannel1: a\r\nChannel2: b\r\nTone: no\r\n\r\n");
    wait_for("the tone", || server.heard("2000") == BTreeSet::from([Tone::of("2001")]));
    assert_eq!((server.stats().channels, server.stats().bridges, server.stats().originates), (2, 1, 2));
    server.hang_up("2001");
    ami.until("Event: HangupRequest");
    wait_for("the end", || server.stats().channels == 0);
    server.stop();
}

#[test]
fn a_killed_server_refuses_and_a_restarted_one_has_its_old_ports() {
    let server = start();
    let mut ami = Ami::login(&server, "ifbus");
    server.kill();
    assert!(ended(&mut ami.0));
    wait_for("the port to close", || TcpStream::connect(server.ami()).is_err());
    assert!(TcpStream::connect(server.http()).is_err());
    server.restart();
    wait_for("the port to open", || TcpStream::connect(server.ami()).is_ok());
    Ami::login(&server, "ifbus").send("Action: Ping\r\n\r\n");
}

#[test]
fn http_alone_can_be_closed() {
    let server = start();
    server.faults(|faults| faults.http = HttpState::Closed);
    wait_for("the port to close", || TcpStream::connect(server.http()).is_err());
    Ami::login(&server, "ifbus");
    server.heal();
    wait_for("the port to open", || TcpStream::connect(server.http()).is_ok());
}

#[test]
fn a_reader_that_takes_nothing_is_dropped_and_the_others_are_not() {
    let bind = Bind { write_timeout: Duration::from_millis(200), ..Bind::default() };
    let server = AsteriskServer::start(bind, Options::default().with_phones(2000..=2999)).unwrap();
    let _deaf = Ami::login(&server, "admin");
    let mut worker = Ami::login(&server, "ifbus");
    worker.send("Action: Events\r\nEventMask: off\r\n\r\n");
    worker.until("Events: Off");
    for round in 0..60 {
        for number in 2000..2500 {
            originate(&mut worker, number, &format!("{round}-{number}"));
        }
        let wanted = (round + 1) * 500;
        wait_for("the originates", || server.stats().originates == wanted);
        if server.stats().sessions == 1 {
            break;
        }
    }
    wait_for("the deaf one to be dropped", || server.stats().sessions == 1);
    worker.send("Action: Ping\r\n\r\n");
    worker.until("Ping: Pong");
}

#[test]
fn a_phone_transfers_its_partner_by_itself() {
    let server = start();
    let mut ami = Ami::login(&server, "ifbus");
    for (number, id) in [(2001, "a"), (2002, "b")] {
        originate(&mut ami, number, id);
        ami.until("Event: OriginateResponse");
    }
    ami.send("Action: Bridge\r\nChannel1: a\r\nChannel2: b\r\n\r\n");
    ami.until("Channels have been bridged");
    server.transfer("2002", "2003");
    wait_for("the guest", || server.heard("2001") == BTreeSet::from([Tone::of("2003")]));
    assert_eq!((server.transferred("2002"), server.live("2002")), (Some(200), 0));
}
