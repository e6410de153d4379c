//! The tables of the backends: the names in all of them, and the one that serves.

use super::section::{Found, Reader, Section, nearest};
use super::{Backend, Stage};
use crate::providers::ALL;

/// Every provider that there is, those too that this program was built without.
const EVERY: &[&str] = &[
    "age",
    "aws",
    "azure",
    "cosmian",
    "gcp",
    "kmip",
    "local",
    "rustyvault",
    "vault",
];

const AGE_KEYS: &[&str] = &[
    "public_key_path",
    "private_key_path",
    "armor",
    "allow_in_production",
];

const AGE_KEYS_OLD: &[(&str, &str)] = &[
    ("recipients_path", "public_key_path"),
    (
        "recipient",
        "the recipient into a file, and its path as public_key_path",
    ),
    ("identity_path", "private_key_path"),
    ("key_path", "private_key_path"),
    ("key_file", "private_key_path"),
];

const LOCAL_KEYS: &[&str] = &["keys_path", "keys_variable", "allow_in_production"];

/// Looks at the names in the tables of all backends, those too that do not serve.
pub(super) fn check_names(reader: &mut Reader<'_>, kms: Section<'_>) {
    let age = kms.below(reader, "age", "kms.age");
    age.only(reader, AGE_KEYS, AGE_KEYS_OLD);
    let local = kms.below(reader, "local", "kms.local");
    local.only(reader, LOCAL_KEYS, &[]);
    let vault = kms.below(reader, "vault", "kms.vault");
    #[cfg(feature = "vault")]
    vault.only(reader, super::vault::KEYS, super::vault::KEYS_OLD);
    #[cfg(not(feature = "vault"))]
    let _ = vault;
    let rusty = kms.below(reader, "rustyvault", "kms.rustyvault");
    #[cfg(feature = "rustyvault")]
    rusty.only(reader, super::rustyvault::KEYS, super::rustyvault::KEYS_OLD);
    #[cfg(not(feature = "rustyvault"))]
    let _ = rusty;
    let aws = kms.below(reader, "aws", "kms.aws");
    #[cfg(feature = "aws")]
    aws.only(reader, super::aws::KEYS, super::aws::KEYS_OLD);
    #[cfg(not(feature = "aws"))]
    let _ = aws;
    let azure = kms.below(reader, "azure", "kms.azure");
    #[cfg(feature = "azure")]
    azure.only(reader, super::azure::KEYS, super::azure::KEYS_OLD);
    #[cfg(not(feature = "azure"))]
    let _ = azure;
    let cosmian = kms.below(reader, "cosmian", "kms.cosmian");
    #[cfg(feature = "cosmian")]
    cosmian.only(reader, super::cosmian::KEYS, super::cosmian::KEYS_OLD);
    #[cfg(not(feature = "cosmian"))]
    let _ = cosmian;
    let gcp = kms.below(reader, "gcp", "kms.gcp");
    #[cfg(feature = "gcp")]
    gcp.only(reader, super::gcp::KEYS, super::gcp::KEYS_OLD);
    #[cfg(not(feature = "gcp"))]
    let _ = gcp;
    let kmip = kms.below(reader, "kmip", "kms.kmip");
    #[cfg(feature = "kmip")]
    kmip.only(reader, super::kmip::KEYS, super::kmip::KEYS_OLD);
    #[cfg(not(feature = "kmip"))]
    let _ = kmip;
}

pub(super) fn backend(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    stage: Stage,
    named: Option<&str>,
) -> Option<Backend> {
    let key = stage.backend_key();
    if named.is_none() && !kms.has(key) {
        reader.fault(
            kms.at,
            format!(
                "[kms] names no `{key}`; write {key} = \"…\", one of {}",
                ALL.join(", ")
            ),
        );
        return None;
    }
    let Found { value, at } = match named {
        Some(name) => Found {
            value: name.to_owned(),
            at: kms.at.unwrap_or_default(),
        },
        None => kms.text(reader, key)?,
    };
    let found = Found {
        value: value.as_str(),
        at,
    };
    if ALL.contains(&found.value) {
        return of_name(reader, kms, stage, found);
    }
    if EVERY.contains(&found.value) {
        let message = format!(
            "`{key}` names the provider `{value}`, which this program was built without; build it with the \
             feature `{value}`"
        );
        reader.fault(Some(at), message);
        return None;
    }
    let mut message = format!("`{key}` names no provider of this program");
    let replaced = NAMES_OLD.iter().find(|(gone, _)| *gone == found.value);
    match replaced.map(|(_, new)| *new).or(nearest(found.value, ALL)) {
        Some(near) => message.push_str(&format!("; did you mean `{near}`?")),
        None => message.push_str(&format!("; it has {}", ALL.join(", "))),
    }
    reader.fault(Some(at), message);
    None
}

/// What providers are called elsewhere, and here.
const NAMES_OLD: &[(&str, &str)] = &[
    ("aws-kms", "aws"),
    ("aws_kms", "aws"),
    ("azure-key-vault", "azure"),
    ("azure_keyvault", "azure"),
    ("bao", "vault"),
    ("cosmian-kms", "cosmian"),
    ("cosmian_kms", "cosmian"),
    ("env", "local"),
    ("gcp-kms", "gcp"),
    ("gcp_kms", "gcp"),
    ("hashicorp", "vault"),
    ("openbao", "vault"),
    ("transit", "vault"),
];

