//! The recorded sessions, as blocks.

/// All of them, by file name.
pub(crate) const ALL: [(&str, &str); 16] = [
    ("01-connect-login", include_str!("../transcripts/01-connect-login.txt")),
    ("03-leg-a-outcomes", include_str!("../transcripts/03-leg-a-outcomes.txt")),
    ("04-leg-b-outcomes", include_str!("../transcripts/04-leg-b-outcomes.txt")),
    ("06-hangup-sides", include_str!("../transcripts/06-hangup-sides.txt")),
    ("07-two-legs-and-bridge", include_str!("../transcripts/07-two-legs-and-bridge.txt")),
    ("10-conference", include_str!("../transcripts/10-conference.txt")),
    ("12-recording-lifecycle", include_str!("../transcripts/12-recording-lifecycle.txt")),
    ("13-injection-and-rights", include_str!("../transcripts/13-injection-and-rights.txt")),
    ("15-drain-shutdown", include_str!("../transcripts/15-drain-shutdown.txt")),
    ("17-hostile-sip-values", include_str!("../transcripts/17-hostile-sip-values.txt")),
    (
        "19-ari-subscribe-all-and-shutdown",
        include_str!("../transcripts/19-ari-subscribe-all-and-shutdown.txt"),
    ),
    ("20-recommended-model", include_str!("../transcripts/20-recommended-model.txt")),
    ("21-dtmf-and-cancel", include_str!("../transcripts/21-dtmf-and-cancel.txt")),
    ("v16-01-connect-login", include_str!("../transcripts/v16-01-connect-login.txt")),
    ("v16-03-leg-a-outcomes", include_str!("../transcripts/v16-03-leg-a-outcomes.txt")),
    ("v16-20-recommended-model", include_str!("../transcripts/v16-20-recommended-model.txt")),
];

/// A piece of a recorded session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// What the following is about.
    Title(String),
    /// An action.
    Client(Vec<u8>),
    /// A message of the server.
    Server(Vec<u8>),
    /// An event of ARI.
    Stream(String),
}

/// The text of one file.
pub(crate) fn named(name: &str) -> &'static str {
    ALL.iter().find(|(known, _)| *known == name).expect("a transcript of that name").1
}

/// Splits a recording.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("################ ") {
            found.push(Block::Title(title.to_owned()));
        } else if line.ends_with("] C:") || line.ends_with("] S:") {
            let mut bytes = Vec::new();
            for line in lines.by_ref().take_while(|line| !line.is_empty()) {
                match line.strip_suffix("\\r\\n") {
                    Some(text) => bytes.extend([text.as_bytes(), b"\r\n"].concat()),
                    None => bytes.extend([line.as_bytes(), b"\n"].concat()),
                }
            }
            found.push(if line.ends_with("C:") { Block::Client(bytes) } else { Block::Server(bytes) });
        } else if let Some((_, json)) = line.split_once("] {") {
            found.push(Block::Stream(format!("{{{json}")));
        }
    }
    found
}

/// The value of a key in a message, the last one if it is there twice.
pub(crate) fn value(message: &[u8], key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(message).into_owned();
    let found =
        text.split("\r\n").filter_map(|line| line.split_once(": ")).filter(|(known, _)| *known == key);
    found.last().map(|(_, value)| value.to_owned())
}
