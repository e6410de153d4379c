//! `kms-service data-keys`: the data keys of the storage are wrapped anew, by hand.
//!
//! A service may run on beside it: of two that replace a record, one is first, and either's opens. Its
//! schedule waits, for the lease is held here.

use crate::ServiceError;
use crate::audit::AuditLog;
use crate::config::{self, ServiceConfig};
use crate::data_keys::kept::KeptKeys;
use crate::data_keys::storage::Storage;
use crate::data_keys::wrapper::Wrapper;
use crate::rotation::give_up;
use crate::rotation::lease::Lease;
use crate::service::{Kept, Prepared};
use clap::Subcommand;
use secretum_crypto::SystemClock;
use secretum_kms::rotation::{DataKeyMove, MoveProgress, RotationProgress};
use secretum_kms::{Environment, KeyRotationManager, KmsConfig};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who asks, in audit records.
const CALLER: &str = "kms-service data-keys";

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

/// Does it, and tells of its progress behind each batch.
///
/// **Errors**: [`ServiceError`]; [`ServiceError::Left`] where some do not open.
pub(crate) async fn run(
    file: &Path,
    configured: (KmsConfig, ServiceConfig),
    task: &Task,
) -> Result<(), ServiceError> {
    let (own, (wrapper, storage)) = open(file, configured)?;
    let kept = Arc::new(KeptKeys::new(Arc::clone(&storage)));
    let (failed, failures) = match task {
        Task::Rewrap { rotate } => alone(storage, rewrap(&wrapper, &kept, *rotate)).await?,
        Task::Move { to } => {
            let configured = config::load(to, &Environment::process())?;
            let (other, (target, _)) = open(to, configured)?;
            let is_same = own.place().zip(other.place());
            if !is_same.is_some_and(|(own, other)| own.is_same(other)) {
                return Err(ServiceError::OtherStorage { file: to.clone() });
            }
            alone(storage, move_to(&wrapper, &target, &kept)).await?
        }
    };
    let damaged = kept.damaged();
    for name in failures.iter().chain(&damaged) {
        tell(format_args!("stays as it is: {name}"));
    }
    match failed + kept.damaged_count() {
        0 => Ok(()),
        left => Err(ServiceError::Left { left }),
    }
}

/// Works under the lease of the storage, so that no schedule takes the work over meanwhile.
async fn alone<T>(
    storage: Arc<Storage>,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<T, ServiceError> {
    let mut lease = Lease::new(storage, Arc::new(SystemClock));
    if !lease.take().await? {
        let until = lease.taken_until();
        return Err(ServiceError::Rotating { until });
    }
    let outcome = tokio::select! {
        lost = lease.keep() => Err(lost.into()),
        outcome = work => outcome,
    };
    give_up(&mut lease).await;
    outcome
}

/// The data keys of a configuration. Records of what is done stand in the log: the devices are the
/// service's.
fn open(
    file: &Path,
    (kms, service): (KmsConfig, ServiceConfig),
) -> Result<(Prepared, Kept), ServiceError> {
    let prepared = Prepared::new(file, &kms, service, AuditLog::default())?;
    let kept = prepared.open_kept()?;
    let kept = kept.ok_or_else(|| ServiceError::NothingKept {
        file: file.to_owned(),
    })?;
    Ok((prepared, kept))
}

async fn rewrap(
    wrapper: &Wrapper,
    kept: &Arc<KeptKeys>,
    rotate: bool,
) -> Result<(u64, Vec<String>), ServiceError> {
    let kms = Arc::new(wrapper.for_caller(CALLER));
    let manager = KeyRotationManager::new(kms, Arc::clone(kept) as _, Arc::new(SystemClock));
    let progress =
        |at: &RotationProgress| tell_counts("wrapped anew", at.rewrapped, at.untouched, at.failed);
    let done = match rotate {
        true => manager.rotate(wrapper.key(), &progress).await?,
        false => manager.rewrap(wrapper.key(), &progress).await?,
    };
    tell(format_args!(
        "`{}` has the version `{}`",
        done.key, done.version
    ));
    tell_counts("wrapped anew", done.rewrapped, done.untouched, done.failed);
    Ok((done.failed, done.failures))
}

async fn move_to(
    from: &Wrapper,
    to: &Wrapper,
    kept: &Arc<KeptKeys>,
) -> Result<(u64, Vec<String>), ServiceError> {
    to.check().await?;
    let target = (Arc::new(to.for_caller(CALLER)) as _, to.key().clone());
    let from = Arc::new(from.for_caller(CALLER));
    let progress = |at: &MoveProgress| tell_counts("moved", at.moved, at.untouched, at.failed);
    let done = DataKeyMove::new(from, target, Arc::clone(kept) as _);
    let done = done.run(&progress).await?;
    tell_counts("moved", done.moved, done.untouched, done.failed);
    Ok((done.failed, done.failures))
}

fn tell_counts(what: &str, done: u64, untouched: u64, failed: u64) {
    tell(format_args!(
        "{done} data keys {what}, {untouched} left as they were, {failed} do not open"
    ));
}

/// A reader that went away does not stop it.
fn tell(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
