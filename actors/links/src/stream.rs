//! A TCP stream. Reading never waits for writing.

use futures_util::StreamExt;
use ifbus_adapters::adapter::{LinkError, LinkId};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;
use tokio_util::codec::{BytesCodec, FramedRead};

use crate::outbox::Mail;
use crate::{CONNECT_WITHIN, READ_BYTES, Report, Sink, link_error};

/// Runs the stream to its end and says why it ended.
pub(crate) async fn run(id: LinkId, host: &str, port: u16, mail: Mail, sink: &Sink) -> LinkError {
    let stream = match timeout(CONNECT_WITHIN, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return link_error(&error),
        Err(_) => return LinkError::TimedOut,
    };
    // Orders are small and wait for their answers: they leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        return link_error(&error);
    }
    sink(Report::Opened(id));
    let (reading, writing) = stream.into_split();
    tokio::select! {
        biased;
        why = read(id, reading, sink) => why,
        why = write(writing, mail) => why,
    }
}

async fn read(id: LinkId, stream: OwnedReadHalf, sink: &Sink) -> LinkError {
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

async fn write(mut stream: OwnedWriteHalf, mut mail: Mail) -> LinkError {
    loop {
        let mut bytes = mail.next().await;
        while let Some(more) = mail.try_next() {
            bytes.extend_from_slice(&more);
        }
        if let Err(error) = stream.write_all(&bytes).await {
            return link_error(&error);
        }
        if mail.is_over_limit() {
            return LinkError::Limit("bytes waiting to be sent");
        }
    }
}
