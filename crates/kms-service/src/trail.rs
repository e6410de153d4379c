//! [`Trail`]: what is known of a request that may be refused before the key service is asked.
//!
//! What the key service is asked for is recorded by the library, however it ends. What is refused before, for
//! want of a right, of a place, of time, or for what was sent, is recorded by the guard around the
//! request, from what was found out until then.

use crate::callers::Caller;
use crate::rights::Operation;
use http::Extensions;
use parking_lot::Mutex;
use secretum_kms::ResilientKms;
use std::sync::Arc;

/// Goes with a request, from the guard to what does it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    operation: Option<Operation>,
    caller: Option<Arc<Caller>>,
    key: Option<String>,
    refusal: Option<&'static str>,
    is_over: bool,
}

impl Trail {
    /// Gives a request its trail.
    pub(crate) fn begin(extensions: &mut Extensions) -> Self {
        let trail = Self::default();
        extensions.insert(trail.clone());
        trail
    }

    /// That of a request; of one without a guard, one that leads nowhere.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// This is asked for.
    pub(crate) fn operation(&self, operation: Operation) {
        self.0.lock().operation = Some(operation);
    }

    /// This is who asks.
    pub(crate) fn caller(&self, caller: &Arc<Caller>) {
        self.0.lock().caller = Some(Arc::clone(caller));
    }

    /// It is about this key.
    pub(crate) fn key(&self, key: &str) {
        self.0.lock().key = Some(key.to_owned());
    }

    /// It is refused for this, in a word.
    pub(crate) fn refusal(&self, word: &'static str) {
        self.0.lock().refusal = Some(word);
    }

    /// The key service is asked now: from here on others record.
    pub(crate) fn is_asked(&self) {
        self.0.lock().is_over = true;
    }

    /// Records a refusal, where the key service was not asked; its word is this, unless there is one already.
    pub(crate) async fn record(self, kms: &ResilientKms, word: &'static str) {
        let Known {
            operation: Some(operation),
            caller,
            key,
            refusal,
            is_over: false,
        } = std::mem::take(&mut *self.0.lock())
        else {
            return;
        };
        let kms = match caller {
            Some(caller) => kms.for_caller(&caller.name),
            None => kms.clone(),
        };
        let word = refusal.unwrap_or(word);
        kms.record_refusal(operation.audited(), key.as_deref(), word)
            .await;
    }
}
