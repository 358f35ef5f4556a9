//! The certificates a server showed: which, why they are trusted, and how long they are good for.
//!
//! Not here: whether one is believed; a link does not open otherwise (`links/src/tls`).

use ifbus_call::Nanos;
use ifbus_links::{Certificate, Trusted};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Server;

use crate::view::{CertificateView, WarningView};

/// An operator wants to know of an expiry so long before.
const TELL_BEFORE_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// A certificate, and what is to be said of it.
pub(super) struct Shown {
    certificate: Certificate,
    warning: Option<WarningView>,
}

impl Server {
    /// A link showed one.
    pub(super) fn shown_certificate(&mut self, certificate: Certificate, now: Nanos) {
        let at = certificate.at.clone();
        if self.certificates.get(&at).is_none_or(|known| known.certificate != certificate) {
            self.certificates.insert(at, Shown { certificate, warning: None });
            self.look_at_certificates(now);
        }
    }

    /// Says what is new to be said of the certificates: days pass while a link is open.
    pub(super) fn look_at_certificates(&mut self, now: Nanos) {
        let time = self.shared.clock.at(now.since_start());
        let mut news = Vec::new();
        for shown in self.certificates.values_mut() {
            let warning = warning(&shown.certificate, time);
            let code = |warning: &Option<WarningView>| warning.as_ref().map(|warning| warning.code.clone());
            if code(&warning) != code(&shown.warning) {
                news.extend(warning.clone());
            }
            shown.warning = warning;
        }
        for warning in news {
            tracing::warn!(server = %self.spec.name, code = warning.code, "{}", warning.text);
            self.say("server.warning", warning.text, now);
        }
    }

    pub(super) fn certificate_views(&self) -> Vec<CertificateView> {
        self.certificates.values().map(|shown| view(&shown.certificate)).collect()
    }

    pub(super) fn certificate_warnings(&self) -> impl Iterator<Item = WarningView> {
        self.certificates.values().filter_map(|shown| shown.warning.clone())
    }
}

fn view(certificate: &Certificate) -> CertificateView {
    let trusted = match certificate.trusted {
        Trusted::Authority => "authority",
        Trusted::Pinned => "pinned",
        Trusted::AtFirstUse => "first-use",
    };
    CertificateView {
        at: certificate.at.clone(),
        sha256: certificate.sha256.to_string(),
        trusted: trusted.to_owned(),
        expires_at: expiry(certificate),
    }
}

fn expiry(certificate: &Certificate) -> Option<Timestamp> {
    certificate.not_after.and_then(|second| Timestamp::from_second(second).ok())
}

fn warning(certificate: &Certificate, now: Timestamp) -> Option<WarningView> {
    let expires = expiry(certificate)?;
    let days = (expires.as_second() - now.as_second()).div_euclid(DAY_S);
    let (at, date) = (&certificate.at, expires.to_zoned(TimeZone::UTC).date());
    match days {
        ..0 => Some(WarningView {
            code: "certificate_expired".to_owned(),
            text: format!("the certificate of {at} expired on {date}; it is taken because it is pinned"),
        }),
        0..TELL_BEFORE_DAYS => Some(WarningView {
            code: "certificate_expires".to_owned(),
            text: format!("the certificate of {at} expires on {date}, in {days} days"),
        }),
        _ => None,
    }
}
