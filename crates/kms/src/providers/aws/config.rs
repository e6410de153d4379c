//! `[kms.aws]`.

use super::{AwsCredentials, AwsProvider, AwsSettings};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Found, Reader, Section};
use crate::{Provider, Result};
use secretum_crypto::SecretString;
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: Some("key_id"),
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "region",
    "key_id",
    "endpoint_url",
    "profile",
    "access_key_id",
    "secret_access_key",
    "session_token",
    "timeout",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("default_key_id", "key_id"),
    ("key_arn", "key_id"),
    ("endpoint", "endpoint_url"),
    ("profile_name", "profile"),
    ("secret_key", "secret_access_key"),
    ("access_key", "access_key_id"),
];

const REGION_VARIABLES: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];

impl Settings for AwsSettings {
    fn provider(&self, _making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        Ok(Arc::new(AwsProvider::new(self.clone())))
    }
}

/// What is neither here nor in these variables, the library of AWS looks for by itself.
fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<AwsSettings> {
    let Asked {
        table: aws,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = aws.at.unwrap_or(at);
    let named = text(reader, aws, "region");
    let mut variables = REGION_VARIABLES.iter();
    let region = named.or_else(|| variables.find_map(|name| reader.environment.get(name)));
    let settings = AwsSettings {
        region,
        endpoint_url: endpoint(reader, aws, stage),
        without_tls: stage == Stage::Development,
        profile: text(reader, aws, "profile"),
        credentials: credentials(reader, aws, at),
        timeout: aws.duration(reader, "timeout"),
    };
    if settings.profile.is_some() && settings.credentials.is_some() {
        let message = "[kms.aws] has both profile and access_key_id; leave one of them out";
        reader.fault(Some(at), message);
    }
    (reader.faults.len() == before).then_some(settings)
}

/// A text; an empty one, as of a variable that is not set, is none.
fn text(reader: &mut Reader<'_>, aws: Section<'_>, key: &str) -> Option<String> {
    let found = aws.text(reader, key).map(|found| found.value);
    found.filter(|value| !value.is_empty())
}

fn endpoint(reader: &mut Reader<'_>, aws: Section<'_>, stage: Stage) -> Option<String> {
    let Found { value, at } = aws.text(reader, "endpoint_url")?;
    // What it is may come from a variable, and is not shown.
    let fault = match stage {
        _ if value.starts_with("https://") => return Some(value),
        Stage::Development if value.starts_with("http://") => return Some(value),
        Stage::Production if value.starts_with("http://") => {
            "a production environment does not take a service without TLS; write https://host"
        }
        _ => "`endpoint_url` is not the address of a server; write https://host, or leave it out",
    };
    reader.fault(Some(at), fault);
    None
}

fn credentials(reader: &mut Reader<'_>, aws: Section<'_>, at: usize) -> Option<AwsCredentials> {
    let id = text(reader, aws, "access_key_id");
    let secret = text(reader, aws, "secret_access_key");
    let token = text(reader, aws, "session_token");
    let shut = |text: String| Arc::new(SecretString::new(text));
    match (id, secret) {
        (Some(access_key_id), Some(secret)) => Some(AwsCredentials {
            access_key_id,
            secret_access_key: shut(secret),
            session_token: token.map(shut),
        }),
        (None, None) if token.is_none() => None,
        _ => {
            reader.fault(
                Some(at),
                "[kms.aws] has not both of access_key_id and secret_access_key; write both, or neither \
                 and no session_token",
            );
            None
        }
    }
}
