//! What is known of the certificates of servers, as the links ask for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ifbus_adapters::Fingerprint;
use ifbus_call::ServerName;
use ifbus_config::Known;
use ifbus_config::private::BadPrivate;
use ifbus_links::tls::{Pins, changed};

/// The kept fingerprints. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct KeptPins {
    known: Arc<Mutex<Known>>,
}

impl KeptPins {
    pub(super) fn new(known: Known) -> Self {
        Self { known: Arc::new(Mutex::new(known)) }
    }

    /// The server left the fleet: one of that name is somebody else the next time.
    pub(super) fn forget(&self, server: &ServerName) -> Result<(), BadPrivate> {
        self.lock().forget(server)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pins for KeptPins {
    fn settle(&self, server: &ServerName, at: &str, seen: Fingerprint) -> Result<(), String> {
        let mut known = self.lock();
        let Some(kept) = known.of(server, at) else {
            // A trust that is not kept would be given anew to anybody after the next start.
            let kept = known.keep(server, at, &seen.to_string());
            return kept.map_err(|error| format!("the first certificate cannot be kept: {error}"));
        };
        match kept.parse::<Fingerprint>() {
            Ok(expected) if expected == seen => Ok(()),
            Ok(expected) => Err(changed(expected, seen)),
            Err(bad) => {
                Err(format!("what is known of the certificate of {server} at {at} is damaged: {bad}"))
            }
        }
    }
}
