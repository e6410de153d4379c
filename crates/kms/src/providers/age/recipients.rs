//! [`AgeRecipients`]: age where each recipient is a key of its own.

use super::NAME;
use super::file;
use super::keys::{AgeFiles, Identity, Recipient};
use crate::{
    EncryptionContext, Health, KeyId, KeyInfo, KeyPage, KeyVersion, KmsError, PLAINTEXT_BYTES_MAX,
    Provider, Result, SuppliedBy, Traits, Wrapped,
};
use async_trait::async_trait;
use secretum_crypto::SecretBytes;
use std::path::PathBuf;

/// The version of every key: a recipient has no other.
const VERSION: u64 = 1;

/// age where the identifier of a key is a recipient, as formats name it that keep an age file for each
/// of theirs. It encrypts to any recipient, armored, and decrypts for those whose private keys it has.
#[derive(Debug, Clone)]
pub struct AgeRecipients {
    private: Option<PathBuf>,
}

impl AgeRecipients {
    /// With the private keys of this file; without one it encrypts, and decrypts nothing.
    ///
    /// The file is read at each decryption, so that a key added to it is known at once.
    ///
    /// **Errors**: [`KmsError::File`], [`KmsError::FileRights`], [`KmsError::FileContent`].
    pub fn open(private: Option<PathBuf>) -> Result<Self> {
        let own = Self { private };
        own.identities()?;
        Ok(own)
    }

    fn identities(&self) -> Result<Vec<Identity>> {
        let Some(private) = &self.private else {
            return Ok(Vec::new());
        };
        let files = AgeFiles {
            public: None,
            private: Some(private.clone()),
        };
        Ok(files.read()?.identities)
    }

    /// Every recipient whose private key is here, sorted.
    fn own(&self) -> Result<Vec<KeyId>> {
        let identities = self.identities()?;
        let recipients = identities.iter().filter_map(Identity::recipient);
        let mut keys: Vec<KeyId> = recipients
            .filter_map(|recipient| KeyId::new(recipient.text()).ok())
            .collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }
}

fn parse(key: &KeyId) -> Result<Recipient> {
    Recipient::parse(key.as_str()).map_err(|_| KmsError::KeyId {
        id: key.as_str().to_owned(),
        reason: "it is no recipient of age; one is age1…, ssh-ed25519 … or ssh-rsa …",
    })
}

#[async_trait]
impl Provider for AgeRecipients {
    fn traits(&self) -> Traits {
        Traits {
            name: NAME,
            binds_context: false,
            wrap_bytes_min: 0,
            wrap_bytes_max: PLAINTEXT_BYTES_MAX,
            data_keys: SuppliedBy::Layer,
            re_encryption: SuppliedBy::Layer,
            rotation: false,
            listing: true,
        }
    }

    async fn wrap(&self, key: &KeyId, plaintext: &[u8], _: &EncryptionContext) -> Result<Wrapped> {
        let recipient = parse(key)?;
        Ok(Wrapped {
            key: key.clone(),
            version: KeyVersion::from(VERSION),
            bytes: file::seal(std::iter::once(recipient.as_age()), plaintext, true)?,
        })
    }

    async fn unwrap(&self, wrapped: &Wrapped, _: &EncryptionContext) -> Result<SecretBytes> {
        let wanted = parse(&wrapped.key)?.text();
        let identities = self.identities()?;
        // This key alone: who may use one must not open what is another's.
        let fits = |identity: &&Identity| {
            let own = identity.recipient();
            own.is_some_and(|own| own.text() == wanted)
        };
        let mut own = identities
            .iter()
            .filter(fits)
            .map(Identity::as_age)
            .peekable();
        if own.peek().is_none() {
            return Err(KmsError::KeyNotFound {
                provider: NAME,
                key: wrapped.key.clone(),
            });
        }
        file::open(own, &wrapped.bytes).map_err(|_| KmsError::NotAuthentic {
            key: wrapped.key.clone(),
        })
    }

