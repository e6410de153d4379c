//! [`AgeFiles`] and [`Keys`]: the files with keys, and what is in them.
//!
//! A public file has a recipient a line: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`. A private file is what
//! `age-keygen` writes, with one secret key a line, the newest last; or one private key of SSH. Lines
//! that begin with `#` are comments.

use super::super::files::{self, Replacement, Rights};
use super::NAME;
use crate::{KeyVersion, KmsError, Result};
use age::secrecy::ExposeSecret;
use age::{ssh, x25519};
use secretum_crypto::{SecretString, Timestamp, sha256};
use std::fmt;
use std::path::{Path, PathBuf};

/// The most recipients, and the most private keys.
pub(super) const KEYS_MAX: usize = 1000;

/// Where the keys are. One of the two may be missing: without the private file nothing is decrypted,
/// without the public one it is encrypted to the newest private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeFiles {
    /// The recipients.
    pub public: Option<PathBuf>,
    /// The private keys. Only its owner may read the file.
    pub private: Option<PathBuf>,
}

/// What is in the files.
pub(super) struct Keys {
    pub(super) recipients: Vec<Recipient>,
    pub(super) identities: Vec<Identity>,
}

/// Whom to encrypt to.
pub(super) enum Recipient {
    X25519(x25519::Recipient),
    Ssh(ssh::Recipient),
}

/// A private key.
pub(super) enum Identity {
    X25519(Box<x25519::Identity>),
    Ssh(Box<ssh::Identity>),
}

impl Recipient {
    pub(super) fn as_age(&self) -> &dyn age::Recipient {
        match self {
            Self::X25519(recipient) => recipient,
            Self::Ssh(recipient) => recipient,
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::X25519(recipient) => recipient.to_string(),
            Self::Ssh(recipient) => recipient.to_string(),
        }
    }

    pub(super) fn parse(line: &str) -> std::result::Result<Self, String> {
        if let Ok(recipient) = line.parse() {
            return Ok(Self::X25519(recipient));
        }
        match line.parse() {
            Ok(recipient) => Ok(Self::Ssh(recipient)),
            Err(ssh::ParseRecipientKeyError::RsaModulusTooSmall) => {
                Err("holds an RSA key of less than 2048 bits".to_owned())
            }
            Err(ssh::ParseRecipientKeyError::RsaModulusTooLarge) => {
                Err("holds an RSA key that is too long".to_owned())
            }
            Err(ssh::ParseRecipientKeyError::Unsupported(kind)) => Err(format!(
                "holds a key of the kind `{}`; age takes ssh-ed25519 and ssh-rsa",
                kind.chars()
                    .filter(|c| !c.is_control())
                    .take(40)
                    .collect::<String>()
            )),
            Err(_) => Err(
                "holds no recipient; one is age1…, ssh-ed25519 … or ssh-rsa …, as `age-keygen -y` \
                 prints it"
                    .to_owned(),
            ),
        }
    }
}

impl Identity {
    pub(super) fn as_age(&self) -> &dyn age::Identity {
        match self {
            Self::X25519(identity) => &**identity,
            Self::Ssh(identity) => &**identity,
        }
    }

    pub(super) fn recipient(&self) -> Option<Recipient> {
        match self {
            Self::X25519(identity) => Some(Recipient::X25519(identity.to_public())),
            Self::Ssh(identity) => {
                let recipient = ssh::Recipient::try_from((**identity).clone());
                recipient.ok().map(Recipient::Ssh)
            }
        }
    }
}

impl Keys {
    /// A fingerprint of the recipients: what is encrypted to others is another version.
    pub(super) fn version(&self) -> KeyVersion {
        let texts: Vec<String> = self.recipients.iter().map(Recipient::text).collect();
        let digest = sha256(texts.join("\n").as_bytes());
        let shown = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
        KeyVersion::new(shown.collect::<String>()).unwrap_or_default()
    }

    /// Whether there is a private key that a new one can take the place of.
    pub(super) fn is_rotatable(&self) -> bool {
        let own = |identity| matches!(identity, &Identity::X25519(_));
        !self.identities.is_empty() && self.identities.iter().all(own)
    }

    fn own(&self) -> Vec<String> {
        let recipients = self.identities.iter().filter_map(Identity::recipient);
        recipients.map(|recipient| recipient.text()).collect()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("recipients", &self.recipients.len())
            .field("identities", &self.identities.len())
            .finish()
    }
}

impl AgeFiles {
    /// Makes a key pair as `age-keygen` does, and writes both files: the private one with the mode
    /// 0600, the public one beside it.
    ///
    /// **Errors**: [`KmsError::File`] also where one of them is there, and
    /// [`KmsError::NotConfigured`] where one of them has no path.
    pub fn generate(&self, now: Timestamp) -> Result<()> {
        let missing = |what: &'static str, remedy: &'static str| KmsError::NotConfigured {
            provider: NAME,
            what,
            remedy,
        };
        let public = self.public.as_deref();
        let public = public
            .ok_or_else(|| missing("a place for the public key", "name it as public_key_path"))?;
        let private = self.private.as_deref();
        let private = private
            .ok_or_else(|| missing("a place for the private key", "name it as private_key_path"))?;
        let identity = x25519::Identity::generate();
        files::create(private, entry(&identity, now).expose(), Rights::Private)?;
        let recipient = format!("{}\n", identity.to_public());
        files::create(public, &recipient, Rights::Public).inspect_err(|_| {
            // Half a pair helps nobody, and nothing was encrypted to it.
            let _ = std::fs::remove_file(private);
        })
    }

