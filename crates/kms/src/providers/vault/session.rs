//! [`Session`]: a token that is valid, and requests with it.

use super::auth::VaultAuth;
use super::wire::{Asked, Dialect, Envelope, Grant, HealthAnswer, LookedUp};
use crate::flights::Flights;
use crate::{KmsError, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use secretum_client::{Client, ClientError, Request};
use secretum_crypto::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use zeroize::Zeroizing;

/// The shortest time between two renewals.
const RENEW_EVERY_MIN: Duration = Duration::from_secs(1);

/// A connection to a server, as somebody.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    dialect: Dialect,
    auth: VaultAuth,
    /// How long a request may take, with the login before it.
    timeout: Duration,
    held: Mutex<Held>,
    /// Logins and renewals: many who find no token cause one.
    entering: Flights<(), Arc<SecretString>>,
}

/// The token at hand.
#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// Whether a task sees to the renewal.
    tended: bool,
}

#[derive(Debug, Clone)]
struct Token {
    text: Arc<SecretString>,
    renewable: bool,
    /// Its life, where that has an end.
    life: Option<Life>,
}

#[derive(Debug, Clone, Copy)]
struct Life {
    renew_at: Instant,
    ends_at: Instant,
}

impl Token {
    fn new(text: Arc<SecretString>, ttl_seconds: u64, renewable: bool) -> Self {
        let (now, ttl) = (Instant::now(), Duration::from_secs(ttl_seconds));
        let life = (ttl_seconds > 0).then(|| Life {
            // Halfway: there is time for another try.
            renew_at: now + (ttl / 2).max(RENEW_EVERY_MIN),
            ends_at: now + ttl,
        });
        Self {
            text,
            renewable,
            life,
        }
    }

    fn lives(&self) -> bool {
        self.life.is_none_or(|life| Instant::now() < life.ends_at)
    }

    fn is_due(&self) -> bool {
        self.life
            .is_some_and(|life| life.renew_at <= Instant::now())
    }
}

impl Session {
    pub(crate) fn new(
        client: Client,
        dialect: Dialect,
        auth: VaultAuth,
        timeout: Duration,
    ) -> Arc<Self> {
        Arc::new(Self {
            client,
            dialect,
            auth,
            timeout,
            held: Mutex::default(),
            entering: Flights::new(),
        })
    }

    /// Waits for something as long as one request may take.
    pub(crate) async fn within<T>(&self, asked: impl Future<Output = Result<T>>) -> Result<T> {
        let outcome = tokio::time::timeout(self.timeout, asked).await;
        outcome.unwrap_or_else(|_| Err(self.timed_out()))
    }

    fn timed_out(&self) -> KmsError {
        KmsError::Timeout {
            provider: self.dialect.provider(),
            after: self.timeout,
        }
    }

    /// What an error of the client means.
    fn fault(&self, error: ClientError) -> KmsError {
        match error.is_timeout() {
            true => self.timed_out(),
            false => self.dialect.fault(error),
        }
    }

    /// Whose API it speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The error of credentials that are not accepted.
    fn refused(&self, reason: String) -> KmsError {
        KmsError::Credentials {
            provider: self.dialect.provider(),
            reason,
        }
    }

    /// Asks for what may not be there.
    pub(crate) async fn find<T: DeserializeOwned>(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Option<T>> {
        let body = self.send(request).await?;
        body.map(|body| self.dialect.data(&body)).transpose()
    }

    /// Asks for something, with a body.
    pub(super) async fn ask<T: DeserializeOwned>(
        self: &Arc<Self>,
        request: Request,
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        let request = request.json(body).map_err(|error| self.fault(error))?;
        let answer = self.send(request).await?;
        // A 404 of a path that is no engine's.
        self.dialect
            .data(&answer.ok_or_else(|| self.dialect.no_engine())?)
    }

    /// Has something done.
    pub(super) async fn order(
        self: &Arc<Self>,
        request: Request,
        body: &(impl Serialize + Sync),
    ) -> Result<()> {
        let taken = self.give(request, body).await?;
        taken.then_some(()).ok_or_else(|| self.dialect.no_engine())
    }

    /// Has something done; `false` where nothing is at this path that could.
    pub(crate) async fn give(
        self: &Arc<Self>,
        request: Request,
        body: &(impl Serialize + ?Sized + Sync),
    ) -> Result<bool> {
        let request = request.json(body);
        let request = request.map_err(|error| self.fault(error))?;
        Ok(self.send(request).await?.is_some())
    }

    /// The version of a server that serves, to whom it knows; empty where it tells none.
    pub(crate) async fn health(self: &Arc<Self>) -> Result<String> {
        let path = self.dialect.status_path();
        let sent = self.client.send(Request::get(path)).await;
        let answer = sent.map_err(|error| self.fault(error))?;
        let health: HealthAnswer = self.dialect.read(&answer.body)?;
        if health.sealed {
            return Err(KmsError::Unavailable {
                provider: self.dialect.provider(),
                reason: "it is sealed".to_owned(),
                source: None,
            });
        }
        self.find::<LookedUp>(Request::get("auth/token/lookup-self"))
            .await?;
        Ok(health.version)
    }

    /// Sends a request with a valid token; `None` for a 404.
    async fn send(self: &Arc<Self>, request: Request) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.within(self.send_as_somebody(request)).await
    }

