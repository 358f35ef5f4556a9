//! An errand of pbxapi: a login of its own into AMI, one action, and what the browser is told of it.
//!
//! Values are pasted into the lines as they came, so a caller of pbxapi can write lines of AMI (sheet elastix, section 1).

use super::page::Page;

/// Its id in AMI.
const ID: &str = "pbxapi";

/// What is asked, and how the answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Waits for the end of the attempt.
    Originate,
    /// The words of the response.
    Words,
    /// The channels.
    Status,
    /// The value of a variable.
    Value(String),
}

/// One errand.
#[derive(Clone, Debug)]
pub struct Errand {
    wants: Wants,
    action: String,
    secret: String,
    stage: Stage,
    heard: Vec<u8>,
    items: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Banner,
    Login,
    Asked,
    /// Its action was taken, and the rest comes as events.
    Taken,
}

/// What comes of some bytes.
#[derive(Debug, Default)]
pub struct Taken {
    /// To be sent to AMI.
    pub send: Vec<u8>,
    /// The errand is over.
    pub page: Option<Page>,
}

impl Errand {
    pub(super) fn new(wants: Wants, name: &str, fields: &[(&str, &str)], secret: &str) -> Self {
        let lines: String = fields
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(key, value)| format!("{key}: {value}\r\n"))
            .collect();
        // a thread of AMI that waits for a telephone would wait with everybody's errand
        let waits = if wants == Wants::Originate { "Async: true\r\n" } else { "" };
        let action = format!("Action: {name}\r\nActionID: {ID}\r\n{lines}{waits}\r\n");
        let secret = secret.to_owned();
        Errand { wants, action, secret, stage: Stage::Banner, heard: Vec::new(), items: Vec::new() }
    }

    /// Takes what AMI says.
    pub fn take(&mut self, bytes: &[u8]) -> Taken {
        self.heard.extend_from_slice(bytes);
        let mut taken = Taken::default();
        while let (None, Some(message)) = (&taken.page, self.message()) {
            let get = |key: &str| {
                let line = message.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
                line.unwrap_or_default().trim().to_owned()
            };
            match self.stage {
                Stage::Banner => {
                    let events = if self.wants == Wants::Originate { "call" } else { "off" };
                    let login = format!(
                        "Action: Login\r\nUsername: admin\r\nSecret: {}\r\nEvents: {events}\r\n\r\n",
                        self.secret
                    );
                    taken.send.extend(login.into_bytes());
                    self.stage = Stage::Login;
                }
                Stage::Login if get("Response") == "Success" => {
                    taken.send.extend(self.action.as_bytes());
                    self.stage = Stage::Asked;
                }
                Stage::Login => taken.page = Some(Self::broken()),
                _ if get("ActionID") != ID => {}
                Stage::Asked => taken.page = self.response(&get("Response"), &get("Message"), &get("Value")),
                Stage::Taken => taken.page = self.event(&get("Event"), &get("Response"), &message),
            }
        }
        taken
    }

    fn message(&mut self) -> Option<String> {
        let gap: &[u8] = if self.stage == Stage::Banner { b"\r\n" } else { b"\r\n\r\n" };
        let end = self.heard.windows(gap.len()).position(|window| window == gap)?;
        let message = String::from_utf8_lossy(&self.heard[..end]).into_owned();
        self.heard.drain(..end + gap.len());
        Some(message)
    }

    fn response(&mut self, response: &str, message: &str, value: &str) -> Option<Page> {
        let word = if response == "Success" { "ok" } else { "error" };
        match &self.wants {
            Wants::Originate | Wants::Status if word == "ok" => {
                self.stage = Stage::Taken;
                None
            }
            Wants::Status => Some(Page::json("[]")),
            Wants::Value(name) if word == "ok" => Some(Page::json(format!(
                "{{\"status\":\"ok\", \"variable\":\"{name}\",\"value\":\"{value}\"}}"
            ))),
            _ => Some(said(word, message)),
        }
    }

    fn event(&mut self, event: &str, response: &str, message: &str) -> Option<Page> {
        match event {
            "OriginateResponse" if response == "Success" => Some(said("ok", "Originate successfully queued")),
            "OriginateResponse" => Some(said("error", "Originate failed")),
            "Status" => {
                self.items.push(object(message));
                None
            }
            "StatusComplete" => Some(Page::json(format!("[{}]", self.items.join(",")))),
            _ => None,
        }
    }

    /// Nobody listens, or the login was refused: status 200 all the same.
    #[must_use]
    pub fn broken() -> Page {
        Page::json("{\"status\":\"error\",\"reason\":\"Could not connect to AMI\"}")
    }
}

/// Put together by hand there, with a blank and without escapes.
fn said(word: &str, message: &str) -> Page {
    Page::json(format!("{{\"status\":\"{word}\", \"message\":\"{message}\"}}"))
}

/// A message as PHP encodes it: an empty value is `false`, a slash is escaped.
fn object(message: &str) -> String {
    let pairs = message.lines().filter_map(|line| line.split_once(':')).filter(|(key, _)| *key != "ActionID");
    let pair = |(key, value): (&str, &str)| match value.trim() {
        "" => format!("\"{key}\":false"),
        value => format!("\"{key}\":{}", text(value)),
    };
    format!("{{{}}}", pairs.map(pair).collect::<Vec<_>>().join(","))
}

/// A text as PHP encodes it.
pub(super) fn text(value: &str) -> String {
    serde_json::to_string(value).expect("a text is JSON").replace('/', "\\/")
}
