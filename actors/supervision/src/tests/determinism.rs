//! The same seed gives the same trace.

use rand::RngExt;

use super::*;
use crate::Universe;

const ACTORS: usize = 20;

/// A gossip: waits a random while, tells a random other, and sometimes dies of it.
struct Gossip {
    peers: Peers,
    log: Log,
}

type Peers = Arc<Mutex<Vec<Address<Gossip>>>>;

struct Tick;

struct Rumor(u32);

impl Behavior for Gossip {
    type Seed = (Peers, Log);
    type State = ();

    fn born((peers, log): &Self::Seed, world: &mut World<Self>) -> Self {
        let gossip = Gossip { peers: peers.clone(), log: log.clone() };
        gossip.note(world, "born");
        let first = Duration::from_millis(world.rng().random_range(1..5_000));
        world.after(first, Tick);
        gossip
    }

    fn state(&self) {}
}

impl Gossip {
    fn note(&self, world: &World<Self>, what: &str) {
        self.log.note(format!("{:?} {} {what}", world.now(), world.name()));
    }
}

impl On<Tick> for Gossip {
    type Reply = ();

    fn on(&mut self, _: Tick, world: &mut World<Self>) {
        self.note(world, "ticks");
        assert!(!world.rng().random_ratio(1, 10), "the tick was too much");
        let next = Duration::from_millis(world.rng().random_range(1..5_000));
        world.after(next, Tick);
        let chosen = world.rng().random_range(0..ACTORS);
        let peer = lock(&self.peers)[chosen].clone();
        let rumor = world.rng().random();
        world.spawn(async move {
            tokio::time::sleep(Duration::from_millis(u64::from(rumor % 700))).await;
            peer.tell(Rumor(rumor));
            Rumor(0)
        });
    }
}

impl On<Rumor> for Gossip {
    type Reply = ();

    fn on(&mut self, Rumor(rumor): Rumor, world: &mut World<Self>) {
        self.note(world, &format!("hears {rumor}"));
        assert!(!world.rng().random_ratio(1, 20), "the rumor was too much");
    }
}

fn trace(seed: u64) -> Vec<String> {
    let log = Log::default();
    Universe::run(seed, async |universe| {
        universe.expect_panic("was too much");
        let peers = Peers::default();
        let backoff = Backoff::new(Duration::from_millis(20), SECOND, 2.0, 0.5).unwrap();
        let policy = Policy::new(backoff, 20, Duration::from_secs(60)).unwrap();
        let born: Vec<_> = (0..ACTORS)
            .map(|number| {
                let seed = (peers.clone(), log.clone());
                universe.kernel().supervise::<Gossip>(&format!("gossip-{number}"), seed, policy)
            })
            .collect();
        *lock(&peers) = born;
        tokio::time::sleep(Duration::from_secs(600)).await;
        for death in universe.kernel().deaths() {
            log.note(format!("{death:?}"));
        }
        // the addresses in the seeds are a ring that would keep itself
        lock(&peers).clear();
    });
    log.take()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = trace(42);
    assert!(first.len() > 5_000, "twenty actors talked for ten minutes: {}", first.len());
    assert!(first.iter().any(|line| line.contains("Panicked")), "and died of it");
    let same = trace(42);
    let differs = first.iter().zip(&same).find(|(first, same)| first != same);
    assert_eq!((differs, first.len()), (None, same.len()));
    assert_ne!(first, trace(43));
}

#[test]
fn one_actor_more_changes_no_others_chance() {
    fn draws(crowd: usize) -> Vec<String> {
        let log = Log::default();
        Universe::run(7, async |universe| {
            for number in 0..crowd {
                puppet(universe.kernel(), &format!("other-{number}"), Script::default());
            }
            for name in ["a", "b"] {
                let actor = puppet(universe.kernel(), name, Script::default());
                let drawn = log.clone();
                let draw = deed(move |_, world| drawn.note(world.rng().random::<u64>().to_string()));
                ask(&actor, draw).await.unwrap();
            }
        });
        log.take()
    }
    let alone = draws(0);
    assert_eq!(alone, draws(9));
    assert_ne!(alone[0], alone[1], "each actor has its own chance");
}
