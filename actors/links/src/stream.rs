//! A TCP stream, with or without TLS. Reading never waits for writing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::StreamExt;
use ifbus_adapters::adapter::{LinkError, LinkId};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::codec::{BytesCodec, FramedRead};

use crate::outbox::Mail;
use crate::tls::{HANDSHAKE_WITHIN, Tls};
use crate::{CONNECT_WITHIN, READ_BYTES, Report, Sink, link_error};

/// Runs the stream to its end and says why it ended.
pub(crate) async fn run(
    id: LinkId,
    (host, port): (&str, u16),
    (tls, quickack): (Option<Tls>, bool),
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
        let reading = Acknowledged { reading, quickack };
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

/// The reading half of a stream; what was read is acknowledged at once, if that is wanted.
struct Acknowledged {
    reading: OwnedReadHalf,
    quickack: bool,
}

impl AsyncRead for Acknowledged {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Linux takes it back by itself, so it is said before every wait. Refused, it only costs time.
        if self.quickack {
            let _ = self.reading.as_ref().set_quickack(true);
        }
        Pin::new(&mut self.reading).poll_read(context, buffer)
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

pub(crate) async fn read(id: LinkId, stream: impl AsyncRead + Unpin, sink: &Sink) -> LinkError {
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
