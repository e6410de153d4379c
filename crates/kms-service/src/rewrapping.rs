//! `kms-service data-keys`: the data keys of the storage are wrapped anew, by hand.
//!
//! A service may run on beside it: of two that replace a record, one is first, and either's opens. Its
//! schedule waits, for the lease is held here. Audit records go to devices like the service's, in places of
//! their own.

use crate::ServiceError;
use crate::audit;
use crate::config::{self, ServiceConfig};
use crate::data_keys::kept::KeptKeys;
use crate::data_keys::place::Place;
use crate::data_keys::storage::Storage;
use crate::data_keys::wrapper::Wrapper;
use crate::log::Logging;
use crate::recorder::Recorder;
use crate::rotation::give_up;
use crate::rotation::lease::Lease;
use crate::service::Prepared;
use clap::Subcommand;
use secretum_crypto::{ClockRef, SystemClock};
use secretum_kms::rotation::{DataKeyMove, MoveProgress, RotationProgress};
use secretum_kms::{Environment, KeyRotationManager, KmsConfig};
use secretum_kms_audit::{AuditConfig, AuditLog};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is done with the data keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Wrap those of older versions under the newest version of the key. What was stopped goes on.
    Rewrap {
        /// Give the key a new version before that.
        #[arg(long)]
        rotate: bool,
    },
    /// Have another key service wrap them. What was stopped goes on when it is started again.
    Move {
        /// The configuration with the new key service, and with the same storage. It is the one that
        /// services are started with from then on.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

impl Task {
    /// Who asks, in audit records.
    fn caller(&self) -> &'static str {
        match self {
            Self::Rewrap { .. } => "kms-service data-keys rewrap",
            Self::Move { .. } => "kms-service data-keys move",
        }
    }
}

/// A configuration, and its file.
struct Configured {
    file: PathBuf,
    kms: KmsConfig,
    service: ServiceConfig,
}

/// What a task works with.
struct Work<'t> {
    task: &'t Task,
    storage: Arc<Storage>,
    audit: AuditLog,
    clock: ClockRef,
    telling: Telling,
}

/// Data keys that do not open: how many, and the names of the first.
type Failed = (u64, Vec<String>);

/// Does it, and tells of its progress behind each batch.
///
/// **Errors**: [`ServiceError`]; [`ServiceError::Left`] where some do not open.
pub(crate) async fn run(
    file: &Path,
    (kms, service): (KmsConfig, ServiceConfig),
    task: &Task,
    logging: &Logging,
) -> Result<(), ServiceError> {
    let file = file.to_owned();
    let own = Configured { file, kms, service };
    let target = match task {
        Task::Rewrap { .. } => None,
        Task::Move { to } => Some(target(&own, to)?),
    };
    let storage = Arc::new(Storage::open(own.place()?)?);
    let clock: ClockRef = Arc::new(SystemClock);
    let mut lease = Lease::new(Arc::clone(&storage), Arc::clone(&clock));
    if !lease.take().await? {
        let until = lease.taken_until();
        return Err(ServiceError::Rotating { until });
    }
    let audits = [Some(&own), target.as_ref()].into_iter().flatten();
    let audits: Vec<_> = audits
        .filter_map(|one| one.service.audit.as_ref())
        .collect();
    let telling = Telling::beside(&audits);
    let outcome = match audit::of_command(&audits, logging).await {
        Ok(audit) => {
            let work = Work {
                task,
                storage,
                audit: audit.clone(),
                clock,
                telling,
            };
            // No schedule takes the work over while the lease is held.
            let outcome = tokio::select! {
                lost = lease.keep() => Err(lost.into()),
                outcome = work.run(&own, target.as_ref()) => outcome,
            };
            audit.close().await;
            outcome
        }
        Err(error) => Err(error),
    };
    give_up(&mut lease).await;
    outcome
}

/// The configuration of the new key service, with the same storage.
fn target(own: &Configured, to: &Path) -> Result<Configured, ServiceError> {
    let (kms, service) = config::load(to, &Environment::process())?;
    let file = to.to_owned();
    let other = Configured { file, kms, service };
    if own.place()?.is_same(other.place()?) {
        return Ok(other);
    }
    Err(ServiceError::OtherStorage { file: other.file })
}

