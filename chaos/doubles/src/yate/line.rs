//! Lines of the protocol, read and written as the engine does (sheet yate, section 2).

/// Parameters in order; the engine keeps the last of two inbound.
pub(super) type Params = Vec<(String, String)>;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Connect(String),
    Quit,
    Message {
        id: String,
        name: String,
        params: Params,
    },
    Answer {
        id: String,
        processed: bool,
        value: String,
        params: Params,
    },
    Install {
        priority: String,
        name: String,
        filter: Option<(String, String)>,
    },
    Uninstall(String),
    Watch(String),
    Unwatch(String),
    Local(String, String),
    /// Something to log.
    Output,
    /// An answer that the engine cannot match: only logged.
    Unmatched,
}

/// A field as the engine writes it.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => out.push_str("%%"),
            ':' => out.push_str("%z"),
            c if u32::from(c) < 32 => {
                out.push('%');
                out.push(char::from(c as u8 + 64));
            }
            c => out.push(c),
        }
    }
    out
}

/// A field as the engine reads it; it does not take `%}` back.
pub(super) fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next()? {
            '%' => out.push('%'),
            c @ ('A'..='_' | 'z') => out.push(char::from(c as u8 - 64)),
            _ => return None,
        }
    }
    Some(out)
}

pub(super) fn get<'a>(params: &'a Params, key: &str) -> &'a str {
    params.iter().rev().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}

/// The parameters as they are written behind a name and a value.
pub(super) fn written(params: &Params) -> String {
    let key = |key: &str| escape(key).replace('=', "%}");
    params.iter().map(|(name, value)| format!(":{}={}", key(name), escape(value))).collect()
}

/// Reads a line; `None` is `Error in:`.
pub(super) fn read(line: &str) -> Option<Said> {
    let fields = |text: &str| text.split(':').map(str::to_owned).collect::<Vec<_>>();
    if let Some(rest) = line.strip_prefix("%%<message:") {
        let fields = fields(rest);
        // without the name field an answer is taken for nothing (seen)
        let [id, processed, _, value, params @ ..] = fields.as_slice() else { return Some(Said::Unmatched) };
        let params = read_params(params)?;
        return Some(Said::Answer {
            id: id.clone(),
            processed: processed == "true",
            value: unescape(value)?,
            params,
        });
    }
    let (verb, rest) = match line.strip_prefix("%%>")?.split_once(':') {
        Some((verb, rest)) => (verb, rest),
        None => (line.strip_prefix("%%>")?, ""),
    };
    let fields = fields(rest);
    Some(match (verb, fields.as_slice()) {
        ("connect", [role, ..]) => Said::Connect(role.clone()),
        ("quit", _) => Said::Quit,
        ("message", [id, time, name, _, params @ ..]) => {
            time.parse::<u64>().ok()?;
            Said::Message { id: id.clone(), name: unescape(name)?, params: read_params(params)? }
        }
        ("install", [priority, name, filter @ ..]) => {
            let filter = match filter {
                [key, value, ..] => Some((key.clone(), unescape(value)?)),
                _ => None,
            };
            Said::Install { priority: priority.clone(), name: name.clone(), filter }
        }
        ("uninstall", [name, ..]) => Said::Uninstall(name.clone()),
        ("watch", [name, ..]) => Said::Watch(name.clone()),
        ("unwatch", [name, ..]) => Said::Unwatch(name.clone()),
        ("setlocal", [name, ..]) => {
            let value = rest.split_once(':').map_or("", |(_, value)| value);
            Said::Local(name.clone(), value.to_owned())
        }
        ("output" | "debug", _) => Said::Output,
        _ => return None,
    })
}

fn read_params(fields: &[String]) -> Option<Params> {
    let mut params = Params::new();
    for field in fields.iter().filter(|field| !field.is_empty()) {
        match field.split_once('=') {
            Some(("", _)) => return None,
            Some((key, value)) => params.push((unescape(key)?, unescape(value)?)),
            // a name alone takes the parameter away
            None => params.retain(|(key, _)| key != field),
        }
    }
    Some(params)
}
