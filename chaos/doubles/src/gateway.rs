//! An Asterisk double whose trunk leads into the real world: calls through it are real SIP and RTP, so that it can lend
//! its media to calls of another server.
//!
//! Order a call to `PJSIP/trunk/sip:<user>@<address>[:<port>]`, and the far end gets an INVITE from the studio's own
//! address. What the channel hears is played to it as sines, what it says is recognised as tones, digits go both ways as
//! telephone events (RFC 4733). Not here: calls from outside (they are told 404), any codec but PCMU. The machine's part
//! is `asterisk/outside.rs`, that of SIP `phone/sip/line.rs`; this file only joins them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::asterisk::{AsteriskServer, Bind, Options};
use crate::phone::shell::SipServer;

/// A running Asterisk double with a way out. Dropping it ends it, without a BYE.
#[derive(Debug)]
pub struct Studio {
    asterisk: Arc<AsteriskServer>,
    phones: Arc<SipServer>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Studio {
    /// Starts one on the ports of an installed server; media is on the same address, ports 10000 to 20000.
    ///
    /// # Errors
    ///
    /// When a port cannot be bound or a thread cannot be made.
    pub fn start(ip: IpAddr, options: Options) -> io::Result<Self> {
        Studio::bind(Bind::standard(ip), options)
    }

    /// The same on any ports.
    ///
    /// # Errors
    ///
    /// As for [`Studio::start`].
    pub fn bind(bind: Bind, mut options: Options) -> io::Result<Self> {
        options.outside = true;
        let phones = Arc::new(SipServer::for_lines(SocketAddr::new(bind.ip, bind.sip))?);
        // what is asked of its SIP side is answered where its calls come from
        let asterisk = Arc::new(AsteriskServer::start(Bind { sip: 0, ..bind }, options)?);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let (stop, stopped) = oneshot::channel();
        let joined = (Arc::clone(&asterisk), Arc::clone(&phones));
        let thread = std::thread::Builder::new().name("asterisk-gateway".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    biased;
                    _ = stopped => {}
                    () = join(&joined.0, &joined.1) => {}
                }
            });
        })?;
        Ok(Studio { asterisk, phones, stop: Some(stop), thread: Some(thread) })
    }

    /// The server: where AMI and HTTP are, its faults, its figures. Its phones are those inside, without a socket.
    pub fn asterisk(&self) -> &AsteriskServer {
        &self.asterisk
    }

    /// Where its calls come from; OPTIONS are answered there.
    pub fn sip(&self) -> SocketAddr {
        self.phones.addresses()[0]
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries orders out and news in, as long as both live.
async fn join(asterisk: &AsteriskServer, phones: &SipServer) {
    let mut moved = asterisk.moved();
    loop {
        phones.deafen(asterisk.read(|machine| machine.is_deaf()));
        while let Some(order) = asterisk.take(|machine| machine.line_order()) {
            phones.carry_out(order);
        }
        while let Some((line, news)) = phones.line_news() {
            asterisk.with(|machine, now| machine.far_end(line, news, now));
        }
        tokio::select! {
            biased;
            changed = moved.changed() => if changed.is_err() {
                return;
            },
            () = phones.has_line_news() => {}
        }
    }
}
