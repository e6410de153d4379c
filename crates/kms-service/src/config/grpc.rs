//! `[service.grpc]`, `[service.sops]` and `[service.data_keys]`.

use super::draft::{Grant, Reader, Text};
use crate::data_keys::place::{KMS, Place, STORAGE, Scheme, is_plain};
use crate::data_keys::{
    KeySource, MASTER_BYTES_MIN, Master, SALT_BYTES_MIN, Source, Wrapping, wrapping,
};
use crate::rights::Rights;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secretum_crypto::{SecretBytes, SecretString};
use secretum_kms::config::Stage;
use secretum_kms::{KeyId, KmsConfig};
use serde::Deserialize;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use toml::{Spanned, Table, Value};
use zeroize::Zeroizing;

/// The key services that a key service of SOPS can have behind it.
pub(crate) const SOPS_PROVIDERS: &[&str] = &[
    "age",
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "azure")]
    "azure",
    #[cfg(feature = "gcp")]
    "gcp",
    "vault",
];

/// A provider behind the key service of SOPS, and its configuration.
pub(crate) type SopsProvider = (&'static str, KmsConfig);

/// The gRPC listener, and what is served there.
#[derive(Debug, Clone)]
pub(crate) struct GrpcConfig {
    pub(crate) address: GrpcAddress,
    /// Whether it speaks TLS, with the certificate of the other listener.
    pub(crate) tls: bool,
    /// What may be done by who shows nothing, where that is said.
    pub(crate) local: Option<Rights>,
    /// The providers behind the key service of SOPS, where there is one.
    pub(crate) sops: Option<Vec<SopsProvider>>,
    /// Where data keys come from, where they are served.
    pub(crate) data_keys: Option<Source>,
}

/// Where gRPC is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrpcAddress {
    Tcp(SocketAddr),
    /// A socket for its owner alone.
    Unix(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrpcDraft {
    address: Text,
    #[serde(default)]
    allow_plaintext: bool,
    local_rights: Option<Spanned<Vec<Grant>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SopsDraft {
    providers: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DataKeysDraft {
    kms: Option<Spanned<Value>>,
    storage: Option<Spanned<Value>>,
}

/// The tables of gRPC.
#[derive(Default)]
pub(super) struct Drafts {
    pub(super) grpc: Option<Spanned<GrpcDraft>>,
    pub(super) sops: Option<Spanned<SopsDraft>>,
    pub(super) data_keys: Option<Spanned<DataKeysDraft>>,
}

/// What the other listener has.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    pub(super) has_callers: bool,
    pub(super) has_tls: bool,
}

impl Reader<'_> {
    pub(super) fn grpc(&mut self, drafts: Drafts, around: Surroundings) -> Option<GrpcConfig> {
        let services = [
            drafts.sops.as_ref().map(Spanned::span),
            drafts.data_keys.as_ref().map(Spanned::span),
        ];
        let Some(grpc) = drafts.grpc else {
            if let Some(at) = services.into_iter().flatten().next() {
                self.fault(
                    at,
                    "this is served over gRPC; write [service.grpc] and address = \"127.0.0.1:8083\"",
                );
            }
            return None;
        };
        let at = grpc.span();
        if services.iter().all(Option::is_none) {
            self.fault(
                at.clone(),
                "[service.grpc] has nothing to serve; write [service.sops] or [service.data_keys]",
            );
        }
        let sops = drafts.sops.map(|sops| self.sops(sops.into_inner()));
        let data_keys = match drafts.data_keys {
            Some(draft) => Some(self.data_keys(draft)?),
            None => None,
        };
        self.grpc_listener(grpc.into_inner(), around)
            .map(|listener| GrpcConfig {
                sops,
                data_keys,
                ..listener
            })
    }

    fn grpc_listener(&mut self, draft: GrpcDraft, around: Surroundings) -> Option<GrpcConfig> {
        let at = draft.address.span();
        let address = self.grpc_address(draft.address)?;
        let reached = match &address {
            GrpcAddress::Tcp(address) => !address.ip().is_loopback(),
            GrpcAddress::Unix(_) => false,
        };
        let is_tcp = matches!(address, GrpcAddress::Tcp(_));
        let tls = is_tcp && around.has_tls && !draft.allow_plaintext;
        if reached {
            self.check_reach(at, around.has_callers, tls || draft.allow_plaintext);
        }
        let local = draft.local_rights.and_then(|grants| {
            if reached {
                self.fault(
                    grants.span(),
                    "`local_rights` are for who shows nothing, and `address` is reached from other \
                     machines; leave them out, or write address = \"127.0.0.1:8083\"",
                );
                return None;
            }
            let grants = grants.into_inner().into_iter();
            Some(Rights::new(grants.map(|grant| self.rule(grant)).collect()))
        });
        Some(GrpcConfig {
            address,
            tls,
            local,
            sops: None,
            data_keys: None,
        })
    }

    fn grpc_address(&mut self, text: Text) -> Option<GrpcAddress> {
        let (value, at) = self.expand("address", text)?;
        let fault = "`address` is an IP address and a port, or a socket; write 127.0.0.1:8083 or \
                     unix:///run/kms/grpc.sock";
        if let Some(path) = value.strip_prefix("unix://") {
            if !path.starts_with('/') || path.contains('\0') {
                self.fault(at, fault);
                return None;
            }
            return Some(GrpcAddress::Unix(PathBuf::from(path)));
        }
        let local = value
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        let parsed = local.unwrap_or(value).parse();
        if parsed.is_err() {
            self.fault(at, fault);
        }
        parsed.ok().map(GrpcAddress::Tcp)
    }

    fn sops(&mut self, draft: SopsDraft) -> Vec<SopsProvider> {
        let mut providers: Vec<SopsProvider> = Vec::new();
        for text in draft.providers {
            let known = SOPS_PROVIDERS.iter().find(|name| *name == text.get_ref());
            match known {
                Some(name) if providers.iter().any(|(known, _)| known == name) => {
                    self.fault(text.span(), "`providers` has this one twice");
                }
                Some(name) => {
                    let config = self.backend(name);
                    providers.extend(config.map(|config| (*name, config)));
                }
                None => self.fault(
                    text.span(),
                    format!(
                        "`providers` names none that serves SOPS; write one of {}",
                        SOPS_PROVIDERS.join(", ")
                    ),
                ),
            }
        }
        providers
    }

    fn data_keys(&mut self, draft: Spanned<DataKeysDraft>) -> Option<Source> {
        let at = draft.span();
        let DataKeysDraft { kms, storage } = draft.into_inner();
        let storage_at = storage.as_ref().map_or(at.clone(), Spanned::span);
        let storage = match storage {
            Some(value) => Some(self.place("storage", &STORAGE, value)?),
            None => None,
        };
        let storage = storage.filter(|place| place.kind() != "no-store");
        let kms_at = kms.as_ref().map_or(at, Spanned::span);
        let kms = match kms {
            Some(value) => Some(self.place("kms", &KMS, value)?),
            None => None,
        };
        match kms.as_ref().map_or("configured", Place::kind) {
            "cluster-kms" => {
                let master = self.master(&kms?, kms_at);
                if storage.is_some() {
                    self.fault(
                        storage_at,
                        "keys of `cluster-kms` are derived and not kept; leave `storage` out",
                    );
                }
                Some(Source::Cluster(Arc::new(master?)))
            }
            kind => {
                let creates = match &kms {
                    Some(place) => !self.uses_existing(place, kms_at.clone())?,
                    None => false,
                };
                let source = match (kind, &kms) {
                    ("configured", Some(place)) => {
                        KeySource::Configured(self.key_encryption_key(place, kms_at)?)
                    }
                    (provider, Some(place)) => KeySource::Other {
                        provider,
                        config: Box::new(self.wrapping(place, kms_at)?),
                    },
                    (_, None) => KeySource::Configured(None),
                };
                let storage = Arc::new(self.storage(storage, storage_at)?);
                let wrapping = Wrapping { source, creates };
                Some(Source::External { wrapping, storage })
            }
        }
    }

    /// The key service that a URI names.
    fn wrapping(&mut self, place: &Place, at: Range<usize>) -> Option<KmsConfig> {
        let config = wrapping::config(place, self.stage(), self.environment());
        match config {
            Ok(config) => Some(config),
            Err(faults) => {
                for fault in faults {
                    self.fault(at.clone(), format!("`kms` {fault}"));
                }
                None
            }
        }
    }

    /// The storage of external mode.
    fn storage(&mut self, place: Option<Place>, at: Range<usize>) -> Option<Place> {
        let Some(place) = place else {
            self.fault(
                at,
                "without a storage one identifier would get a new key each time; write storage = \
                 \"storage://file?path=/var/lib/kms/data-keys\" or another",
            );
            return None;
        };
        if place
            .value("path")
            .is_some_and(|path| path.starts_with('~'))
        {
            self.fault(at, "`path` of a storage knows no `~`; write the whole path");
            return None;
        }
        let endpoint = place.value("endpoint").unwrap_or_default();
        if self.stage() == Stage::Production && is_plain(endpoint) {
            self.fault(
                at,
                "`endpoint` of a storage has no TLS, which is for emulators in development only; write \
                 https://host, or leave it out",
            );
            return None;
        }
        Some(place)
    }

    /// A URI, or a table with `kind` and the parameters of a URI.
    fn place(
        &mut self,
        name: &str,
        scheme: &'static Scheme,
        value: Spanned<Value>,
    ) -> Option<Place> {
        let at = value.span();
        let made = match value.into_inner() {
            Value::String(uri) => {
                let uri = Zeroizing::new(self.expand(name, Spanned::new(at.clone(), uri))?.0);
                Place::of_uri(scheme, &uri)
            }
            Value::Table(table) => {
                let (kind, pairs) = self.pairs(name, table, &at)?;
                Place::of_pairs(scheme, &kind, pairs)
            }
            _ => {
                let scheme = scheme.name;
                self.fault(
                    at,
                    format!(
                        "`{name}` is a URI or a table; write \"{scheme}://…\" or {{ kind = \"…\" }}"
                    ),
                );
                return None;
            }
        };
        if let Err(fault) = &made {
            self.fault(at, format!("`{name}` {fault}"));
        }
        made.ok()
    }

    /// What a table says: its kind, and the rest.
    fn pairs(
        &mut self,
        name: &str,
        table: Table,
        at: &Range<usize>,
    ) -> Option<(String, Vec<(String, SecretString)>)> {
        let mut kind = String::new();
        let mut pairs = Vec::new();
        for (key, value) in table {
            let text = match value {
                Value::String(text) => self.expand(&key, Spanned::new(at.clone(), text))?.0,
                Value::Boolean(switch) => switch.to_string(),
                _ => {
                    let message = format!("`{name}` holds texts; write {key} = \"…\"");
                    self.fault(at.clone(), message);
                    return None;
                }
            };
            match key.as_str() {
                "kind" => kind = text,
                _ => pairs.push((key, SecretString::new(text))),
            }
        }
        Some((kind, pairs))
    }

    fn master(&mut self, place: &Place, at: Range<usize>) -> Option<Master> {
        let mut bytes = |name: &str, least: usize| {
            let decoded = decode(place.value(name).unwrap_or_default());
            let fits = decoded.filter(|bytes| bytes.len() >= least);
            if fits.is_none() {
                self.fault(
                    at.clone(),
                    format!("`{name}` of `cluster-kms` is base64 of {least} bytes or more"),
                );
            }
            fits
        };
        let secret = bytes("key", MASTER_BYTES_MIN);
        let salt = bytes("salt", SALT_BYTES_MIN);
        Some(Master {
            secret: secret?,
            salt: salt?,
        })
    }

    /// Whether the key-encryption key has to be there already.
    fn uses_existing(&mut self, place: &Place, at: Range<usize>) -> Option<bool> {
        match place.value("useExistingKEK") {
            None | Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => {
                self.fault(at, "`use_existing_kek` is true or false");
                None
            }
        }
    }

    fn key_encryption_key(&mut self, place: &Place, at: Range<usize>) -> Option<Option<KeyId>> {
        let Some(id) = place.value("keyEncryptionKeyID") else {
            return Some(None);
        };
        let key = KeyId::new(id);
        if key.is_err() {
            self.fault(
                at,
                "`key_encryption_key_id` is not the identifier of a key; write a name without control \
                 characters",
            );
        }
        key.ok().map(Some)
    }
}

/// Either alphabet of base64, with or without its padding.
fn decode(text: &str) -> Option<SecretBytes> {
    let padding = DecodePaddingMode::Indifferent;
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(padding);
    let decoded = [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(text).ok());
    decoded.map(SecretBytes::new)
}
