//! What is pushed (sheet flexisip, section 4): four moments of a call, in the words of the recording.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Flexisip;
use super::pusher::Push;
use crate::calendar;
use crate::proxy::{Dialog, Happening, What};

/// What stands before `calls`.
const PREFIX: &str = "/api/statistics/calls";

impl Flexisip {
    pub(super) fn tell(&mut self) {
        while let Some(happening) = self.proxy.happening() {
            if let Some((method, path, body)) = self.words(&happening) {
                let push = Push::Event {
                    method,
                    path,
                    body: body.to_string(),
                    key: self.options.events_key.clone(),
                };
                self.hand_over(push);
            }
        }
    }

    /// The process is gone, and its connection with it.
    pub(super) fn lose_connection(&mut self) {
        self.hand_over(Push::Die);
    }

    fn hand_over(&mut self, push: Push) {
        if let Some(pushes) = &self.pushes {
            // whoever pushes ends with the server
            let _ = pushes.send(push);
        }
    }

    fn words(&self, happening: &Happening) -> Option<(&'static str, String, Value)> {
        let dialog = &happening.dialog;
        let (id, device) = (self.name(dialog, happening.by_callee), device(dialog));
        let at = iso(self.options.wall + self.now.as_secs());
        let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let (call, device_path) =
            (format!("{PREFIX}/{}", text(&id)), format!("{PREFIX}/{}/devices/{device}", text(&id)));
        let settled = |state: &str| json!({"invite_terminated": {"at": at, "state": state}});
        Some(match happening.what {
            What::Invite => {
                let mut body = json!({"conference_id": null, "devices": {device: null}, "ended_at": null,
                    "from": address(&dialog.from_uri), "id": id, "initiated_at": at, "to": address(&dialog.to_uri)});
                if self.options.profile.names_calls {
                    body["sip_call_id"] = json!(dialog.call_id);
                }
                ("POST", PREFIX.to_owned(), body)
            }
            What::Ringing => ("PATCH", device_path, json!({"rang_at": at})),
            What::Answered => ("PATCH", device_path, settled("accepted")),
            What::Failed => match happening.code {
                Some(603) => ("PATCH", device_path, settled("declined")),
                Some(487) => ("PATCH", device_path, settled("canceled")),
                // all the same, without code or reason
                _ => ("PATCH", device_path, settled("error")),
            },
            What::Ended => ("PATCH", call, json!({"ended_at": at})),
            What::InDialog | What::Cancel => return None,
        })
    }

    /// In 2.3 the parties stand in it as in the request, so that a callee ends another call than the caller began.
    fn name(&self, dialog: &Dialog, by_callee: bool) -> Value {
        let (from, to) = (address(&dialog.from_uri), address(&dialog.to_uri));
        if self.options.profile.names_calls {
            let (first, second) = if from <= to { (&from, &to) } else { (&to, &from) };
            let hash = Sha256::digest(format!("{first}{second}{}", dialog.call_id).as_bytes());
            return json!(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        }
        let (first, second) = if by_callee { (to, from) } else { (from, to) };
        let parties = format!("{first}{second}").replace('@', "");
        json!(murmur(format!("{}{parties}", dialog.call_id).as_bytes()).to_string())
    }
}

/// `std::hash` of a text as GCC makes it: MurmurHash64A.
fn murmur(text: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    let mut hash = 0xc70f_6907 ^ (text.len() as u64).wrapping_mul(M);
    for chunk in text.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        let mut word = u64::from_le_bytes(bytes);
        if chunk.len() == 8 {
            word = word.wrapping_mul(M);
            word = (word ^ (word >> 47)).wrapping_mul(M);
        }
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 47)).wrapping_mul(M);
    hash ^ (hash >> 47)
}

/// The name of the only device, with the quotes and brackets that it has on the wire.
fn device(dialog: &Dialog) -> String {
    let hash = Sha256::digest(dialog.to_uri.as_bytes());
    let hex: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("\"<urn:uuid:{hex}-0000-1000-8000-000000005062>\"")
}

/// `user@host`.
fn address(uri: &str) -> String {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let rest = rest.split(';').next().unwrap_or(rest);
    match rest.split_once('@') {
        Some((user, host)) => format!("{user}@{}", host.split(':').next().unwrap_or(host)),
        None => rest.to_owned(),
    }
}

fn iso(seconds: u64) -> String {
    let ((year, month, day), rest) = (calendar::date(seconds), seconds % 86400);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
