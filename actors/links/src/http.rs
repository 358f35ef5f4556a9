//! Requests to a server's HTTP interface.

use std::fmt;
use std::time::Duration;

use awc::error::{ConnectError, PayloadError, SendRequestError, WsClientError};
use awc::http::Method;
use ifbus_adapters::adapter::{HttpReply, HttpRequest, LinkError};

use crate::{CONNECT_WITHIN, in_url, link_error};

/// A client for plain HTTP 1.1; follows no redirects, keeps no cookies.
#[derive(Clone)]
pub(crate) struct Client {
    client: awc::Client,
}

impl Default for Client {
    fn default() -> Self {
        let connector = awc::Connector::new().timeout(CONNECT_WITHIN).handshake_timeout(CONNECT_WITHIN);
        let client =
            awc::Client::builder().connector(connector).disable_redirects().no_default_headers().finish();
        Self { client }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Makes the request and reads the whole answer.
    pub(crate) async fn ask(&self, http: HttpRequest) -> Result<HttpReply, LinkError> {
        let url = format!("http://{}:{}{}", in_url(&http.host), http.port, http.path);
        let method =
            Method::from_bytes(http.method.as_bytes()).map_err(|e| LinkError::Other(e.to_string()))?;
        let mut request = self.client.request(method, url).timeout(http.within);
        if let Some((user, password)) = &http.basic {
            request = request.basic_auth(user, password.expose());
        }
        let sent = match http.body {
            Some((kind, body)) => request.content_type(kind).send_body(body),
            None => request.send(),
        };
        let mut response = sent.await.map_err(|error| of_send(&error))?;
        let body = response.body().limit(http.reply_max);
        match tokio::time::timeout(http.within, body).await {
            Ok(Ok(body)) => Ok(HttpReply { status: response.status().as_u16(), body: body.to_vec() }),
            Ok(Err(PayloadError::Overflow)) => Err(LinkError::Limit("bytes of an http answer")),
            Ok(Err(error)) => Err(LinkError::Other(error.to_string())),
            Err(_) => Err(LinkError::TimedOut),
        }
    }

    /// Opens a WebSocket request.
    pub(crate) fn websocket(&self, url: &str, message_max: usize) -> awc::ws::WebsocketsRequest {
        self.client.ws(url).max_frame_size(message_max)
    }
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
