//! The storages of the clouds. Where no credentials are said, the cloud's own sources give them.

use super::place::Place;
use object_store::{ObjectStore, Result};
use std::sync::Arc;

/// A bucket of S3, or of what speaks as it does.
#[cfg(feature = "storage-aws")]
pub(super) fn aws(place: &Place) -> Result<Arc<dyn ObjectStore>> {
    use object_store::aws::AmazonS3Builder;
    let mut builder = AmazonS3Builder::from_env();
    for (name, set) in [
        (
            "bucket",
            AmazonS3Builder::with_bucket_name as fn(_, String) -> _,
        ),
        ("region", AmazonS3Builder::with_region),
        ("accessKeyID", AmazonS3Builder::with_access_key_id),
        ("accessKey", AmazonS3Builder::with_secret_access_key),
        ("endpoint", AmazonS3Builder::with_endpoint),
    ] {
        if let Some(value) = place.value(name) {
            builder = set(builder, value.to_owned());
        }
    }
    let plain = place.value("endpoint").is_some_and(is_plain);
    Ok(Arc::new(builder.with_allow_http(plain).build()?))
}

/// A container of Azure Blob.
#[cfg(feature = "storage-azure")]
pub(super) fn azure(place: &Place) -> Result<Arc<dyn ObjectStore>> {
    use object_store::azure::MicrosoftAzureBuilder;
    let mut builder = MicrosoftAzureBuilder::from_env();
    for (name, set) in [
        (
            "account",
            MicrosoftAzureBuilder::with_account as fn(_, String) -> _,
        ),
        ("container", MicrosoftAzureBuilder::with_container_name),
        ("tenantID", MicrosoftAzureBuilder::with_tenant_id),
        ("clientID", MicrosoftAzureBuilder::with_client_id),
        ("clientSecret", MicrosoftAzureBuilder::with_client_secret),
        ("accountKey", MicrosoftAzureBuilder::with_access_key),
        ("endpoint", MicrosoftAzureBuilder::with_endpoint),
    ] {
        if let Some(value) = place.value(name) {
            builder = set(builder, value.to_owned());
        }
    }
    let plain = place.value("endpoint").is_some_and(is_plain);
    Ok(Arc::new(builder.with_allow_http(plain).build()?))
}

/// A bucket of Google Cloud Storage. The project is not needed: names of buckets are unique.
#[cfg(feature = "storage-gcp")]
pub(super) fn gcp(place: &Place) -> Result<Arc<dyn ObjectStore>> {
    use object_store::ClientOptions;
    use object_store::gcp::GoogleCloudStorageBuilder;
    let bucket = place.value("bucket").unwrap_or_default();
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    if let Some(path) = place.value("credentialsPath") {
        builder = builder.with_service_account_path(path);
    }
    if let Some(endpoint) = place.value("endpoint") {
        let plain = ClientOptions::new().with_allow_http(is_plain(endpoint));
        builder = builder.with_base_url(endpoint).with_client_options(plain);
    }
    Ok(Arc::new(builder.build()?))
}

/// Whether an endpoint is reached without TLS, which is said by its own text.
fn is_plain(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}
