//! Confirmation: what a ceremony brought about stays only where its answer was recorded, so that it
//! can leave. Shares that nobody got must not be those that open the vault.

use crate::active::Active;
use crate::error::barrier;
use parking_lot::Mutex;
use secretum_barrier::Rekeyed;
use secretum_engine::Fault;
use secretum_storage::Batch;
use std::collections::HashMap;
use std::sync::Arc;
use tracing::Instrument;

/// How to take back what was done.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Puts the old seal in force again, with what was stored along with it.
    Seal { rekeyed: Rekeyed, along: Batch },
    /// Ends a token.
    Token { id: String },
}

impl Undo {
    async fn perform(self, active: &Active) -> Result<(), Fault> {
        match self {
            Self::Seal { rekeyed, along } => {
                let undone = active.core.barrier.undo_rekey(rekeyed, along).await;
                undone.map_err(barrier)
            }
            Self::Token { id } => active.tokens.revoke(active, &id).await,
        }
    }
}

/// What was done for requests whose answers are on their way, by the ids of the requests.
#[derive(Debug, Default)]
pub(crate) struct Unconfirmed(Mutex<HashMap<String, Option<Undo>>>);

impl Unconfirmed {
    /// Remembers how to take back what was done for a request. Where its caller is gone already, it is
    /// taken back at once.
    pub(crate) async fn done(&self, active: &Active, request_id: &str, undo: Undo) {
        let undo = match self.0.lock().get_mut(request_id) {
            Some(place) => {
                *place = Some(undo);
                return;
            }
            None => undo,
        };
        take_back(active, undo).await;
    }
}

async fn take_back(active: &Active, undo: Undo) {
    tracing::warn!("the result of a ceremony reached nobody: it is taken back");
    if let Err(error) = undo.perform(active).await {
        tracing::error!(%error, "the result of a ceremony reached nobody, and stays in force");
    }
}

/// A request whose effects are taken back unless it is confirmed, also where it is cut off.
#[derive(Debug)]
pub(crate) struct Confirmation {
    active: Arc<Active>,
    request_id: String,
}

impl Confirmation {
    /// Begins to wait for the confirmation of a request.
    pub(crate) fn expect(active: &Arc<Active>, request_id: &str) -> Self {
        let waiting = &active.ceremonies.unconfirmed.0;
        waiting.lock().insert(request_id.to_owned(), None);
        Self {
            active: Arc::clone(active),
            request_id: request_id.to_owned(),
        }
    }

    /// The answer is on its way: what was done stays.
    pub(crate) fn confirm(self) {
        drop(self.end());
    }

    /// Takes back what was done.
    pub(crate) async fn take_back(self) {
        if let Some(undo) = self.end() {
            take_back(&self.active, undo).await;
        }
    }

    fn end(&self) -> Option<Undo> {
        let waiting = &self.active.ceremonies.unconfirmed.0;
        waiting.lock().remove(&self.request_id).flatten()
    }
}

impl Drop for Confirmation {
    fn drop(&mut self) {
        if let Some(undo) = self.end() {
            let active = Arc::clone(&self.active);
            // Sealing waits for it.
            let taking_back = async move { take_back(&active, undo).await };
            self.active.spawn(taking_back.in_current_span());
        }
    }
}
