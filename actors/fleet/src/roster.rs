//! The servers that can be told something: by name, readable from any thread.

use dashmap::DashMap;
use ifbus_call::ServerName;
use ifbus_supervision::Address;

use crate::server::Server;

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

    /// Enters a server.
    pub fn enter(&self, name: ServerName, address: Address<Server>) {
        self.servers.insert(name, address);
    }

    /// Strikes a server out.
    pub fn strike(&self, name: &ServerName) -> Option<Address<Server>> {
        self.servers.remove(name).map(|(_, address)| address)
    }
}