impl Configured {
    fn nothing_kept(&self) -> ServiceError {
        ServiceError::NothingKept {
            file: self.file.clone(),
        }
    }

    /// Where its data keys are kept.
    fn place(&self) -> Result<&Place, ServiceError> {
        let place = self.service.kept_place();
        place.ok_or_else(|| self.nothing_kept())
    }

    /// What wraps its data keys.
    fn wrapper(&self, audit: &AuditLog) -> Result<Arc<Wrapper>, ServiceError> {
        let service = self.service.clone();
        let prepared = Prepared::new(&self.file, &self.kms, service, audit.clone())?;
        let wrapper = prepared.wrapper().cloned();
        wrapper.ok_or_else(|| self.nothing_kept())
    }
}

impl Work<'_> {
    async fn run(&self, own: &Configured, target: Option<&Configured>) -> Result<(), ServiceError> {
        let wrapper = own.wrapper(&self.audit)?;
        let recorder = Recorder::by(Arc::clone(&self.clock), self.audit.sinks());
        let kept = KeptKeys::new(Arc::clone(&self.storage), recorder, self.task.caller());
        let kept = Arc::new(kept);
        let (failed, failures) = match target {
            None => self.rewrap(&wrapper, &kept).await?,
            Some(target) => {
                let target = target.wrapper(&self.audit)?;
                self.move_to(&wrapper, &target, &kept).await?
            }
        };
        let damaged = kept.damaged();
        for name in failures.iter().chain(&damaged) {
            self.telling.tell(format_args!("stays as it is: {name}"));
        }
        match failed + kept.damaged_count() {
            0 => Ok(()),
            left => Err(ServiceError::Left { left }),
        }
    }

    async fn rewrap(
        &self,
        wrapper: &Wrapper,
        kept: &Arc<KeptKeys>,
    ) -> Result<Failed, ServiceError> {
        let told = self.telling;
        let kms = Arc::new(wrapper.for_caller(self.task.caller()));
        let manager = KeyRotationManager::new(kms, Arc::clone(kept) as _, Arc::clone(&self.clock));
        let progress = |at: &RotationProgress| {
            told.counts("wrapped anew", at.rewrapped, at.untouched, at.failed)
        };
        let done = match self.task {
            Task::Rewrap { rotate: true } => manager.rotate(wrapper.key(), &progress).await?,
            _ => manager.rewrap(wrapper.key(), &progress).await?,
        };
        told.tell(format_args!(
            "`{}` has the version `{}`",
            done.key, done.version
        ));
        told.counts("wrapped anew", done.rewrapped, done.untouched, done.failed);
        Ok((done.failed, done.failures))
    }

    async fn move_to(
        &self,
        from: &Wrapper,
        to: &Wrapper,
        kept: &Arc<KeptKeys>,
    ) -> Result<Failed, ServiceError> {
        let (told, caller) = (self.telling, self.task.caller());
        to.check(caller).await?;
        let target = (Arc::new(to.for_caller(caller)) as _, to.key().clone());
        let from = Arc::new(from.for_caller(caller));
        let progress = |at: &MoveProgress| told.counts("moved", at.moved, at.untouched, at.failed);
        let done = DataKeyMove::new(from, target, Arc::clone(kept) as _);
        let done = done.run(&progress).await?;
        told.counts("moved", done.moved, done.untouched, done.failed);
        Ok((done.failed, done.failures))
    }
}

/// Where progress is told.
#[derive(Debug, Clone, Copy)]
enum Telling {
    Stdout,
    Stderr,
}

impl Telling {
    /// Stdout, unless audit records go there.
    fn beside(audits: &[&AuditConfig]) -> Self {
        match audits.iter().any(|audit| audit.on_stdout().is_some()) {
            true => Self::Stderr,
            false => Self::Stdout,
        }
    }

    fn counts(self, what: &str, done: u64, untouched: u64, failed: u64) {
        self.tell(format_args!(
            "{done} data keys {what}, {untouched} left as they were, {failed} do not open"
        ));
    }

    /// A reader that went away does not stop it.
    fn tell(self, line: fmt::Arguments<'_>) {
        let _ = match self {
            Self::Stdout => writeln!(std::io::stdout(), "{line}"),
            Self::Stderr => writeln!(std::io::stderr(), "{line}"),
        };
    }
}
