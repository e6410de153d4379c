//! Holders: whom shares and root tokens are handed to, in the clear or encrypted with their PGP keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secretum_crypto::{ClockRef, CryptoError, PgpKey, RngRef, SecretBytes, SecretString, pgp};
use secretum_engine::Fault;

/// The most characters of a public key in base64; a line break in each is counted in.
const KEY_TEXT_MAX: usize = pgp::KEY_BYTES_MAX * 3 / 2;

/// Encrypts for holders, with the time and randomness that this takes.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    pub(crate) clock: ClockRef,
    pub(crate) rng: RngRef,
}

/// Those whom shares are handed to.
#[derive(Debug, Default)]
pub(crate) struct Holders(Vec<PgpKey>);

impl Envelope {
    /// The holders with these public keys, one a share; none for shares in the clear.
    ///
    /// **Errors**: [`Fault::Invalid`] where a key cannot be used, or there are not as many as shares.
    pub(crate) fn holders(&self, keys: &[String], shares: u8) -> Result<Holders, Fault> {
        if !keys.is_empty() && keys.len() != usize::from(shares) {
            return Err(Fault::invalid(format!(
                "incorrect number of PGP keys: there are {} for {shares} shares",
                keys.len()
            )));
        }
        let read = |(number, key): (usize, &String)| self.key(key, &format!("PGP key {number}"));
        Ok(Holders(
            (1..).zip(keys).map(read).collect::<Result<_, _>>()?,
        ))
    }

    /// A public key from base64 of its bytes or its armor, or from the armor itself.
    pub(crate) fn key(&self, text: &str, name: &str) -> Result<PgpKey, Fault> {
        if text.len() > KEY_TEXT_MAX {
            return Err(Fault::invalid(format!(
                "{name} cannot be used: it is too long"
            )));
        }
        let bytes = if text.trim_start().starts_with("-----BEGIN PGP") {
            text.as_bytes().to_vec()
        } else {
            let compact: String = text.split_ascii_whitespace().collect();
            STANDARD.decode(compact).map_err(|_| {
                Fault::invalid(format!(
                    "{name} cannot be used: it is not in base64, as a file of it would be sent"
                ))
            })?
        };
        PgpKey::parse(&bytes, self.clock.now()).map_err(|error| match error {
            CryptoError::PgpKey(why) => Fault::invalid(format!("{name} cannot be used: {why}")),
            other => Fault::internal(other),
        })
    }

    /// Encrypts a text for the holder of a key.
    pub(crate) fn seal(&self, key: &PgpKey, text: &SecretString) -> Result<Vec<u8>, Fault> {
        let plain = SecretBytes::new(text.expose().as_bytes().to_vec());
        let sealed = key.encrypt(&plain, self.clock.now(), &*self.rng);
        sealed.map_err(Fault::internal)
    }

    /// The shares as they are handed out: each in hex, encrypted for its holder, or as it is.
    pub(crate) fn hand_out(
        &self,
        holders: &Holders,
        shares: &[SecretBytes],
    ) -> Result<Vec<SecretBytes>, Fault> {
        if holders.0.is_empty() {
            return Ok(shares.iter().map(SecretBytes::duplicate).collect());
        }
        let seal = |(share, key): (&SecretBytes, &PgpKey)| {
            let text = SecretString::new(hex::encode(share.expose()));
            self.seal(key, &text).map(SecretBytes::new)
        };
        shares.iter().zip(&holders.0).map(seal).collect()
    }
}

impl Holders {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fingerprints of their keys; `None` where shares are handed out in the clear.
    pub(crate) fn fingerprints(&self) -> Option<Vec<String>> {
        let all = self.0.iter().map(|key| key.fingerprint().to_owned());
        (!self.is_empty()).then(|| all.collect())
    }
}
