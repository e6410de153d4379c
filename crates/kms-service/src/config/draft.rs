//! From the table `[service]` to a [`ServiceConfig`].

use super::grpc::{DataKeysDraft, Drafts, GrpcDraft, SopsDraft, Surroundings};
use super::traces::TracesDraft;
use super::{CALLERS_MAX, Limits, Log, ServiceConfig};
use crate::callers::{Caller, CertificateName, Proof};
use crate::rights::{KeyPattern, Operation, Rights, Rule};
use crate::tls::TlsFiles;
use secretum_kms::config::{ConfigFault, Stage, duration};
use secretum_kms::{Environment, KmsConfig};
use secretum_kms_audit::AuditConfig;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;

pub(super) type Text = Spanned<String>;

/// The whole file; the library reads its other tables.
#[derive(Deserialize)]
struct File {
    service: Option<Spanned<Draft>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    address: Option<Text>,
    tls_cert_path: Option<Text>,
    tls_key_path: Option<Text>,
    client_ca_path: Option<Text>,
    #[serde(default)]
    allow_plaintext: bool,
    body_bytes_max: Option<Spanned<u64>>,
    requests_max: Option<Spanned<u64>>,
    connections_max: Option<Spanned<u64>>,
    timeout: Option<Text>,
    log_format: Option<Text>,
    log_level: Option<Text>,
    #[serde(default)]
    tokens: Vec<Spanned<Token>>,
    #[serde(default)]
    certificates: Vec<Spanned<Certificate>>,
    grpc: Option<Spanned<GrpcDraft>>,
    sops: Option<Spanned<SopsDraft>>,
    data_keys: Option<Spanned<DataKeysDraft>>,
    traces: Option<TracesDraft>,
    /// Whoever audits reads it.
    #[expect(dead_code, reason = "it may be there")]
    audit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    name: Text,
    sha256: Text,
    rights: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    name: Text,
    common_name: Option<Text>,
    dns: Option<Text>,
    uri: Option<Text>,
    rights: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Grant {
    operations: Vec<Text>,
    keys: Vec<Text>,
}

/// `stage` is that of the key service.
pub(super) fn read(
    text: &str,
    environment: &Environment,
    stage: Stage,
) -> Result<ServiceConfig, Vec<ConfigFault>> {
    let mut reader = Reader {
        text,
        environment,
        stage,
        faults: Vec::new(),
    };
    let config = match toml::from_str::<File>(text) {
        Ok(file) => {
            let at = file.service.as_ref().map_or(0..0, Spanned::span);
            let draft = file.service.map(Spanned::into_inner).unwrap_or_default();
            let audit = AuditConfig::read(text, environment);
            let audit = audit.unwrap_or_else(|faults| {
                reader.faults.extend(faults);
                None
            });
            let service = reader.service(draft, at);
            Some(ServiceConfig { audit, ..service })
        }
        Err(error) => {
            reader.fault(error.span().unwrap_or_default(), told(error.message()));
            None
        }
    };
    match config {
        Some(config) if reader.faults.is_empty() => Ok(config),
        _ => Err(reader.faults),
    }
}

/// What others call keys of `[service]`.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("bind", "address = \"127.0.0.1:8082\""),
    ("cert_path", "tls_cert_path"),
    (
        "certificate",
        "tls_cert_path, or [[service.certificates]] for callers",
    ),
    ("client_ca", "client_ca_path"),
    ("host", "address = \"127.0.0.1:8082\""),
    ("key_path", "tls_key_path"),
    ("listen", "address = \"127.0.0.1:8082\""),
    ("log", "log_level and log_format"),
    ("max_connections", "connections_max"),
    ("otlp_endpoint", "endpoint in [service.traces]"),
    ("port", "address = \"127.0.0.1:8082\""),
    ("tls_cert", "tls_cert_path"),
    ("tls_key", "tls_key_path"),
    ("token", "[[service.tokens]] with name, sha256 and rights"),
];

