//! [`Session`]: a token that is valid, and requests with it.

use super::auth::VaultAuth;
use super::wire::{Dialect, Envelope, Grant, HealthAnswer, LookedUp};
use crate::{KmsError, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use secretum_client::{Client, Request};
use secretum_crypto::SecretString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Mutex;
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
    /// Held while logging in, so that many who find no token cause one login.
    held: Mutex<Held>,
}

/// The token at hand.
#[derive(Debug, Default)]
struct Held {
    token: Option<Arc<SecretString>>,
    /// When it is to be renewed; `None` where it never ends.
    renew_at: Option<Instant>,
    renewable: bool,
    /// Whether a task sees to the renewal.
    tended: bool,
}

impl Held {
    fn take(&mut self, token: Arc<SecretString>, ttl_seconds: u64, renewable: bool) {
        self.token = Some(token);
        self.renewable = renewable;
        // Halfway: there is time for another try.
        let half = Duration::from_secs(ttl_seconds) / 2;
        self.renew_at = (ttl_seconds > 0).then(|| Instant::now() + half.max(RENEW_EVERY_MIN));
    }

    fn current(&self) -> Option<Arc<SecretString>> {
        let due = self.renew_at.is_some_and(|at| at <= Instant::now());
        self.token.clone().filter(|_| !due)
    }
}

impl Session {
    pub(crate) fn new(client: Client, dialect: Dialect, auth: VaultAuth) -> Arc<Self> {
        Arc::new(Self {
            client,
            dialect,
            auth,
            held: Mutex::default(),
        })
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
        body: &Value,
    ) -> Result<T> {
        let request = request
            .json(body)
            .map_err(|error| self.dialect.fault(error))?;
        let answer = self.send(request).await?;
        // A 404 of a path that is no engine's.
        self.dialect
            .data(&answer.ok_or_else(|| self.dialect.no_engine())?)
    }

    /// Has something done.
    pub(super) async fn order(self: &Arc<Self>, request: Request, body: &Value) -> Result<()> {
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
        let request = request.map_err(|error| self.dialect.fault(error))?;
        Ok(self.send(request).await?.is_some())
    }

    /// The version of a server that serves, to whom it knows; empty where it tells none.
    pub(crate) async fn health(self: &Arc<Self>) -> Result<String> {
        let path = self.dialect.status_path();
        let sent = self.client.send(Request::get(path)).await;
        let answer = sent.map_err(|error| self.dialect.fault(error))?;
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
        self.forget(&token).await;
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
            Ok(answer) => Ok(Some(Zeroizing::new(answer.body))),
            Err(error) if self.dialect.is_absence(&error) => Ok(None),
            Err(error) => Err(self.dialect.fault(error)),
        }
    }

    /// The token at hand, whether or not it is still valid.
    #[cfg(test)]
    pub(crate) async fn held_token(&self) -> Option<Arc<SecretString>> {
        self.held.lock().await.token.clone()
    }

    async fn forget(&self, token: &Arc<SecretString>) {
        let mut held = self.held.lock().await;
        if held.token.as_ref() == Some(token) {
            held.token = None;
        }
    }

    /// A valid token: the one at hand, renewed where it is time, or that of a new login.
    async fn token(self: &Arc<Self>) -> Result<Arc<SecretString>> {
        let mut held = self.held.lock().await;
        if let Some(token) = held.current() {
            return Ok(token);
        }
        match held.token.clone() {
            Some(old) => self.extend(&mut held, &old).await?,
            None => self.enter(&mut held).await?,
        }
        if let Some(at) = held.renew_at
            && !held.tended
        {
            held.tended = true;
            tokio::spawn(tend(Arc::downgrade(self), at));
        }
        let reason = || self.refused("the login gave no token".to_owned());
        held.token.clone().ok_or_else(reason)
    }

    /// Logs in, or looks at the token that is given.
    async fn enter(&self, held: &mut Held) -> Result<()> {
        if let Some(token) = self.auth.token() {
            let request = Request::get("auth/token/lookup-self");
            let body = match self.attempt(request, &token).await {
                Err(KmsError::AccessDenied { reason, .. }) => {
                    return Err(self.refused(reason));
                }
                outcome => outcome?.ok_or_else(|| self.dialect.no_engine())?,
            };
            let found: LookedUp = self.dialect.data(&body)?;
            held.take(token, found.ttl, found.renewable);
            return Ok(());
        }
        let Some(login) = self.auth.login()? else {
            return Ok(());
        };
        let request = Request::post(login.path).json(&login.body);
        let sent = self
            .client
            .send(request.map_err(|error| self.dialect.fault(error))?)
            .await;
        let body = match sent.map_err(|error| self.dialect.fault(error)) {
            Ok(answer) => Zeroizing::new(answer.body),
            Err(KmsError::AccessDenied { reason, .. } | KmsError::Refused { reason, .. }) => {
                return Err(self.refused(reason));
            }
            Err(error) => return Err(error),
        };
        self.accept(held, &body)
    }

    /// Renews the token; where that is refused, logs in anew.
    async fn extend(&self, held: &mut Held, old: &Arc<SecretString>) -> Result<()> {
        if held.renewable && self.dialect.renews() {
            let request = Request::post("auth/token/renew-self");
            let request = request
                .json(&serde_json::json!({}))
                .map_err(|error| self.dialect.fault(error))?;
            match self.attempt(request, old).await {
                Ok(Some(body)) => return self.accept(held, &body),
                Err(KmsError::AccessDenied { .. } | KmsError::Refused { .. }) | Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        held.token = None;
        self.enter(held).await
    }

    /// Sees to it that the token is valid; gives when to do so again.
    async fn renewed(self: &Arc<Self>) -> Option<Instant> {
        if let Err(error) = self.token().await {
            tracing::warn!(%error, "the token of the key service could not be renewed");
        }
        let mut held = self.held.lock().await;
        let Some(at) = held.renew_at else {
            held.tended = false;
            return None;
        };
        Some(at.max(Instant::now() + RENEW_EVERY_MIN))
    }

    fn accept(&self, held: &mut Held, body: &[u8]) -> Result<()> {
        let envelope: Envelope<Value> = self.dialect.read(body)?;
        let missing = || {
            self.dialect
                .bad_answer("the answer to a login has no auth".to_owned())
        };
        let grant: Grant = envelope.auth.ok_or_else(missing)?;
        let token = Arc::new(grant.client_token);
        held.take(token, grant.lease_duration, grant.renewable);
        Ok(())
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
            match session.renewed().await {
                Some(at) => next = at,
                None => return,
            }
        }
    };
    tending.boxed()
}
