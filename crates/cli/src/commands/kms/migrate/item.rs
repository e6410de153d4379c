//! [`Mover`]: one file from one key service to the other.

use super::found::{Begun, Body, Found, Room};
use crate::commands::kms::connection::Opened;
use crate::commands::kms::interrupt::in_thread;
use crate::commands::kms::output::{self, Privacy, failed};
use crate::failure::Failure;
use secretum_crypto::sha256;
use secretum_kms::{
    Ciphertext, EncryptionContext, KeyId, KeyManagementService, KmsError, SecretBytes,
};
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tempfile::NamedTempFile;
use tokio::time::Instant;

/// From where to where.
#[derive(Debug)]
pub(super) struct Mover {
    pub(super) from: Opened,
    pub(super) to: Opened,
    /// The names of both, as they stand in ciphertexts.
    pub(super) backends: (String, String),
    /// The key from now on, as it is asked for.
    pub(super) key: KeyId,
    /// The same, as it stands in ciphertexts; known from [`Self::look_at_key`] on.
    pub(super) made_key: Option<KeyId>,
    pub(super) context: EncryptionContext,
    pub(super) new_context: EncryptionContext,
    /// The beginning of the names of its temporary files.
    pub(super) temporary: String,
    /// Whether nothing is to be changed.
    pub(super) is_dry: bool,
    /// Whether the new service is to open what it encrypted.
    pub(super) verifies: bool,
    /// Where files stand that are in memory.
    pub(super) room: Room,
}

/// What became of a file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It can take its place.
    Ready(Box<Ready>),
    /// It is, or would be, under the new service.
    Moved,
    /// It was under the new service already.
    Already,
    /// It is nothing of this library.
    Foreign,
}

/// Why a file was not migrated.
#[derive(Debug)]
pub(super) enum Fault {
    /// This one cannot be.
    File(Failure),
    /// None could be, as long as this is so: no service, no credentials, no key to encrypt under.
    Everywhere(Failure),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

impl Fault {
    /// What a service said of one ciphertext.
    pub(super) fn of(error: KmsError) -> Self {
        let is_everywhere = error.is_service_fault()
            || error.is_transient()
            || matches!(
                error,
                KmsError::CircuitOpen { .. }
                    | KmsError::RateLimited { .. }
                    | KmsError::Credentials { .. }
                    | KmsError::NotConfigured { .. }
            );
        if is_everywhere {
            Self::Everywhere(error.into())
        } else {
            Self::File(error.into())
        }
    }

    /// What a service said when it was to encrypt under the key that all files get.
    fn of_key(error: KmsError) -> Self {
        match error {
            KmsError::KeyNotFound { .. }
            | KmsError::KeyDisabled { .. }
            | KmsError::OtherRegion { .. }
            | KmsError::AccessDenied { .. } => Self::Everywhere(error.into()),
            error => Self::of(error),
        }
    }
}

/// The longest that one request waits for room where a service limits their rate.
const LIMITED_MAX: Duration = Duration::from_secs(600);

/// The shortest wait for room, and the longest that is chosen here.
const WAITS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(30));

/// Asks a service, and again where it, or its configuration, limits the rate of requests.
async fn patiently<T>(
    limit: Duration,
    ask: impl AsyncFn() -> Result<T, KmsError>,
) -> Result<T, KmsError> {
    let end = Instant::now() + limit;
    let mut wait = WAITS.0;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let asked = match &error {
            KmsError::Throttled { retry_after, .. } => *retry_after,
            KmsError::RateLimited { retry_in } => Some(*retry_in),
            _ => return Err(error),
        };
        let until = Instant::now() + asked.unwrap_or_default().max(wait);
        if until > end {
            return Err(error);
        }
        tokio::time::sleep_until(until).await;
        wait = wait.saturating_mul(2).min(WAITS.1);
    }
}

/// A file that can take its place.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) temporary: NamedTempFile,
    /// What tells it from what it was.
    pub(super) mark: String,
    facts: Metadata,
}

