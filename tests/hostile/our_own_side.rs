//! What fails on our own side: a disk that is full, a reader that does not read. Servers and calls notice nothing.

use std::time::Duration;

use ifbus_call::{InstanceId, Mode, Verb};
use ifbus_fleet::store::Store;
use ifbus_fleet::view::{ServerState, Status};
use ifbus_fleet::{Code, Read};

use crate::world::{address, run, run_with};

fn transfer(to: &str) -> Verb {
    Verb::Transfer { to: address(to), mode: Mode::Blind, role: None }
}

#[test]
fn a_store_that_refuses_writes_refuses_what_needs_it_and_nothing_else() {
    let folder = std::env::temp_dir().join(format!("ifbus-hostile-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("ifbus.db");
    let (store, writer, ..) = Store::open(&file, InstanceId(7), Box::new(|_| {})).unwrap();
    run_with(400, &["pbx1", "pbx2"], store.clone(), async |world| {
        let talk = world.talk("1001", "1002").await;
        let saboteur = rusqlite::Connection::open(&file).unwrap();
        saboteur.busy_timeout(Duration::from_secs(20)).unwrap();
        saboteur
            .execute_batch("ALTER TABLE stored RENAME TO no_stored; ALTER TABLE calls RENAME TO no_calls;")
            .unwrap();
        // The next note fails, and that is known from then on.
        let second = world.talk("1003", "1004").await;
        world.until("the store is known to fail", |_| !store.is_well()).await;
        let refused = world.act(talk, transfer("1005")).await.unwrap_err();
        assert_eq!(refused.code, Code::StoreUnavailable, "{refused:?}");
        // everything else goes on
        world.act(talk, Verb::Hold { role: None }).await.unwrap();
        world.until("on hold", |world| world.call(talk).held && world.call(talk).verb.is_none()).await;
        world.act(talk, Verb::Resume).await.unwrap();
        world.until("resumed", |world| !world.call(talk).held && world.call(talk).verb.is_none()).await;
        world.hang_up(second).await;
        let third = world.talk("1005", "1006").await;
        world.hang_up(third).await;
        assert_eq!((world.state("pbx1"), world.state("pbx2")), (ServerState::Up, ServerState::Up));
        // the disk has room again: it is seen by the next note
        saboteur
            .execute_batch("ALTER TABLE no_stored RENAME TO stored; ALTER TABLE no_calls RENAME TO calls;")
            .unwrap();
        let fourth = world.talk("1003", "1004").await;
        world.until("the store is well", |_| store.is_well()).await;
        world.act(talk, transfer("1006")).await.unwrap();
        world
            .until("transferred", |world| {
                let call = world.call(talk);
                call.verb.is_none()
                    && call.legs.iter().any(|leg| leg.party == address("1006") && leg.stage == "up")
            })
            .await;
        world.hang_up(talk).await;
        world.hang_up(fourth).await;
    });
    drop(writer);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_reader_of_the_journal_that_never_reads_holds_up_nobody() {
    run(401, &["pbx1"], async |world| {
        let mut asleep = world.fleet.journal.reader(Some(0));
        for _ in 0..50 {
            let id = world.talk("1001", "1002").await;
            assert_eq!(world.status(id), Status::InProgress);
            world.hang_up(id).await;
        }
        assert_eq!(world.state("pbx1"), ServerState::Up);
        // woken at last, it gets everything in order, or is told what it missed
        let mut next = 1;
        while let Some(read) = asleep.try_next() {
            next = match read {
                Read::Event(event) => {
                    assert_eq!(event.seq, next);
                    event.seq + 1
                }
                Read::Gap { from, to } => {
                    assert_eq!(from, next);
                    to + 1
                }
            };
        }
        assert_eq!(next, world.fleet.journal.newest() + 1);
    });
}
