//! The simulated web server before a real Asterisk: pbxapi in the same words, with the real server's own answers.
//!
//! A thread for the port and one for each connection; each errand is a connection into the real AMI.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::errand::Errand;
use super::page::Page;
use super::web::{Step, Web, WebOptions};
use crate::asterisk::http;

/// A guard against hanging.
const PATIENCE: Duration = Duration::from_secs(90);

/// A running web server. Dropping it stops it.
#[derive(Debug)]
pub struct Before {
    at: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    web: Mutex<Web>,
    zero: Instant,
    ami: SocketAddr,
    /// The folder `monitor` of the Asterisk.
    folder: PathBuf,
}

impl Before {
    /// Listens at an address, before the Asterisk whose AMI is at `ami` and whose recordings are in `folder`.
    ///
    /// # Errors
    /// No port, or no thread.
    pub fn start(at: SocketAddr, ami: SocketAddr, folder: &Path, options: WebOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(at)?;
        let at = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Shared {
            web: Mutex::new(Web::new(options)),
            zero: Instant::now(),
            ami,
            folder: folder.to_owned(),
        });
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("pbxapi".into()).spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                if let Ok(stream) = stream {
                    // What breaks a connection is seen by its client; there is nobody else to tell.
                    std::thread::spawn(move || shared.serve(stream));
                }
            }
        })?;
        Ok(Before { at, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // It waits for a connection: this is one.
        let woken = TcpStream::connect_timeout(&self.at, Duration::from_secs(1));
        if let (Ok(_), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let (mut heard, mut buffer) = (Vec::new(), [0; 16_384]);
        loop {
            match http::next(&mut heard) {
                Ok(Some(request)) => {
                    let step = self
                        .web
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .take(&request, self.zero.elapsed());
                    stream.write_all(&self.carry_out(step).encode())?;
                }
                Ok(None) => match stream.read(&mut buffer)? {
                    0 => return Ok(()),
                    length => heard.extend_from_slice(&buffer[..length]),
                },
                Err(()) => return Ok(()),
            }
        }
    }

    fn carry_out(&self, step: Step) -> Page {
        match step {
            Step::Page(page, delay) => {
                std::thread::sleep(delay);
                page
            }
            Step::Errand(errand) => self.run(*errand).unwrap_or_else(|_| Errand::broken()),
            Step::File(path) => {
                let missing = |_| Page::text(404, "Not Found", "<html></html>");
                std::fs::read(self.folder.join(path)).map_or_else(missing, Page::file)
            }
            Step::Silence => {
                std::thread::sleep(PATIENCE);
                Page::text(504, "Gateway Timeout", "")
            }
        }
    }

    fn run(&self, mut errand: Errand) -> io::Result<Page> {
        let mut stream = TcpStream::connect(self.ami)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut buffer = [0; 16_384];
        loop {
            let length = stream.read(&mut buffer)?;
            if length == 0 {
                return Ok(Errand::broken());
            }
            let taken = errand.take(&buffer[..length]);
            if let Some(page) = taken.page {
                return Ok(page);
            }
            stream.write_all(&taken.send)?;
        }
    }
}
