//! [`Connection`]: the flags that say which key service, and [`Opened`], that service.

use super::audit;
use super::remote::{Access, RemoteKms, TIMEOUT};
use crate::failure::Failure;
use crate::output::{Format, Style, console};
use crate::session;
use clap::Args;
use clap::builder::PossibleValuesParser;
use secretum_crypto::sha256;
use secretum_kms::config::{create_key, read_file};
use secretum_kms::providers::ALL;
use secretum_kms::providers::local;
use secretum_kms::{
    EncryptionContext, Environment, KeyId, KeyInfo, KeyManagementService, KmsConfig, Observers,
    ResilientKms, ResilientKmsConfig, RetryConfig, create_resilient_kms,
};
use secretum_kms_audit::AuditConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const CONNECTION: &str = "Connection";
const OUTPUT: &str = "Output";

/// How long all tries together may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// Which key service is used, and how its answer is shown.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(super) struct Connection {
    #[command(flatten)]
    answer: Answer,
    /// File that names the key service [default: ./kms.toml, $XDG_CONFIG_HOME/secretum/kms.toml or
    /// /etc/secretum/kms.toml, the first that is there]
    #[arg(long, value_name = "FILE", conflicts_with = "service", help_heading = CONNECTION)]
    config: Option<PathBuf>,
    /// Key service of that file to use, whichever it names
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(ALL), conflicts_with = "service", help_heading = CONNECTION)]
    backend: Option<String>,
    /// Address of a kms-service, which does it instead of this machine: https://, or http:// on this
    /// machine [env: KMS_SERVICE_ADDR]
    #[arg(long, value_name = "URL", help_heading = CONNECTION)]
    service: Option<String>,
    #[command(flatten)]
    access: AccessFlags,
}

/// How an answer is shown.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(super) struct Answer {
    /// Format of the answer [env: VAULT_FORMAT] [default: table]
    #[arg(long, value_enum, ignore_case = true, value_name = "FORMAT", help_heading = OUTPUT)]
    format: Option<Format>,
}

/// As whom a kms-service is asked, and how it is trusted.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(super) struct AccessFlags {
    /// File with the bearer token for the service [env: KMS_SERVICE_TOKEN_FILE]; the token itself may
    /// stand in KMS_SERVICE_TOKEN
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    token_file: Option<PathBuf>,
    /// File with the certificates (PEM) of the authorities to trust [env: KMS_SERVICE_CACERT]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    ca_cert: Option<PathBuf>,
    /// File with the client's own certificate (PEM) [env: KMS_SERVICE_CLIENT_CERT]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    client_cert: Option<PathBuf>,
    /// File with the key of that certificate (PEM) [env: KMS_SERVICE_CLIENT_KEY]
    #[arg(long, value_name = "FILE", help_heading = CONNECTION)]
    client_key: Option<PathBuf>,
}

/// The files of one of two services.
#[derive(Clone, Copy, Default)]
pub(super) struct OwnAccess<'a> {
    pub(super) token_file: Option<&'a Path>,
    pub(super) client_cert: Option<&'a Path>,
    pub(super) client_key: Option<&'a Path>,
}

/// The encryption context.
#[derive(Clone, Default, Args)]
#[group(skip)]
pub(super) struct Context {
    /// What the ciphertext is bound to, as key=value,key=value or a JSON object; may be given more than
    /// once. It opens with the same pairs only
    #[arg(long = "context", value_name = "PAIRS")]
    pairs: Vec<String>,
}

impl Context {
    pub(super) fn read(&self) -> Result<EncryptionContext, Failure> {
        context_of(&self.pairs)
    }
}

/// The context of texts, each with some of its pairs.
pub(super) fn context_of(texts: &[String]) -> Result<EncryptionContext, Failure> {
    let mut pairs = Vec::new();
    for text in texts {
        if text.trim_start().starts_with('{') {
            let read: std::collections::BTreeMap<String, String> = serde_json::from_str(text)
                .map_err(|error| {
                    Failure::local(format!(
                        "the encryption context is no JSON object of texts: line {}, column {}",
                        error.line(),
                        error.column()
                    ))
                })?;
            pairs.extend(read);
        } else {
            let read: EncryptionContext = text.parse()?;
            let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
            pairs.extend(read.pairs().map(owned));
        }
    }
    Ok(EncryptionContext::of(pairs)?)
}

/// A key service that is ready for use.
#[derive(Debug)]
pub(super) struct Opened {
    /// The service.
    pub(super) kms: Arc<dyn KeyManagementService>,
    /// The key where none is named.
    pub(super) default_key: KeyId,
    /// How it is reached.
    pub(super) route: Route,
}

/// How a service is reached.
#[derive(Debug)]
pub(super) enum Route {
    /// By a configuration, from this machine.
    Direct {
        /// Where it is.
        file: PathBuf,
        /// What it says: SHA-256 in hex.
        content: String,
        /// What the records of it are verified by, where it names audit devices.
        audit_key: Option<String>,
    },
    /// By a kms-service.
    Service(Arc<RemoteKms>),
}

