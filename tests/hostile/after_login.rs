//! Peers that log us in and then go wrong, at the manager's port.

use std::cell::Cell;
use std::rc::Rc;

use ifbus_fleet::view::{ServerState, Status};
use ifbus_links::simulated::Wanted;

use crate::mischief::{AMI, Handle, it_is_used_again, life_goes_on_beside};
use crate::world::{World, run};

/// Two servers and a call that talks on the first; then its manager port is bent like this.
fn bent(
    seed: u64,
    bend: impl FnMut(u64, Vec<u8>) -> Vec<Wanted> + 'static,
    story: impl AsyncFnOnce(&World<'_>, &Handle<'_, '_>),
) {
    run(seed, &["pbx1", "pbx2"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        let id = world.place_on("1007", "1008", Some("pbx1")).await.unwrap().id;
        world.until("a call talks", |world| world.status(id) == Status::InProgress).await;
        peer.bends(AMI, bend);
        story(world, &peer).await;
        peer.heals();
        it_is_used_again(world, "pbx1").await;
    });
}

/// The server says this instead of everything it would say.
fn instead(bytes: &'static [u8]) -> impl FnMut(u64, Vec<u8>) -> Vec<Wanted> {
    move |connection, _| vec![Wanted::Bytes(connection, bytes.to_vec())]
}

#[test]
fn silence_after_the_login_makes_it_suspect_and_then_down() {
    bent(
        200,
        |_, _| Vec::new(),
        async |world, peer| {
            world.until("suspect", |world| world.state("pbx1") == ServerState::Suspect).await;
            life_goes_on_beside(world, "pbx1", "pbx2").await;
            peer.down_for("silent for").await;
        },
    );
}

#[test]
fn garbage_after_the_login_is_contained() {
    let garbage: Vec<u8> = (0..70_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let garbage: &'static [u8] = garbage.leak();
    bent(201, instead(garbage), async |world, peer| {
        peer.down_for("protocol broken").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn another_protocol_after_the_login_is_noise_and_then_silence() {
    bent(202, instead(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), async |world, peer| {
        peer.down_for("silent for").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn half_a_message_and_a_close_after_the_login_is_a_lost_connection() {
    let bend = |connection, bytes: Vec<u8>| {
        let half = bytes[..bytes.len() / 2].to_vec();
        vec![Wanted::Bytes(connection, half), Wanted::Close(connection)]
    };
    bent(203, bend, async |world, peer| {
        peer.down_for("connection lost: closed by the peer").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn a_reset_after_the_login_is_told_as_one() {
    bent(
        204,
        |connection, _| vec![Wanted::Reset(connection)],
        async |world, peer| {
            peer.down_for("connection lost: reset by the peer").await;
            life_goes_on_beside(world, "pbx1", "pbx2").await;
        },
    );
}

#[test]
fn a_server_that_sends_byte_by_byte_works() {
    let bend = |connection, bytes: Vec<u8>| {
        bytes.into_iter().map(|byte| Wanted::Bytes(connection, vec![byte])).collect()
    };
    bent(205, bend, async |world, _| {
        let id = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world.until("talks", |world| world.status(id) == Status::InProgress).await;
        world.hang_up(id).await;
        assert_eq!(world.state("pbx1"), ServerState::Up);
    });
}

#[test]
fn everything_said_twice_counts_once() {
    let bend = |connection, bytes: Vec<u8>| {
        vec![Wanted::Bytes(connection, bytes.clone()), Wanted::Bytes(connection, bytes)]
    };
    bent(206, bend, async |world, _| {
        let before = world.rings("1001");
        let id = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world.until("talks", |world| world.status(id) == Status::InProgress).await;
        assert_eq!(world.rings("1001"), before + 1);
        world.hang_up(id).await;
    });
}

#[test]
fn answers_to_nobody_are_no_answers() {
    let bend = |connection, bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).replace("ActionID: ", "ActionID: f");
        vec![Wanted::Bytes(connection, text.into_bytes())]
    };
    bent(207, bend, async |world, peer| {
        world.until("suspect", |world| world.state("pbx1") == ServerState::Suspect).await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
        peer.down_for("silent for").await;
    });
}

#[test]
fn one_answer_that_is_lost_leaves_nobody_waiting() {
    let lost = Rc::new(Cell::new(false));
    let seen = Rc::clone(&lost);
    let bend = move |connection, bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes);
        if text.contains("Originate successfully queued") && !lost.replace(true) {
            return Vec::new();
        }
        vec![Wanted::Bytes(connection, bytes)]
    };
    bent(208, bend, async |world, _| {
        let id = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world
            .until("it talks or is over", |world| {
                world.status(id) == Status::InProgress || world.status(id).is_terminal()
            })
            .await;
        assert!(seen.get(), "the answer was lost");
        assert!(world.rings("1001") <= 1);
    });
}

#[test]
fn every_answer_to_an_order_lost_ends_in_a_refusal_and_no_phone_rings_twice() {
    // Responses and events are the server's only words; pings alone are let through, so the links stay up.
    let bend = |connection, bytes: Vec<u8>| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let kept: String =
            text.split_inclusive("\r\n\r\n").filter(|message| message.contains("Ping: Pong")).collect();
        if kept.is_empty() { Vec::new() } else { vec![Wanted::Bytes(connection, kept.into_bytes())] }
    };
    bent(209, bend, async |world, _| {
        let before = world.rings("1001");
        let placed = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
        world
            .until("it is decided", |world| {
                world.status(placed).is_terminal() || world.status(placed) == Status::InProgress
            })
            .await;
        assert!(world.rings("1001") <= before + 2, "the second is the call beside");
    });
}

#[test]
fn a_flood_of_messages_to_nobody_stops_nothing() {
    let flood: &'static str = Box::leak(
        "Event: TestEvent\r\nUniqueid: 1795342388.8\r\nX: y\r\n\r\nResponse: Success\r\nActionID: 1\r\n\r\n"
            .repeat(1000)
            .into_boxed_str(),
    );
    let bend = move |connection, bytes: Vec<u8>| {
        vec![Wanted::Bytes(connection, bytes), Wanted::Bytes(connection, flood.as_bytes().to_vec())]
    };
    bent(210, bend, async |world, _| {
        let id = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world.until("talks", |world| world.status(id) == Status::InProgress).await;
        world.hang_up(id).await;
        assert_eq!(world.state("pbx1"), ServerState::Up);
    });
}
