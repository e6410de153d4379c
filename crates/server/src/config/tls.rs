//! The TLS of a listener.

use super::pem::{self, Pem};
use super::section::Section;
use super::{Notice, Place, Placed, Problem};
use secretum_hcl::Value;
use std::path::PathBuf;

/// The TLS of a listener.
///
/// The files were there, readable and of the right kind when the configuration was read. What a TLS
/// library finds wrong with them later is reported as [`Problem::TlsFile`] at their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, then those that lead to a root. PEM.
    pub cert_file: Placed<PathBuf>,
    /// The certificate's private key. PEM, not encrypted.
    pub key_file: Placed<PathBuf>,
    /// The lowest version. Default: [`TlsVersion::Tls12`].
    pub min_version: TlsVersion,
    /// The highest version. Default: [`TlsVersion::Tls13`].
    pub max_version: TlsVersion,
    /// Whether clients show certificates. Default: [`ClientCertificates::NotAsked`].
    pub client_certificates: ClientCertificates,
}

impl Tls {
    /// What to say of a certificate that the TLS library refuses for this reason: lower case, no full
    /// stop.
    pub fn cert_refused(&self, reason: impl Into<String>) -> Notice {
        refused(CERT_FILE, &self.cert_file, reason.into())
    }

    /// What to say of a key that the TLS library refuses for this reason: lower case, no full stop.
    pub fn key_refused(&self, reason: impl Into<String>) -> Notice {
        refused(KEY_FILE, &self.key_file, reason.into())
    }

    /// What to say of roots of client certificates that the TLS library refuses for this reason: lower
    /// case, no full stop. `None` if there are none.
    pub fn client_ca_refused(&self, reason: impl Into<String>) -> Option<Notice> {
        match &self.client_certificates {
            ClientCertificates::NotAsked => None,
            ClientCertificates::Optional(file) | ClientCertificates::Required(file) => {
                Some(refused(CLIENT_CA_FILE, file, reason.into()))
            }
        }
    }
}

fn refused(key: &'static str, file: &Placed<PathBuf>, reason: String) -> Notice {
    let (path, place) = (file.value.clone(), file.place.clone());
    let problem = Problem::TlsFile { key, path, reason };
    Notice { place, problem }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "tls12",
            Self::Tls13 => "tls13",
        }
    }
}

/// Whether clients show certificates, and who must have issued them: a file of roots in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    NotAsked,
    /// They may; one of another issuer ends the connection.
    Optional(Placed<PathBuf>),
    /// They must.
    Required(Placed<PathBuf>),
}

const VERSION: &str = "`tls12` or `tls13`";
const CERT_FILE: &str = "tls_cert_file";
const KEY_FILE: &str = "tls_key_file";
const CLIENT_CA_FILE: &str = "tls_client_ca_file";
const REQUIRE_CLIENT_CERT: &str = "tls_require_and_verify_client_cert";
const DISABLE_CLIENT_CERTS: &str = "tls_disable_client_certs";

/// Keys that listeners on Unix sockets do not have.
pub(crate) const KEYS: &[&str] = &[
    CERT_FILE,
    KEY_FILE,
    CLIENT_CA_FILE,
    REQUIRE_CLIENT_CERT,
    DISABLE_CLIENT_CERTS,
    "tls_min_version",
    "tls_max_version",
];

/// What a listener says of TLS.
struct Keys {
    disable: Option<Placed<bool>>,
    cert_file: Option<Placed<PathBuf>>,
    key_file: Option<Placed<PathBuf>>,
    min_version: Option<Placed<TlsVersion>>,
    max_version: Option<Placed<TlsVersion>>,
    client_ca_file: Option<Placed<PathBuf>>,
    require_client_cert: Option<Placed<bool>>,
    disable_client_certs: Option<Placed<bool>>,
}