impl Opened {
    /// The key that is named, else the default one.
    pub(super) fn key(&self, named: Option<&KeyId>) -> KeyId {
        named.unwrap_or(&self.default_key).clone()
    }

    /// The name of the key service that encrypts in the end, as it stands in ciphertexts.
    pub(super) async fn backend(&self) -> Result<String, Failure> {
        match &self.route {
            Route::Direct { .. } => Ok(self.kms.capabilities().provider.to_owned()),
            Route::Service(remote) => Ok(remote.backend().await?),
        }
    }

    /// What tells this service from others: of a configuration, what it says too, for the same file may
    /// name another service tomorrow.
    pub(super) fn identity(&self) -> String {
        match &self.route {
            Route::Direct { file, content, .. } => {
                let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
                let backend = self.kms.capabilities().provider;
                format!("{}#{backend}#{content}", file.display())
            }
            Route::Service(remote) => remote.address(),
        }
    }
}

impl Connection {
    /// The service that the flags name, else the environment, else a configuration that is found.
    pub(super) fn open(&self) -> Result<Opened, Failure> {
        let environment = Environment::process();
        let is_direct = self.config.is_some() || self.backend.is_some();
        let named = || environment.get("KMS_SERVICE_ADDR").filter(|_| !is_direct);
        match self.service.clone().or_else(named) {
            Some(address) => self.access.open(&address, &environment),
            None => direct(
                self.config.as_deref(),
                self.backend.as_deref(),
                &environment,
            ),
        }
    }

    /// Makes a key where a configuration has its keys.
    pub(super) async fn create_key(&self, named: Option<&KeyId>) -> Result<KeyInfo, Failure> {
        let environment = Environment::process();
        let is_direct = self.config.is_some() || self.backend.is_some();
        let by_environment = environment.get("KMS_SERVICE_ADDR").is_some() && !is_direct;
        if self.service.is_some() || by_environment {
            return Err(Failure::local(
                "a kms-service makes no keys: do it where its kms.toml is, and name that by -config",
            ));
        }
        let file = configuration(self.config.as_deref(), &environment)?;
        let (config, text) = read(&file, self.backend.as_deref(), &environment)?;
        let audit = audit::config(&file, &text, &environment)?;
        let observers = audit::observers(audit.as_ref())?;
        Ok(create_key(&config, &environment, &observers, named).await?)
    }

    /// How an answer is shown that is bytes: those, unless a flag asks for another form. A variable is set
    /// for commands with answers for people, and would break every pipe.
    pub(super) fn style_of_bytes(&self, field: Option<String>) -> Style {
        Style {
            format: self.answer.format.unwrap_or_default(),
            field,
        }
    }

    /// How the answer is shown.
    pub(super) fn style(&self, field: Option<String>) -> Result<Style, Failure> {
        Ok(Style {
            format: self.answer.format()?,
            field,
        })
    }
}

impl Answer {
    pub(super) fn format(&self) -> Result<Format, Failure> {
        session::format(self.format, &secretum_client::Environment::process())
    }
}

impl AccessFlags {
    /// Whether a flag or a variable gives a token.
    pub(super) fn has_token(&self, environment: &Environment) -> bool {
        let variables = ["KMS_SERVICE_TOKEN", "KMS_SERVICE_TOKEN_FILE"];
        self.token_file.is_some() || variables.iter().any(|name| environment.get(name).is_some())
    }

    /// The same, with what one of two services has for itself.
    pub(super) fn with_own(&self, own: OwnAccess<'_>) -> Self {
        let mut access = self.clone();
        let or = |own: Option<&Path>, all: Option<PathBuf>| own.map(Path::to_owned).or(all);
        access.token_file = or(own.token_file, access.token_file);
        access.client_cert = or(own.client_cert, access.client_cert);
        access.client_key = or(own.client_key, access.client_key);
        access
    }

    /// A kms-service at this address.
    pub(super) fn open(&self, address: &str, environment: &Environment) -> Result<Opened, Failure> {
        let path = |flag: &Option<PathBuf>, name: &str| {
            flag.clone()
                .or_else(|| environment.get(name).map(PathBuf::from))
        };
        let token_file = path(&self.token_file, "KMS_SERVICE_TOKEN_FILE");
        // A file that a flag names goes before the variable.
        let token = environment
            .get("KMS_SERVICE_TOKEN")
            .filter(|_| self.token_file.is_none());
        let remote = Arc::new(RemoteKms::new(
            address,
            &Access {
                token: token.map(Into::into),
                token_file,
                ca_cert: path(&self.ca_cert, "KMS_SERVICE_CACERT"),
                client_cert: path(&self.client_cert, "KMS_SERVICE_CLIENT_CERT"),
                client_key: path(&self.client_key, "KMS_SERVICE_CLIENT_KEY"),
            },
        )?);
        let kms = ResilientKms::new(Arc::clone(&remote) as _, around(), Observers::default());
        Ok(Opened {
            kms: Arc::new(kms),
            default_key: RemoteKms::own_key()?,
            route: Route::Service(remote),
        })
    }
}