/// What the reader of TOML says, without values, which may be tokens in the wrong place.
fn told(message: &str) -> String {
    let named = message.strip_prefix("unknown field `");
    if let Some((name, _)) = named.and_then(|rest| rest.split_once('`')) {
        let instead = OTHER_NAMES.iter().find(|(other, _)| *other == name);
        let instead = instead.map_or(String::new(), |(_, instead)| format!("; write {instead}"));
        return format!("{message}{instead}");
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) if message.starts_with("invalid ") => {
            format!("this is something else than {expected}")
        }
        _ => message.to_owned(),
    }
}

pub(super) struct Reader<'a> {
    text: &'a str,
    environment: &'a Environment,
    stage: Stage,
    faults: Vec<ConfigFault>,
}

impl Reader<'_> {
    pub(super) fn environment(&self) -> &Environment {
        self.environment
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    /// The configuration of a provider besides that of `[kms]`.
    pub(super) fn backend(&mut self, name: &str) -> Option<KmsConfig> {
        let config = KmsConfig::parse_for(Path::new(""), self.text, self.environment, Some(name));
        let config = config.map_err(|error| self.faults.extend(error.faults));
        config.ok()
    }

    pub(super) fn fault(&mut self, at: Range<usize>, message: impl Into<String>) {
        let fault = ConfigFault::at(self.text, at.start, &message.into());
        self.faults.push(fault);
    }

    fn service(&mut self, draft: Draft, at: Range<usize>) -> ServiceConfig {
        let address_at = draft.address.as_ref().map_or(at, Spanned::span);
        let limits = self.limits(&draft);
        let log = self.log(&draft);
        let address = self.address(draft.address);
        let callers = self.callers(
            draft.tokens,
            draft.certificates,
            draft.client_ca_path.is_some(),
        );
        let optional = callers
            .iter()
            .any(|(proof, _)| matches!(proof, Proof::Token(_)));
        let tls = self.tls(
            [
                draft.tls_cert_path,
                draft.tls_key_path,
                draft.client_ca_path,
            ],
            optional,
        );
        if !address.ip().is_loopback() {
            self.check_reach(
                address_at,
                !callers.is_empty(),
                tls.is_some() || draft.allow_plaintext,
            );
        }
        let around = Surroundings {
            has_callers: !callers.is_empty(),
            has_tls: tls.is_some(),
        };
        let drafts = Drafts {
            grpc: draft.grpc,
            sops: draft.sops,
            data_keys: draft.data_keys,
        };
        ServiceConfig {
            address,
            tls,
            grpc: self.grpc(drafts, around),
            audit: None,
            traces: draft.traces.and_then(|traces| self.traces(traces)),
            callers,
            limits,
            log,
        }
    }

    /// Refuses what strangers could reach.
    pub(super) fn check_reach(&mut self, at: Range<usize>, knows_callers: bool, protected: bool) {
        if !knows_callers {
            self.fault(
                at.clone(),
                "`address` is reached from other machines, and nobody has to prove who they are; add \
                 [[service.tokens]] or [[service.certificates]], or write address = \"127.0.0.1:8082\"",
            );
        }
        if !protected {
            self.fault(
                at,
                "`address` is reached from other machines, and plaintexts and tokens would cross the \
                 network unprotected; write tls_cert_path and tls_key_path, or allow_plaintext = true \
                 where something in front ends TLS",
            );
        }
    }

    pub(super) fn expand(&mut self, key: &str, text: Text) -> Option<(String, Range<usize>)> {
        let at = text.span();
        match self.environment.expand(text.get_ref()) {
            Ok(value) => Some((value, at)),
            Err(reason) => {
                self.fault(at, format!("`{key}`: {reason}"));
                None
            }
        }
    }

    pub(super) fn path(&mut self, key: &str, text: Option<Text>) -> Option<PathBuf> {
        let text = text?;
        match self.environment.expand_path(text.get_ref()) {
            Ok(path) if !path.as_os_str().is_empty() => Some(path),
            Ok(_) => {
                self.fault(
                    text.span(),
                    format!("`{key}` is empty; write a path, or leave it out"),
                );
                None
            }
            Err(reason) => {
                self.fault(text.span(), format!("`{key}`: {reason}"));
                None
            }
        }
    }

    fn address(&mut self, text: Option<Text>) -> SocketAddr {
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8082));
        let Some((value, at)) = text.and_then(|text| self.expand("address", text)) else {
            return default;
        };
        let local = value
            .strip_prefix("localhost:")
            .map(|port| format!("127.0.0.1:{port}"));
        local.unwrap_or(value).parse().unwrap_or_else(|_| {
            self.fault(
                at,
                "`address` is an IP address and a port; write 127.0.0.1:8082, [::1]:8082 or 0.0.0.0:8082",
            );
            default
        })
    }

    fn tls(&mut self, files: [Option<Text>; 3], clients_optional: bool) -> Option<TlsFiles> {
        let [certificate, key, clients] = files;
        let spans = [&certificate, &key, &clients].map(|file| file.as_ref().map(Spanned::span));
        let certificate = self.path("tls_cert_path", certificate);
        let key = self.path("tls_key_path", key);
        let clients = self.path("client_ca_path", clients);
        match (spans, certificate, key) {
            (_, Some(certificate), Some(key)) => Some(TlsFiles {
                certificate,
                key,
                clients,
                clients_optional,
            }),
            ([Some(at), None, _], ..) => {
                self.fault(
                    at,
                    "`tls_cert_path` stands without its key; write tls_key_path, too",
                );
                None
            }
            ([None, Some(at), _], ..) => {
                self.fault(
                    at,
                    "`tls_key_path` stands without its certificate; write tls_cert_path, too",
                );
                None
            }
            ([None, None, Some(at)], ..) => {
                self.fault(
                    at,
                    "`client_ca_path` needs TLS; write tls_cert_path and tls_key_path, too",
                );
                None
            }
            _ => None,
        }
    }

    fn limits(&mut self, draft: &Draft) -> Limits {
        let mut limits = Limits::default();
        let counts = [
            (
                "body_bytes_max",
                &draft.body_bytes_max,
                64 << 20,
                &mut limits.body_bytes_max,
            ),
            (
                "requests_max",
                &draft.requests_max,
                100_000,
                &mut limits.requests_max,
            ),
            (
                "connections_max",
                &draft.connections_max,
                100_000,
                &mut limits.connections_max,
            ),
        ];
        for (key, given, most, place) in counts {
            let Some(given) = given else { continue };
            match usize::try_from(*given.get_ref()) {
                Ok(count) if (1..=most).contains(&count) => *place = count,
                _ => self.fault(
                    given.span(),
                    format!("`{key}` is a whole number from 1 to {most}"),
                ),
            }
        }
        let timeout = draft.timeout.clone();
        if let Some((text, at)) = timeout.and_then(|text| self.expand("timeout", text)) {
            match duration(&text) {
                Some(timeout) => limits.timeout = timeout,
                None => self.fault(
                    at,
                    "`timeout` is a duration; write \"500ms\", \"30s\" or \"5m\"",
                ),
            }
        }
        limits
    }

    fn log(&mut self, draft: &Draft) -> Log {
        let mut one_of = |key: &str, text: &Option<Text>, known: &[&str]| {
            let (text, at) = self.expand(key, text.clone()?)?;
            if !known.contains(&text.as_str()) {
                self.fault(at, format!("`{key}` is one of {}", known.join(", ")));
            }
            Some(text)
        };
        let format = one_of("log_format", &draft.log_format, &["text", "json"]);
        let levels = ["error", "warn", "info", "debug", "trace"];
        let level = one_of("log_level", &draft.log_level, &levels);
        Log {
            json: format.as_deref() == Some("json"),
            level: level.unwrap_or("info".to_owned()),
        }
    }

    fn callers(
        &mut self,
        tokens: Vec<Spanned<Token>>,
        certificates: Vec<Spanned<Certificate>>,
        has_authority: bool,
    ) -> Vec<(Proof, Caller)> {
        if tokens.len() > CALLERS_MAX || certificates.len() > CALLERS_MAX {
            self.fault(
                0..0,
                format!("[service] has more than {CALLERS_MAX} callers of a kind"),
            );
            return Vec::new();
        }
        if !has_authority && let Some(first) = certificates.first() {
            self.fault(
                first.span(),
                "certificates are known by their authority; write client_ca_path in [service]",
            );
        }
        let mut names = BTreeSet::new();
        let mut callers: Vec<(Proof, Caller)> = Vec::new();
        for token in tokens {
            let Token {
                name,
                sha256,
                rights,
            } = token.into_inner();
            let at = sha256.span();
            let digest = self.digest(sha256);
            let proof = digest.map(Proof::Token);
            self.check_single(at, proof.as_ref(), &callers);
            callers.extend(self.caller(&mut names, name, rights, proof));
        }
        for certificate in certificates {
            let at = certificate.span();
            let Certificate {
                name,
                common_name,
                dns,
                uri,
                rights,
            } = certificate.into_inner();
            let name_of = self.certificate_name(at.clone(), [common_name, dns, uri]);
            let proof = name_of.map(Proof::Certificate);
            self.check_single(at, proof.as_ref(), &callers);
            callers.extend(self.caller(&mut names, name, rights, proof));
        }
        callers
    }

    /// Refuses a token or a name that would stand for two callers.
    fn check_single(
        &mut self,
        at: Range<usize>,
        proof: Option<&Proof>,
        callers: &[(Proof, Caller)],
    ) {
        let same = callers.iter().find(|(known, _)| Some(known) == proof);
        if let Some((_, caller)) = same {
            let message = format!(
                "this is the proof of the caller `{}`, too; give each a token or a name of its own",
                caller.name
            );
            self.fault(at, message);
        }
    }

    fn caller(
        &mut self,
        names: &mut BTreeSet<String>,
        name: Text,
        rights: Vec<Grant>,
        proof: Option<Proof>,
    ) -> Option<(Proof, Caller)> {
        let (name, at) = self.expand("name", name)?;
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            self.fault(at, "`name` is 1 to 128 bytes without control characters");
        } else if !names.insert(name.clone()) {
            self.fault(
                at,
                format!("`{name}` is the name of two callers; rename one of them"),
            );
        }
        let rights = rights.into_iter().map(|grant| self.rule(grant)).collect();
        let rights = Rights::new(rights);
        Some((proof?, Caller { name, rights }))
    }

    fn digest(&mut self, text: Text) -> Option<[u8; 32]> {
        let (value, at) = self.expand("sha256", text)?;
        let digest = hex::decode(value.trim())
            .ok()
            .and_then(|bytes| bytes.try_into().ok());
        if digest.is_none() {
            // It may be the token itself, and is not shown.
            self.fault(
                at,
                "`sha256` is the SHA-256 of a token in 64 hex digits; make it by \
                 printf %s \"$TOKEN\" | sha256sum",
            );
        }
        digest
    }

    fn certificate_name(
        &mut self,
        at: Range<usize>,
        names: [Option<Text>; 3],
    ) -> Option<CertificateName> {
        let mut text = |name: Option<Text>| Some(self.expand("a name", name?)?.0);
        let [common_name, dns, uri] = names.map(&mut text);
        match (common_name, dns, uri) {
            (Some(name), None, None) => Some(CertificateName::CommonName(name)),
            (None, Some(name), None) => Some(CertificateName::Dns(name.to_ascii_lowercase())),
            (None, None, Some(name)) => Some(CertificateName::Uri(name)),
            _ => {
                self.fault(
                    at,
                    "a certificate is known by one of its names; write one of common_name, dns and uri",
                );
                None
            }
        }
    }

    pub(super) fn rule(&mut self, grant: Grant) -> Rule {
        let mut operations = Vec::new();
        for text in grant.operations {
            let Some((text, at)) = self.expand("operations", text) else {
                continue;
            };
            match (text.as_str(), Operation::named(&text)) {
                ("*", _) => operations.extend(Operation::ALL),
                (_, Some(operation)) => operations.push(operation),
                _ => {
                    let known = Operation::ALL.map(Operation::name).join(", ");
                    let message = format!("`{text}` is no operation; write one of {known}, or *");
                    self.fault(at, message);
                }
            }
        }
        let mut keys = Vec::new();
        for text in grant.keys {
            let Some((text, at)) = self.expand("keys", text) else {
                continue;
            };
            match KeyPattern::parse(&text) {
                Some(pattern) => keys.push(pattern),
                None => self.fault(
                    at,
                    "a key is its identifier, or the beginning of some with one * at the end",
                ),
            }
        }
        Rule { operations, keys }
    }
}
