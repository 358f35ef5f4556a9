//! The servers that can be told something: by name, readable from any thread.

use dashmap::DashMap;
use ifbus_call::{CallId, ServerName};
use ifbus_supervision::Address;

use crate::problem::{Code, Problem};
use crate::server::Server;
use crate::view::CallView;

/// Addresses by name.
#[derive(Default)]
pub struct Roster {
    servers: DashMap<ServerName, Address<Server>>,
}

impl Roster {
    /// The server's actor, if there is one.
    #[must_use]
    pub fn address(&self, name: &ServerName) -> Option<Address<Server>> {
        self.servers.get(name).map(|address| address.clone())
    }

    /// The server that carries a call, as it is shown.
    ///
    /// # Errors
    /// No such call is shown, or its server left the fleet.
    pub fn carrier(&self, view: Option<&CallView>, call: CallId) -> Result<Address<Server>, Problem> {
        let view = view.ok_or_else(|| {
            Problem::new(Code::UnknownCall, format!("no call has the id {call}")).of_call(call)
        })?;
        let server = view.server.as_ref().and_then(|name| self.address(name));
        server.ok_or_else(|| {
            Problem::new(Code::ServerDown, "the server of this call was removed").of_call(call)
        })
    }

    /// Enters a server.
    pub fn enter(&self, name: ServerName, address: Address<Server>) {
        self.servers.insert(name, address);
    }

    /// Strikes a server out.
    pub fn strike(&self, name: &ServerName) -> Option<Address<Server>> {
        self.servers.remove(name).map(|(_, address)| address)
    }
}