/// The TLS of the listener at this place: `Some(None)` if it shall have none, and `None` if what is
/// said of it is wrong.
pub(crate) fn read(section: &mut Section<'_, '_>, place: &Place) -> Option<Option<Tls>> {
    let keys = Keys {
        disable: section.flag("tls_disable"),
        cert_file: section.path(CERT_FILE),
        key_file: section.path(KEY_FILE),
        min_version: min_version(section),
        max_version: section.take("tls_max_version", VERSION, version),
        client_ca_file: section.path(CLIENT_CA_FILE),
        require_client_cert: section.flag(REQUIRE_CLIENT_CERT),
        disable_client_certs: section.flag(DISABLE_CLIENT_CERTS),
    };
    // A faulty value is a fault already; it is not as if nothing were said.
    if keys.disable.is_none() && section.has("tls_disable") {
        return None;
    }
    if keys.disable.as_ref().is_some_and(|disable| disable.value) {
        keys.without_effect(section);
        return Some(None);
    }
    for (file, key, kind) in [
        (&keys.cert_file, CERT_FILE, Pem::Certificate),
        (&keys.key_file, KEY_FILE, Pem::PrivateKey),
        (&keys.client_ca_file, CLIENT_CA_FILE, Pem::Certificate),
    ] {
        if let Some(file) = file {
            check_file(section, key, file, kind);
        }
    }
    let half = |present, missing| Problem::HalfTls { present, missing };
    let problem = match (section.has(CERT_FILE), section.has(KEY_FILE)) {
        (true, true) => None,
        (false, false) => Some(Problem::NoTls),
        (true, false) => Some(half(CERT_FILE, KEY_FILE)),
        (false, true) => Some(half(KEY_FILE, CERT_FILE)),
    };
    if let Some(problem) = problem {
        let present = keys.cert_file.as_ref().or(keys.key_file.as_ref());
        let place = present.map_or(place, |file| &file.place);
        section.notices.push(place.clone(), problem);
    }
    keys.finish(section).map(Some)
}

impl Keys {
    /// Names what is set although there is no TLS.
    fn without_effect(self, section: &mut Section<'_, '_>) {
        let place = |file: Option<Placed<PathBuf>>| file.map(|file| file.place);
        for (key, place) in [
            (CERT_FILE, place(self.cert_file)),
            (KEY_FILE, place(self.key_file)),
            (CLIENT_CA_FILE, place(self.client_ca_file)),
        ] {
            if let Some(place) = place {
                section.notices.push(place, Problem::TlsDisabled(key));
            }
        }
        // Who requires client certificates must not get a listener that takes everybody.
        if let Some(required) = self.require_client_cert.filter(|required| required.value) {
            section.notices.push(required.place, Problem::NoClientTls);
        }
    }

    fn finish(self, section: &mut Section<'_, '_>) -> Option<Tls> {
        let versions = (
            self.min_version
                .as_ref()
                .map_or(TlsVersion::Tls12, |version| version.value),
            self.max_version
                .as_ref()
                .map_or(TlsVersion::Tls13, |version| version.value),
        );
        if versions.0 > versions.1
            && let Some(min) = &self.min_version
        {
            section
                .notices
                .push(min.place.clone(), Problem::TlsVersions);
        }
        let required = self.require_client_cert.filter(|required| required.value);
        let disabled = self
            .disable_client_certs
            .is_some_and(|disable| disable.value);
        let client_certificates = match (required, disabled, self.client_ca_file) {
            (None, false, Some(file)) => ClientCertificates::Optional(file),
            (None, _, _) => ClientCertificates::NotAsked,
            (Some(required), true, _) => {
                section
                    .notices
                    .push(required.place, Problem::ClientCertificates);
                return None;
            }
            (Some(_), false, Some(file)) => ClientCertificates::Required(file),
            (Some(required), false, None) => {
                if !section.has(CLIENT_CA_FILE) {
                    section.notices.push(required.place, Problem::NoClientCa);
                }
                return None;
            }
        };
        Some(Tls {
            cert_file: self.cert_file?,
            key_file: self.key_file?,
            min_version: versions.0,
            max_version: versions.1,
            client_certificates,
        })
    }
}

/// The oldest version, which is TLS 1.2 also where an older one is asked for.
fn min_version(section: &mut Section<'_, '_>) -> Option<Placed<TlsVersion>> {
    const KEY: &str = "tls_min_version";
    let is_older = |value: &Value| matches!(value.as_str(), Some("tls10" | "tls11"));
    let taken = section.take(KEY, VERSION, |value| match version(value) {
        Some(version) => Some((version, false)),
        None => is_older(value).then_some((TlsVersion::Tls12, true)),
    })?;
    let Placed { value, place } = taken;
    let (version, was_older) = value;
    if was_older {
        let taken = version.name().to_owned();
        let problem = Problem::TakenAs { key: KEY, taken };
        section.notices.push(place.clone(), problem);
    }
    let value = version;
    Some(Placed { value, place })
}

fn version(value: &Value) -> Option<TlsVersion> {
    match value.as_str()? {
        "tls12" => Some(TlsVersion::Tls12),
        "tls13" => Some(TlsVersion::Tls13),
        _ => None,
    }
}

fn check_file(section: &mut Section<'_, '_>, key: &'static str, file: &Placed<PathBuf>, kind: Pem) {
    if let Err(reason) = pem::check(&file.value, kind) {
        let Notice { place, problem } = refused(key, file, reason);
        section.notices.push(place, problem);
    }
}
