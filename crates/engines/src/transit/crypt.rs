//! `encrypt`, `decrypt` and `rewrap`, of one text or of many at once.

use super::cipher::{Around, Ciphers, Encoded, decoded};
use super::key::{KeyKind, KeyName, Known};
use super::keys::NOT_CONVERGENT;
use super::{Transit, TransitError};
use schemars::JsonSchema;
use secretum_api::fields::Count;
use secretum_crypto::SecretString;
use secretum_engine::{Context, Exists, Handle, Input, Operation, Reply};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

const NO_PLAINTEXT: &str = "missing plaintext to encrypt";
const NO_CIPHERTEXT: &str = "missing ciphertext to decrypt";
const NO_BATCH: &str = "missing batch input to process";
const MIXED_CONTEXTS: &str = "context should be set either in all the request blocks or in none";

/// The most texts of one request.
const BATCH_ITEMS_MAX: usize = 10_000;

/// Others of the thread have their turn after so many of them.
const TURN_ITEMS: usize = 64;

/// Many texts.
#[derive(JsonSchema)]
#[schemars(transparent, inline)]
struct Batch(Vec<Item>);

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items)
    }
}

/// Reads so many of them and no more.
struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Batch;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Batch, A::Error> {
        let mut batch = Vec::new();
        while let Some(item) = items.next_element()? {
            if batch.len() == BATCH_ITEMS_MAX {
                return Err(A::Error::custom(format!(
                    "a batch has at most {BATCH_ITEMS_MAX} texts"
                )));
            }
            batch.push(item);
        }
        Ok(Batch(batch))
    }
}

/// What is `null` counts as not there.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One text of a batch.
#[derive(Default, Deserialize, JsonSchema)]
struct Item {
    /// What is encrypted, in base64.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    plaintext: Option<SecretString>,
    /// What is decrypted.
    #[serde(default)]
    ciphertext: Option<String>,
    /// What the key of a derived one is derived from, in base64.
    #[serde(default, deserialize_with = "or_default")]
    context: String,
    /// What is authenticated with it, in base64.
    #[serde(default, deserialize_with = "or_default")]
    associated_data: String,
    /// The version that encrypts; the newest where it is 0.
    #[serde(default, deserialize_with = "or_default")]
    key_version: Count,
    /// A word of the caller's, which stands beside the result.
    #[serde(default, deserialize_with = "or_default")]
    reference: String,
}

/// Encrypts. A key that is not there is made, for who may create.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Encrypt {
    /// Name of the key.
    name: KeyName,
    /// What is encrypted, in base64.
    #[serde(default)]
    #[schemars(with = "Option<String>", example = "aGVsbG8=")]
    plaintext: Option<SecretString>,
    /// What the key of a derived one is derived from, in base64.
    #[serde(default)]
    context: String,
    /// What is authenticated with it, in base64.
    #[serde(default)]
    associated_data: String,
    /// The version that encrypts; the newest where it is 0.
    #[serde(default)]
    key_version: Count,
    /// The type of a key that is made.
    #[serde(default)]
    r#type: String,
    /// Whether a plaintext has one ciphertext; not served.
    #[serde(default)]
    convergent_encryption: bool,
    /// Many texts at once; the others are then not looked at.
    #[serde(default)]
    batch_input: Option<Batch>,
}

/// Decrypts.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Decrypt {
    /// Name of the key.
    name: KeyName,
    /// What is decrypted.
    #[serde(default)]
    ciphertext: Option<String>,
    /// What the key of a derived one is derived from, in base64.
    #[serde(default)]
    context: String,
    /// What was authenticated with it, in base64.
    #[serde(default)]
    associated_data: String,
    /// Many texts at once; the others are then not looked at.
    #[serde(default)]
    batch_input: Option<Batch>,
}

/// Decrypts, and encrypts with the newest version; the plaintext stays here.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Rewrap {
    /// Name of the key.
    name: KeyName,
    /// What is encrypted anew.
    #[serde(default)]
    ciphertext: Option<String>,
    /// What the key of a derived one is derived from, in base64.
    #[serde(default)]
    context: String,
    /// What was authenticated with it, and is again, in base64.
    #[serde(default)]
    associated_data: String,
    /// The version that encrypts; the newest where it is 0.
    #[serde(default)]
    key_version: Count,
    /// Many texts at once; the others are then not looked at.
    #[serde(default)]
    batch_input: Option<Batch>,
}

/// What became of one text.
#[derive(Default, Serialize, JsonSchema)]
struct Done {
    #[serde(skip_serializing_if = "Option::is_none")]
    ciphertext: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plaintext: Option<Encoded>,
    /// The version that encrypted.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_version: Option<u32>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The caller's own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

/// What became of one text, or of many in their order.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Results {
    One(Done),
    Many { batch_results: Vec<Done> },
}

/// What became of one text or of many.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Answer(Results);

#[derive(Clone, Copy)]
enum Act {
    Encrypt,
    Decrypt,
    Rewrap,
}

