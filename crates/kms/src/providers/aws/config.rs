//! `[kms.aws]`.

use super::{AwsCredentials, AwsProvider, AwsSettings};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Reader, Section};
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
    let named = aws.filled(reader, "region");
    let mut variables = REGION_VARIABLES.iter();
    let region = named.or_else(|| variables.find_map(|name| reader.environment.get(name)));
    let settings = AwsSettings {
        region,
        endpoint_url: aws.endpoint(reader, "endpoint_url", stage),
        without_tls: stage == Stage::Development,
        profile: aws.filled(reader, "profile"),
        credentials: credentials(reader, aws, at),
        timeout: aws.duration(reader, "timeout"),
    };
    if settings.profile.is_some() && settings.credentials.is_some() {
        let message = "[kms.aws] has both profile and access_key_id; leave one of them out";
        reader.fault(Some(at), message);
    }
    (reader.faults.len() == before).then_some(settings)
}

fn credentials(reader: &mut Reader<'_>, aws: Section<'_>, at: usize) -> Option<AwsCredentials> {
    let id = aws.filled(reader, "access_key_id");
    let secret = aws.filled(reader, "secret_access_key");
    let token = aws.filled(reader, "session_token");
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
