//! Where words go: results to stdout, everything else to stderr; colour and motion only on a terminal.
//!
//! Nobody else in the command line writes to a stream.

use std::ffi::OsString;
use std::future::Future;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use super::errors::{Exit, Failure};

/// Silence that people take for hanging.
const SPIN_AFTER: Duration = Duration::from_millis(200);
/// A turn of the spinner.
const SPIN_EVERY: Duration = Duration::from_millis(100);
const SPIN: [&str; 4] = ["-", "\\", "|", "/"];
/// The width of a terminal that does not tell.
const WIDTH: usize = 80;
/// Nothing can be read below this.
const WIDTH_MIN: usize = 20;

/// The four colours; each repeats what a word beside it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// Done.
    Green,
    /// To be known.
    Yellow,
    /// Failed.
    Red,
    /// A hint.
    Cyan,
}

/// The two streams, as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Screen {
    /// Results are JSON.
    pub json: bool,
    out_colour: bool,
    err_colour: bool,
    err_moves: bool,
    width: Option<usize>,
}

impl Screen {
    /// The streams of this process.
    pub fn of_process(json: bool, no_color: bool) -> Self {
        let env = |name: &str| std::env::var_os(name);
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let asked = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self::new(json, no_color, &env, out.then_some(asked), err)
    }

    /// The screen by what is known: `out` is the width of the terminal on stdout, if it is one and tells.
    pub fn new(
        json: bool,
        no_color: bool,
        env: &dyn Fn(&str) -> Option<OsString>,
        out: Option<Option<usize>>,
        err: bool,
    ) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_some_and(|term| term == "dumb");
        let colour = !no_color && !dumb && set("NO_COLOR").is_none();
        let columns = set("COLUMNS").and_then(|text| text.to_str()?.parse::<usize>().ok()).filter(|n| *n > 0);
        let width = out.map(|told| columns.or(told).unwrap_or(WIDTH).max(WIDTH_MIN));
        Self {
            json,
            out_colour: colour && out.is_some(),
            err_colour: colour && err,
            err_moves: err && !dumb && !json,
            width,
        }
    }

    /// The width of the terminal on stdout; `None` if a program reads.
    pub const fn width(&self) -> Option<usize> {
        self.width
    }

    /// Whether people read stdout.
    pub const fn is_terminal(&self) -> bool {
        self.width.is_some()
    }

    /// `text` in a colour for stdout, if it takes colours.
    pub fn paint(&self, colour: Option<Colour>, text: &str) -> String {
        paint(self.out_colour, colour, text)
    }

    /// A line of the result.
    ///
    /// # Errors
    /// Nobody reads any more (silently), or the stream is full.
    pub fn line(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| unwritten(&error))
    }

    /// A text that is the whole result: as it is for people, one document under `--json`.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn document(&self, object: &str, text: &str) -> Result<(), Failure> {
        let text = text.trim_end();
        if self.json {
            return self.line(&serde_json::json!({ "object": object, "text": text }).to_string());
        }
        self.line(text)
    }

    /// Lines of the result.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn lines<T: AsRef<str>>(&self, lines: impl IntoIterator<Item = T>) -> Result<(), Failure> {
        lines.into_iter().try_for_each(|line| self.line(line.as_ref()))
    }

    /// A line beside the result: where things stand, what is to be known. Under `--json` there is none.
    pub fn note(&self, text: &str) {
        if !self.json {
            self.err_line(text);
        }
    }

    /// A note with a word in front: `warn`, `next`, `did you know`.
    pub fn note_as(&self, colour: Colour, word: &str, text: &str) {
        self.note(&format!("{}: {text}", paint(self.err_colour, Some(colour), word)));
    }

    /// The last words of a command that was not done.
    pub fn fail(&self, failure: &Failure) {
        if failure.is_silent {
            return;
        }
        if self.json {
            let body = serde_json::to_string(&failure.problem).expect("a problem can be written as JSON");
            return self.err_line(&body);
        }
        let text = failure.to_string();
        match text.strip_prefix("error:") {
            Some(rest) => {
                self.err_line(&format!("{}{rest}", paint(self.err_colour, Some(Colour::Red), "error:")))
            }
            None => self.err_line(&text),
        }
    }

    fn err_line(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{text}"); // nobody is left to be told
    }

    /// Waits for something, with a sign of life on a terminal once it takes long.
    pub async fn wait<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        if !self.err_moves {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        let mut spinner = None;
        let mut signs = SPIN.iter().cycle();
        loop {
            let pause = if spinner.is_none() { SPIN_AFTER } else { SPIN_EVERY };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(pause) => {
                    spinner.get_or_insert(Spinner);
                    redraw(&format!("{} {what}", signs.next().unwrap_or(&"-")));
                }
            }
        }
    }

    /// Asks before something that cannot be taken back. The default is no.
    ///
    /// # Errors
    /// There is nobody to ask and no `--yes`.
    pub fn confirm(&self, question: &str, yes: bool) -> Result<bool, Failure> {
        if yes {
            return Ok(true);
        }
        if self.json || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            let failure =
                Failure::usage(format!("{question}; nobody can be asked here, so nothing was changed"));
            return Err(failure.with("sure? add --yes      only look: --dry-run"));
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{question}. Go on? [y/N] ").and_then(|()| err.flush()); // the answer decides
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::here(error.to_string()))?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

/// A sign of life that is on the terminal; it goes with this, also when the waiting is interrupted.
struct Spinner;

impl Drop for Spinner {
    fn drop(&mut self) {
        redraw("");
    }
}

fn redraw(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush()); // a sign of life, not a result
}

fn paint(colours: bool, colour: Option<Colour>, text: &str) -> String {
    let code = match colour {
        Some(Colour::Green) => 32,
        Some(Colour::Yellow) => 33,
        Some(Colour::Red) => 31,
        Some(Colour::Cyan) => 36,
        None => return text.to_owned(),
    };
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// A reader that went away (`| head`) is the normal end of a pipe.
fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::said(Exit::Done)
    } else {
        Failure::here(format!("stdout: {error}"))
    }
}
