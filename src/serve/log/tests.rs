use std::sync::{Arc, Mutex};

use super::*;

/// Bytes that outlive the writer.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn logged(choice: &str, work: impl FnOnce()) -> String {
    let kept = Kept::default();
    let to = kept.clone();
    tracing::subscriber::with_default(subscriber(choice, move || OneLine(to.clone())).unwrap(), work);
    let bytes = kept.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn point_7_hostile_text_stays_within_its_line() {
    let text = logged("info", || {
        tracing::warn!(said = %"a\nERROR forged \x1b[31m\r", "server\nsaid \x1b]0;x\x07");
    });
    assert_eq!(text.lines().count(), 1, "{text:?}");
    assert!(text.trim_end_matches('\n').chars().all(|c| !c.is_control()), "{text:?}");
    assert!(text.contains("WARN") && text.contains("ERROR forged"), "{text:?}");
}

#[test]
fn libraries_never_log_what_they_send() {
    let text = logged("trace", || {
        tracing::trace!(target: "actix_http::h1", "Authorization: Bearer x");
        tracing::info!(target: "rusqlite", "bound");
        tracing::warn!(target: "actix_server", "worker gone");
        tracing::trace!(target: "ifbus_fleet::server", "ours");
    });
    let (theirs, ours) = (text.contains("Bearer") || text.contains("bound"), text.contains("ours"));
    assert!(!theirs && ours && text.contains("worker gone"), "{text}");
}

#[test]
fn nothing_said_is_info() {
    let text = logged("", || {
        tracing::info!("seen");
        tracing::debug!("unseen");
    });
    assert!(text.contains(" seen") && !text.contains("unseen"), "{text}");
}

#[test]
fn a_choice_that_is_none_is_refused_with_an_example() {
    let refused = subscriber("info,=,x=verbose", || OneLine(Kept::default())).map(drop).unwrap_err();
    assert!(refused.to_string().starts_with("IFBUS_LOG: "), "{refused}");
    assert!(refused.to_string().contains("as in: debug"), "{refused}");
}
