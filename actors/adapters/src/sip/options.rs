//! How an agent works on one server. The adapter of a kind fills it from what the operator said.

use ifbus_call::{Address, address::Form};

use super::command::{SipEndpoint, SipTransport};

/// The settings of an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentOptions {
    /// Where and as whom SIP is spoken.
    pub endpoint: SipEndpoint,
    /// The host part of addresses that have none, and of our own.
    pub domain: String,
    /// Further headers of every INVITE, such as a shared secret of the server's script. Names and values without
    /// control characters; the adapter has checked them.
    pub headers: Vec<(&'static str, String)>,
}

impl AgentOptions {
    /// The URI that is called for an address; the address is checked, so only `#` has to be escaped in it.
    #[must_use]
    pub fn target(&self, address: &Address) -> String {
        match address.form() {
            Form::Uri => address.as_str().replace('#', "%23"),
            Form::Extension | Form::E164 => self.uri(address.as_str()),
        }
    }

    /// Why an address cannot be called through this server, if it cannot: `sips:` promises encryption on every hop (RFC
    /// 3261, section 26.2.2), and who asks for it is not given less.
    #[must_use]
    pub fn unreachable(&self, address: &Address) -> Option<String> {
        let transport = &self.endpoint.transport;
        let plain = !matches!(transport, SipTransport::Tls(_)) && address.as_str().starts_with("sips:");
        plain.then(|| {
            format!("a sips: address needs TLS, and SIP to this server is spoken over {}", transport.as_str())
        })
    }

    /// The URI of a caller.
    #[must_use]
    pub fn caller(&self, address: &Address) -> String {
        self.uri(address.user())
    }

    fn uri(&self, user: &str) -> String {
        let host = &self.domain;
        // with a port behind it, it is no address of IPv6
        let host =
            if host.parse::<std::net::Ipv6Addr>().is_ok() { format!("[{host}]") } else { host.clone() };
        format!("sip:{}@{host}", user.replace('#', "%23"))
    }
}
