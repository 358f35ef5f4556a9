//! pbxapi as a client without input or output: one token, questions that wait for it, each tried once more with a new one.
//!
//! The server tells of an expired token with status 200 and takes garbage for a renewal (sheet elastix, section 1): so
//! the token is never renewed but asked for anew, at 80 % of its time or when it is not taken any more. What is asked and
//! why: `machine.rs`, `narrow/`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ifbus_call::Nanos;

use super::options::Api;
use crate::adapter::{HttpReply, HttpRequest, LinkError, Secret};
use crate::trust::Trust;
use crate::wire_format::pbxapi::{self, Answer, BadAnswer};

/// A question of a few milliseconds; a database that reloads beside it makes them seconds (sheet, section 2).
pub(super) const WITHIN: Duration = Duration::from_secs(5);

/// The longest answer taken: an extension has 150 bytes, a channel 700.
const REPLY_MAX: usize = 8 * 1024 * 1024;

/// The shortest life of a token that is believed: a server whose clock is wrong must not make us log in without end.
const TOKEN_MIN: Duration = Duration::from_secs(30);

/// Why pbxapi gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It was not reached.
    #[error("{0}")]
    Link(LinkError),
    /// The login was refused.
    #[error("the password of `admin` (amiadminpwd) is not taken")]
    Password,
    /// A token that was given a moment ago is not taken.
    #[error("a new token is not taken: set pbxapijwtsecret on the server")]
    Token,
    /// There is none.
    #[error("there is no pbxapi here (Elastix 2 to 4 have none)")]
    Absent,
    /// A page for people.
    #[error(
        "an error page (http status {0}): look at the database of the server; after it was down, restart httpd and \
         php-fpm"
    )]
    Page(u16),
    /// Another program.
    #[error("this is 3CX under the name Elastix 5: it has neither AMI nor pbxapi and cannot be driven")]
    ThreeCx,
    /// Another status.
    #[error("http status {0}")]
    Status(u16),
    /// An answer that does not fit.
    #[error("{0}")]
    Answer(BadAnswer),
}

/// A question, and whose it is.
#[derive(Debug)]
pub(super) struct Question<P> {
    pub(super) purpose: P,
    path: String,
    within: Duration,
    /// The token it was asked with; 0 before the first.
    with: u64,
    again: bool,
}

/// What is under way.
#[derive(Debug)]
enum Open<P> {
    Login,
    Question(Question<P>),
}

/// The client; `P` says what a question is for.
#[derive(Debug)]
pub(super) struct Client<P> {
    api: Api,
    trust: Option<Trust>,
    token: Option<Token>,
    tokens: u64,
    logging_in: bool,
    waiting: VecDeque<Question<P>>,
    open: BTreeMap<u64, Open<P>>,
    number: u64,
    pub(super) out: VecDeque<(u64, HttpRequest)>,
}

#[derive(Debug)]
struct Token {
    text: Secret,
    number: u64,
    good_until: Nanos,
}

/// What came of a question.
pub(super) type Told<P> = (P, Result<Vec<u8>, Trouble>);

impl<P> Client<P> {
    pub(super) fn new(api: Api, trust: Option<Trust>) -> Self {
        Self {
            api,
            trust,
            token: None,
            tokens: 0,
            logging_in: false,
            waiting: VecDeque::new(),
            open: BTreeMap::new(),
            number: 0,
            out: VecDeque::new(),
        }
    }

    /// Asks, after a login if there is no good token.
    pub(super) fn ask(&mut self, purpose: P, path: String, within: Duration, now: Nanos) {
        self.begin(Question { purpose, path, within, with: 0, again: false }, now);
    }

    fn begin(&mut self, mut question: Question<P>, now: Nanos) {
        match self.token.as_ref().filter(|token| token.good_until > now) {
            Some(token) => {
                question.with = token.number;
                let mut request = self.request("GET", question.path.clone(), question.within);
                request.bearer = Some(token.text.clone());
                self.send(Open::Question(question), request);
            }
            None => {
                self.waiting.push_back(question);
                self.log_in();
            }
        }
    }