/// What stands around a kms-service. It keeps data keys and gives itself a rest; only the way to it
/// needs help.
fn around() -> ResilientKmsConfig {
    ResilientKmsConfig {
        timeout: TIMEOUT,
        retry: RetryConfig {
            deadline: DEADLINE,
            ..RetryConfig::default()
        },
        ..ResilientKmsConfig::development()
    }
}

/// The file that is named, else the one that is found.
fn configuration(file: Option<&Path>, environment: &Environment) -> Result<PathBuf, Failure> {
    match file {
        Some(file) => Ok(file.to_owned()),
        None => secretum_kms::config::find(environment).map_err(|error| {
            Failure::local(format!("{error}, or ask a service: -service https://…"))
        }),
    }
}

/// A configuration and its text, which is read once.
fn read(
    file: &Path,
    backend: Option<&str>,
    environment: &Environment,
) -> Result<(KmsConfig, String), Failure> {
    let text = read_file(file).map_err(Failure::display)?;
    let config = KmsConfig::parse_for(file, &text, environment, backend);
    Ok((config.map_err(Failure::display)?, text))
}

/// The service of a configuration, from this machine.
pub(super) fn direct(
    file: Option<&Path>,
    backend: Option<&str>,
    environment: &Environment,
) -> Result<Opened, Failure> {
    let file = configuration(file, environment)?;
    let (config, text) = read(&file, backend, environment)?;
    let audit = audit::config(&file, &text, environment)?;
    let kms = create_resilient_kms(&config, environment, audit::observers(audit.as_ref())?)?;
    if config.backend.name() == local::NAME {
        console::warning("the key provider `local` is for development: its keys are not protected");
    }
    let audit_key = audit.as_ref().map(AuditConfig::public_key).transpose();
    Ok(Opened {
        kms: Arc::new(kms),
        default_key: config.default_key,
        route: Route::Direct {
            file,
            content: hex::encode(sha256(text.as_bytes())),
            audit_key: audit_key.map_err(Failure::display)?,
        },
    })
}

/// Reads the identifier of a key.
pub(super) fn key(text: &str) -> Result<KeyId, String> {
    KeyId::new(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(texts: &[&str]) -> Result<EncryptionContext, String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        context_of(&texts).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_service_gets_all_of_the_time_that_one_try_has() {
        let around = around();
        assert_eq!(around.timeout, Duration::from_secs(70));
        assert!(around.retry.deadline > around.timeout);
    }

    #[test]
    fn contexts_are_put_together() {
        let wanted = EncryptionContext::of([("env", "prod"), ("service", "api")]).unwrap();
        for texts in [
            &["env=prod,service=api"][..],
            &["service=api", "env=prod"],
            &[r#"{"env":"prod"}"#, " service = api "],
        ] {
            assert_eq!(context(texts).unwrap(), wanted, "{texts:?}");
        }
        assert!(context(&[]).unwrap().is_empty());
        assert_eq!(
            context(&[r#"{"a":"x,y"}"#]).unwrap().pairs().next(),
            Some(("a", "x,y"))
        );
        for (texts, word) in [
            (&["env"][..], "key=value"),
            (&["a=1", "a=2"], "twice"),
            (&["{\"a\":planted}"], "line 1"),
        ] {
            let told = context(texts).unwrap_err();
            assert!(told.contains(word) && !told.contains("planted"), "{told}");
        }
    }

    #[test]
    fn a_file_is_asked_for_by_the_flags_and_a_service_by_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kms.toml");
        let config = "[kms]\nenvironment = \"dev\"\ndev_backend = \"local\"\ndefault_key = \"k\"\n\
                      [kms.local]\nkeys_variable = \"KEYS\"\n";
        std::fs::write(&file, config).unwrap();
        let keys = "k:1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        let environment = Environment::of([("KEYS", keys)]);
        let opened = direct(Some(&file), Some("local"), &environment).unwrap();
        assert_eq!(opened.key(None).as_str(), "k");
        assert!(opened.identity().contains("kms.toml#local#"));
        let again = direct(Some(&file), None, &environment).unwrap();
        assert_eq!(opened.identity(), again.identity());
        std::fs::write(&file, config.replace("\"KEYS\"", "\"OTHER\"")).unwrap();
        let other = Environment::of([("OTHER", keys)]);
        let other = direct(Some(&file), Some("local"), &other).unwrap();
        assert_ne!(opened.identity(), other.identity());
        let none = Environment::of([("HOME", "/nowhere")]);
        let told = direct(None, None, &none).unwrap_err().to_string();
        assert!(
            told.contains("looked for `kms.toml`") && told.contains("-service"),
            "{told}"
        );
        let refused = direct(Some(&file), None, &none).unwrap_err().to_string();
        assert!(refused.contains("keys_variable"), "{refused}");
    }
}
