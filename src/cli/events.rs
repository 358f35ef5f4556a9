//! `ifbus events`: what happens, as it happens. Ctrl-C is its normal end.

use ifbus_call::ServerName;
use ifbus_fleet::journal::EventView;

use super::act;
use super::client::query;
use super::errors::Failure;
use super::grammar::EventsArgs;
use super::render::{clean, clock_ms, id};
use super::screen::Screen;
use super::session::Session;
use super::stream::{Events, Heard, What};
use super::words::{self, CallWord};

/// Which events.
#[derive(Debug)]
pub struct Listen {
    kind: Option<String>,
    call: Option<CallWord>,
    server: Option<ServerName>,
}

impl Listen {
    /// Checks the words.
    pub fn plan(args: EventsArgs) -> Result<Self, Failure> {
        let is_kind = |c: char| c.is_ascii_lowercase() || matches!(c, '.' | '_' | '*' | ',');
        if let Some(kind) =
            args.r#type.as_deref().filter(|kind| kind.is_empty() || !kind.chars().all(is_kind))
        {
            let failure = Failure::usage(format!("there is no type of event `{}`", clean(kind)));
            return Err(failure.with("as in: --type call.answered   --type 'call.*'   --type server.down"));
        }
        let call = args.call.map(|word| {
            word.parse().map_err(|why| Failure::usage(format!("--call {}: {why}", clean(&word))))
        });
        Ok(Self {
            kind: args.r#type,
            call: call.transpose()?,
            server: args.server.map(|name| words::server(&name)).transpose()?,
        })
    }

    /// Listens until Ctrl-C.
    pub async fn run(self, session: &Session) -> Result<(), Failure> {
        let call = match &self.call {
            Some(word) => Some(act::find(session, word, None).await?.id.to_string()),
            None => None,
        };
        let query = query(&[
            ("type", self.kind),
            ("call", call),
            ("server", self.server.map(|name| name.to_string())),
        ]);
        let listening = async {
            let mut events = Events::open(&session.client, &query, None).await?;
            if !session.screen.json && !session.screen.is_terminal() {
                session.screen.line("TIME\tTYPE\tABOUT\tTEXT")?;
            }
            loop {
                let heard = events.next().await?;
                session.screen.line(&line(&session.screen, &heard))?;
            }
        };
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Ok(()),
            ended = listening => ended,
        }
    }
}

fn line(screen: &Screen, heard: &Heard) -> String {
    match &heard.what {
        _ if screen.json => heard.raw.clone(),
        What::Event(event) => human(event, screen.is_terminal()),
        What::Gap(gap) => {
            let text = format!("{}; state now: ifbus calls", clean(&gap.text));
            if screen.is_terminal() {
                format!("{:<12}  stream.gap    {text}", "")
            } else {
                format!("\tstream.gap\t\t{text}")
            }
        }
        What::Other => clean(&heard.raw),
    }
}

/// `10:51:25.312  call.answered  R7VK5D  1001 and 1002 talk`; tabs and whole values where a program reads.
fn human(event: &EventView, is_terminal: bool) -> String {
    let fact = &event.fact;
    let about = match (&fact.call, &fact.server) {
        (Some(call), _) => id(*call, is_terminal),
        (None, Some(server)) => server.to_string(),
        (None, None) => String::new(),
    };
    let (kind, text) = (clean(&fact.kind), clean(&fact.text));
    if is_terminal {
        format!("{}  {kind:<20}  {about:<8}  {text}", clock_ms(fact.time))
    } else {
        format!("{}\t{kind}\t{about}\t{text}", fact.time)
    }
}
