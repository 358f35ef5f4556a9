//! Requests to a server's HTTP interface.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use awc::error::{ConnectError, PayloadError, SendRequestError, WsClientError};
use awc::http::Method;
use futures_util::StreamExt;
use ifbus_adapters::Trust;
use ifbus_adapters::adapter::{HttpReply, HttpRequest, LinkError};

use crate::tls::{Pins, Tls};
use crate::{CONNECT_WITHIN, in_url, link_error};

/// How many places with TLS keep their connections; more begin anew, which costs a handshake each.
const POOLS_MAX: usize = 256;

/// A client for HTTP 1.1; follows no redirects, keeps no cookies.
#[derive(Clone)]
pub(crate) struct Client {
    client: awc::Client,
    is_tls: bool,
}

/// A place with TLS: what is asked of its certificate belongs to its connections, so nobody else shares them.
type Place = (Trust, String, u16);

/// One client for clear text, and one for each place with TLS.
#[derive(Clone, Default)]
pub(crate) struct Clients {
    plain: Client,
    secured: Rc<RefCell<BTreeMap<Place, Client>>>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(None)
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl Clients {
    /// The client for a place.
    pub(crate) fn of(
        &self,
        trust: Option<&Trust>,
        host: &str,
        port: u16,
        pins: Arc<dyn Pins>,
    ) -> Result<Client, LinkError> {
        let Some(trust) = trust else { return Ok(self.plain.clone()) };
        let mut secured = self.secured.borrow_mut();
        let place = (trust.clone(), host.to_owned(), port);
        if let Some(client) = secured.get(&place) {
            return Ok(client.clone());
        }
        if secured.len() >= POOLS_MAX {
            secured.clear();
        }
        let client = Client::new(Some(&Tls::new(trust, host, port, pins)?));
        secured.insert(place, client.clone());
        Ok(client)
    }

    /// A WebSocket request: under TLS on a connection of its own.
    pub(crate) fn websocket(
        &self,
        tls: Option<&Tls>,
        host: &str,
        port: u16,
        path: &str,
        message_max: usize,
    ) -> awc::ws::WebsocketsRequest {
        let client = tls.map_or_else(|| self.plain.clone(), |tls| Client::new(Some(tls)));
        let (url, address) = client.url(host, port, path);
        let request = client.client.ws(url).max_frame_size(message_max);
        match address {
            Some(address) => request.address(address),
            None => request,
        }
    }
}

impl Client {
    fn new(tls: Option<&Tls>) -> Self {
        let connector = awc::Connector::new().timeout(CONNECT_WITHIN).handshake_timeout(CONNECT_WITHIN);
        let connector = match tls {
            Some(tls) => connector.rustls_0_23(Arc::clone(&tls.config)),
            None => connector,
        };
        let client =
            awc::Client::builder().connector(connector).disable_redirects().no_default_headers().finish();
        Self { client, is_tls: tls.is_some() }
    }

    /// The URL, and the address if the URL cannot say it: the TLS connector takes no brackets for a name. Which name a
    /// certificate must have is known to our verifier, not taken from here.
    fn url(&self, host: &str, port: u16, path: &str) -> (String, Option<SocketAddr>) {
        if !self.is_tls {
            return (format!("http://{}:{port}{path}", in_url(host)), None);
        }
        match host.parse::<Ipv6Addr>() {
            Ok(ip) => (format!("https://server.invalid:{port}{path}"), Some((ip, port).into())),
            Err(_) => (format!("https://{host}:{port}{path}"), None),
        }
    }

    /// Makes the request and reads the answer: whole, or part by part into `part` where it is to be streamed.
    pub(crate) async fn ask(
        &self,
        http: HttpRequest,
        part: impl FnMut(Vec<u8>),
    ) -> Result<HttpReply, LinkError> {
        let (streamed, within) = (http.streamed, http.within);
        let whole = async {
            let (most, response) = (http.reply_max, self.send(http).await?);
            let status = response.status();
            if streamed && status.is_success() {
                stream(response, most, part).await?;
                return Ok(HttpReply { status: status.as_u16(), body: Vec::new() });
            }
            let body = read(response, most).await?;
            Ok(HttpReply { status: status.as_u16(), body })
        };
        tokio::time::timeout(within, whole).await.unwrap_or(Err(LinkError::TimedOut))
    }

    async fn send(&self, http: HttpRequest) -> Result<Answer, LinkError> {
        let (url, address) = self.url(&http.host, http.port, &http.path);
        let method =
            Method::from_bytes(http.method.as_bytes()).map_err(|e| LinkError::Other(e.to_string()))?;
        let mut request = self.client.request(method, url).timeout(http.within);
        if let Some(address) = address {
            request = request.address(address);
        }
        if let Some((user, password)) = &http.basic {
            request = request.basic_auth(user, password.expose());
        }
        if let Some(token) = &http.bearer {
            request = request.bearer_auth(token.expose());
        }
        if let Some((name, value)) = &http.header {
            request = request.insert_header((name.as_str(), value.expose()));
        }
        if !http.streamed {
            // a web service that is not asked for it says what is wrong in HTML, or leads to a login page
            request = request.insert_header(("accept", "application/json"));
        }
        let sent = match http.body {
            Some((kind, body)) => request.content_type(kind).send_body(body),
            None => request.send(),
        };
        sent.await.map_err(|error| of_send(&error))
    }
}

type Answer = awc::ClientResponse<actix_http::BoxedPayloadStream>;

async fn read(response: Answer, most: usize) -> Result<Vec<u8>, LinkError> {
    let mut whole = Vec::new();
    stream(response, most, |part| whole.extend(part)).await?;
    Ok(whole)
}

/// Hands out the body as it comes.
async fn stream(mut response: Answer, most: usize, mut part: impl FnMut(Vec<u8>)) -> Result<(), LinkError> {
    let mut length = 0;
    while let Some(bytes) = response.next().await {
        let bytes = bytes.map_err(|error| match error {
            PayloadError::Overflow => LinkError::Limit("bytes of an http answer"),
            other => LinkError::Other(other.to_string()),
        })?;
        length += bytes.len();
        if length > most {
            return Err(LinkError::Limit("bytes of an http answer"));
        }
        part(bytes.to_vec());
    }
    Ok(())
}

fn of_send(error: &SendRequestError) -> LinkError {
    match error {
        SendRequestError::Connect(connect) => of_connect(connect),
        SendRequestError::Timeout => LinkError::TimedOut,
        SendRequestError::Send(io) => link_error(io),
        other => LinkError::Other(other.to_string()),
    }
}

fn of_connect(error: &ConnectError) -> LinkError {
    match error {
        ConnectError::Io(io) => link_error(io),
        ConnectError::Timeout => LinkError::TimedOut,
        ConnectError::Disconnected => LinkError::Closed,
        other => LinkError::NoRoute(other.to_string()),
    }
}

/// Why a WebSocket could not be opened.
pub(crate) fn of_websocket(error: &WsClientError) -> LinkError {
    match error {
        WsClientError::InvalidResponseStatus(status) => LinkError::Status(status.as_u16()),
        WsClientError::SendRequest(send) => of_send(send),
        other => LinkError::Other(other.to_string()),
    }
}

/// How long a handshake may take, the connection included.
pub(crate) const HANDSHAKE_WITHIN: Duration = CONNECT_WITHIN.saturating_mul(2);