impl Act {
    async fn one(self, ciphers: &mut Ciphers<'_>, item: &Item) -> Result<Done, TransitError> {
        let around = Around::read(&item.context, &item.associated_data)?;
        let opened = match self {
            Self::Encrypt => {
                let text = item.plaintext.as_ref();
                let text = text.ok_or(TransitError::Invalid(NO_PLAINTEXT))?;
                decoded(text.expose(), "`plaintext` is no base64")?
            }
            Self::Decrypt | Self::Rewrap => {
                let text = item.ciphertext.as_deref().filter(|text| !text.is_empty());
                let text = text.ok_or(TransitError::Invalid(NO_CIPHERTEXT))?;
                ciphers.open(text, &around).await?
            }
        };
        if let Self::Decrypt = self {
            return Ok(Done {
                plaintext: Some(Encoded::of(opened.expose())),
                ..Done::default()
            });
        }
        let sealed = ciphers.seal(opened.expose(), item.key_version, &around);
        let (ciphertext, version) = sealed.await?;
        Ok(Done {
            ciphertext: Some(ciphertext),
            key_version: Some(version),
            ..Done::default()
        })
    }

    /// Does it to one text, or to many, each on its own.
    async fn all(
        self,
        mut ciphers: Ciphers<'_>,
        one: Item,
        batch: Option<Batch>,
    ) -> Result<Reply<Answer>, TransitError> {
        let Some(batch) = batch else {
            let done = self.one(&mut ciphers, &one).await?;
            return Ok(Reply::data(Answer(Results::One(done))));
        };
        batch.has_contexts()?;
        let mut batch_results = Vec::with_capacity(batch.0.len());
        for (number, item) in batch.0.into_iter().enumerate() {
            if number % TURN_ITEMS == TURN_ITEMS - 1 {
                tokio::task::yield_now().await;
            }
            let mut done = match self.one(&mut ciphers, &item).await {
                // A server that cannot do it refuses all of it.
                Err(TransitError::Fault(fault)) => return Err(fault.into()),
                Err(refusal) => Done {
                    error: Some(refusal.to_string()),
                    ..Done::default()
                },
                Ok(done) => done,
            };
            done.reference = Some(item.reference);
            batch_results.push(done);
        }
        // Who has texts encrypted anew gets those that can be, as in Vault.
        let counts = !matches!(self, Self::Rewrap);
        let is_refused = counts && batch_results.iter().any(|done| done.error.is_some());
        let reply = Reply::data(Answer(Results::Many { batch_results }));
        Ok(if is_refused {
            reply.refused_in_part()
        } else {
            reply
        })
    }
}

impl Batch {
    /// Whether its texts have contexts: all of them, or none.
    ///
    /// **Errors**: [`TransitError::Invalid`] where there is no text, or some have one.
    fn has_contexts(&self) -> Result<bool, TransitError> {
        let mut contexts = self.0.iter().map(|item| !item.context.is_empty());
        let first = contexts.next().ok_or(TransitError::Invalid(NO_BATCH))?;
        match contexts.all(|context| context == first) {
            true => Ok(first),
            false => Err(TransitError::Invalid(MIXED_CONTEXTS)),
        }
    }
}

impl Handle<Encrypt> for Transit {
    type Data = Answer;
    type Error = TransitError;

    async fn handle(&self, ask: Encrypt, context: &Context) -> Result<Reply<Answer>, TransitError> {
        if ask.convergent_encryption {
            return Err(TransitError::Invalid(NOT_CONVERGENT));
        }
        let batch = ask.batch_input;
        let one = Item {
            plaintext: ask.plaintext,
            context: ask.context,
            associated_data: ask.associated_data,
            key_version: ask.key_version,
            ..Item::default()
        };
        if let Some(key) = self.find(&ask.name).await? {
            return Act::Encrypt.all(Ciphers::new(self, &key), one, batch).await;
        }
        let derived = match &batch {
            Some(batch) => batch.has_contexts()?,
            None => !one.context.is_empty(),
        };
        if context.operation != Operation::Create {
            return Err(TransitError::NoKey);
        }
        let known = Known {
            derived,
            ..Known::of(KeyKind::named(&ask.r#type)?, self.new_id()?)
        };
        let made = self.make(ask.name, known, context.clock.now())?;
        let mut ciphers = Ciphers::new(self, &made.key);
        ciphers.know(made.key.latest(), made.first);
        let reply = Act::Encrypt.all(ciphers, one, batch).await?;
        Ok(reply.with_writes(made.writes))
    }
}

impl Exists<Encrypt> for Transit {
    async fn exists(&self, input: &Input<'_>, _: &Context) -> Result<bool, TransitError> {
        let name = KeyName::try_from(input.capture("name").to_owned());
        let name = name.map_err(TransitError::Invalid)?;
        Ok(self.find(&name).await?.is_some())
    }
}

impl Handle<Decrypt> for Transit {
    type Data = Answer;
    type Error = TransitError;

    async fn handle(&self, ask: Decrypt, _: &Context) -> Result<Reply<Answer>, TransitError> {
        let one = Item {
            ciphertext: ask.ciphertext,
            context: ask.context,
            associated_data: ask.associated_data,
            ..Item::default()
        };
        let key = self.key(&ask.name).await?;
        Act::Decrypt
            .all(Ciphers::new(self, &key), one, ask.batch_input)
            .await
    }
}

impl Handle<Rewrap> for Transit {
    type Data = Answer;
    type Error = TransitError;

    async fn handle(&self, ask: Rewrap, _: &Context) -> Result<Reply<Answer>, TransitError> {
        let one = Item {
            ciphertext: ask.ciphertext,
            context: ask.context,
            associated_data: ask.associated_data,
            key_version: ask.key_version,
            ..Item::default()
        };
        let key = self.key(&ask.name).await?;
        Act::Rewrap
            .all(Ciphers::new(self, &key), one, ask.batch_input)
            .await
    }
}
