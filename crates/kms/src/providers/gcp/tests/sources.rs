//! Where credentials come from: a project that serves nobody without a token, and each place the only one
//! that has one.

use super::cloud::Cloud;
use super::*;
use crate::test_answers::{answering_in_turn, http, nobody};
use crate::test_process;

const TEST: &str = "providers::gcp::tests::sources::every_source_of_credentials_lets_in";

async fn asked() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let mut settings = settings("closed", &variable("CLOUD"));
    settings.credentials = GcpCredentials::Found;
    let refused = provider_of(settings).describe(&id("k")).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), variable("SEEN"), "{refused}");
}

#[tokio::test]
async fn every_source_of_credentials_lets_in() {
    if test_process::is_child() {
        return asked().await;
    }
    let Some(cloud) = Cloud::start() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (named, home) = (
        folder.path().join("account.json"),
        folder.path().join("home"),
    );
    let known = home.join(".config/gcloud");
    std::fs::create_dir_all(&known).unwrap();
    cloud.write_account(&named);
    std::fs::copy(&named, known.join("application_default_credentials.json")).unwrap();
    let (named, home) = (named.to_str().unwrap(), home.to_str().unwrap());
    let token = "{\"access_token\":\"t\",\"expires_in\":3600,\"token_type\":\"Bearer\"}";
    // It is asked first in which cloud it is.
    let says = |text| http("200 OK", "metadata-flavor: Google\r\n", text);
    let machine = answering_in_turn(vec![says("googleapis.com"), says(token)]);
    let machine = machine.strip_prefix("http://").unwrap();
    let nobody = nobody();
    let nobody = nobody.strip_prefix("http://").unwrap();
    let url = cloud.url();
    // Who is let in is told that the key is not there.
    for (seen, home, machine, more) in [
        ("unavailable", "/nowhere", nobody, None),
        ("key_not_found", "/nowhere", nobody, Some(named)),
        ("key_not_found", home, nobody, None),
        ("key_not_found", "/nowhere", machine, None),
    ] {
        let mut all = vec![
            ("SEEN", seen),
            ("CLOUD", &url),
            ("HOME", home),
            ("GCE_METADATA_HOST", machine),
        ];
        all.extend(more.map(|path| ("GOOGLE_APPLICATION_CREDENTIALS", path)));
        test_process::run(TEST, &all);
    }
}