    fn log_in(&mut self) {
        if std::mem::replace(&mut self.logging_in, true) {
            return;
        }
        let mut request = self.request("POST", "/pbxapi/authenticate".to_owned(), WITHIN);
        // exactly this type: with a character set behind it the server reads a form (sheet, section 2)
        let body = pbxapi::login(&self.api.user, self.api.secret.expose());
        request.body = Some(("application/json", body));
        self.send(Open::Login, request);
    }

    fn request(&self, method: &'static str, path: String, within: Duration) -> HttpRequest {
        HttpRequest {
            method,
            host: self.api.host.clone(),
            port: self.api.port,
            path,
            basic: None,
            bearer: None,
            header: None,
            body: None,
            within,
            reply_max: REPLY_MAX,
            tls: self.trust.clone(),
            streamed: false,
        }
    }

    fn send(&mut self, open: Open<P>, request: HttpRequest) {
        self.number += 1;
        self.open.insert(self.number, open);
        self.out.push_back((self.number, request));
    }

    /// Takes an answer; whoever is told by it, and what.
    pub(super) fn answered(
        &mut self,
        number: u64,
        result: Result<HttpReply, LinkError>,
        now: Nanos,
    ) -> Vec<Told<P>> {
        match self.open.remove(&number) {
            Some(Open::Login) => self.logged_in(result, now),
            Some(Open::Question(question)) => self.told(question, result, now),
            None => Vec::new(),
        }
    }

    fn logged_in(&mut self, result: Result<HttpReply, LinkError>, now: Nanos) -> Vec<Told<P>> {
        self.logging_in = false;
        let waiting = std::mem::take(&mut self.waiting);
        let read = read(result).and_then(|body| pbxapi::token(&body).map_err(Trouble::Answer));
        match read {
            Ok(token) => {
                let life = Duration::from_secs(token.expires_in.min(86_400)).mul_f64(0.8).max(TOKEN_MIN);
                self.tokens += 1;
                let text = Secret::new(token.access);
                self.token = Some(Token { text, number: self.tokens, good_until: now + life });
                for question in waiting {
                    self.begin(question, now);
                }
                Vec::new()
            }
            Err(trouble) => {
                let trouble = if trouble == Trouble::Token { Trouble::Password } else { trouble };
                waiting.into_iter().map(|question| (question.purpose, Err(trouble.clone()))).collect()
            }
        }
    }

    /// A token that is not taken any more is asked for anew, and the question once more with it. It was not carried out:
    /// the server looks at the token first.
    fn told(
        &mut self,
        mut question: Question<P>,
        result: Result<HttpReply, LinkError>,
        now: Nanos,
    ) -> Vec<Told<P>> {
        let read = read(result);
        if read != Err(Trouble::Token) {
            return vec![(question.purpose, read)];
        }
        if self.token.as_ref().is_some_and(|token| token.number == question.with) {
            self.token = None;
        }
        if std::mem::replace(&mut question.again, true) {
            return vec![(question.purpose, Err(Trouble::Token))];
        }
        self.begin(question, now);
        Vec::new()
    }
}

/// What an answer holds; `Token` where the token, or the password, is not taken.
fn read(result: Result<HttpReply, LinkError>) -> Result<Vec<u8>, Trouble> {
    let reply = result.map_err(Trouble::Link)?;
    if is_three_cx(&reply.body) {
        return Err(Trouble::ThreeCx);
    }
    match pbxapi::answer(reply.status, &reply.body) {
        Answer::Body(body) => Ok(body.to_vec()),
        Answer::Empty => Ok(Vec::new()),
        Answer::Expired | Answer::Forbidden => Err(Trouble::Token),
        Answer::Absent => Err(Trouble::Absent),
        Answer::Page(status) => Err(Trouble::Page(status)),
        Answer::Status(status) => Err(Trouble::Status(status)),
    }
}

/// Whether a page is that of a 3CX: it names itself in its title and its scripts.
pub(super) fn is_three_cx(body: &[u8]) -> bool {
    let page = body.trim_ascii_start();
    page.first() == Some(&b'<') && page.windows(3).any(|word| word.eq_ignore_ascii_case(b"3cx"))
}