impl Mover {
    /// Prepares a file; `known` is what the journal says that it will be.
    pub(super) async fn prepare(
        &self,
        path: &Path,
        known: Option<&String>,
    ) -> Result<Outcome, Fault> {
        let begun = path.to_owned();
        let Some(begun) = in_thread(move || Begun::of(&begun)).await?? else {
            return Ok(Outcome::Foreign);
        };
        let _room = self.room.take(&begun).await;
        let found = in_thread(move || begun.read()).await??;
        let (old, new) = &self.backends;
        let provider = found.wrapped.provider();
        if known == Some(&mark(&found.wrapped)) || (old != new && provider == new) {
            return self.already(&found).await;
        }
        let is_data_key = found.is_data_key();
        let from = self.from.kms.as_ref();
        let opened = patiently(LIMITED_MAX, async || {
            open(from, &found.wrapped, &self.context, is_data_key).await
        });
        let plaintext = match opened.await {
            Ok(plaintext) => plaintext,
            Err(error) => return self.not_opened(&found, error).await,
        };
        if self.is_dry {
            return Ok(Outcome::Moved);
        }
        let made = self.wrap(&plaintext, is_data_key).await;
        let made = made.map_err(Fault::of_key)?;
        let mark = mark(&made);
        let facts = found.facts.clone();
        let temporary = write(path, &self.temporary, (found, made)).await?;
        Ok(Outcome::Ready(Box::new(Ready {
            temporary,
            mark,
            facts,
        })))
    }

    /// What the old service does not open may be under the new one already: written there by an
    /// application, or by a run whose journal is lost.
    async fn not_opened(&self, found: &Found, error: KmsError) -> Result<Outcome, Fault> {
        let fault = Fault::of(error);
        if matches!(fault, Fault::File(_)) && self.open_new(found).await.is_ok() {
            return self.check_made_key(found);
        }
        Err(fault)
    }

    /// What the journal or the file itself says to be under the new service, is opened by it: the
    /// journal may be of other keys, and the file of somebody else's service of that name.
    async fn already(&self, found: &Found) -> Result<Outcome, Fault> {
        if !self.verifies {
            return Ok(Outcome::Already);
        }
        let opened = self.open_new(found).await.map_err(Fault::of);
        opened.map_err(|fault| match fault {
            Fault::File(why) => Fault::File(Failure::local(format!(
                "it is said to be under the new key service already, which does not open it: {why}"
            ))),
            everywhere => everywhere,
        })?;
        self.check_made_key(found)
    }

    async fn open_new(&self, found: &Found) -> Result<SecretBytes, KmsError> {
        let to = self.to.kms.as_ref();
        patiently(LIMITED_MAX, async || {
            open(to, &found.wrapped, &self.new_context, found.is_data_key()).await
        })
        .await
    }

    /// Refuses what the new service opens, but under another key than is asked for.
    fn check_made_key(&self, found: &Found) -> Result<Outcome, Fault> {
        let wanted = self.made_key.as_ref().unwrap_or(&self.key);
        if found.wrapped.key() == wanted {
            return Ok(Outcome::Already);
        }
        Err(Fault::File(Failure::local(format!(
            "it is under the new key service already, with the key `{}` and not `{wanted}`; `kms \
             re-encrypt` brings it under that one",
            found.wrapped.key()
        ))))
    }

    /// Looks whether the new service encrypts under the key, before it is asked to for each file.
    ///
    /// **Errors**: where it does not.
    pub(super) async fn look_at_key(&mut self) -> Result<(), Failure> {
        let to = self.to.kms.as_ref();
        match to.key_info(&self.key).await {
            Err(error @ (KmsError::KeyNotFound { .. } | KmsError::KeyDisabled { .. })) => {
                return Err(error.into());
            }
            Ok(info) if !info.enabled => {
                return Err(KmsError::KeyDisabled {
                    provider: to.capabilities().provider,
                    key: self.key.clone(),
                }
                .into());
            }
            // Who may encrypt may not be allowed to look.
            _ => {}
        }
        let made = patiently(LIMITED_MAX, async || {
            to.encrypt(&self.key, &[], &self.new_context).await
        });
        self.made_key = Some(made.await?.key().clone());
        Ok(())
    }

    async fn wrap(
        &self,
        plaintext: &SecretBytes,
        is_data_key: bool,
    ) -> Result<Ciphertext, KmsError> {
        let to = self.to.kms.as_ref();
        let made = patiently(LIMITED_MAX, async || {
            let plaintext = plaintext.expose();
            to.encrypt(&self.key, plaintext, &self.new_context).await
        });
        let made = made.await?;
        if self.verifies {
            let opened = patiently(LIMITED_MAX, async || {
                open(to, &made, &self.new_context, is_data_key).await
            });
            let opened = opened.await?;
            if opened != *plaintext {
                return Err(KmsError::NotAuthentic {
                    key: made.key().clone(),
                });
            }
        }
        Ok(made)
    }
}

impl Ready {
    /// Fails where somebody wrote the file while it was prepared: what they wrote is not lost.
    pub(super) fn check_unchanged(&self, path: &Path) -> Result<(), Failure> {
        let facts = std::fs::symlink_metadata(path);
        let facts = facts.map_err(|error| failed("read", path, &error))?;
        let told = |facts: &Metadata| {
            let written = (facts.mtime(), facts.mtime_nsec());
            // Whoever writes may set the time of that back, and not this one.
            let changed = (facts.ctime(), facts.ctime_nsec());
            (facts.dev(), facts.ino(), facts.len(), written, changed)
        };
        if told(&facts) == told(&self.facts) {
            return Ok(());
        }
        Err(Failure::local(
            "it was changed while it was being migrated; run the command again",
        ))
    }

