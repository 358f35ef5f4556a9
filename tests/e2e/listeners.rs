//! Who listens to events and does not read: nobody else notices, no server and no call.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

use crate::rig::Rig;
use crate::target::Target;
use crate::{On, Skipped, Test};

pub const TESTS: &[Test] =
    &[("a_listener_that_never_reads_stops_no_server_and_no_call", On::OneDouble, never_reads)];

/// As few bytes as the system keeps for a reader.
const FEW: usize = 2048;
const LISTENERS: usize = 20;
const CALLS: usize = 40;

/// A listener of all events that takes the head of the answer at most.
fn asleep(at: SocketAddr, token: &str) -> TcpStream {
    let end = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    sockopt::set_socket_recv_buffer_size(&end, FEW).expect("a small buffer");
    connect(&end, &at).expect("the API listens");
    let mut stream = TcpStream::from(end);
    let request =
        format!("GET /v1/events?after=0 HTTP/1.1\r\nHost: {at}\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the API reads");
    stream
}

fn never_reads(_: &Target) -> Result<(), Skipped> {
    let rig = Rig::simple();
    rig.add();
    let api = rig.api();
    let sleepers: Vec<TcpStream> = (0..LISTENERS).map(|_| asleep(api.address, &api.token)).collect();
    let mut awake = api.events("", None);
    for round in 0..CALLS {
        let pair = [("1001", "1002"), ("1003", "1004"), ("1005", "1006")][round % 3];
        let id = rig.talk_on("pbx1", pair.0, pair.1);
        let ended = api.ask(
            "POST",
            &format!("/v1/calls/{id}/hangup"),
            "Prefer: wait=20\r\n",
            Some(&serde_json::json!({})),
        );
        assert!(ended.status < 300, "{}", ended.raw);
    }
    // whoever reads has heard of all of them
    let mut over = 0;
    while over < CALLS {
        over += usize::from(awake.next("event:") == "call.ended");
    }
    let server = api.get("/v1/servers/pbx1").json();
    assert_eq!(
        (server["state"].as_str(), server["link"]["epoch"].as_u64()),
        (Some("up"), Some(1)),
        "{server:#}"
    );
    drop(sleepers);
    Ok(())
}
