//! A secret typed on the terminal, unseen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::errors::Failure;

/// The longest secret anybody types.
const BYTES_MAX: usize = 1024;

/// The terminal as it was, given back whatever happens.
struct Quiet<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before); // nothing else can be done
    }
}

/// Asks for `what` and reads a line that is not shown.
///
/// # Errors
/// There is no terminal, or Ctrl-C was pressed.
pub fn hidden(what: &str) -> Result<String, Failure> {
    let no_terminal = |_| {
        let failure = Failure::usage(format!("{what} cannot be asked for: there is no terminal"));
        failure.with("take env:NAME, file:PATH or - (stdin) in place of prompt")
    };
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(no_terminal)?;
    let secret = unseen(&terminal, what);
    let _ = writeln!(&terminal); // the line end that was not shown
    secret
}

fn unseen(mut terminal: &File, what: &str) -> Result<String, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::here(format!("the terminal: {error}"));
    let before = tcgetattr(terminal).map_err(|error| failed(&error))?;
    let mut quiet = before.clone();
    // Ctrl-C comes as a byte: a signal would leave the terminal silent.
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    let _restored = Quiet { terminal, before };
    tcsetattr(terminal, OptionalActions::Flush, &quiet).map_err(|error| failed(&error))?;
    // Asked only now: what is typed at the sight of the question is not shown.
    let _ = write!(terminal, "{what}: ").and_then(|()| terminal.flush()); // reading fails if it is gone
    let mut typed = Vec::new();
    for byte in std::io::BufReader::new(terminal).bytes() {
        match byte.map_err(|error| failed(&error))? {
            b'\n' | b'\r' | 0x04 => break,
            0x03 => return Err(Failure::interrupted("interrupted; nothing was changed")),
            0x08 | 0x7f => drop(typed.pop()),
            0x15 => typed.clear(),
            byte if typed.len() < BYTES_MAX => typed.push(byte),
            _ => return Err(Failure::usage(format!("a secret has at most {BYTES_MAX} bytes"))),
        }
    }
    String::from_utf8(typed).map_err(|_| Failure::usage("a secret is UTF-8 text"))
}
