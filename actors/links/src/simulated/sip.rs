//! The SIP side of a simulated server.

use ifbus_adapters::adapter::LinkError;
use ifbus_adapters::sip::{SipCommand, SipEvent};

use super::Simulated;
use crate::network::{Report, Sink, SipLeg};

pub(super) fn simulated(_network: &Simulated, sink: Sink) -> Box<dyn SipLeg> {
    Box::new(Nobody { sink })
}

/// A host without SIP: nobody listens.
struct Nobody {
    sink: Sink,
}

impl SipLeg for Nobody {
    fn ask(&self, command: SipCommand) {
        if command == SipCommand::Bind {
            let sink = std::rc::Rc::clone(&self.sink);
            tokio::task::spawn_local(async move { sink(Report::Sip(SipEvent::Closed(LinkError::Refused))) });
        }
    }
}
