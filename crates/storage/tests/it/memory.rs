//! The memory backend.

use async_trait::async_trait;
use secretum_storage::conformance::{self, Harness};
use secretum_storage::memory::MemoryStorage;
use secretum_storage::{Result, Storage};
use std::sync::Arc;

struct Memory;

#[async_trait]
impl Harness for Memory {
    async fn open(&self) -> Result<Arc<dyn Storage>> {
        Ok(MemoryStorage::new())
    }

    async fn reopen(&self, _: Arc<dyn Storage>) -> Result<Option<Arc<dyn Storage>>> {
        Ok(None)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_backend_keeps_the_promises_of_the_boundary() {
    if let Err(failure) = conformance::run(&Memory).await {
        panic!("{failure}");
    }
}