    /// Has all of it on the disk.
    pub(super) fn sync(&self, path: &Path) -> Result<(), Failure> {
        let synced = self.temporary.as_file().sync_all();
        synced.map_err(|error| failed("write", path, &error))
    }
}

/// What tells a file that was migrated from what it was.
fn mark(wrapped: &Ciphertext) -> String {
    hex::encode(sha256(&wrapped.to_bytes()))
}

async fn open(
    kms: &dyn KeyManagementService,
    wrapped: &Ciphertext,
    context: &EncryptionContext,
    is_data_key: bool,
) -> Result<SecretBytes, KmsError> {
    if is_data_key {
        kms.decrypt_data_key(wrapped, context).await
    } else {
        kms.decrypt(wrapped, context).await
    }
}

/// Writes the file as it will be, beside its place and with its rights.
async fn write(
    path: &Path,
    prefix: &str,
    (found, made): (Found, Ciphertext),
) -> Result<NamedTempFile, Failure> {
    let unwritable = |error| failed("write", path, &error);
    let temporary = output::beside(path, Privacy::Private, prefix).map_err(unwritable)?;
    let mut file = temporary.as_file().try_clone().map_err(unwritable)?;
    let facts = found.facts;
    let body = found.body;
    let written = in_thread(move || {
        match body {
            Body::Bytes => file.write_all(&made.to_bytes())?,
            Body::Text(before, after) => {
                file.write_all(&before)?;
                file.write_all(made.to_base64().as_bytes())?;
                file.write_all(&after)?;
            }
            Body::Envelope(envelope) => {
                file.write_all(&envelope.with_wrapped_key(made).to_bytes())?;
            }
            Body::Stream(head, mut rest) => {
                file.write_all(&head.with_wrapped_key(made).to_bytes())?;
                std::io::copy(&mut rest, &mut file)?;
            }
        }
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (facts.uid(), facts.gid()) {
            std::os::unix::fs::fchown(&file, Some(facts.uid()), Some(facts.gid()))?;
        }
        file.set_permissions(facts.permissions())
    });
    written.await?.map_err(unwritable)?;
    Ok(temporary)
}

#[cfg(test)]
impl Ready {
    /// A file as it was found, and what it is to hold.
    pub(super) fn of(path: &Path, content: &str) -> std::io::Result<Self> {
        let mut temporary = output::beside(path, Privacy::Private, ".kms-migrate-in-place-")?;
        temporary.write_all(content.as_bytes())?;
        Ok(Self {
            temporary,
            mark: "mark".to_owned(),
            facts: std::fs::symlink_metadata(path)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    async fn limited(limit: Duration, refusals: u32, refusal: KmsError) -> (u32, bool) {
        let asked = Cell::new(0);
        let outcome = patiently(limit, async || {
            asked.set(asked.get() + 1);
            if asked.get() > refusals {
                Ok(())
            } else {
                Err(refusal.clone())
            }
        });
        let is_ok = outcome.await.is_ok();
        (asked.get(), is_ok)
    }

    #[tokio::test]
    async fn a_rate_limit_is_waited_for_and_other_refusals_are_not() {
        let minute = Duration::from_secs(60);
        let throttled = |retry_after| KmsError::Throttled {
            provider: "p",
            retry_after,
        };
        let retry_in = Duration::from_millis(1);
        let own = KmsError::RateLimited { retry_in };
        assert_eq!(limited(minute, 2, own).await, (3, true));
        assert_eq!(limited(minute, 2, throttled(None)).await, (3, true));
        // A wait that ends behind the limit is not begun.
        assert_eq!(
            limited(minute, 1, throttled(Some(minute * 2))).await,
            (1, false)
        );
        assert_eq!(
            limited(Duration::ZERO, 1, throttled(None)).await,
            (1, false)
        );
        let refused = KmsError::AccessDenied {
            provider: "p",
            reason: String::new(),
        };
        assert_eq!(limited(minute, 1, refused).await, (1, false));
    }

    #[test]
    fn a_key_that_does_not_encrypt_concerns_every_file() {
        let key = KeyId::new("k").unwrap();
        let missing = || KmsError::KeyNotFound {
            provider: "p",
            key: key.clone(),
        };
        assert!(matches!(Fault::of_key(missing()), Fault::Everywhere(_)));
        assert!(matches!(Fault::of(missing()), Fault::File(_)));
    }
}
