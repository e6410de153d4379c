//! [`Secret`]: the envelope around an answer.

use crate::Json;
use secretum_crypto::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The keys that tell an envelope from a bare answer.
const ENVELOPE_KEYS: [&str; 5] = ["request_id", "lease_id", "data", "auth", "wrap_info"];

/// An answer of the server.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Secret {
    /// Id of the request; empty when the answer is wrapped.
    pub request_id: String,
    /// Id of the lease; empty without one.
    pub lease_id: String,
    /// How long the lease lasts.
    pub lease_duration_seconds: u64,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// The answer itself; of an answer without envelope, all of it.
    pub data: Json,
    /// What the server warns of.
    pub warnings: Vec<String>,
    /// The wrapping token, where the answer is wrapped.
    pub wrap_info: Option<WrapInfo>,
    /// The token, where the request made one.
    pub auth: Option<Auth>,
}

/// A wrapping token.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct WrapInfo {
    /// The token.
    pub token: SecretString,
    /// Its accessor.
    #[serde(default)]
    pub accessor: String,
    /// How long it lives, in seconds.
    #[serde(default)]
    pub ttl: u64,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub creation_time: String,
    /// The path whose answer it holds.
    #[serde(default)]
    pub creation_path: String,
    /// Accessor of the token it holds; empty where it holds none.
    #[serde(default)]
    pub wrapped_accessor: String,
}

/// A token that the request made.
#[derive(Debug, Deserialize)]
#[non_exhaustive]
pub struct Auth {
    /// The token.
    pub client_token: SecretString,
    /// Its accessor; empty for a batch token.
    #[serde(default)]
    pub accessor: String,
    /// Names of all its policies.
    #[serde(default)]
    pub policies: Option<Vec<String>>,
    /// Those it carries itself.
    #[serde(default)]
    pub token_policies: Option<Vec<String>>,
    /// Those its entity brings.
    #[serde(default)]
    pub identity_policies: Option<Vec<String>>,
    /// Metadata of the login.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Whether it has no parent.
    #[serde(default)]
    pub orphan: bool,
    /// Its entity; empty without one.
    #[serde(default)]
    pub entity_id: String,
    /// How long it lives, in seconds; 0 for ever.
    #[serde(default)]
    pub lease_duration: u64,
    /// Whether it can be renewed.
    #[serde(default)]
    pub renewable: bool,
    /// What a second factor must still prove.
    #[serde(default)]
    pub mfa_requirement: Json,
    /// `service` or `batch`; empty where the server does not say.
    #[serde(default)]
    pub token_type: String,
    /// How many uses it has; 0 for any number.
    #[serde(default)]
    pub num_uses: u64,
}

/// The envelope as it is on the wire.
#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    lease_id: Option<String>,
    #[serde(default)]
    lease_duration: Option<u64>,
    #[serde(default)]
    renewable: Option<bool>,
    #[serde(default)]
    data: Json,
    #[serde(default)]
    warnings: Option<Vec<String>>,
    #[serde(default)]
    wrap_info: Option<WrapInfo>,
    #[serde(default)]
    auth: Option<Auth>,
}

impl Secret {
    /// Reads the body of an answer. One without envelope becomes `data` as a whole.
    ///
    /// **Errors**: where it is no JSON object of the API's shape.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let text = std::str::from_utf8(body).map_err(serde::de::Error::custom)?;
        if !has_envelope(text)? {
            return Ok(Self {
                data: Json::parse(text)?,
                ..Self::default()
            });
        }
        let wire: Wire = serde_json::from_str(text)?;
        Ok(Self {
            request_id: wire.request_id.unwrap_or_default(),
            lease_id: wire.lease_id.unwrap_or_default(),
            lease_duration_seconds: wire.lease_duration.unwrap_or_default(),
            renewable: wire.renewable.unwrap_or_default(),
            data: wire.data,
            warnings: wire.warnings.unwrap_or_default(),
            wrap_info: wire.wrap_info,
            auth: wire.auth,
        })
    }

    /// The names of a listing.
    pub fn keys(&self) -> Option<Vec<&str>> {
        let keys = self.data.get("keys")?.as_array()?;
        Some(keys.iter().filter_map(Json::as_str).collect())
    }
}

fn has_envelope(text: &str) -> Result<bool, serde_json::Error> {
    let members: BTreeMap<String, serde::de::IgnoredAny> = serde_json::from_str(text)?;
    Ok(ENVELOPE_KEYS.iter().any(|key| members.contains_key(*key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_is_read() {
        let secret = Secret::parse(
            br#"{"request_id":"r","lease_id":"","renewable":false,"lease_duration":30,
                "data":{"keys":["a","b/"],"n":1.50},"wrap_info":null,"warnings":["w"],
                "auth":{"client_token":"hvs.planted","policies":["p"],"identity_policies":null,
                "lease_duration":60,"renewable":true,"metadata":null}}"#,
        )
        .unwrap();
        assert_eq!(secret.keys().unwrap(), ["a", "b/"]);
        assert_eq!(secret.data.get("n").unwrap().to_string(), "1.50");
        assert_eq!(secret.warnings, ["w"]);
        assert!(!format!("{secret:?}").contains("planted"));
        assert_eq!(secret.auth.unwrap().client_token.expose(), "hvs.planted");
    }

    #[test]
    fn a_bare_answer_is_all_data() {
        let secret = Secret::parse(br#"{"sealed":false,"t":3}"#).unwrap();
        assert_eq!(secret.data.to_string(), r#"{"sealed":false,"t":3}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in [&b"[]"[..], b"", b"<html>", b"{\"data\":", b"\xff"] {
            assert!(Secret::parse(body).is_err());
        }
    }
}
