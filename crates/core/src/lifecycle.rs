//! Init, unseal and seal: the transitions between a vault that is not there, sealed, and active.

use crate::active::Active;
use crate::holders::Holders;
use crate::mounts::{Mounts, NewMount};
use crate::tokens::{NewToken, Tokens};
use crate::{Core, CoreError, policies};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_barrier::{SealConfig, SealStatus};
use secretum_crypto::{PgpKey, SecretBytes, SecretString};
use secretum_engine::Fault;
use secretum_storage::{Batch, Storage};
use std::sync::Arc;
use tokio::task::JoinHandle;
use tracing::Instrument;

/// What a node is, as health checks tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// There is no vault in the storage.
    Uninitialized,
    /// The keys are not in memory.
    Sealed,
    /// It serves requests.
    Active,
}

/// The state of a node and its seal.
#[derive(Debug, Clone)]
pub struct Status {
    /// What the node is.
    pub state: NodeState,
    /// The seal.
    pub seal: SealStatus,
}

/// For whom what init gives is encrypted.
#[derive(Debug, Default)]
pub(crate) struct Receivers {
    pub(crate) shares: Holders,
    pub(crate) root_token: Option<PgpKey>,
}

/// What init gives, once.
#[derive(Debug)]
pub(crate) struct Birth {
    /// As they are handed out.
    pub(crate) shares: Vec<SecretBytes>,
    /// The token, or base64 of what its holder alone opens.
    pub(crate) root_token: SecretString,
}

impl Core {
    /// The state of the node.
    ///
    /// **Errors**: [`CoreError::Barrier`] where the storage cannot be read.
    pub async fn status(&self) -> Result<Status, CoreError> {
        let mut seal = self.barrier.seal_status().await?;
        let active = self.active.read().is_some();
        // A barrier is open for a moment before its tables are read and after it stopped serving.
        seal.sealed = !active;
        let state = match (&seal.config, active) {
            (None, _) => NodeState::Uninitialized,
            (Some(_), false) => NodeState::Sealed,
            (Some(_), true) => NodeState::Active,
        };
        Ok(Status { state, seal })
    }

    /// Makes a vault in an empty storage: seal, system mounts, policies, a root token. It stays
    /// sealed.
    pub(crate) async fn initialize(
        &self,
        config: SealConfig,
        root_token: Option<SecretString>,
        receivers: Receivers,
    ) -> Result<Birth, CoreError> {
        self.whole(|this| async move { this.initialize_now(config, root_token, &receivers).await })
            .await
    }

    /// Runs a transition to its end, even where its caller hangs up: half of one would leave keys in
    /// the memory of a vault that seems sealed, or a vault without a root token.
    async fn whole<T, F>(&self, transition: impl FnOnce(Arc<Self>) -> F) -> Result<T, CoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, CoreError>> + Send + 'static,
    {
        let this = self.this.upgrade().ok_or(Fault::Sealed)?;
        tokio::spawn(transition(this).in_current_span())
            .await
            .map_err(Fault::internal)?
    }

    async fn initialize_now(
        &self,
        config: SealConfig,
        root_token: Option<SecretString>,
        receivers: &Receivers,
    ) -> Result<Birth, CoreError> {
        let _transition = self.transition.lock().await;
        let mut birth = None;
        self.barrier
            .initialize(config, |shares| {
                let (token, contents) = self.furnish(root_token)?;
                // Before anything is stored: no vault may be there whose shares nobody got.
                birth = Some(self.hand_out(receivers, shares, token)?);
                Ok::<_, CoreError>(contents)
            })
            .await?;
        Ok(birth.ok_or(Fault::Sealed)?)
    }

    fn hand_out(
        &self,
        receivers: &Receivers,
        shares: &[SecretBytes],
        token: SecretString,
    ) -> Result<Birth, Fault> {
        let envelope = self.envelope();
        let root_token = match &receivers.root_token {
            Some(key) => SecretString::new(STANDARD.encode(envelope.seal(key, &token)?)),
            None => token,
        };
        Ok(Birth {
            shares: envelope.hand_out(&receivers.shares, shares)?,
            root_token,
        })
    }

    /// What every vault starts with, and its root token.
    fn furnish(&self, token: Option<SecretString>) -> Result<(SecretString, Batch), CoreError> {
        let storage: Arc<dyn Storage> = Arc::clone(&self.barrier) as _;
        let (token, writes) = Tokens::new(self, storage)?.prepare(NewToken::root(token))?;
        let contents = Mounts::system_records(&*self.config.rng)?
            .and(policies::default_record()?)
            .and(writes);
        Ok((token, contents))
    }

