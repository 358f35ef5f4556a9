//! How long a server that dies still gets calls: exact, because time is virtual.

use ifbus_doubles::double::Mortal as _;
use std::time::Duration;

use ifbus_doubles::asterisk::Asterisk;
use ifbus_doubles::faults::Faults;
use ifbus_fleet::view::ServerState;

use crate::figure::Figure;
use crate::meter::quantile;
use crate::orchestrator::state;
use crate::virtual_fleet::{Plan, run as live};

const SEEDS: u64 = 100;

/// A way to die, and what is waited for.
struct Death {
    name: &'static str,
    kill: fn(&mut Asterisk, Duration),
    state: fn(ServerState) -> bool,
    goal_ms: f64,
}

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let freeze = |pbx: &mut Asterisk, now: Duration| {
        pbx.set_faults(Faults { freeze: true, ..Faults::default() }, now);
    };
    let sip_dead = |pbx: &mut Asterisk, now: Duration| {
        pbx.set_faults(Faults { sip_dead: true, ..Faults::default() }, now);
    };
    let left = |state: ServerState| state != ServerState::Up;
    let deaths = [
        Death { name: "reset: no new calls", kill: |pbx, now| pbx.kill(now), state: left, goal_ms: 50.0 },
        Death { name: "silent: suspect", kill: freeze, state: left, goal_ms: 1_500.0 },
        Death {
            name: "silent: links given up",
            kill: freeze,
            state: |state| !matches!(state, ServerState::Up | ServerState::Suspect),
            goal_ms: 5_000.0,
        },
        // The first try to connect again has to fail before it says so.
        Death {
            name: "silent: shown as down",
            kill: freeze,
            state: |state| state == ServerState::Down,
            goal_ms: f64::INFINITY,
        },
        Death { name: "SIP alone dead: suspect", kill: sip_dead, state: left, goal_ms: 5_000.0 },
    ];
    let figures = deaths.iter().map(|death| {
        let took: Vec<f64> = (0..SEEDS).map(|seed| once(seed, death)).collect();
        let name = format!("{}, the longest", death.name);
        let figure = Figure::new(name, "ms of virtual time", quantile(&took, 1.0))
            .beside("p50", quantile(&took, 0.5))
            .beside("p99", quantile(&took, 0.99))
            .beside("least", quantile(&took, 0.0));
        if death.goal_ms.is_finite() { figure.at_most(death.goal_ms) } else { figure }
    });
    let notes = vec![format!(
        "{SEEDS} seeds, two doubles, the death at another phase of the probes each time; network 1 ms each way; looked at every ms"
    )];
    (notes, figures.collect())
}

fn once(seed: u64, death: &Death) -> f64 {
    let plan = Plan { seed, names: &["pbx1", "pbx2"], ari: true, sip: true, wrap: None, wire: None };
    live(plan, async |world| {
        tokio::time::sleep(Duration::from_millis(5_000 + 97 * seed)).await;
        let died = world.network.now();
        (death.kill)(&mut world.servers["pbx1"].borrow_mut().double, died);
        world.network.touched();
        world.until(|world| (death.state)(state(&world.fleet, "pbx1"))).await;
        (world.network.now() - died).as_nanos() as f64 / 1e6
    })
}
