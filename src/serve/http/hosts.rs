//! Whose requests are taken: only those addressed to us by a name we know.
//!
//! A web page can make a browser send requests to a loopback port, also under a name it rebinds to 127.0.0.1; the Host
//! header then carries that name, and the Origin header the page's. Both must be ours, everywhere.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use actix_web::http::header::{self, HeaderMap};
use ifbus_fleet::{Code, Problem};

/// The values of Host that are taken.
#[derive(Debug)]
pub(super) struct Hosts(BTreeSet<String>);

impl Hosts {
    /// Loopback names and `address` itself, with the port; `more` as they are written.
    pub(super) fn new(address: SocketAddr, more: &[String]) -> Self {
        let port = address.port();
        let mut names = vec!["127.0.0.1".to_owned(), "localhost".to_owned(), "[::1]".to_owned()];
        if !address.ip().is_unspecified() {
            names.push(match address {
                SocketAddr::V4(v4) => v4.ip().to_string(),
                SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
            });
        }
        let mut hosts: BTreeSet<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names); // clients leave the standard port out
        }
        hosts.extend(more.iter().map(|host| host.to_ascii_lowercase()));
        Self(hosts)
    }

    /// Whether a request with these headers is meant for us and comes from nobody else's page.
    pub(super) fn check(&self, headers: &HeaderMap, authority: Option<&str>) -> Result<(), Problem> {
        let mut hosts = headers.get_all(header::HOST);
        let (host, more) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next());
        let is_ours = |host: &str| self.0.contains(&host.to_ascii_lowercase());
        if more.is_some() || !host.is_some_and(is_ours) || !authority.is_none_or(is_ours) {
            let known: Vec<&str> = self.0.iter().map(String::as_str).collect();
            let detail = format!("the Host header is none of ours; taken: {}", known.join(", "));
            return Err(Problem::new(Code::ForeignHost, detail).about("Host"));
        }
        for origin in headers.get_all(header::ORIGIN) {
            let host = origin.to_str().ok().and_then(|origin| {
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"))
            });
            if !host.is_some_and(is_ours) {
                let detail = "the Origin header is none of ours: requests of other web pages are refused";
                return Err(Problem::new(Code::ForeignHost, detail).about("Origin"));
            }
        }
        Ok(())
    }
}