    async fn send_as_somebody(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let token = self.token().await?;
        let refused = match self.attempt(request.clone(), &token).await {
            Err(error @ KmsError::AccessDenied { .. }) => error,
            outcome => return outcome,
        };
        // The token may have ended before its time, which reads the same as a missing right.
        let known = Request::get("auth/token/lookup-self");
        match self.attempt(known, &token).await {
            Ok(_) => return Err(refused),
            Err(KmsError::AccessDenied { .. }) => {}
            Err(error) => return Err(error),
        }
        self.forget(&token);
        if self.auth.token().is_some() {
            let reason = "the token is not valid, or no longer".to_owned();
            return Err(self.refused(reason));
        }
        let token = self.token().await?;
        self.attempt(request, &token).await
    }

    async fn attempt(
        &self,
        request: Request,
        token: &SecretString,
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let client = self.client.with_token(Some(token.duplicate()));
        match client.send(request).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if self.dialect.is_absence(&error) => Ok(None),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// The token at hand, whether or not it is still valid.
    #[cfg(test)]
    pub(crate) fn held_token(&self) -> Option<Arc<SecretString>> {
        let held = self.held.lock();
        held.token.as_ref().map(|token| Arc::clone(&token.text))
    }

    fn forget(&self, text: &SecretString) {
        let mut held = self.held.lock();
        if held
            .token
            .as_ref()
            .is_some_and(|token| *token.text == *text)
        {
            held.token = None;
        }
    }

    fn keep(&self, token: Token) -> Arc<SecretString> {
        let text = Arc::clone(&token.text);
        self.held.lock().token = Some(token);
        text
    }

    /// A valid token: the one at hand, or that of a new login. One that lives is not waited for: it is
    /// used while it is renewed, and also while that fails.
    async fn token(self: &Arc<Self>) -> Result<Arc<SecretString>> {
        let living = self.held.lock().token.clone().filter(Token::lives);
        match living {
            Some(token) if !token.is_due() => Ok(token.text),
            Some(token) => {
                self.postpone_renewal();
                let session = Arc::clone(self);
                tokio::spawn(async move { session.entered().await });
                Ok(token.text)
            }
            None => self.entered().await,
        }
    }

    /// The token of a login or a renewal, one for all who want it at this time.
    async fn entered(self: &Arc<Self>) -> Result<Arc<SecretString>> {
        let enter = || {
            let session = Arc::clone(self);
            async move { session.enter_or_keep().await }.boxed()
        };
        match self.entering.run((), enter).await {
            // It was begun earlier, and failed by what may have passed since.
            (Err(error), true) if error.is_transient() => self.entering.run((), enter).await.0,
            (outcome, _) => outcome,
        }
    }

    /// Renews the token or logs in; where that fails, a token that lives stays.
    async fn enter_or_keep(self: &Arc<Self>) -> Result<Arc<SecretString>> {
        let old = self.held.lock().token.clone();
        let outcome = match &old {
            Some(old) => self.extend(old).await,
            None => self.enter().await,
        };
        let token = match (outcome, old) {
            (Ok(token), _) => token,
            (Err(error), Some(old)) if old.lives() && self.is_held(&old) => {
                tracing::warn!(%error, "the token of the key service could not be renewed; it is tried again");
                self.postpone_renewal();
                return Ok(old.text);
            }
            (Err(error), _) => return Err(error),
        };
        let renew_at = token.life.map(|life| life.renew_at);
        let text = self.keep(token);
        if let Some(at) = renew_at
            && !std::mem::replace(&mut self.held.lock().tended, true)
        {
            tokio::spawn(tend(Arc::downgrade(self), at));
        }
        Ok(text)
    }

    fn is_held(&self, token: &Token) -> bool {
        let held = self.held.lock();
        held.token
            .as_ref()
            .is_some_and(|held| held.text == token.text)
    }

    /// Renews the token at hand a while later, and not before.
    fn postpone_renewal(&self) {
        let mut held = self.held.lock();
        let life = held.token.as_mut().and_then(|token| token.life.as_mut());
        if let Some(life) = life {
            life.renew_at = life.renew_at.max(Instant::now() + RENEW_EVERY_MIN);
        }
    }

    /// Logs in, or looks at the token that is given.
    async fn enter(&self) -> Result<Token> {
        if let Some(token) = self.auth.token() {
            let request = Request::get("auth/token/lookup-self");
            let body = match self.attempt(request, &token).await {
                Err(KmsError::AccessDenied { reason, .. }) => {
                    self.forget(&token);
                    return Err(self.refused(reason));
                }
                outcome => outcome?.ok_or_else(|| self.dialect.no_engine())?,
            };
            let found: LookedUp = self.dialect.data(&body)?;
            return Ok(Token::new(token, found.ttl, found.renewable));
        }
        let Some(login) = self.auth.login().await? else {
            return Err(self.refused("there is no way to log in".to_owned()));
        };
        let request = Request::post(login.path).json(&login.body);
        let sent = self
            .client
            .send(request.map_err(|error| self.fault(error))?)
            .await;
        let body = match sent.map_err(|error| self.fault(error)) {
            Ok(answer) => answer.body,
            Err(KmsError::AccessDenied { reason, .. } | KmsError::Refused { reason, .. }) => {
                return Err(self.refused(reason));
            }
            Err(error) => return Err(error),
        };
        self.granted(&body)
    }

    /// Renews the token; where that is refused, logs in anew.
    async fn extend(&self, old: &Token) -> Result<Token> {
        if old.renewable && self.dialect.renews() {
            let request = Request::post("auth/token/renew-self");
            let request = request
                .json(&Asked::default())
                .map_err(|error| self.fault(error))?;
            match self.attempt(request, &old.text).await {
                Ok(Some(body)) => return self.granted(&body),
                Err(KmsError::AccessDenied { .. } | KmsError::Refused { .. }) | Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        self.enter().await
    }

    /// The token of an answer.
    fn granted(&self, body: &[u8]) -> Result<Token> {
        let envelope: Envelope<Value> = self.dialect.read(body)?;
        let missing = || {
            self.dialect
                .bad_answer("the answer to a login has no auth".to_owned())
        };
        let grant: Grant = envelope.auth.ok_or_else(missing)?;
        let text = Arc::new(grant.client_token);
        Ok(Token::new(text, grant.lease_duration, grant.renewable))
    }

    /// Sees to it that the token is valid; gives when to do so again, where there is one that ends.
    async fn tended(self: &Arc<Self>) -> Option<Instant> {
        let is_due = self.held.lock().token.as_ref().is_some_and(Token::is_due);
        if is_due && let Err(error) = self.entered().await {
            tracing::warn!(%error, "the key service gave no new token; the next request asks again");
        }
        let mut held = self.held.lock();
        let living = held.token.as_ref().filter(|token| token.lives());
        let next = living
            .and_then(|token| token.life)
            .map(|life| life.renew_at);
        held.tended = next.is_some();
        next.map(|at| at.max(Instant::now() + RENEW_EVERY_MIN))
    }
}

/// Renews the token in time also where nobody asks for anything, until the session is gone.
///
/// Boxed, since what it calls starts it.
fn tend(session: Weak<Session>, mut next: Instant) -> BoxFuture<'static, ()> {
    let tending = async move {
        loop {
            sleep_until(next).await;
            let Some(session) = session.upgrade() else {
                return;
            };
            match session.tended().await {
                Some(at) => next = at,
                None => return,
            }
        }
    };
    tending.boxed()
}