    async fn describe(&self, key: &KeyId) -> Result<KeyInfo> {
        parse(key)?;
        Ok(KeyInfo {
            key: key.clone(),
            version: KeyVersion::from(VERSION),
            enabled: true,
            rotated_at: None,
        })
    }

    async fn list(&self, after: Option<&KeyId>, limit: usize) -> Result<KeyPage> {
        Ok(KeyPage::of_sorted(self.own()?.iter(), after, limit))
    }

    async fn health(&self) -> Result<Health> {
        let count = self.identities()?.len();
        Ok(Health::of(NAME).note(format!("{count} private keys, any recipient")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ciphertext, KeyManagementService, ProviderKms};
    use secretum_crypto::Timestamp;
    use std::sync::Arc;
    use tempfile::TempDir;

    /// A private file, and its recipient.
    fn pair(place: &TempDir, name: &str) -> (PathBuf, KeyId) {
        let files = AgeFiles {
            public: Some(place.path().join(format!("{name}.pub"))),
            private: Some(place.path().join(name)),
        };
        files.generate(Timestamp::UNIX_EPOCH).unwrap();
        let recipient = std::fs::read_to_string(files.public.unwrap()).unwrap();
        (
            files.private.unwrap(),
            KeyId::new(recipient.trim()).unwrap(),
        )
    }

    fn kms(private: Option<PathBuf>) -> ProviderKms {
        ProviderKms::new(Arc::new(AgeRecipients::open(private).unwrap()))
    }

    #[tokio::test]
    async fn a_recipient_is_a_key_and_opens_what_is_its_own_alone() {
        let place = tempfile::tempdir().unwrap();
        let (first, one) = pair(&place, "one");
        let (second, two) = pair(&place, "two");
        let both = place.path().join("both");
        let text =
            std::fs::read_to_string(&first).unwrap() + &std::fs::read_to_string(second).unwrap();
        std::fs::copy(&first, &both).unwrap();
        std::fs::write(&both, text).unwrap();
        let none = EncryptionContext::default();
        let made = kms(None).encrypt(&one, b"secret", &none).await.unwrap();
        let armored = made.wrapped().bytes.clone();
        assert!(armored.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----\n"));
        let as_of = |key: &KeyId| {
            let wrapped = Wrapped {
                key: key.clone(),
                version: KeyVersion::default(),
                bytes: armored.clone(),
            };
            Ciphertext::native(NAME, wrapped).unwrap()
        };
        let kms = kms(Some(both));
        let opened = kms.decrypt(&as_of(&one), &none).await.unwrap();
        assert_eq!(opened.expose(), b"secret");
        let other = kms.decrypt(&as_of(&two), &none).await.unwrap_err();
        assert!(matches!(other, KmsError::NotAuthentic { .. }), "{other}");
        assert_eq!(kms.list_keys(None, 10).await.unwrap().keys.len(), 2);
    }

    #[tokio::test]
    async fn a_recipient_without_its_private_key_is_told() {
        let place = tempfile::tempdir().unwrap();
        let (first, one) = pair(&place, "one");
        let (_, two) = pair(&place, "two");
        let none = EncryptionContext::default();
        let made = kms(None).encrypt(&two, b"x", &none).await.unwrap();
        for own in [kms(Some(first)), kms(None)] {
            let refused = own.decrypt(&made, &none).await.unwrap_err();
            assert!(matches!(refused, KmsError::KeyNotFound { .. }), "{refused}");
        }
        let wrong = KeyId::new("age1nobody").unwrap();
        let refused = kms(None).encrypt(&wrong, b"x", &none).await.unwrap_err();
        assert!(matches!(refused, KmsError::KeyId { .. }), "{refused}");
        let made = kms(None).encrypt(&one, b"x", &none).await;
        assert!(made.is_ok());
    }
}
