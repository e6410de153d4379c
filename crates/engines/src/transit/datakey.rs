//! `datakey`: keys for encryption elsewhere, wrapped by a key of here.

use super::cipher::{Around, Ciphers, Encoded};
use super::key::KeyName;
use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_api::fields::Count;
use secretum_crypto::random_secret;
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// How long a data key is where nobody says.
const BITS: u64 = 256;

/// Makes a data key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MakeDataKey {
    /// Name of the key that wraps it.
    name: KeyName,
    /// `plaintext` for the data key itself, too; `wrapped` for its ciphertext only.
    plaintext: Wanted,
    /// How long it is: 128, 256 or 512 bits.
    #[serde(default)]
    bits: Option<Count>,
    /// What the key of a derived one is derived from, in base64.
    #[serde(default)]
    context: String,
    /// What is authenticated with it, in base64.
    #[serde(default)]
    associated_data: String,
    /// The version that wraps; the newest where it is 0.
    #[serde(default)]
    key_version: Count,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Wanted {
    Plaintext,
    Wrapped,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct DataKey {
    ciphertext: String,
    key_version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Encoded>,
}

impl Handle<MakeDataKey> for Transit {
    type Data = DataKey;
    type Error = TransitError;

    async fn handle(
        &self,
        ask: MakeDataKey,
        context: &Context,
    ) -> Result<Reply<DataKey>, TransitError> {
        let bytes = match ask.bits.map_or(BITS, |Count(bits)| bits) {
            128 => 16,
            256 => 32,
            512 => 64,
            _ => {
                return Err(TransitError::Invalid(
                    "invalid bit length: use 128, 256 or 512",
                ));
            }
        };
        let key = self.key(&ask.name).await?;
        let around = Around::read(&ask.context, &ask.associated_data)?;
        let made = random_secret(&*context.rng, bytes).map_err(Fault::internal)?;
        let mut ciphers = Ciphers::new(self, &key);
        let sealed = ciphers.seal(made.expose(), ask.key_version, &around);
        let (ciphertext, key_version) = sealed.await?;
        let is_told = ask.plaintext == Wanted::Plaintext;
        Ok(Reply::data(DataKey {
            ciphertext,
            key_version,
            plaintext: is_told.then(|| Encoded::of(made.expose())),
        }))
    }
}
