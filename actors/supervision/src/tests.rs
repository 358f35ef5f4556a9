//! The promises of `docs/SUPERVISION.md`, one test each, told with puppets: actors that do what a message tells them.

mod deadline;
mod death;
mod determinism;
mod policy;
mod restart;
mod scheduling;
mod system;
mod tree;
mod universe;
mod watchdog;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cell::lock;
use crate::{
    Address, Backoff, Behavior, Down, Escalation, Exit, Kernel, On, Policy, Standing, Strategy, World,
};

/// Far beyond anything a story needs; virtual unless a test says otherwise.
const LONG: Duration = Duration::from_secs(3_000);

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, line: impl Into<String>) {
        lock(&self.0).push(line.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// An actor without a will of its own. It counts, and forgets its count when it dies.
struct Puppet {
    count: u32,
    name: String,
    log: Log,
    panics_in_drop: bool,
    keeps_on: bool,
}

type Birth = Box<dyn Fn(&mut World<Puppet>)>;

type Deed = Box<dyn FnOnce(&mut Puppet, &mut World<Puppet>) + Send>;

/// What a puppet is born from.
#[derive(Default)]
struct Script {
    log: Log,
    strategy: Strategy,
    keeps_on: bool,
    count: u32,
    birth: Option<Birth>,
}

impl Script {
    fn born(birth: impl Fn(&mut World<Puppet>) + 'static) -> Self {
        Script { birth: Some(Box::new(birth)), ..Script::default() }
    }
}

impl Behavior for Puppet {
    type Seed = Script;
    type State = u32;

    fn born(seed: &Script, world: &mut World<Self>) -> Self {
        let name = world.name().to_string();
        seed.log.note(format!("{name} born"));
        if let Some(birth) = &seed.birth {
            birth(world);
        }
        Puppet {
            count: seed.count,
            name,
            log: seed.log.clone(),
            panics_in_drop: false,
            keeps_on: seed.keeps_on,
        }
    }

    fn state(&self) -> u32 {
        self.count
    }

    fn strategy(seed: &Script) -> Strategy {
        seed.strategy
    }

    fn child_gave_up(
        &mut self,
        child: &crate::ActorName,
        last: &Exit,
        _world: &mut World<Self>,
    ) -> Escalation {
        self.log.note(format!("{} hears that {child} gave up: {last}", self.name));
        if self.keeps_on { Escalation::Keep } else { Escalation::Die }
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        self.log.note(format!("{} dropped", self.name));
        assert!(!self.panics_in_drop, "boom in drop");
    }
}

/// Does this and replies with the count.
struct Do(Deed);

impl On<Do> for Puppet {
    type Reply = u32;

    fn on(&mut self, Do(deed): Do, world: &mut World<Self>) -> u32 {
        deed(self, world);
        self.count
    }
}

fn deed(deed: impl FnOnce(&mut Puppet, &mut World<Puppet>) + Send + 'static) -> Do {
    Do(Box::new(deed))
}

fn add(number: u32) -> Do {
    deed(move |puppet, _| puppet.count += number)
}

fn boom(words: &'static str) -> Do {
    deed(move |_, _| panic!("{words}"))
}

/// Rests of exactly one second, this many restarts within a hundred.
fn restarts(restarts_max: u32) -> Policy {
    let backoff = Backoff::new(SECOND, SECOND, 1.0, 0.0).unwrap();
    Policy::new(backoff, restarts_max, Duration::from_secs(100)).unwrap()
}

fn puppet(kernel: &Kernel, name: &str, script: Script) -> Address<Puppet> {
    kernel.supervise(name, script, restarts(3))
}

/// Asks with patience.
async fn ask(address: &Address<Puppet>, message: Do) -> Result<u32, Down> {
    address.ask(message, LONG).await
}

async fn running(address: &Address<Puppet>) {
    address.until(|standing| standing == Standing::Running).await;
}

async fn resting(address: &Address<Puppet>) {
    address.until(|standing| standing == Standing::Restarting).await;
}

fn panicked(actor: &str, said: &str) -> Down {
    Down::Panicked { actor: actor.into(), said: said.into() }
}

fn gave_up(actor: &str) -> Down {
    Down::GaveUp { actor: actor.into() }
}

fn stopped(actor: &str) -> Down {
    Down::Stopped { actor: actor.into() }
}
