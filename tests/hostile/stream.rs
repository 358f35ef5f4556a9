//! Peers that go wrong at ARI: its handshake, its frames, its events.

use std::cell::Cell;
use std::rc::Rc;

use ifbus_fleet::view::{ServerState, Status};
use ifbus_links::simulated::Wanted;

use crate::mischief::{HTTP, Handle, Mischief, frame, it_is_used_again, life_goes_on_beside};
use crate::world::{World, run};

const TEXT: u8 = 1;
const BINARY: u8 = 2;

fn warned(world: &World<'_>, code: &str) -> bool {
    let view = world.fleet.board.server(&"pbx1".parse().unwrap());
    view.is_some_and(|view| view.warnings.iter().any(|warning| warning.code == code))
}

#[test]
fn without_a_handshake_the_manager_alone_is_used_and_said_so() {
    for (seed, answer) in [
        &b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 101",
        b"",
    ]
    .into_iter()
    .enumerate()
    {
        run(300 + seed as u64, &["pbx1", "pbx2"], async |world| {
            let world = &*world;
            let peer = Handle::before(world, "pbx1").await;
            peer.turns(HTTP, Mischief::Says(answer.to_vec()));
            world.until("the stream is missed", |world| warned(world, "ari_off")).await;
            it_is_used_again(world, "pbx1").await;
            life_goes_on_beside(world, "pbx1", "pbx2").await;
        });
    }
}

/// The stream of the first server gets this frame, once, in the middle of a call.
fn with_frame(seed: u64, bytes: Vec<u8>, story: impl AsyncFnOnce(&World<'_>, &Handle<'_, '_>)) {
    run(seed, &["pbx1", "pbx2"], async |world| {
        let world = &*world;
        let peer = Handle::before(world, "pbx1").await;
        let id = world.place_on("1007", "1008", Some("pbx1")).await.unwrap().id;
        world.until("a call talks", |world| world.status(id) == Status::InProgress).await;
        let done = Rc::new(Cell::new(false));
        let seen = Rc::clone(&done);
        peer.bends(HTTP, move |connection, own| {
            let mut all = vec![Wanted::Bytes(connection, own.clone())];
            // Only behind whole frames of the stream, not into an answer of HTTP.
            if own[0] & 0x80 != 0 && !done.replace(true) {
                all.push(Wanted::Bytes(connection, bytes.clone()));
            }
            all
        });
        world.until("the frame was sent", |_| seen.get()).await;
        story(world, &peer).await;
        peer.heals();
        it_is_used_again(world, "pbx1").await;
    });
}

#[test]
fn what_is_no_event_is_counted_and_nothing_else() {
    let nested = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let deep = format!("{{\"type\":\"Dial\",\"peer\":{}", "{\"a\":".repeat(50_000));
    for (seed, bytes) in [
        frame(BINARY, b"{\"type\":\"StasisStart\"}"),
        frame(BINARY, &[0xff; 500]),
        frame(TEXT, b"not json"),
        frame(TEXT, b"{\"type\":12}"),
        frame(TEXT, &nested),
        frame(TEXT, deep.as_bytes()),
        frame(
            TEXT,
            b"{\"type\":\"ChannelDestroyed\",\"channel\":{\"id\":\"1795342388.8\"},\"cause\":99999999999}",
        ),
        frame(TEXT, b"{\"type\":\"ChannelDestroyed\",\"channel\":{\"id\":\"ib-0-0\"},\"cause\":16}"),
    ]
    .into_iter()
    .enumerate()
    {
        with_frame(320 + seed as u64, bytes, async |world, _| {
            life_goes_on_beside(world, "pbx1", "pbx2").await;
            assert_eq!(world.state("pbx1"), ServerState::Up);
        });
    }
}

#[test]
fn a_frame_beyond_the_limit_ends_the_stream_with_its_reason() {
    with_frame(340, frame(TEXT, &vec![b'x'; 2 * 1024 * 1024]), async |world, peer| {
        peer.down_for("events: connection lost").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn a_frame_that_swallows_all_that_follows_is_noticed_as_silence() {
    let claims = [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    with_frame(343, claims, async |world, peer| {
        peer.down_for("events: silent for 3.9s").await;
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn a_frame_that_breaks_the_rules_ends_the_stream_with_its_reason() {
    // an opcode that is none, and a ping longer than a ping may be
    for (seed, bytes) in [vec![0x8b, 0], frame(9, &[0; 200])].into_iter().enumerate() {
        with_frame(341 + seed as u64, bytes, async |world, peer| {
            peer.down_for("events: connection lost").await;
            life_goes_on_beside(world, "pbx1", "pbx2").await;
        });
    }
}

#[test]
fn a_rival_that_takes_the_stream_over_is_named() {
    let event = frame(TEXT, b"{\"type\":\"ApplicationReplaced\",\"application\":\"ifbus\"}");
    with_frame(345, event, async |world, peer| {
        peer.down_for("events: connection lost: replaced").await;
        assert!(warned(world, "ari_replaced"));
        life_goes_on_beside(world, "pbx1", "pbx2").await;
    });
}

#[test]
fn a_flood_of_events_of_unknown_legs_stops_nothing_and_is_not_kept() {
    let event = |n: u32| {
        let id = format!("ib-0000000000001fb5-{n:032x}");
        let id = if n.is_multiple_of(2) { id } else { format!("1795342388.{n}") };
        format!("{{\"type\":\"ChannelStateChange\",\"channel\":{{\"id\":\"{id}\",\"state\":\"Up\"}}}}")
    };
    let flood: Vec<u8> = (0..50_000).flat_map(|n| frame(TEXT, event(n).as_bytes())).collect();
    with_frame(346, flood, async |world, _| {
        let id = world.place_on("1001", "1002", Some("pbx1")).await.unwrap().id;
        world.until("talks", |world| world.status(id) == Status::InProgress).await;
        world.hang_up(id).await;
        assert_eq!(world.state("pbx1"), ServerState::Up);
        let view = world.fleet.board.server(&"pbx1".parse().unwrap()).unwrap();
        assert_eq!((view.calls, view.foreign), (1, 0), "the flood made no leg and no call");
    });
}
