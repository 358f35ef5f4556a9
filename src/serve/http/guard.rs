//! Who may do what: bearer tokens with rights.

use std::collections::BTreeSet;
use std::hint::black_box;

use actix_web::HttpMessage;
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap};
use actix_web::middleware::Next;
use ifbus_config::{Scope, Secret};
use ifbus_fleet::{Code, Problem};

use super::error::Refusal;

/// A token and its rights.
#[derive(Clone, Debug)]
pub struct Token {
    name: String,
    secret: Secret,
    scopes: BTreeSet<Scope>,
}

impl Token {
    /// A token with these rights; `name` is shown in logs and refusals.
    #[must_use]
    pub fn new(name: &str, secret: Secret, scopes: &[Scope]) -> Self {
        Self { name: name.to_owned(), secret, scopes: scopes.iter().copied().collect() }
    }

    /// A token with every right.
    #[must_use]
    pub fn with_every_right(name: &str, secret: Secret) -> Self {
        Self::new(name, secret, &Scope::ALL)
    }
}

/// Every token.
#[derive(Debug)]
pub(super) struct Tokens(Vec<Token>);

/// Whose token a request carries.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) name: String,
    scopes: BTreeSet<Scope>,
}

/// What a route needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Needs {
    /// Nothing: it tells nothing.
    Nothing,
    /// Any token.
    AnyToken,
    /// A token with this right.
    Right(Scope),
}

impl Tokens {
    pub(super) const fn new(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }

    /// Whose token this is, if anybody's. Takes as long for a wrong one as for a right one.
    pub(super) fn bearer(&self, headers: &HeaderMap) -> Option<Bearer> {
        let (scheme, shown) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut found = None;
        for token in &self.0 {
            if is_same(shown.trim().as_bytes(), token.secret.expose().as_bytes()) {
                found = Some(Bearer { name: token.name.clone(), scopes: token.scopes.clone() });
            }
        }
        found
    }
}

/// Whether two texts are the same, looked at to the end in any case.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let differing = a.iter().zip(b).fold(0, |differing, (a, b)| black_box(differing | (a ^ b)));
    a.len() == b.len() && differing == 0
}

impl Needs {
    /// Refuses whoever does not have what is needed.
    pub(super) fn of(self, bearer: Option<&Bearer>) -> Result<(), Problem> {
        match (self, bearer) {
            (Self::Nothing, _) | (Self::AnyToken, Some(_)) => Ok(()),
            (Self::Right(scope), Some(bearer)) if bearer.scopes.contains(&scope) => Ok(()),
            (Self::Right(scope), Some(bearer)) => {
                let detail = format!("the token `{}` lacks the right {}", bearer.name, scope.as_str());
                Err(Problem::new(Code::MissingScope, detail).about(scope.as_str()))
            }
            (_, None) => {
                let detail = "no valid token; send `Authorization: Bearer TOKEN`, the token is in the data folder of ifbus";
                Err(Problem::new(Code::Unauthenticated, detail).about("Authorization"))
            }
        }
    }
}

/// Stands before the handler of a route: behind the routing, so that the two cannot disagree about what was asked.
pub(super) async fn check(
    needs: Needs,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, actix_web::Error> {
    let allowed = needs.of(request.extensions().get::<Bearer>());
    match allowed {
        Ok(()) => next.call(request).await,
        Err(problem) => Ok(request.error_response(Refusal(problem))),
    }
}
