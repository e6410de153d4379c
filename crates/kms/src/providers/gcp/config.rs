//! `[kms.gcp]`.

use super::{GcpCredentials, GcpProvider, GcpSettings, KeyRing};
use crate::config::Stage;
use crate::config::backend::{Asked, Making, Settings, Table};
use crate::config::section::{Reader, Section};
use crate::{Provider, Result};
use std::sync::Arc;

pub(crate) const TABLE: Table = Table {
    keys: KEYS,
    keys_old: KEYS_OLD,
    default_key: Some("key"),
    read: |reader, asked| Some(Arc::new(settings(reader, asked)?)),
};

const KEYS: &[&str] = &[
    "project",
    "location",
    "key_ring",
    "key",
    "endpoint",
    "credentials_path",
    "anonymous",
    "timeout",
];

const KEYS_OLD: &[(&str, &str)] = &[
    ("project_id", "project"),
    ("location_id", "location"),
    ("region", "location"),
    ("keyring", "key_ring"),
    ("key_name", "key"),
    ("key_id", "key"),
    ("default_key_id", "key"),
    ("endpoint_url", "endpoint"),
    ("credentials_file", "credentials_path"),
    ("service_account_key", "credentials_path"),
];

const PROJECT_VARIABLE: &str = "GOOGLE_CLOUD_PROJECT";
const LOCATION_VARIABLE: &str = "GOOGLE_CLOUD_LOCATION";

impl Settings for GcpSettings {
    fn provider(&self, making: &Making<'_>) -> Result<Arc<dyn Provider>> {
        let clock = Arc::clone(&making.observers.clock);
        Ok(Arc::new(GcpProvider::new(self.clone(), clock)))
    }
}

/// Credentials that are not named here, the library of Google Cloud looks for by itself.
fn settings(reader: &mut Reader<'_>, asked: Asked<'_>) -> Option<GcpSettings> {
    let Asked {
        table: gcp,
        stage,
        at,
    } = asked;
    let before = reader.faults.len();
    let at = gcp.at.unwrap_or(at);
    let ring = ring(reader, gcp, at);
    let mut settings = GcpSettings::new(ring?);
    settings.endpoint = gcp.endpoint(reader, "endpoint", stage);
    settings.credentials = credentials(reader, gcp, stage, at)?;
    settings.timeout = gcp.duration(reader, "timeout");
    if settings.are_in_the_clear() {
        let message = "`endpoint` in [kms.gcp] has no TLS, and tokens would go over the network in the \
                       clear; write https://host, or anonymous = true for an emulator";
        reader.fault(Some(at), message);
    }
    (reader.faults.len() == before).then_some(settings)
}

/// The key ring: of the key, where it is named in whole, else by its three names.
fn ring(reader: &mut Reader<'_>, gcp: Section<'_>, at: usize) -> Option<KeyRing> {
    let key = gcp.text(reader, "key").map(|found| found.value);
    let whole = key.as_deref().and_then(KeyRing::of_key);
    let project = gcp.filled(reader, "project");
    let location = gcp.filled(reader, "location");
    let name = gcp.filled(reader, "key_ring");
    if let Some(whole) = whole {
        if project.is_some() || location.is_some() || name.is_some() {
            let message = "`key` in [kms.gcp] has the names of project, location and key ring in it; \
                           leave those three out";
            reader.fault(Some(at), message);
        }
        return Some(whole);
    }
    let project = project.or_else(|| reader.environment.get(PROJECT_VARIABLE));
    let location = location.or_else(|| reader.environment.get(LOCATION_VARIABLE));
    let (Some(project), Some(location), Some(name)) = (project, location, name) else {
        reader.fault(
            Some(at),
            "[kms.gcp] does not say where the keys are; write project, location and key_ring, or key = \
             \"projects/…/locations/…/keyRings/…/cryptoKeys/…\"",
        );
        return None;
    };
    let ring = KeyRing {
        project,
        location,
        name,
    };
    // What it is may come from a variable, and is not shown.
    if !ring.is_valid() {
        let message = "project, location and key_ring in [kms.gcp] are not all names; write letters, \
                       digits, hyphens and underscores";
        reader.fault(Some(at), message);
        return None;
    }
    Some(ring)
}

fn credentials(
    reader: &mut Reader<'_>,
    gcp: Section<'_>,
    stage: Stage,
    at: usize,
) -> Option<GcpCredentials> {
    let path = if gcp.has("credentials_path") {
        Some(gcp.path(reader, "credentials_path")?)
    } else {
        None
    };
    let anonymous = gcp.switch(reader, "anonymous").unwrap_or(false);
    let fault = match (path, anonymous) {
        (Some(path), false) => return Some(GcpCredentials::File(path)),
        (None, false) => return Some(GcpCredentials::Found),
        (None, true) if stage == Stage::Development => return Some(GcpCredentials::Anonymous),
        (None, true) => {
            "`anonymous` is for emulators, and not for a production environment; leave it out"
        }
        (Some(_), true) => {
            "[kms.gcp] has both credentials_path and anonymous; leave one of them out"
        }
    };
    reader.fault(Some(at), fault);
    None
}
