//! Data keys by their identifiers.

use crate::grpc::{ANY_PORT, channel, data_key};
use crate::running::{KEYS, Place, Running, write_age_keys};
use futures::future::join_all;
use std::collections::HashSet;
use std::path::Path;
use tonic::Code;

pub(crate) fn external(folder: &Path) -> Place {
    let storage = format!("storage://file?path={}", folder.display());
    Place::local(&format!(
        "{ANY_PORT}[service.data_keys]\nstorage = \"{storage}\"\n"
    ))
}

#[tokio::test]
async fn cluster_keys_are_the_same_in_every_service() {
    for (byte, id, wanted) in [
        (
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "00000000-0000-0000-0000-000000000000",
            "2b5c829f691bfd4232f8aac464bccc07e605c7c8e82cbca09837e86d0b6d0665",
        ),
        (
            "__________________________________________8",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "1484aa39d3415e906e07940ff215d8b1eee705d3027dba93306af4abff4f70be",
        ),
    ] {
        let uri = format!("kms = \"kms://cluster-kms?key={byte}&salt={byte}\"\n");
        let table = format!(
            "kms = {{ kind = \"cluster-kms\", key = \"{byte}\", salt = \"{byte}\" }}\n\
             storage = \"storage://no-store\"\n"
        );
        for said in [uri, table] {
            let configured = format!("{ANY_PORT}[service.data_keys]\n{said}");
            let mut service = Place::local(&configured).start();
            let channel = channel(&mut service).await;
            let key = data_key(&channel, id, 32).await.unwrap();
            assert_eq!(hex::encode(key), wanted);
            service.wait_for_log("\\\"provider\\\":\\\"cluster-kms\\\"");
            assert!(!service.log().contains(wanted));
        }
    }
}

#[tokio::test]
async fn an_identifier_has_one_key_however_many_ask_first() {
    let shared = tempfile::tempdir().unwrap();
    let mut services: Vec<Running> = Vec::new();
    for _ in 0..2 {
        services.push(external(shared.path()).start());
    }
    let mut channels = Vec::new();
    for service in &mut services {
        channels.push(channel(service).await);
    }
    for round in 0..5 {
        let id = format!("volume-{round}");
        let asked = (0..100).map(|at| data_key(&channels[at % 2], &id, 32));
        let keys: HashSet<Vec<u8>> = join_all(asked)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(keys.len(), 1, "{id}");
    }
    let first = data_key(&channels[0], "volume-0", 32).await.unwrap();
    let other = data_key(&channels[1], "volume-1", 32).await.unwrap();
    assert_ne!(first, other);
    // Killed, not ended: what they gave is there when they come back.
    drop(services);
    let mut again = external(shared.path()).start();
    let channel = channel(&mut again).await;
    assert_eq!(data_key(&channel, "volume-0", 32).await.unwrap(), first);
    let refused = data_key(&channel, "volume-0", 16).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("32 bytes"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_a_data_key_is_refused() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    let long = "i".repeat(1024);
    assert_eq!(data_key(&channel, &long, 1024).await.unwrap().len(), 1024);
    for (id, length) in [
        ("", 32),
        ("a", 0),
        ("a", 1025),
        ("a", u32::MAX),
        ("a\nb", 32),
        (&format!("{long}i"), 32),
    ] {
        let refused = data_key(&channel, id, length).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{length}");
    }
}

#[tokio::test]
async fn a_record_that_was_moved_or_damaged_gives_no_key() {
    let shared = tempfile::tempdir().unwrap();
    let mut service = external(shared.path()).start();
    let channel = channel(&mut service).await;
    for id in ["one", "two"] {
        data_key(&channel, id, 32).await.unwrap();
    }
    let record = |id: &str| {
        shared
            .path()
            .join(hex::encode(secretum_crypto::sha256(id.as_bytes())))
    };
    std::fs::copy(record("one"), record("two")).unwrap();
    let refused = data_key(&channel, "two", 32).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss);
    std::fs::write(record("two"), b"").unwrap();
    let refused = data_key(&channel, "two", 32).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss);
    // Nothing was made in its place.
    assert_eq!(std::fs::read(record("two")).unwrap(), b"");
}

#[tokio::test]
async fn a_right_is_one_on_identifiers() {
    let digest = hex::encode(secretum_crypto::sha256(b"t"));
    let shared = tempfile::tempdir().unwrap();
    let place = external(shared.path());
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let token = format!(
        "[[service.tokens]]\nname = \"one\"\nsha256 = \"{digest}\"\n\
         rights = [{{ operations = [\"data-key\"], keys = [\"team-*\"] }}]\n"
    );
    place.write("kms.toml", &(text + &token));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let mut client = crate::grpc::wire::kms::api_client::ApiClient::new(channel);
    let mut ask = async |id: &str| {
        let message = crate::grpc::wire::kms::GetDataKeyRequest {
            data_key_id: id.to_owned(),
            length: 32,
        };
        let answer = client
            .get_data_key(crate::grpc::with_token(message, "t"))
            .await;
        answer.map(|answer| answer.into_inner().data_key.len())
    };
    assert_eq!(ask("team-a").await.unwrap(), 32);
    assert_eq!(
        ask("other").await.unwrap_err().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn a_key_that_is_not_there_is_told_at_the_start() {
    let shared = tempfile::tempdir().unwrap();
    let place = external(shared.path());
    place.write("keys.txt", KEYS);
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let kms = "kms = \"kms://configured?key_encryption_key_id=gone&use_existing_kek=true\"\n";
    place.write("kms.toml", &(text + kms));
    let out = place.command().output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success() && told.contains("has no key `gone`"),
        "{told}"
    );
}

/// A configuration with this in it is refused so.
fn refused(said: &str, wanted: &str) {
    let out = Place::local(said)
        .command()
        .arg("--check")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        told.contains("kms.toml:") && told.contains(wanted),
        "{said}: {told}"
    );
    assert!(!told.contains("planted"), "{told}");
}

