//! Where the files of recordings are given out: by ARI, or by a web server that shows the folder; and whether they are.
//!
//! The bytes themselves: `fetch.rs`.

use std::time::Duration;

use ifbus_call::{ServerName, Verdict};

use super::inspect::{Check, finding};
use super::machine::{Asterisk, Request};
use super::options::Tls;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Secret, Ticket};

/// The longest list of recordings that is read; what is in it is not looked at.
const LIST_MAX: usize = 1024 * 1024;

/// A folder of recordings that a web server gives out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whether it is TLS, and what is asked of its certificate.
    pub tls: Tls,
    /// The folder; begins and ends with `/`.
    pub path: String,
    /// Basic authentication.
    pub user: String,
    /// Its password.
    pub secret: Secret,
}

impl Files {
    /// Asks for a file of the folder, or for the folder itself.
    #[must_use]
    pub fn request(&self, server: &ServerName, file: &str) -> HttpRequest {
        HttpRequest {
            method: "GET",
            host: self.host.clone(),
            port: self.port,
            path: format!("{}{file}", self.path),
            basic: Some((self.user.clone(), self.secret.clone())),
            bearer: None,
            header: None,
            body: None,
            within: Duration::from_secs(5),
            reply_max: 64 * 1024,
            tls: self.tls.trust(server),
            streamed: false,
        }
    }
}

impl Asterisk {
    /// Asks whether recordings can be fetched; there is nobody to ask without ARI or a web server.
    pub(super) fn list_recordings(&mut self, ticket: Ticket) -> bool {
        let plain = match &self.options.files {
            Some(files) => Some(files.request(&self.server, "")),
            None => self.ari_request("GET", "/ari/recordings/stored".to_owned(), None),
        };
        let Some(plain) = plain else { return false };
        self.request(Request::Recordings(ticket), HttpRequest { reply_max: LIST_MAX, ..plain });
        true
    }

    pub(super) fn recordings_listed(&mut self, ticket: Ticket, result: Result<HttpReply, LinkError>) {
        let seen = if self.options.files.is_some() { folder(result) } else { list(result) };
        let found = match seen {
            Ok(text) => finding("recording", Verdict::Ok, text.to_owned(), ""),
            Err((why, fix)) => {
                let text = format!("recordings cannot be fetched: {why}");
                finding("recording", Verdict::Fail, text, fix)
            }
        };
        self.note(ticket, Check::Recordings, |_| vec![found]);
    }
}

type Seen = Result<&'static str, (String, &'static str)>;

/// A server without the folder says 500, and makes it with the first recording (seen on 16 and 22); one with ARI
/// off does not know the path.
fn list(result: Result<HttpReply, LinkError>) -> Seen {
    match result {
        // longer than we read is an answer all the same
        Err(LinkError::Limit(_)) | Ok(HttpReply { status: 200, .. }) => Ok("recordings can be fetched"),
        Ok(HttpReply { status: 500, .. }) => {
            Ok("the folder of recordings is not there yet: the first one makes it")
        }
        Ok(HttpReply { status, .. }) => Err((
            format!("http status {status}"),
            "ifbus setup asterisk --only ari, then module reload res_ari.so",
        )),
        Err(error) => Err((error.to_string(), "http.conf: enabled = yes; the port is ari_port")),
    }
}

/// A web server that shows no list says 403 of a folder whose files it gives out.
fn folder(result: Result<HttpReply, LinkError>) -> Seen {
    const FIX: &str = "ifbus setup elastix --only recordings, then systemctl reload httpd";
    match result {
        Err(LinkError::Limit(_)) | Ok(HttpReply { status: 200 | 403, .. }) => Ok("recordings can be fetched"),
        Ok(HttpReply { status: 401, .. }) => {
            Err(("the web server does not take our user and password".to_owned(), FIX))
        }
        Ok(HttpReply { status: 404, .. }) => Err(("the folder is not there or not shown".to_owned(), FIX)),
        Ok(HttpReply { status, .. }) => Err((format!("http status {status}"), FIX)),
        Err(error) => Err((error.to_string(), FIX)),
    }
}
