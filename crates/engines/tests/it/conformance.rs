//! Every engine passes the suite of the framework.

#[tokio::test]
async fn every_kind_of_engine_conforms() {
    let kinds = secretum_engines::all().unwrap();
    assert!(!kinds.is_empty());
    for kind in &kinds {
        secretum_engine::conformance::run(kind).await.unwrap();
    }
}