#[test]
fn what_is_wrong_with_the_listener_is_told() {
    for (said, wanted) in [
        ("[service.data_keys]\n", "write [service.grpc]"),
        (
            "[service.grpc]\naddress = \"127.0.0.1:0\"\n",
            "nothing to serve",
        ),
        (
            "[service.grpc]\naddress = \"0.0.0.0:0\"\n[service.sops]\nproviders = [\"age\"]\n",
            "nobody has to prove who they are",
        ),
        (
            "[service.grpc]\naddress = \"unix://here\"\n[service.sops]\nproviders = []\n",
            "unix:///run/kms/grpc.sock",
        ),
        (
            "[service.grpc]\naddress = \"127.0.0.1:0\"\n[service.sops]\nproviders = [\"aeg\"]\n",
            "write one of age, ",
        ),
    ] {
        refused(said, wanted);
    }
}

#[test]
fn what_is_wrong_with_the_data_keys_is_told() {
    for (said, wanted) in [
        ("", "a new key each time"),
        ("storage = \"storage://no-store\"\n", "a new key each time"),
        (
            "kms = \"kms://cluster-kms?key=planted&salt=planted\"\n",
            "`key` of `cluster-kms` is base64 of 16 bytes or more",
        ),
        (
            "kms = \"kms://vault?address=http://h&token=planted\"\nstorage = \"storage://file?path=d\"\n",
            "names no key; write keyName",
        ),
        (
            "kms = \"kms://vault?address=planted&token=planted&keyName=k\"\n\
             storage = \"storage://file?path=d\"\n",
            "`address` is not the address of a server",
        ),
        (
            "kms = \"kms://kmip?address=h&certPath=planted&keyPath=k&keyName=k\"\n\
             storage = \"storage://file?path=d\"\n",
            "does not say `caPath`, which `kmip` needs",
        ),
        (
            "kms = \"kms://vault?address=http://h&token=planted&keyName=k\"\n",
            "a new key each time",
        ),
        (
            "kms = { kind = \"configured\", use_existing_kek = \"perhaps\" }\n\
             storage = { kind = \"file\", path = \"d\" }\n",
            "`use_existing_kek` is true or false",
        ),
        (
            "storage = { kind = \"file\", path = \"${NOT_SET}\" }\n",
            "`NOT_SET` is not set",
        ),
        (
            "storage = \"storage://file?path=~/keys\"\n",
            "write the whole path",
        ),
        (
            "kms = \"kms://cluster-kms?key=AAAAAAAAAAAAAAAAAAAAAA&salt=\
             AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n\
             storage = \"storage://file?path=d\"\n",
            "leave `storage` out",
        ),
        ("storage = { kind = \"file\", path = 3 }\n", "holds texts"),
    ] {
        refused(&format!("{ANY_PORT}[service.data_keys]\n{said}"), wanted);
    }
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_key_service_that_was_left_out_names_its_feature() {
    refused(
        &format!(
            "{ANY_PORT}[service.data_keys]\n\
             kms = \"kms://aws?region=eu&accessKeyID=a&accessKey=planted&keyName=k\"\n\
             storage = \"storage://file?path=d\"\n"
        ),
        "build it with the feature `aws`",
    );
}

#[cfg(not(feature = "storage-aws"))]
#[test]
fn a_storage_that_was_left_out_names_its_feature() {
    let place = Place::local(&format!(
        "{ANY_PORT}[service.data_keys]\n\
         storage = \"storage://aws?bucket=b&region=r&accessKey=planted\"\n"
    ));
    let out = place.command().arg("--check").output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        told.contains("the feature `storage-aws`") && !told.contains("planted"),
        "{told}"
    );
}

#[tokio::test]
async fn one_of_several_audit_devices_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let storage = format!("storage://file?path={}", folder.path().display());
    let place = Place::local(&format!(
        "{ANY_PORT}[service.data_keys]\nstorage = \"{storage}\"\n\
         [service.audit]\nkey_path = \"audit.key\"\n\
         [[service.audit.devices]]\ntype = \"socket\"\n\
         options = {{ address = \"${{HOME}}/audit.sock\", socket_type = \"unix\" }}\n\
         [[service.audit.devices]]\ntype = \"file\"\n\
         options = {{ file_path = \"${{HOME}}/audit.log\" }}\n"
    ));
    let socket = place.path("audit.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut service = place.start();
    let channel = channel(&mut service).await;
    drop(listener);
    std::fs::remove_file(&socket).unwrap();
    let key = data_key(&channel, "volume", 32).await.unwrap();
    assert_eq!(key.len(), 32);
}

#[tokio::test]
async fn a_key_of_another_provider_names_both() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = external(folder.path()).start();
    let from = channel(&mut first).await;
    data_key(&from, "volume", 32).await.unwrap();
    first.end();
    let place = external(folder.path());
    let file = place.path("kms.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    write_age_keys(place.0.path());
    let text = text.replace("dev_backend = \"local\"", "dev_backend = \"age\"").replace(
        "[kms.local]",
        "[kms.age]\npublic_key_path = \"public.txt\"\nprivate_key_path = \"private.txt\"\n[kms.local]",
    );
    std::fs::write(&file, text).unwrap();
    let mut second = place.start();
    let to = channel(&mut second).await;
    let refused = data_key(&to, "volume", 32).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let told = refused.message();
    assert!(told.contains("`local`") && told.contains("`age`"), "{told}");
}
