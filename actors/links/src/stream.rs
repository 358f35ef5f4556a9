//! A TCP stream, with or without TLS. Reading never waits for writing.

use futures_util::StreamExt;
use ifbus_adapters::adapter::{LinkError, LinkId};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::{BytesCodec, FramedRead};

use crate::outbox::Mail;
use crate::tls::{HANDSHAKE_WITHIN, Tls};
use crate::{CONNECT_WITHIN, READ_BYTES, Report, Sink, link_error};

/// Runs the stream to its end and says why it ended.
pub(crate) async fn run(
    id: LinkId,
    host: &str,
    port: u16,
    tls: Option<Tls>,
    mail: Mail,
    sink: &Sink,
) -> LinkError {
    let stream = match timeout(CONNECT_WITHIN, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return link_error(&error),
        Err(_) => return LinkError::TimedOut,
    };
    // Orders are small and wait for their answers: they leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        return link_error(&error);
    }
    let Some(tls) = tls else {
        let (reading, writing) = stream.into_split();
        return carry(id, reading, writing, mail, sink).await;
    };
    let handshake = TlsConnector::from(tls.config.clone()).connect(tls.name.clone(), stream);
    match timeout(HANDSHAKE_WITHIN, handshake).await {
        Ok(Ok(stream)) => {
            if let Some(certificate) = tls.certificate() {
                sink(Report::Certificate(id, certificate));
            }
            let (reading, writing) = tokio::io::split(stream);
            carry(id, reading, writing, mail, sink).await
        }
        Ok(Err(error)) => link_error(&error),
        Err(_) => LinkError::Tls(
            "the peer does not answer in TLS: a port for clear text waits like this".to_owned(),
        ),
    }
}

async fn carry(
    id: LinkId,
    reading: impl AsyncRead + Unpin,
    writing: impl AsyncWrite + Unpin,
    mail: Mail,
    sink: &Sink,
) -> LinkError {
    sink(Report::Opened(id));
    tokio::select! {
        biased;
        why = read(id, reading, sink) => why,
        why = write(writing, mail) => why,
    }
}

async fn read(id: LinkId, stream: impl AsyncRead + Unpin, sink: &Sink) -> LinkError {
    // The adapter knows where a message ends; here is only cut where the system cuts.
    let mut chunks = FramedRead::with_capacity(stream, BytesCodec::new(), READ_BYTES);
    loop {
        match chunks.next().await {
            Some(Ok(chunk)) => sink(Report::Bytes(id, chunk.into())),
            Some(Err(error)) => return link_error(&error),
            None => return LinkError::Closed,
        }
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut mail: Mail) -> LinkError {
    loop {
        let mut bytes = mail.next().await;
        while let Some(more) = mail.try_next() {
            bytes.extend_from_slice(&more);
        }
        if let Err(error) = stream.write_all(&bytes).await {
            return link_error(&error);
        }
        // Under TLS what was written may still wait for a whole record.
        if let Err(error) = stream.flush().await {
            return link_error(&error);
        }
        if mail.is_over_limit() {
            return LinkError::Limit("bytes waiting to be sent");
        }
    }
}
