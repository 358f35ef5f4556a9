//! How fast calls go through ifbus, beside a bare socket that does the same on the same server.
//!
//! The one figure here of wall time: a ratio within one run, rounds interleaved, and the bare loop against itself beside it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use ifbus_call::InstanceId;
use ifbus_doubles::phone::shell::SipServer;
use ifbus_fleet::ServerSpec;

use crate::figure::Figure;
use crate::kinds::{Server, Which, guarded};
use crate::live::up;
use crate::orchestrator::{Orchestrator, spec};
use crate::process::Double;
use crate::traffic::{Bare, Load, through, wait};
use crate::{bare, meter};

const ROUNDS: usize = 5;
/// How many phones a double has, from which number on.
const PHONES: (usize, usize) = (2000, 8000);

/// Runs it.
pub fn run() -> (Vec<String>, Vec<Figure>) {
    let mut notes = vec![format!(
        "two-leg calls, 16 at once, phones answer after 100 ms; {ROUNDS} rounds of 96 calls, order turning, median of the rounds' rates"
    )];
    let mut figures = if Which::is_asterisk_wanted() { every_asterisk(&mut notes) } else { Vec::new() };
    for which in Which::wanted() {
        figures.extend(guarded(which, &mut notes, |notes| {
            let server = Server::start(which);
            let name = format!("double of {}", which.name());
            let bare = |run: &str, load| bare::through(bare::connect(&server, run)?.as_mut(), load);
            vec![compare(&name, server.spec(), PHONES, &bare, notes)]
        }));
    }
    (notes, figures)
}

/// The real ones that are named, and the double.
fn every_asterisk(notes: &mut Vec<String>) -> Vec<Figure> {
    let mut figures = Vec::new();
    let real = std::env::var("IFBUS_REAL_ASTERISK").unwrap_or_default();
    for version in ["22", "16"] {
        let named =
            real.split(',').filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == version);
        match named.and_then(|(_, ip)| ip.parse::<Ipv4Addr>().ok()) {
            Some(ip) => {
                let phones = SocketAddr::from((Ipv4Addr::from(u32::from(ip) + 1), 5060));
                match SipServer::start(&[phones]) {
                    Ok(_phones) => {
                        let load = (1001, 8);
                        let name = format!("real Asterisk {version}");
                        figures.push(asterisk(&name, ip, (5038, 8088), load, notes));
                    }
                    Err(error) => {
                        notes.push(format!("skipped: Asterisk {version}, no phones at {phones}: {error}"))
                    }
                }
            }
            None => {
                notes.push(format!("skipped: real Asterisk {version}, IFBUS_REAL_ASTERISK does not name one"))
            }
        }
    }
    let double = Double::start();
    figures.push(asterisk("double", Ipv4Addr::LOCALHOST, double.ports, PHONES, notes));
    figures
}

/// Asterisk has a bare loop of its own.
fn asterisk(
    name: &str,
    ip: Ipv4Addr,
    ports: (u16, u16),
    phones: (usize, usize),
    notes: &mut Vec<String>,
) -> Figure {
    let bare = |run: &str, load| Bare::connect(IpAddr::V4(ip), ports.0)?.through(run, load);
    compare(name, spec("pbx1", &ip.to_string(), ports, false), phones, &bare, notes)
}

fn compare(
    name: &str,
    server: ServerSpec,
    phones: (usize, usize),
    bare: &dyn Fn(&str, Load) -> io::Result<usize>,
    notes: &mut Vec<String>,
) -> Figure {
    let folder = tempfile::tempdir().expect("a folder for a while");
    let instance = InstanceId(0xbe00_0000 + u64::from(std::process::id()));
    let seed = u64::from(std::process::id());
    let orchestrator = Orchestrator::start(instance, vec![server], folder.path().join("ifbus.db"), seed);
    up(&orchestrator);
    let load = Load { calls: 96, at_once: 16, pause: Duration::ZERO, phones };
    let (mut failed, mut failed_bare, mut run) = (0, 0, 0);
    let mut ours = || {
        let began = Instant::now();
        failed += wait(through(&orchestrator.fleet, load));
        load.calls as f64 / began.elapsed().as_secs_f64()
    };
    let mut bare = || {
        run += 1;
        let began = Instant::now();
        let name = format!("bare{}x{run}", std::process::id());
        failed_bare += bare(&name, load).expect("the server goes on answering");
        load.calls as f64 / began.elapsed().as_secs_f64()
    };
    let (mut through_us, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            through_us.push(ours());
            first.push(bare());
            second.push(bare());
        } else {
            second.push(bare());
            first.push(bare());
            through_us.push(ours());
        }
    }
    let [through_us, first, second] = [through_us, first, second].map(|rates| meter::median(&rates));
    notes.push(format!(
        "{name}: {through_us:.1} calls/s through ifbus, {first:.1} and {second:.1} bare; failed {failed} and {failed_bare}"
    ));
    orchestrator.kill();
    Figure::new(format!("originate rate, {name}"), "of a bare loop's", through_us / first)
        .beside("noise: the bare loop against itself", second / first)
        .at_least(0.95)
}
