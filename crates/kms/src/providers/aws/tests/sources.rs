//! Where credentials come from: moto serves whoever brings some, and each place is the only one that has any.

use super::moto::Moto;
use super::*;
use crate::test_answers::{answering, answering_in_turn, http};
use crate::test_process;
use std::path::Path;

const TEST: &str = "providers::aws::tests::sources::every_source_of_credentials_lets_in";

/// `SHA-1("https://sso.example/start")`, by which the command line of AWS names what it keeps of a login.
const LOGIN: &str = ".aws/sso/cache/98df91031e87f97bfc088c045be6442dc5d70b2a.json";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The profiles of a machine.
fn profiles(folder: &Path) -> String {
    let made = "{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\"}";
    let made = write(folder, "made.json", made);
    let login = "{\"accessToken\":\"t\",\"expiresAt\":\"2999-01-01T00:00:00Z\",\
                 \"region\":\"eu-central-1\",\"startUrl\":\"https://sso.example/start\"}";
    write(folder, LOGIN, login);
    let text = format!(
        "[profile keys]\naws_access_key_id = AKIDPROFILE\naws_secret_access_key = s\n\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/app\nsource_profile = keys\n\
         [profile process]\ncredential_process = /bin/cat {made}\n\
         [profile login]\nsso_start_url = https://sso.example/start\nsso_region = eu-central-1\n\
         sso_account_id = 123456789012\nsso_role_name = app\n"
    );
    write(folder, "config", &text)
}

/// What an EC2 instance is told by its metadata service: a token for further requests, the role that it has, and
/// the credentials of that.
fn instance() -> String {
    let credentials = "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"AKIDINSTANCE\",\
                       \"SecretAccessKey\":\"s\",\"Token\":\"t\",\
                       \"LastUpdated\":\"2026-01-01T00:00:00Z\",\"Expiration\":\"2999-01-01T00:00:00Z\"}";
    let lives = "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n";
    answering_in_turn(vec![
        http("200 OK", lives, "planted-token"),
        http("200 OK", "", "app"),
        http("200 OK", "", credentials),
    ])
}

async fn asked() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let settings = AwsSettings {
        credentials: None,
        profile: std::env::var("PROFILE").ok(),
        ..settings(&variable("MOTO"))
    };
    let seen = AwsProvider::new(settings)
        .describe(&id(&variable("KEY")))
        .await;
    let seen = seen.map_or_else(|refused| refused.kind(), |_| "let in");
    assert_eq!(seen, variable("SEEN"));
}

#[tokio::test]
async fn every_source_of_credentials_lets_in() {
    if test_process::is_child() {
        return asked().await;
    }
    let Some(moto) = Moto::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().to_str().unwrap();
    let (config, token) = (
        profiles(folder.path()),
        write(folder.path(), "token", "planted"),
    );
    let container = "{\"AccessKeyId\":\"AKIDTASK\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\
                     \"Expiration\":\"2999-01-01T00:00:00Z\"}";
    let container = answering(http("200 OK", "", container));
    let portal = "{\"roleCredentials\":{\"accessKeyId\":\"AKIDLOGIN\",\"secretAccessKey\":\"s\",\
                  \"sessionToken\":\"t\",\"expiration\":32472144000000}}";
    let portal = answering(http("200 OK", "", portal));
    let instance = instance();
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKIDVARIABLE"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let pod = [
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/app"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
    ];
    for (seen, variables) in [
        ("not_configured", &[][..]),
        ("let in", &keys),
        ("let in", &pod),
        ("let in", &[("PROFILE", "keys")]),
        ("let in", &[("PROFILE", "role")]),
        ("let in", &[("PROFILE", "process")]),
        ("let in", &[("PROFILE", "login")]),
        (
            "let in",
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container)],
        ),
        (
            "let in",
            &[
                ("AWS_EC2_METADATA_DISABLED", "false"),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance),
            ],
        ),
    ] {
        let mut all = vec![
            ("SEEN", seen),
            ("MOTO", &moto.url),
            ("KEY", moto.keys[0].as_str()),
            ("HOME", home),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_ENDPOINT_URL_STS", &moto.url),
            ("AWS_ENDPOINT_URL_SSO", &portal),
        ];
        all.extend(variables);
        test_process::run(TEST, &all);
    }
}
