//! The log of an orchestrator: one event a line on stderr, whatever a server or a caller puts into it.
//!
//! Not here: what is worth a line. `IFBUS_LOG` chooses, as in `debug` or `info,ifbus_fleet=trace`. It reaches our own
//! crates only: others print what they send at these levels, passwords included.

#[cfg(test)]
mod tests;

use std::io::{self, Write};

use ifbus_config::complaint::printable;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The environment variable that chooses what is logged; `info` if nothing is said.
pub const VARIABLE: &str = "IFBUS_LOG";
/// How every crate of ours begins.
const OURS: &str = "ifbus";
/// The longest line, in characters: enough for every event of ours with what a server said.
const LINE_MAX: usize = 4_000;

/// The choice is not in its form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{VARIABLE}: {0}; as in: debug, or info,ifbus_fleet=trace")]
pub struct BadChoice(String);

/// Begins to log what `choice` says, for the rest of this process. Does nothing if somebody logs already.
///
/// # Errors
/// The choice is not in its form.
pub fn begin(choice: &str) -> Result<(), BadChoice> {
    // Whoever was first has the log: a program that runs us among other things.
    let _ = subscriber(choice, || OneLine(io::stderr()))?.try_init();
    Ok(())
}

fn subscriber<W: Write + 'static>(
    choice: &str,
    to: impl Fn() -> OneLine<W> + Send + Sync + 'static,
) -> Result<impl Subscriber + Send + Sync, BadChoice> {
    let choice = if choice.trim().is_empty() { "info" } else { choice };
    let chosen = EnvFilter::try_new(choice).map_err(|error| BadChoice(error.to_string()))?;
    let quiet = filter_fn(|about| about.target().starts_with(OURS) || *about.level() <= Level::WARN);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Lines(to));
    Ok(tracing_subscriber::registry().with(lines.with_filter(chosen.and(quiet))))
}

/// Makes the writer of an event.
struct Lines<F>(F);

impl<'a, W: Write + 'static, F: Fn() -> OneLine<W>> MakeWriter<'a> for Lines<F> {
    type Writer = OneLine<W>;

    fn make_writer(&'a self) -> OneLine<W> {
        (self.0)()
    }
}

/// Writes what it is given as one line, control characters escaped. An event comes whole.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = printable(text.trim_end_matches('\n'), LINE_MAX) + "\n";
        // In one piece, so that lines of several threads do not mix.
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
