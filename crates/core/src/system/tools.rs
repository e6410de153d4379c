//! `sys/tools`: random bytes and digests, for who has no tool at hand.

use super::Sys;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use secretum_crypto::{DigestAlgorithm, random_secret};
use secretum_engine::{Context, Fault, Handle, Reply};
use serde::{Deserialize, Serialize};

/// The most random bytes of one request.
const RANDOM_BYTES_MAX: usize = 128 * 1024;

/// How many there are where nobody says.
const RANDOM_BYTES: usize = 32;

/// Gives random bytes.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Random {
    /// How many bytes, or where they come from: `platform`, `seal` or `all`.
    #[serde(default)]
    first: String,
    /// How many bytes.
    #[serde(default)]
    urlbytes: Option<usize>,
    /// How many bytes; 32 where nothing says.
    #[serde(default)]
    bytes: Option<usize>,
    /// Where they come from: `platform`, `seal` or `all`; there is one source.
    #[serde(default)]
    source: String,
    /// How they are written: `base64` or `hex`.
    #[serde(default)]
    format: Format,
}

/// Gives the digest of what is sent.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Hash {
    /// The algorithm, in the path.
    #[serde(default)]
    urlalgorithm: String,
    /// The algorithm: `sha2-256` where nothing says.
    #[serde(default)]
    algorithm: String,
    /// What is digested, in base64.
    #[serde(default)]
    input: String,
    /// How the digest is written: `hex` or `base64`.
    #[serde(default = "Format::hex")]
    format: Format,
}

/// How bytes are written.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Base64,
    Hex,
}

impl Format {
    fn hex() -> Self {
        Self::Hex
    }

    fn write(self, bytes: &[u8]) -> String {
        match self {
            Self::Base64 => STANDARD.encode(bytes),
            Self::Hex => hex::encode(bytes),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RandomBytes {
    random_bytes: String,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct Digest {
    sum: String,
}

fn check_source(source: &str) -> Result<(), Fault> {
    match source {
        "" | "platform" | "seal" | "all" => Ok(()),
        _ => Err(Fault::invalid(
            "unsupported entropy source: use `platform`, `seal` or `all`",
        )),
    }
}

impl Random {
    fn count(&self) -> Result<usize, Fault> {
        let in_path = match self.first.parse::<usize>() {
            Ok(count) => Some(count),
            Err(_) => {
                check_source(&self.first)?;
                self.urlbytes
            }
        };
        check_source(&self.source)?;
        let count = in_path.or(self.bytes).unwrap_or(RANDOM_BYTES);
        if !(1..=RANDOM_BYTES_MAX).contains(&count) {
            return Err(Fault::invalid(format!(
                "`bytes` must be a number from 1 to {RANDOM_BYTES_MAX}"
            )));
        }
        Ok(count)
    }
}

impl Handle<Random> for Sys {
    type Data = RandomBytes;
    type Error = Fault;

    async fn handle(&self, ask: Random, context: &Context) -> Result<Reply<RandomBytes>, Fault> {
        let random = random_secret(&*context.rng, ask.count()?).map_err(Fault::internal)?;
        Ok(Reply::data(RandomBytes {
            random_bytes: ask.format.write(random.expose()),
        }))
    }
}

impl Handle<Hash> for Sys {
    type Data = Digest;
    type Error = Fault;

    async fn handle(&self, ask: Hash, _: &Context) -> Result<Reply<Digest>, Fault> {
        let named = [&ask.urlalgorithm, &ask.algorithm];
        let name = named.into_iter().find(|name| !name.is_empty());
        let name = name.map_or("sha2-256", String::as_str);
        let algorithm = DigestAlgorithm::named(name).ok_or_else(|| {
            let names: Vec<_> = DigestAlgorithm::names().collect();
            Fault::invalid(format!(
                "unsupported algorithm: use one of {}",
                names.join(", ")
            ))
        })?;
        let input = STANDARD
            .decode(&ask.input)
            .map_err(|_| Fault::invalid("unable to decode input as base64"))?;
        Ok(Reply::data(Digest {
            sum: ask.format.write(&algorithm.digest(&input)),
        }))
    }
}