    /// Takes one share of the unseal key; with the last of them, the vault becomes active.
    ///
    /// **Errors**: [`CoreError::Barrier`] for wrong shares; any other where a table cannot be read,
    /// which leaves the vault sealed.
    pub(crate) async fn unseal(&self, share: SecretBytes) -> Result<Status, CoreError> {
        self.whole(|this| async move { this.unseal_now(share).await })
            .await
    }

    async fn unseal_now(self: Arc<Self>, share: SecretBytes) -> Result<Status, CoreError> {
        let _transition = self.transition.lock().await;
        if self.active.read().is_some() {
            return self.status().await;
        }
        let seal = self.barrier.unseal(share).await?;
        if !seal.sealed {
            match Active::start(Arc::clone(&self)).await {
                Ok(active) => *self.active.write() = Some(active),
                Err(error) => {
                    self.barrier.seal();
                    return Err(error);
                }
            }
            tracing::info!("vault is unsealed");
        }
        self.status().await
    }

    /// Forgets the shares given so far.
    ///
    /// **Errors**: [`Fault::Invalid`] where the vault is unsealed.
    pub(crate) async fn reset_unseal(&self) -> Result<Status, CoreError> {
        let _transition = self.transition.lock().await;
        if self.active.read().is_some() {
            return Err(Fault::invalid("vault is unsealed").into());
        }
        self.barrier.reset_unseal();
        self.status().await
    }

    /// Stops serving at once, and forgets the keys when every request has ended.
    pub async fn seal(&self) {
        if let Some(sealing) = self.begin_seal()
            && let Err(error) = sealing.await
        {
            tracing::error!(%error, "the vault could not be sealed");
        }
    }

    /// As [`Core::seal`], without waiting for it: for callers that are themselves a request.
    pub(crate) fn seal_soon(&self) {
        drop(self.begin_seal());
    }

    /// Begins to seal, by a task that goes on when its caller hangs up; `None` where this core ends.
    fn begin_seal(&self) -> Option<JoinHandle<()>> {
        let this = self.this.upgrade()?;
        // Where no other transition is under way, new requests are refused from here on.
        let at_once = Arc::clone(&self.transition).try_lock_owned().ok();
        let active = at_once
            .as_ref()
            .and_then(|_transition| self.active.write().take());
        let sealing = async move {
            // Transitions come in turn: no unseal that is asked for later comes before.
            let _transition = match at_once {
                Some(transition) => transition,
                None => Arc::clone(&this.transition).lock_owned().await,
            };
            let active = active.or_else(|| this.active.write().take());
            if let Some(active) = active {
                active.end().await;
                tracing::info!("vault is sealed");
            }
            this.barrier.seal();
        };
        Some(tokio::spawn(sealing.in_current_span()))
    }

    /// Opens the files of audit devices anew, after they were moved away.
    ///
    /// **Errors**: [`CoreError::Audit`] where one cannot be opened; it then goes on as it was.
    pub async fn reopen_audit(&self) -> Result<(), CoreError> {
        match self.active() {
            Some(active) => active.audits.reopen_all().await,
            None => Ok(()),
        }
    }

    /// Seals, and closes the storage.
    ///
    /// **Errors**: [`CoreError::Storage`] where the last flush fails.
    pub async fn shutdown(&self) -> Result<(), CoreError> {
        self.seal().await;
        Ok(self.config.storage.close().await?)
    }

    /// Makes and unseals a vault in memory for development, and enables a secret engine at `secret/`, by
    /// the word that `sys/mounts` takes, with this description.
    ///
    /// Returns the unseal key and the root token.
    ///
    /// **Errors**: as init and unseal.
    pub async fn develop(
        &self,
        root_token: Option<SecretString>,
        (engine, about): (&str, &str),
    ) -> Result<(SecretBytes, SecretString), CoreError> {
        let birth = self
            .initialize(SealConfig::shamir(1, 1)?, root_token, Receivers::default())
            .await?;
        let share = birth
            .shares
            .into_iter()
            .next()
            .unwrap_or_else(|| SecretBytes::new(Vec::new()));
        self.unseal(share.duplicate()).await?;
        if let Some(active) = self.active() {
            let mount = NewMount::secret("secret/", self.engine_word(engine), about);
            let change = active.mounts.begin_change(&active).await?;
            let batch = active.mounts.prepare(change, mount)?;
            active.commit(batch).await?;
        }
        Ok((share, birth.root_token))
    }
}
