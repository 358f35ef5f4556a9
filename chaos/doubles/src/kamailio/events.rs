//! What the printed configuration tells over `evapi`: netstrings with JSON, to everybody who listens, never twice.

use serde_json::{Map, Value, json};

use super::{Door, Kamailio};
use crate::proxy::{Happening, What};

impl Kamailio {
    /// Tells everything that has happened. What nobody listens to is lost.
    pub(super) fn tell(&mut self) {
        while let Some(happening) = self.proxy.happening() {
            let told = told(&happening);
            self.relay(&told);
        }
        if let Some(every) = self.options.heartbeat {
            while self.beat + every <= self.now {
                self.beat += every;
                let boot = self.wall(self.booted).to_string();
                let heartbeat =
                    json!({"event": "heartbeat", "dialogs": self.live().to_string(), "boot": boot});
                self.relay(&heartbeat);
            }
        }
    }

    fn relay(&mut self, told: &Value) {
        let text = told.to_string();
        let bytes = format!("{}:{text},", text.len()).into_bytes();
        for link in self.wire.links(Some(Door::Events)) {
            self.wire.event(link, bytes.clone(), self.now);
        }
    }
}

fn told(happening: &Happening) -> Value {
    let word = match happening.what {
        What::Invite => "invite",
        What::Ringing => "ringing",
        What::Answered => "answered",
        What::InDialog => "indialog",
        What::Ended => "ended",
        What::Failed => "failed",
        What::Cancel => "cancel",
    };
    let dialog = &happening.dialog;
    let mut told = Map::new();
    told.insert("event".to_owned(), json!(word));
    told.insert("call_id".to_owned(), json!(dialog.call_id));
    told.insert("from_tag".to_owned(), json!(dialog.from_tag));
    if let Some(tag) = &dialog.to_tag {
        told.insert("to_tag".to_owned(), json!(tag));
    }
    told.insert("method".to_owned(), json!(happening.method));
    if happening.what == What::Failed
        && let Some(code) = happening.code
    {
        told.insert("code".to_owned(), json!(code));
        told.insert("local".to_owned(), json!(happening.local));
    }
    Value::Object(told)
}
