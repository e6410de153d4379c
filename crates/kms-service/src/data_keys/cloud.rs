//! The storages of the clouds. Where no credentials are said, the cloud's own sources give them.

use super::place::{Place, is_plain};
use object_store::{ClientOptions, ObjectStore, Result, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long all tries of a request may take, and how many there are after the first.
const TRIES_TIMEOUT: Duration = Duration::from_secs(20);
const RETRIES_MAX: usize = 2;

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
    let builder = builder
        .with_client_options(client(place))
        .with_retry(retry());
    Ok(Arc::new(builder.build()?))
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
    let builder = builder
        .with_client_options(client(place))
        .with_retry(retry());
    Ok(Arc::new(builder.build()?))
}

/// A bucket of Google Cloud Storage. The project is not needed: names of buckets are unique.
#[cfg(feature = "storage-gcp")]
pub(super) fn gcp(place: &Place) -> Result<Arc<dyn ObjectStore>> {
    use object_store::gcp::GoogleCloudStorageBuilder;
    let bucket = place.value("bucket").unwrap_or_default();
    let mut builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    if let Some(path) = place.value("credentialsPath") {
        builder = builder.with_service_account_path(path);
    }
    if let Some(endpoint) = place.value("endpoint") {
        builder = builder.with_base_url(endpoint);
    }
    let builder = builder
        .with_client_options(client(place))
        .with_retry(retry());
    Ok(Arc::new(builder.build()?))
}

/// How a storage is asked: whoever waits for a data key holds a place among the operations at once.
fn client(place: &Place) -> ClientOptions {
    let plain = place.value("endpoint").is_some_and(is_plain);
    ClientOptions::new()
        .with_allow_http(plain)
        .with_timeout(REQUEST_TIMEOUT)
}

fn retry() -> RetryConfig {
    RetryConfig {
        max_retries: RETRIES_MAX,
        retry_timeout: TRIES_TIMEOUT,
        ..RetryConfig::default()
    }
}

#[cfg(all(test, feature = "storage-aws"))]
mod tests {
    use super::super::place::STORAGE;
    use super::super::storage::Storage;
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// The clock jumps to what is waited for, where nothing else is to be done.
    #[tokio::test(start_paused = true)]
    async fn a_bucket_that_hangs_is_not_waited_for_without_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let hanging = tokio::spawn(async move {
            let mut streams = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                streams.push(stream);
            }
        });
        let uri = format!(
            "storage://aws?bucket=b&region=r&accessKeyID=a&accessKey=s&endpoint=http%3A%2F%2F127.0.0.1%3A{port}"
        );
        let storage = Storage::open(&Place::of_uri(&STORAGE, &uri).unwrap()).unwrap();
        let began = tokio::time::Instant::now();
        storage.read(&storage.name("volume")).await.unwrap_err();
        assert!(began.elapsed() >= REQUEST_TIMEOUT);
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(asked.load(Ordering::SeqCst), 1 + RETRIES_MAX);
        hanging.abort();
    }
}
