//! [`Place`]: `kms://…` and `storage://…`, as URIs or as tables of the same names.
//!
//! A parameter may be written as URIs of this kind have it (`accessKeyID`) or as tables do
//! (`access_key_id`). No fault repeats a value: it may be a secret.

use percent_encoding::percent_decode_str;
use secretum_crypto::SecretString;
use std::collections::BTreeMap;
use std::fmt;

/// The most bytes of a URI.
pub(crate) const URI_BYTES_MAX: usize = 8192;

/// A kind of place, and the names of what is said of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What stands behind `://`.
    pub(crate) name: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

/// What comes before `://`, and the kinds of places behind it.
#[derive(Debug)]
pub(crate) struct Scheme {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
}

/// Key services for data keys.
pub(crate) const KMS: Scheme = Scheme {
    name: "kms",
    kinds: &[
        Kind {
            name: "configured",
            required: &[],
            optional: &["keyEncryptionKeyID", "useExistingKEK"],
        },
        Kind {
            name: "cluster-kms",
            required: &["key", "salt"],
            optional: &[],
        },
        Kind {
            name: "aws",
            required: &["region"],
            optional: &[
                "accessKeyID",
                "accessKey",
                "sessionToken",
                "endpoint",
                "keyName",
                "keyEncryptionKeyID",
                "useExistingKEK",
            ],
        },
        Kind {
            name: "azure",
            required: &["vaultName"],
            optional: &[
                "tenantID",
                "clientID",
                "clientSecret",
                "vaultType",
                "endpoint",
                "authorityHost",
                "caPath",
                "verifyChallengeResource",
                "keyName",
                "keyEncryptionKeyID",
                "useExistingKEK",
            ],
        },
        Kind {
            name: "gcp",
            required: &["projectID", "location", "keyRing"],
            optional: &[
                "credentialsPath",
                "endpoint",
                "anonymous",
                "keyName",
                "keyEncryptionKeyID",
                "useExistingKEK",
            ],
        },
        Kind {
            name: "kmip",
            required: &["address", "certPath", "keyPath", "caPath"],
            optional: &[
                "serverName",
                "version",
                "keyName",
                "keyEncryptionKeyID",
                "useExistingKEK",
            ],
        },
        Kind {
            name: "vault",
            required: &["address"],
            optional: VAULT_OPTIONAL,
        },
        Kind {
            name: "rustyvault",
            required: &["address"],
            optional: RUSTYVAULT_OPTIONAL,
        },
    ],
};

const VAULT_OPTIONAL: &[&str] = &[
    "token",
    "roleID",
    "secretID",
    "namespace",
    "mount",
    "caPath",
    "keyName",
    "keyEncryptionKeyID",
    "useExistingKEK",
];

const RUSTYVAULT_OPTIONAL: &[&str] = &[
    "token",
    "roleID",
    "secretID",
    "engine",
    "mount",
    "path",
    "caPath",
    "keyName",
    "keyEncryptionKeyID",
    "useExistingKEK",
];

/// Storages of wrapped data keys.
pub(crate) const STORAGE: Scheme = Scheme {
    name: "storage",
    kinds: &[
        Kind {
            name: "file",
            required: &["path"],
            optional: &[],
        },
        Kind {
            name: "aws",
            required: &["bucket", "region"],
            optional: &["accessKeyID", "accessKey", "endpoint", "prefix"],
        },
        Kind {
            name: "azure",
            required: &["account", "container"],
            optional: &[
                "tenantID",
                "clientID",
                "clientSecret",
                "accountKey",
                "endpoint",
                "prefix",
            ],
        },
        Kind {
            name: "gcp",
            required: &["bucket"],
            optional: &["projectID", "credentialsPath", "endpoint", "prefix"],
        },
        Kind {
            name: "no-store",
            required: &[],
            optional: &[],
        },
    ],
};