    /// What is in the files now.
    pub(super) fn read(&self) -> Result<Keys> {
        let identities = match &self.private {
            Some(path) => identities(files::read_private(path)?.expose(), path)?,
            None => Vec::new(),
        };
        let recipients = match &self.public {
            Some(path) => recipients(&files::read_public(path)?, path)?,
            None => {
                let newest = identities.last().and_then(Identity::recipient);
                vec![newest.ok_or(KmsError::NotConfigured {
                    provider: NAME,
                    what: "a public or a private key",
                    remedy: "name their files as public_key_path and private_key_path",
                })?]
            }
        };
        Ok(Keys {
            recipients,
            identities,
        })
    }

    /// Puts a new private key behind the old ones, then its recipient in the place of theirs.
    ///
    /// In this order: a crash in between leaves a key that nothing is encrypted to, never the other
    /// way round.
    pub(super) fn rotate(&self, now: Timestamp) -> Result<Keys> {
        let target = |path: &Option<PathBuf>| path.as_deref().map(files::target).transpose();
        // From here on no link is followed.
        let (private, public) = (target(&self.private)?, target(&self.public)?);
        let keys = self.read()?;
        let identity = x25519::Identity::generate();
        let mut written = Vec::new();
        if let Some(path) = &private {
            let old = files::read_private(path)?;
            let new = entry(&identity, now);
            let mut text = String::with_capacity(old.len() + new.len() + 1);
            text.push_str(old.expose().trim_end());
            text.push('\n');
            text.push_str(new.expose());
            let text = SecretString::new(text);
            written.push(Replacement::of(path, text.expose())?);
        }
        if let Some(path) = &public {
            let own = keys.own();
            let old = files::read_public(path)?;
            let new = identity.to_public().to_string();
            written.push(Replacement::of(path, &exchanged(&old, &own, &new))?);
        }
        for file in written {
            file.place()?;
        }
        self.read()
    }
}

/// The lines of a public file with a new recipient in the place of the first of one's own.
fn exchanged(old: &str, own: &[String], new: &str) -> String {
    let is_own = |line: &str| {
        let recipient = Recipient::parse(line.trim()).map(|recipient| recipient.text());
        recipient.is_ok_and(|text| own.contains(&text))
    };
    let mut lines = Vec::new();
    let mut placed = false;
    for line in old.lines() {
        if !is_own(line) {
            lines.push(line);
        } else if !placed {
            lines.push(new);
            placed = true;
        }
    }
    if !placed {
        lines.push(new);
    }
    lines.push("");
    lines.join("\n")
}

/// A private key as `age-keygen` writes it.
fn entry(identity: &x25519::Identity, now: Timestamp) -> SecretString {
    let secret = identity.to_string();
    let head = format!("# created: {now}\n# public key: {}\n", identity.to_public());
    let mut text = String::with_capacity(head.len() + secret.expose_secret().len() + 1);
    text.push_str(&head);
    text.push_str(secret.expose_secret());
    text.push('\n');
    SecretString::new(text)
}

fn content(path: &Path, reason: String) -> KmsError {
    KmsError::FileContent {
        path: path.to_owned(),
        reason,
    }
}

/// The lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| (index + 1, line))
}

fn recipients(text: &str, path: &Path) -> Result<Vec<Recipient>> {
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        if line.starts_with("AGE-SECRET-KEY-") || line.starts_with("-----BEGIN") {
            return Err(content(
                path,
                format!("line {number} holds a private key; public_key_path names a public one"),
            ));
        }
        if found.len() >= KEYS_MAX {
            return Err(content(path, format!("it has more than {KEYS_MAX} keys")));
        }
        let recipient = Recipient::parse(line);
        found.push(recipient.map_err(|fault| content(path, format!("line {number} {fault}")))?);
    }
    if found.is_empty() {
        let reason = "it holds no recipient, as `age-keygen -y` prints it";
        return Err(content(path, reason.to_owned()));
    }
    Ok(found)
}

fn identities(text: &str, path: &Path) -> Result<Vec<Identity>> {
    let wrong = |reason: &str| Err(content(path, reason.to_owned()));
    let first = lines(text).next().map_or("", |(_, line)| line);
    if first.starts_with("age-encryption.org/") || first == "-----BEGIN AGE ENCRYPTED FILE-----" {
        return wrong("it is protected by a passphrase; open it first: age -d -o KEY FILE");
    }
    if first.starts_with("-----BEGIN") {
        return ssh_identity(text, path).map(|identity| vec![identity]);
    }
    let mut found = Vec::new();
    for (number, line) in lines(text) {
        if found.len() >= KEYS_MAX {
            return Err(content(path, format!("it has more than {KEYS_MAX} keys")));
        }
        match line.parse() {
            Ok(identity) => found.push(Identity::X25519(Box::new(identity))),
            Err(_) => {
                return Err(content(
                    path,
                    format!("line {number} holds no private key, as `age-keygen` writes it"),
                ));
            }
        }
    }
    if found.is_empty() {
        return wrong("it holds no private key; make one: age-keygen -o FILE");
    }
    Ok(found)
}

fn ssh_identity(text: &str, path: &Path) -> Result<Identity> {
    let wrong = |reason: &str| Err(content(path, reason.to_owned()));
    match ssh::Identity::from_buffer(text.as_bytes(), None) {
        Ok(ssh::Identity::Encrypted(_)) => {
            wrong("it is protected by a passphrase; take it off a copy: ssh-keygen -p -f FILE")
        }
        Ok(ssh::Identity::Unsupported(_)) => {
            wrong("it is an SSH key of a kind that age does not take; use ed25519 or RSA")
        }
        Ok(identity) => Ok(Identity::Ssh(Box::new(identity))),
        Err(_) => wrong("it is neither a private key of age nor one of SSH"),
    }
}