/// The backend of this name, from its table.
#[cfg_attr(
    not(any(
        feature = "age",
        feature = "aws",
        feature = "azure",
        feature = "cosmian",
        feature = "gcp",
        feature = "local",
        feature = "vault"
    )),
    expect(unused_variables, reason = "KMIP has TLS in every stage")
)]
fn of_name(
    reader: &mut Reader<'_>,
    kms: Section<'_>,
    stage: Stage,
    Found { value, at }: Found<&str>,
) -> Option<Backend> {
    match value {
        #[cfg(feature = "age")]
        "age" => {
            let age = kms.below(reader, "age", "kms.age");
            check_stage(reader, age, stage, at)?;
            age_backend(reader, age, at)
        }
        #[cfg(feature = "local")]
        "local" => {
            let local = kms.below(reader, "local", "kms.local");
            check_stage(reader, local, stage, at)?;
            Some(Backend::Local(local_keys(reader, local)?))
        }
        #[cfg(feature = "aws")]
        "aws" => {
            let aws = kms.below(reader, "aws", "kms.aws");
            let settings = super::aws::settings(reader, aws, stage, at)?;
            Some(Backend::Aws(Box::new(settings)))
        }
        #[cfg(feature = "azure")]
        "azure" => {
            let azure = kms.below(reader, "azure", "kms.azure");
            let settings = super::azure::settings(reader, azure, stage, at)?;
            Some(Backend::Azure(Box::new(settings)))
        }
        #[cfg(feature = "cosmian")]
        "cosmian" => {
            let cosmian = kms.below(reader, "cosmian", "kms.cosmian");
            let server = super::cosmian::settings(reader, cosmian, stage, at)?;
            Some(Backend::Cosmian(Box::new(server)))
        }
        #[cfg(feature = "gcp")]
        "gcp" => {
            let gcp = kms.below(reader, "gcp", "kms.gcp");
            let settings = super::gcp::settings(reader, gcp, stage, at)?;
            Some(Backend::Gcp(Box::new(settings)))
        }
        #[cfg(feature = "kmip")]
        "kmip" => {
            let kmip = kms.below(reader, "kmip", "kms.kmip");
            let server = super::kmip::settings(reader, kmip, at)?;
            Some(Backend::Kmip(Box::new(server)))
        }
        #[cfg(feature = "rustyvault")]
        "rustyvault" => {
            let rusty = kms.below(reader, "rustyvault", "kms.rustyvault");
            let settings = super::rustyvault::settings(reader, rusty, stage, at)?;
            Some(Backend::RustyVault(Box::new(settings)))
        }
        #[cfg(feature = "vault")]
        "vault" => {
            let vault = kms.below(reader, "vault", "kms.vault");
            let settings = super::vault::settings(reader, vault, stage, at)?;
            Some(Backend::Vault(Box::new(settings)))
        }
        _ => None,
    }
}

/// Refuses keys in files for production, unless the table of the backend says it once more.
#[cfg(any(feature = "age", feature = "local"))]
fn check_stage(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    stage: Stage,
    at: usize,
) -> Option<()> {
    let allowed = section.switch(reader, "allow_in_production");
    if stage == Stage::Development || allowed == Some(true) {
        return Some(());
    }
    reader.fault(
        Some(at),
        format!(
            "a production environment does not take keys from files: name a key service as \
             prod_backend, or write allow_in_production = true in [{}] as well",
            section.name
        ),
    );
    None
}

#[cfg(feature = "age")]
fn age_backend(reader: &mut Reader<'_>, age: Section<'_>, at: usize) -> Option<Backend> {
    let faults = reader.faults.len();
    let files = crate::AgeFiles {
        public: age.path(reader, "public_key_path"),
        private: age.path(reader, "private_key_path"),
    };
    let armor = age.switch(reader, "armor").unwrap_or(false);
    if reader.faults.len() > faults {
        return None;
    }
    if files.public.is_none() && files.private.is_none() {
        reader.fault(
            Some(age.at.unwrap_or(at)),
            "the backend `age` has no keys; write public_key_path and private_key_path in [kms.age]",
        );
        return None;
    }
    Some(Backend::Age { files, armor })
}

#[cfg(feature = "local")]
fn local_keys(reader: &mut Reader<'_>, local: Section<'_>) -> Option<super::LocalKeys> {
    use super::{LOCAL_KEYS_VARIABLE, LocalKeys};
    match (local.has("keys_path"), local.has("keys_variable")) {
        (true, true) => {
            reader.fault(
                local.at,
                "[kms.local] has both keys_path and keys_variable; leave one of them out",
            );
            None
        }
        (true, false) => local.path(reader, "keys_path").map(LocalKeys::File),
        (false, true) => {
            let found = local.text(reader, "keys_variable")?;
            Some(LocalKeys::Variable(found.value))
        }
        (false, false) => Some(LocalKeys::Variable(LOCAL_KEYS_VARIABLE.to_owned())),
    }
}