/// Why a text is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlaceFault {
    #[error("has more than {URI_BYTES_MAX} bytes; take out what does not belong there")]
    TooLong,
    #[error("is no URI of this kind; write {scheme}://KIND?NAME=VALUE, with KIND one of {kinds}")]
    Form { scheme: &'static str, kinds: String },
    #[error("names a kind that is not known; write one of {kinds}")]
    Kind { kinds: String },
    #[error("has a part without `=`; write NAME=VALUE, with an & of a value as %26")]
    Pair,
    #[error(
        "has a value that is no text: a `%` with no two hex digits of UTF-8 behind it; write %25"
    )]
    Encoding,
    #[error("has a parameter that `{kind}` does not know; it knows {known}")]
    Unknown { kind: &'static str, known: String },
    #[error("says `{name}` twice; leave one of them out")]
    Twice { name: &'static str },
    #[error("says nothing for `{name}`; write a value, or leave it out")]
    Empty { name: &'static str },
    #[error("does not say `{name}`, which `{kind}` needs")]
    Missing {
        kind: &'static str,
        name: &'static str,
    },
}

/// A place that is known by its kind, with all that it needs.
pub(crate) struct Place {
    kind: &'static Kind,
    values: BTreeMap<&'static str, SecretString>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("kind", &self.kind.name)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// Reads a URI.
    pub(crate) fn of_uri(scheme: &'static Scheme, uri: &str) -> Result<Self, PlaceFault> {
        if uri.len() > URI_BYTES_MAX {
            return Err(PlaceFault::TooLong);
        }
        let form = || PlaceFault::Form {
            scheme: scheme.name,
            kinds: scheme.kind_names(),
        };
        let rest = uri.strip_prefix(scheme.name).ok_or_else(form)?;
        let rest = rest.strip_prefix("://").ok_or_else(form)?;
        let (kind, query) = match rest.split_once('?') {
            Some((kind, query)) => (kind, query),
            None => (rest, ""),
        };
        if uri.contains('#') || uri.chars().any(|c| c.is_control() || c == ' ') {
            return Err(form());
        }
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(PlaceFault::Pair)?;
            pairs.push((decoded(name)?, SecretString::new(decoded(value)?)));
        }
        Self::of_pairs(scheme, kind, pairs)
    }

    /// Takes the parameters of a kind.
    pub(crate) fn of_pairs(
        scheme: &'static Scheme,
        kind: &str,
        pairs: Vec<(String, SecretString)>,
    ) -> Result<Self, PlaceFault> {
        let found = scheme.kinds.iter().find(|known| known.name == kind);
        let kind = found.ok_or_else(|| PlaceFault::Kind {
            kinds: scheme.kind_names(),
        })?;
        let mut values = BTreeMap::new();
        for (given, value) in pairs {
            let name = kind.parameter(&given).ok_or_else(|| PlaceFault::Unknown {
                kind: kind.name,
                known: kind.parameter_names(),
            })?;
            if value.is_empty() {
                return Err(PlaceFault::Empty { name });
            }
            if values.insert(name, value).is_some() {
                return Err(PlaceFault::Twice { name });
            }
        }
        let missing = kind
            .required
            .iter()
            .find(|name| !values.contains_key(**name));
        match missing {
            Some(name) => Err(PlaceFault::Missing {
                kind: kind.name,
                name,
            }),
            None => Ok(Self { kind, values }),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        self.kind.name
    }

    /// Whether the other is the same place, whoever asks it.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |name| self.value(name) == other.value(name);
        let places = [
            "path",
            "bucket",
            "account",
            "container",
            "endpoint",
            "prefix",
        ];
        self.kind == other.kind && places.into_iter().all(same)
    }

    /// What is said of a parameter, which may be a secret.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(SecretString::expose)
    }
}

impl Scheme {
    fn kind_names(&self) -> String {
        let names: Vec<_> = self.kinds.iter().map(|kind| kind.name).collect();
        names.join(", ")
    }
}

impl Kind {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.required.iter().chain(self.optional).copied()
    }

    fn parameter(&self, given: &str) -> Option<&'static str> {
        let plain = plain(given);
        self.names().find(|name| self::plain(name) == plain)
    }

    fn parameter_names(&self) -> String {
        let names: Vec<_> = self.names().collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    }
}

/// `accessKeyID` and `access_key_id` are the same name.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// A `+` stands for itself: base64 has it.
fn decoded(text: &str) -> Result<String, PlaceFault> {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let digits = rest.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(PlaceFault::Encoding);
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(|text| text.into_owned())
        .map_err(|_| PlaceFault::Encoding)
}

