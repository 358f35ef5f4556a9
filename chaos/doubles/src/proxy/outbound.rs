//! What a management interface can do to a dialog.

use std::time::Duration;

use super::dialog::{Dialog, State};
use super::message::{Message, address_of};
use super::{Proxy, What};

impl Proxy {
    /// Ends a dialog that was answered: BYE to both sides, made up by the proxy. `false` if there is none.
    pub(crate) fn terminate(&mut self, key: (u32, u32), now: Duration) -> bool {
        self.now = self.now.max(now);
        let Some(dialog) = self.dialogs.get(&key).filter(|dialog| dialog.is_live()).cloned() else {
            return false;
        };
        if dialog.state < State::Answered {
            // it says that it did, tells of a failure, and does nothing (sheet kamailio, section 0.6)
            self.happens(What::Failed, key, "OPTIONS", None, "");
            return true;
        }
        for to_callee in [true, false] {
            self.bye(&dialog, to_callee);
        }
        self.end_dialog(key);
        self.happens(What::Ended, key, "OPTIONS", None, "");
        true
    }

    fn bye(&mut self, dialog: &Dialog, to_callee: bool) {
        let caller = format!("<{}>;tag={}", dialog.from_uri, dialog.from_tag);
        let callee = format!("<{}>;tag={}", dialog.to_uri, dialog.to_tag.clone().unwrap_or_default());
        let (contact, from, to, cseq) = if to_callee {
            (&dialog.callee.0, &caller, &callee, dialog.caller.1)
        } else {
            (&dialog.caller.0, &callee, &caller, dialog.callee.1)
        };
        let Some(address) = address_of(contact) else { return };
        let mut bye = Message::request("BYE", contact);
        bye.add("From", from.as_str());
        bye.add("To", to.as_str());
        bye.add("Call-ID", dialog.call_id.as_str());
        bye.add("CSeq", format!("{} BYE", cseq + 1));
        bye.add("Max-Forwards", "70");
        self.ask(bye, address);
    }

    /// Takes an INVITE back that was not answered. `false` if there is none.
    pub(crate) fn take_back(&mut self, call_id: &str, cseq: u32, now: Duration) -> bool {
        self.now = self.now.max(now);
        let found = self.transactions.iter().find(|(_, known)| {
            let request = &known.request;
            !known.over
                && request.method() == "INVITE"
                && request.call_id() == call_id
                && request.cseq().0 == cseq
        });
        let Some(branch) = found.map(|(branch, _)| branch.clone()) else { return false };
        self.cancel(&branch);
        true
    }

    /// The dialogs that are not forgotten yet, those included that are over.
    pub(crate) fn find(&self, call_id: &str, from_tag: Option<&str>) -> Option<&Dialog> {
        let same = |dialog: &&Dialog| {
            dialog.call_id == call_id && from_tag.is_none_or(|tag| tag.is_empty() || tag == dialog.from_tag)
        };
        self.dialogs.values().find(same)
    }
}
