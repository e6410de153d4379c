//! [`Callers`]: who is asking, by token or by certificate.

use crate::rights::Rights;
use secretum_crypto::{constant_time_eq, sha256};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Somebody who may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The name in logs and audit records.
    pub name: String,
    /// What they may do.
    pub rights: Rights,
}

/// What proves who a caller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// The SHA-256 of a bearer token.
    Token([u8; 32]),
    /// A name in a certificate whose issuer is trusted.
    Certificate(CertificateName),
}

/// A name that a certificate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// The common name of its subject.
    CommonName(String),
    /// A DNS name among its alternative names.
    Dns(String),
    /// A URI among its alternative names, such as `spiffe://…`.
    Uri(String),
}

/// Every name of the certificate that a connection showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PeerNames(Vec<CertificateName>);

impl PeerNames {
    /// The names of a certificate in DER; none where it cannot be read.
    pub fn of_certificate(der: &[u8]) -> Self {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else {
            return Self::default();
        };
        let common = certificate.subject().iter_common_name();
        let common = common.filter_map(|name| name.as_str().ok());
        let mut names: Vec<_> = common
            .map(|name| CertificateName::CommonName(name.to_owned()))
            .collect();
        if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
            for name in &alternative.value.general_names {
                match name {
                    GeneralName::DNSName(dns) => {
                        names.push(CertificateName::Dns(dns.to_ascii_lowercase()));
                    }
                    GeneralName::URI(uri) => names.push(CertificateName::Uri((*uri).to_owned())),
                    _ => {}
                }
            }
        }
        Self(names)
    }
}

/// Why nobody was recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// Neither token nor certificate.
    NothingShown,
    /// A header that is no bearer token.
    NoBearer,
    /// A token that is none of those configured.
    UnknownToken,
    /// A certificate without a name that is configured.
    UnknownCertificate,
}

impl Stranger {
    /// A word for it that never changes.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::NothingShown => "unauthenticated",
            Self::NoBearer => "no_bearer_token",
            Self::UnknownToken => "unknown_token",
            Self::UnknownCertificate => "unknown_certificate",
        }
    }
}

/// Everybody who may ask.
#[derive(Debug, Default)]
pub struct Callers {
    known: Vec<(Proof, Arc<Caller>)>,
    /// Who everybody is, where nobody has to prove it.
    everybody: Option<Arc<Caller>>,
    /// Who shows nothing over gRPC, where that is let in.
    local: Option<Arc<Caller>>,
}

impl Callers {
    /// These; where there is none, everybody may do everything. Such a service listens on loopback
    /// only, which the configuration sees to.
    pub fn new(known: Vec<(Proof, Caller)>) -> Self {
        let everybody = known.is_empty().then(|| {
            Arc::new(Caller {
                name: "loopback".to_owned(),
                rights: Rights::all(),
            })
        });
        let known = known
            .into_iter()
            .map(|(proof, caller)| (proof, Arc::new(caller)));
        Self {
            known: known.collect(),
            everybody,
            local: None,
        }
    }

    /// Who shows nothing over gRPC has these rights.
    #[must_use]
    pub fn with_local(self, rights: Option<Rights>) -> Self {
        let name = "local".to_owned();
        let local = rights.map(|rights| Arc::new(Caller { name, rights }));
        Self { local, ..self }
    }

    /// Who shows nothing over gRPC, where that is let in.
    pub fn local(&self) -> Option<&Arc<Caller>> {
        self.local.as_ref()
    }

    /// Whether nobody has to prove who they are.
    pub fn are_everybody(&self) -> bool {
        self.everybody.is_some()
    }

    /// Who sent this header over a connection with this certificate. A token goes before a
    /// certificate, and a wrong one is refused whatever the certificate.
    pub fn identify(
        &self,
        authorization: Option<&[u8]>,
        peer: Option<&PeerNames>,
    ) -> Result<Arc<Caller>, Stranger> {
        if let Some(everybody) = &self.everybody {
            return Ok(Arc::clone(everybody));
        }
        if let Some(header) = authorization {
            let token = bearer(header).ok_or(Stranger::NoBearer)?;
            return self.of_token(token).ok_or(Stranger::UnknownToken);
        }
        let names = peer.ok_or(Stranger::NothingShown)?;
        let caller = self.known.iter().find(|(proof, _)| match proof {
            Proof::Certificate(name) => names.0.contains(name),
            Proof::Token(_) => false,
        });
        let (_, caller) = caller.ok_or(Stranger::UnknownCertificate)?;
        Ok(Arc::clone(caller))
    }

    /// Compares with every token, so that the time tells of none.
    fn of_token(&self, token: &[u8]) -> Option<Arc<Caller>> {
        let digest = sha256(token);
        let mut found = None;
        for (proof, caller) in &self.known {
            if let Proof::Token(known) = proof
                && constant_time_eq(known, &digest)
            {
                found = Some(Arc::clone(caller));
            }
        }
        found
    }
}

fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Caller {
        Caller {
            name: name.to_owned(),
            rights: Rights::all(),
        }
    }

    fn callers() -> Callers {
        let dns = Proof::Certificate(CertificateName::Dns("api.example".to_owned()));
        Callers::new(vec![
            (Proof::Token(sha256(b"one")), caller("a")),
            (Proof::Token(sha256(b"two")), caller("b")),
            (dns, caller("c")),
        ])
    }

    fn name(outcome: Result<Arc<Caller>, Stranger>) -> Result<String, Stranger> {
        outcome.map(|caller| caller.name.clone())
    }

    #[test]
    fn a_token_names_its_caller() {
        let callers = callers();
        let of = |header: &str| name(callers.identify(Some(header.as_bytes()), None));
        assert_eq!(of("Bearer one").unwrap(), "a");
        assert_eq!(of("bearer  two ").unwrap(), "b");
        assert_eq!(of("Bearer onetwo"), Err(Stranger::UnknownToken));
        for wrong in ["Basic b25l", "Bearer ", "Bearer", "one", ""] {
            assert_eq!(of(wrong), Err(Stranger::NoBearer), "{wrong}");
        }
        assert_eq!(
            name(callers.identify(None, None)),
            Err(Stranger::NothingShown)
        );
    }

    #[test]
    fn a_certificate_names_its_caller_and_a_wrong_token_is_no_help() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["API.example".to_owned()];
        let made = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let peer = PeerNames::of_certificate(made.der());
        assert_eq!(name(callers().identify(None, Some(&peer))).unwrap(), "c");
        let wrong = callers().identify(Some(b"Bearer no"), Some(&peer));
        assert_eq!(name(wrong), Err(Stranger::UnknownToken));
        let nobody = PeerNames::of_certificate(b"no certificate");
        let refused = callers().identify(None, Some(&nobody));
        assert_eq!(name(refused), Err(Stranger::UnknownCertificate));
    }

    #[test]
    fn without_callers_everybody_may() {
        assert_eq!(
            name(Callers::new(Vec::new()).identify(None, None)).unwrap(),
            "loopback"
        );
    }
}
