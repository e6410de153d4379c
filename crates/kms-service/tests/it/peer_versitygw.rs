//! Data keys kept in S3, as versitygw serves it from a folder, whose command `SECRETUM_VERSITYGW` names;
//! `./test --all` sets it. It writes and replaces under a condition, as S3 does.

use crate::cloud_storage::{Server, data_keys_are_kept};
use crate::grpc::ANY_PORT;
use crate::running::Place;
use reqwest::Client;

#[tokio::test]
async fn one_id_has_one_key_in_s3() {
    let server = Server::start("SECRETUM_VERSITYGW", |command, port, home| {
        // A folder is a bucket.
        std::fs::create_dir_all(home.path().join("buckets/keys")).unwrap();
        command
            .env("ROOT_ACCESS_KEY", "a")
            .env("ROOT_SECRET_KEY", "planted-s3")
            .args([
                "--port",
                &format!("127.0.0.1:{port}"),
                "--health",
                "/health",
            ])
            .args(["posix", "buckets"]);
    });
    let Some(server) = server else {
        return;
    };
    let address = format!("http://127.0.0.1:{}", server.port);
    let health = format!("{address}/health");
    server
        .until(async || {
            Client::new()
                .get(&health)
                .send()
                .await
                .is_ok_and(|it| it.status().is_success())
        })
        .await;
    let place = || {
        Place::local(&format!(
            "{ANY_PORT}[service.data_keys]\nstorage = \"storage://aws?bucket=keys&region=us-east-1\
             &accessKeyID=a&accessKey=planted-s3&endpoint={address}&prefix=team\"\n"
        ))
    };
    data_keys_are_kept(place, "planted-s3").await;
    // It kept them where it was told to.
    let kept = std::fs::read_dir(server.home.path().join("buckets/keys/team")).unwrap();
    assert!(kept.count() >= 5);
}
