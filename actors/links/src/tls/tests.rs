//! Who is believed, who is not and in which words; and that nothing of ours is said to the others.

use std::net::SocketAddr;
use std::sync::Arc;

use ifbus_adapters::adapter::{Endpoint, LinkError};
use ifbus_adapters::{Fingerprint, Trust};
use ifbus_doubles::tls::{Authority, Days, Front, Identity};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Fleeting, not_after};
use crate::tests::{GUARD, ID, REQUEST, Reports, listener, read_until, reply_of, request, run};
use crate::{Certificate, Link, Network, Report, Sockets, Trusted};

const EXPIRED: Days = Days { from: (2020, 1, 1), until: (2021, 6, 30) };

/// A server in clear text behind a TLS port.
struct Place {
    inside: TcpListener,
    front: Front,
}

impl Place {
    /// So many connections ended in their handshake, and nobody was spoken to.
    async fn nobody_was_spoken_to(&self, refused: usize) {
        let ended = async {
            while self.front.refused() < refused {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(GUARD, ended).await.expect("every refused handshake ends");
        let heard = tokio::time::timeout(std::time::Duration::ZERO, self.inside.accept()).await;
        assert!(heard.is_err(), "somebody who is not believed was spoken to");
    }
}

async fn place(identity: &Identity) -> Place {
    let (inside, port) = listener().await;
    let front = Front::before(SocketAddr::from(([127, 0, 0, 1], port)), identity).unwrap();
    Place { inside, front }
}

impl Place {
    fn endpoint(&self, host: &str, trust: &Trust) -> Endpoint {
        Endpoint::Tcp {
            host: host.into(),
            port: self.front.at().port(),
            tls: Some(trust.clone()),
            quickack: false,
        }
    }

    /// Opens a link that has something to say at once; the server hears it if the link comes up.
    async fn open(&self, sockets: &Sockets, host: &str, trust: &Trust) -> Result<Certificate, LinkError> {
        let reports = Reports::default();
        let link = sockets.open(ID, self.endpoint(host, trust), reports.sink());
        link.send(b"secret\n".to_vec());
        let end = reports.until(|reports| {
            reports.iter().find_map(|report| match report {
                Report::Opened(_) => Some(None),
                Report::Closed(_, why) => Some(Some(why.clone())),
                _ => None,
            })
        });
        if let Some(why) = end.await {
            drop(link);
            return Err(why);
        }
        let (mut peer, _) = self.inside.accept().await.unwrap();
        assert_eq!(read_until(&mut peer, b"\n").await, b"secret\n");
        peer.write_all(b"answer").await.unwrap();
        reports.got(b"answer").await;
        let shown = reports.reports.borrow().iter().find_map(|report| match report {
            Report::Certificate(_, certificate) => Some(certificate.clone()),
            _ => None,
        });
        Ok(shown.expect("a link with TLS tells of the certificate"))
    }
}

fn of(identity: &Identity) -> Fingerprint {
    super::fingerprint(&CertificateDer::from(identity.der().to_vec()))
}

fn file(authority: &Authority) -> (std::path::PathBuf, Trust) {
    static MADE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = MADE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("ifbus-ca-{}-{number}.pem", std::process::id()));
    std::fs::write(&path, authority.pem()).unwrap();
    let trust = Trust::Authority(path.display().to_string());
    (path, trust)
}

#[test]
fn a_certificate_of_the_authority_for_this_name_or_address_is_believed() {
    run(async {
        let authority = Authority::new();
        let (path, trust) = file(&authority);
        let place = place(&authority.sign(&["127.0.0.1", "localhost"], Days::default())).await;
        let sockets = Sockets::default();
        for host in ["127.0.0.1", "localhost"] {
            let shown = place.open(&sockets, host, &trust).await.unwrap();
            assert_eq!(shown.trusted, Trusted::Authority);
            assert_eq!(shown.not_after, Some(4_102_444_800), "2100-01-01");
            assert_eq!(shown.at, format!("{host}:{}", place.front.at().port()));
        }
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn an_authority_vouches_for_nobody_else_and_for_nothing_that_expired() {
    run(async {
        let authority = Authority::new();
        let (path, trust) = file(&authority);
        let sockets = Sockets::default();
        let here = ["127.0.0.1"];
        for (identity, words) in [
            (authority.sign(&here, EXPIRED), "certificate expired"),
            (authority.sign(&["pbx.example"], Days::default()), "certificate is not made out to 127.0.0.1"),
            (Authority::new().sign(&here, Days::default()), "certificate is not signed by an authority of"),
            (Identity::self_signed(&here, Days::default()), "if it is signed by itself: tls=pin"),
            (
                authority.own(),
                "certificate is an authority's own and not a server's; it signed itself: tls=pin",
            ),
        ] {
            let place = place(&identity).await;
            let refused = place.open(&sockets, "127.0.0.1", &trust).await.unwrap_err();
            place.nobody_was_spoken_to(1).await;
            assert!(matches!(&refused, LinkError::Tls(why) if why.contains(words)), "{words}: {refused}");
        }
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_file_without_an_authority_opens_nothing() {
    run(async {
        let place = place(&Identity::self_signed(&["127.0.0.1"], Days::default())).await;
        let empty = std::env::temp_dir().join(format!("ifbus-no-ca-{}.pem", std::process::id()));
        std::fs::write(&empty, "nothing of that form\n").unwrap();
        for file in [empty.display().to_string(), "/no/such/file.pem".to_owned()] {
            let refused =
                place.open(&Sockets::default(), "127.0.0.1", &Trust::Authority(file)).await.unwrap_err();
            assert!(refused.to_string().contains("cannot be used"), "{refused}");
        }
        std::fs::remove_file(empty).unwrap();
    });
}

#[test]
fn the_pinned_certificate_is_believed_whatever_its_name_and_expiry() {
    run(async {
        let identity = Identity::self_signed(&["somebody.else"], EXPIRED);
        let place = place(&identity).await;
        let pin = Trust::Pinned(of(&identity));
        let shown = place.open(&Sockets::default(), "127.0.0.1", &pin).await.unwrap();
        assert_eq!((shown.trusted, shown.sha256), (Trusted::Pinned, of(&identity)));
        assert_eq!(shown.not_after, Some(1_625_011_200), "2021-06-30, which is told and not refused");
    });
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_with_both() {
    run(async {
        let identity = Identity::self_signed(&["127.0.0.1"], Days::default());
        let place = place(&identity).await;
        let refused = place
            .open(&Sockets::default(), "127.0.0.1", &Trust::Pinned(Fingerprint([0xab; 32])))
            .await
            .unwrap_err();
        let got = of(&identity).short();
        assert_eq!(
            refused.to_string(),
            format!("certificate is not the pinned one: expected abababababababab.., got {got}")
        );
        place.nobody_was_spoken_to(1).await;
    });
}

#[test]
fn the_first_certificate_is_kept_and_a_later_other_one_refused() {
    run(async {
        let [first, second] = [(); 2].map(|()| Identity::self_signed(&["127.0.0.1"], Days::default()));
        let place = place(&first).await;
        let sockets = Sockets::new(Arc::new(Fleeting::default()));
        let trust = Trust::FirstUse("pbx1".parse().unwrap());
        for _ in 0..2 {
            let shown = place.open(&sockets, "127.0.0.1", &trust).await.unwrap();
            assert_eq!((shown.trusted, shown.sha256), (Trusted::AtFirstUse, of(&first)));
        }
        place.front.show(&second);
        let refused = place.open(&sockets, "127.0.0.1", &trust).await.unwrap_err();
        let (expected, got) = (of(&first).short(), of(&second).short());
        assert_eq!(refused.to_string(), format!("certificate changed: expected {expected}, got {got}"));
        place.nobody_was_spoken_to(1).await;
        place.front.show(&first);
        place.open(&sockets, "127.0.0.1", &trust).await.unwrap();
    });
}

#[test]
fn clear_text_at_a_port_where_tls_is_expected_is_told_as_that() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let trust = Trust::Pinned(Fingerprint([0; 32]));
        let endpoint = Endpoint::Tcp { host: "127.0.0.1".into(), port, tls: Some(trust), quickack: false };
        let link = Sockets::default().open(ID, endpoint, reports.sink());
        link.send(b"secret".to_vec());
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"Asterisk Call Manager/11.0.0\r\n").await.unwrap();
        let why = reports.closed().await;
        assert!(why.to_string().contains("does not speak TLS"), "{why}");
        let mut heard = Vec::new();
        // An end or a reset, but an end.
        let _ = tokio::time::timeout(GUARD, peer.read_to_end(&mut heard)).await.unwrap();
        assert!(!heard.windows(6).any(|bytes| bytes == b"secret"));
    });
}

#[test]
fn a_peer_that_is_silent_in_the_handshake_is_told_as_that() {
    run(async {
        let (listener, port) = listener().await;
        let reports = Reports::default();
        let trust = Trust::Pinned(Fingerprint([0; 32]));
        let endpoint = Endpoint::Tcp { host: "127.0.0.1".into(), port, tls: Some(trust), quickack: false };
        let _link = Sockets::default().open(ID, endpoint, reports.sink());
        let _peer = listener.accept().await.unwrap();
        let why = reports.closed().await;
        assert!(why.to_string().starts_with("the peer does not answer in TLS"), "{why}");
    });
}

#[test]
fn clear_text_to_a_port_with_tls_ends_the_link() {
    run(async {
        let place = place(&Identity::self_signed(&["127.0.0.1"], Days::default())).await;
        let reports = Reports::default();
        let endpoint = Endpoint::Tcp {
            host: "127.0.0.1".into(),
            port: place.front.at().port(),
            tls: None,
            quickack: false,
        };
        let link = Sockets::default().open(ID, endpoint, reports.sink());
        link.send(b"Action: Ping\r\n\r\n".to_vec());
        let why = reports.closed().await;
        assert!(matches!(why, LinkError::Closed | LinkError::Reset), "{why:?}");
    });
}

#[test]
fn a_request_goes_out_under_tls_only_to_who_is_believed() {
    run(async {
        let identity = Identity::self_signed(&["127.0.0.1"], Days::default());
        let place = place(&identity).await;
        let sockets = Sockets::default();
        let asked = |trust| {
            let mut asked = request(place.front.at().port(), 100);
            asked.tls = Some(trust);
            asked
        };
        let reports = Reports::default();
        let wrong = asked(Trust::Pinned(Fingerprint([1; 32])));
        let _pending = sockets.request(REQUEST, wrong, reports.sink());
        let refused = reply_of(&reports).await.unwrap_err();
        assert!(refused.to_string().starts_with("certificate is not the pinned one"), "{refused}");
        place.nobody_was_spoken_to(1).await;

        let reports = Reports::default();
        let _pending = sockets.request(REQUEST, asked(Trust::Pinned(of(&identity))), reports.sink());
        let (mut peer, _) = place.inside.accept().await.unwrap();
        let head = String::from_utf8(read_until(&mut peer, b"\r\n\r\n").await).unwrap().to_ascii_lowercase();
        assert!(head.contains("authorization: basic dtpw"), "{head}");
        peer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!(reply_of(&reports).await.unwrap().status, 204);
    });
}

#[test]
fn a_websocket_asks_for_the_certificate_before_it_says_who_we_are() {
    run(async {
        let identity = Identity::self_signed(&["127.0.0.1"], Days::default());
        let place = place(&identity).await;
        let open = |trust| {
            let endpoint = Endpoint::WebSocket {
                host: "127.0.0.1".into(),
                port: place.front.at().port(),
                path: "/ari/events?app=x".into(),
                basic: Some(("u".into(), ifbus_adapters::adapter::Secret::new("p"))),
                message_max: 1000,
                tls: Some(trust),
            };
            let reports = Reports::default();
            let link: Box<dyn Link> = Sockets::default().open(ID, endpoint, reports.sink());
            (link, reports)
        };
        let (_link, reports) = open(Trust::Pinned(Fingerprint([1; 32])));
        let refused = reports.closed().await;
        assert!(refused.to_string().starts_with("certificate is not the pinned one"), "{refused}");
        place.nobody_was_spoken_to(1).await;

        let (_link, reports) = open(Trust::Pinned(of(&identity)));
        let (mut peer, _) = place.inside.accept().await.unwrap();
        let head = String::from_utf8(read_until(&mut peer, b"\r\n\r\n").await).unwrap().to_ascii_lowercase();
        assert!(head.contains("authorization: basic dtpw") && head.contains("upgrade: websocket"), "{head}");
        peer.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        assert_eq!(reports.closed().await, LinkError::Status(401));
    });
}

#[test]
fn bytes_of_any_kind_instead_of_a_certificate_are_survived() {
    let identity = Identity::self_signed(&["127.0.0.1"], Days::default());
    crate::tests::fuzzed(20_000, |chance| {
        let mut bytes: Vec<u8> = identity.der().to_vec();
        for _ in 0..chance() % 8 {
            let place = chance() as usize % bytes.len();
            bytes[place] = chance() as u8;
        }
        // Any answer is one, as long as there is one.
        let _ = not_after(&bytes);
        let _ = not_after(&bytes[chance() as usize % bytes.len()..]);
    });
}

#[test]
fn what_is_no_certificate_has_no_end_and_does_no_harm() {
    let identity = Identity::self_signed(&["127.0.0.1"], Days { from: (2020, 1, 1), until: (2049, 12, 31) });
    let der = identity.der();
    assert_eq!(not_after(der), Some(2_524_521_600), "2049-12-31, written with two digits of its year");
    for length in 0..der.len() {
        assert_eq!(not_after(&der[..length]), None, "a certificate cut at {length}");
    }
    for place in 0..der.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = der.to_vec();
            broken[place] ^= flip;
            // Any answer is one, as long as there is one.
            let _ = not_after(&broken);
        }
    }
    assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
}