/// Whether an endpoint is reached without TLS, which is said by its own text.
pub(crate) fn is_plain(endpoint: &str) -> bool {
    let scheme = endpoint.get(..7);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    fn fault(scheme: &'static Scheme, uri: &str) -> PlaceFault {
        Place::of_uri(scheme, uri).unwrap_err()
    }

    #[test]
    fn every_kind_is_read() {
        for uri in [
            "kms://cluster-kms?key=AAAA&salt=BBBB",
            "kms://aws?region=eu&accessKeyID=a&accessKey=b&keyName=c",
            "kms://azure?tenantID=t&clientID=c&clientSecret=s&vaultName=v&vaultType=y&keyName=k",
            "kms://gcp?projectID=p&location=l&keyRing=r&credentialsPath=%2Fp&keyName=k",
            "kms://kmip?address=h:5696&cert_path=c&key_path=k&ca_path=a&key_encryption_key_id=i&use_existing_kek=true",
            "kms://vault?address=http://h:8200&mount=t&token=t&keyName=k",
            "kms://rustyvault?address=http://h:8200&roleID=r&secretID=s&keyName=k",
            "kms://configured",
        ] {
            assert!(Place::of_uri(&KMS, uri).is_ok(), "{uri}");
        }
        for uri in [
            "storage://aws?bucket=b&region=r&accessKeyID=a&accessKey=s",
            "storage://azure?account=a&container=c&tenantID=t&clientID=i&clientSecret=s",
            "storage://gcp?projectID=p&bucket=b&credentialsPath=c",
            "storage://no-store",
            "storage://file?path=/var/lib/kms",
        ] {
            assert!(Place::of_uri(&STORAGE, uri).is_ok(), "{uri}");
        }
    }

    #[test]
    fn values_are_decoded_and_a_plus_is_a_plus() {
        let place = Place::of_uri(&KMS, "kms://cluster-kms?key=a+b%2F%3D%3d&salt=%C3%A4").unwrap();
        assert_eq!(place.value("key"), Some("a+b/=="));
        assert_eq!(place.value("salt"), Some("ä"));
        assert!(!format!("{place:?}").contains("a+b"));
    }

    #[test]
    fn each_fault_is_told_apart_and_repeats_no_value() {
        let is = |uri: &str, wanted: &str| {
            let told = fault(&KMS, uri).to_string();
            assert!(
                told.contains(wanted) && !told.contains("planted"),
                "{uri}: {told}"
            );
        };
        is("storage://aws", "write kms://KIND");
        is("kms:cluster-kms", "write kms://KIND");
        is("kms://aws?region=a#planted", "write kms://KIND");
        is("kms://planted", "names a kind that is not known");
        is(
            "kms://aws/path?region=planted",
            "names a kind that is not known",
        );
        is("kms://aws?region", "a part without `=`");
        is("kms://aws?region=planted%2", "write %25");
        is("kms://aws?region=%FF", "write %25");
        is(
            "kms://aws?region=a&planted=b",
            "a parameter that `aws` does not know",
        );
        is("kms://aws?region=planted&Region=b", "says `region` twice");
        is("kms://aws?region=", "says nothing for `region`");
        is("kms://gcp?projectID=planted", "does not say `location`");
        let long = format!("kms://aws?region={}", "a".repeat(URI_BYTES_MAX - 17));
        assert_eq!(long.len(), URI_BYTES_MAX);
        assert!(Place::of_uri(&KMS, &long).is_ok());
        assert_eq!(fault(&KMS, &format!("{long}a")), PlaceFault::TooLong);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}", query in "[a-zA-Z_=&%+?#/ -]{0,60}") {
            for scheme in [&KMS, &STORAGE] {
                let _ = Place::of_uri(scheme, &text);
                let _ = Place::of_uri(scheme, &format!("{}://aws?{query}", scheme.name));
            }
        }

        #[test]
        fn any_value_is_read_back(value in "\\PC{1,40}") {
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC);
            let place = Place::of_uri(&STORAGE, &format!("storage://file?path={encoded}")).unwrap();
            prop_assert_eq!(place.value("path"), Some(value.as_str()));
        }
    }
}
