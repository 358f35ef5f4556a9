//! The same calls without ifbus: one thread, one socket, two legs that are called, joined and ended, and nothing else
//! looked at.
//!
//! Here: what comes after what. How each kind says it: `esl.rs`, `extmodule.rs`, `sip.rs`; AMI: `traffic.rs`.

mod esl;
mod extmodule;
mod sip;

use std::collections::BTreeMap;
use std::io;

use crate::kinds::{Server, Which};
use crate::traffic::Load;

/// A leg of a bare loop: which call, and which of its two.
pub type Leg = (usize, usize);

/// What a server says, as far as a bare loop cares.
pub enum News {
    /// The phone answered.
    Up(Leg),
    /// It did not.
    Failed,
    /// Both hear each other.
    Joined(usize),
    /// The leg is over.
    Gone(Leg),
}

/// How a kind is spoken to.
pub trait Wire {
    /// Calls a phone.
    fn originate(&mut self, leg: Leg, number: &str);
    /// Joins both legs of a call.
    fn join(&mut self, call: usize);
    /// Ends both legs of a call.
    fn hang_up(&mut self, call: usize);
    /// Sends what was said, and waits for news.
    fn news(&mut self) -> io::Result<Vec<News>>;
}

/// Connects; `run` is never used twice on a server.
pub fn connect(server: &Server, run: &str) -> io::Result<Box<dyn Wire>> {
    let at = server.bare();
    Ok(match server.which {
        Which::FreeSwitch => Box::new(esl::Esl::connect(at, run)?),
        Which::Yate => Box::new(extmodule::Engine::connect(at, run)?),
        Which::Kamailio | Which::OpenSips | Which::OpenSipsByUdp => Box::new(sip::Caller::open(at, run)?),
    })
}

/// The load of [`crate::traffic::through`]. Returns the calls that failed.
pub fn through(wire: &mut dyn Wire, load: Load) -> io::Result<usize> {
    let (mut placed, mut failed, mut done) = (0, 0, 0);
    let mut left: BTreeMap<usize, usize> = BTreeMap::new();
    while done < load.calls {
        while placed < load.calls && placed - done < load.at_once {
            wire.originate((placed, 0), &load.numbers(placed)[0]);
            placed += 1;
        }
        for news in wire.news()? {
            match news {
                News::Up((call, 0)) => wire.originate((call, 1), &load.numbers(call)[1]),
                News::Up((call, _)) => wire.join(call),
                News::Joined(call) => wire.hang_up(call),
                News::Failed => {
                    failed += 1;
                    done += 1;
                }
                News::Gone((call, _)) => {
                    let left = left.entry(call).or_insert(2);
                    *left -= 1;
                    done += usize::from(*left == 0);
                }
            }
        }
    }
    Ok(failed)
}
