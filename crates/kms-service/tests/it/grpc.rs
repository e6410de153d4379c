//! Clients of gRPC, and a service that speaks it.

use crate::running::{Place, Running};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// What `build.rs` makes of `proto/`.
#[allow(
    unreachable_pub,
    clippy::allow_attributes_without_reason,
    clippy::enum_variant_names,
    clippy::too_many_lines,
    reason = "generated code is as its generator writes it"
)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/_.rs"));
    pub(crate) mod kms {
        include!(concat!(env!("OUT_DIR"), "/kms.rs"));
    }
}

use wire::key::KeyType;
use wire::key_service_client::KeyServiceClient;
use wire::kms::GetDataKeyRequest;
use wire::kms::api_client::ApiClient;
use wire::{AgeKey, DecryptRequest, EncryptRequest, Key};

pub(crate) const ANY_PORT: &str = "[service.grpc]\naddress = \"127.0.0.1:0\"\n";

/// The address in the log of a service.
pub(crate) fn address(service: &mut Running) -> String {
    let line = service.wait_for_log("serving gRPC");
    let (_, rest) = line.split_once("grpc=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

pub(crate) async fn channel(service: &mut Running) -> Channel {
    let address = address(service);
    let uri = match address.strip_prefix("unix://") {
        Some(_) => address,
        None => format!("http://{address}"),
    };
    Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
}

pub(crate) fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

pub(crate) async fn encrypt(
    channel: &Channel,
    kind: KeyType,
    plaintext: &[u8],
) -> Result<Vec<u8>, Status> {
    let request = EncryptRequest {
        key: Some(Key {
            key_type: Some(kind),
        }),
        plaintext: plaintext.to_vec(),
    };
    let mut client = KeyServiceClient::new(channel.clone());
    Ok(client.encrypt(request).await?.into_inner().ciphertext)
}

pub(crate) async fn decrypt(
    channel: &Channel,
    kind: KeyType,
    ciphertext: &[u8],
) -> Result<Vec<u8>, Status> {
    let request = DecryptRequest {
        key: Some(Key {
            key_type: Some(kind),
        }),
        ciphertext: ciphertext.to_vec(),
    };
    let mut client = KeyServiceClient::new(channel.clone());
    Ok(client
        .decrypt(request)
        .await?
        .into_inner()
        .plaintext
        .to_vec())
}

pub(crate) async fn data_key(channel: &Channel, id: &str, length: u32) -> Result<Vec<u8>, Status> {
    let request = GetDataKeyRequest {
        data_key_id: id.to_owned(),
        length,
    };
    let mut client = ApiClient::new(channel.clone()).max_decoding_message_size(1 << 20);
    Ok(client
        .get_data_key(request)
        .await?
        .into_inner()
        .data_key
        .to_vec())
}

pub(crate) fn age(recipient: &str) -> KeyType {
    KeyType::AgeKey(AgeKey {
        recipient: recipient.to_owned(),
    })
}

/// With the provider `age`, its recipient, and this in its configuration besides.
pub(crate) fn age_place(service: &str) -> (Place, String) {
    let place = Place::new();
    crate::running::write_age_keys(place.0.path());
    let kms = "[kms.age]\npublic_key_path = \"public.txt\"\nprivate_key_path = \"private.txt\"\n";
    place.configure("age", kms, service);
    let recipient = std::fs::read_to_string(place.path("public.txt")).unwrap();
    (place, recipient.trim().to_owned())
}

#[tokio::test]
async fn both_listeners_end_in_order_and_a_socket_goes_with_them() {
    let sops = "[service.sops]\nproviders = [\"age\"]\n";
    let (place, recipient) = age_place(sops);
    let socket = place.path("grpc.sock");
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let grpc = format!(
        "[service.grpc]\naddress = \"unix://{}\"\n",
        socket.display()
    );
    place.write("kms.toml", &(text + &grpc));
    // One that was killed leaves its socket, which is no obstacle.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut service = place.start();
    let connected = channel(&mut service).await;
    let mode = std::fs::metadata(&socket).unwrap();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777,
        0o600
    );
    let made = encrypt(&connected, age(&recipient), b"data").await.unwrap();
    let opened = decrypt(&connected, age(&recipient), &made).await.unwrap();
    assert_eq!(opened, b"data");
    // A second service does not take the place of one that serves.
    let second = service.place.command().output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(
        !second.status.success() && told.contains("see what listens there"),
        "{told}"
    );
    service.signal("TERM");
    // The client hears of it meanwhile, and ends its connection.
    let begun = std::time::Instant::now();
    let ended = loop {
        if let Some(status) = service.process.try_wait().unwrap() {
            break status;
        }
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(20),
            "it waits for an idle client"
        );
        tokio::task::yield_now().await;
    };
    assert!(ended.success(), "{}", service.log());
    assert!(!socket.exists());
}

#[tokio::test]
async fn tokens_rights_and_places_are_those_of_http() {
    let digest = hex::encode(secretum_crypto::sha256(b"planted-token"));
    let (place, recipient) = age_place("");
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let more = format!(
        "requests_max = 1\n[[service.tokens]]\nname = \"sealer\"\nsha256 = \"{digest}\"\n\
         rights = [{{ operations = [\"encrypt\"], keys = [\"{recipient}\"] }}]\n\
         {ANY_PORT}[service.sops]\nproviders = [\"age\"]\n"
    );
    place.write("kms.toml", &(text + &more));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let stranger = encrypt(&channel, age(&recipient), b"x").await.unwrap_err();
    assert_eq!(stranger.code(), Code::Unauthenticated);
    let mut client = KeyServiceClient::new(channel.clone());
    let key = |recipient: &str| {
        Some(Key {
            key_type: Some(age(recipient)),
        })
    };
    let seal = |recipient: &str| EncryptRequest {
        key: key(recipient),
        plaintext: b"planted-plaintext".to_vec(),
    };
    let wrong = client.encrypt(with_token(seal(&recipient), "wrong")).await;
    assert_eq!(wrong.err().unwrap().code(), Code::Unauthenticated);
    let made = client
        .encrypt(with_token(seal(&recipient), "planted-token"))
        .await
        .unwrap();
    let ciphertext = made.into_inner().ciphertext;
    let open = DecryptRequest {
        key: key(&recipient),
        ciphertext,
    };
    let refused = client.decrypt(with_token(open, "planted-token")).await;
    assert_eq!(refused.err().unwrap().code(), Code::PermissionDenied);
    let other = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";
    let refused = client
        .encrypt(with_token(seal(other), "planted-token"))
        .await;
    assert_eq!(refused.err().unwrap().code(), Code::PermissionDenied);
    service.wait_for_log("\\\"caller\\\":\\\"sealer\\\"");
    service.wait_for_log("method=\"/KeyService/Encrypt\" code=16");
    assert!(!service.log().contains("planted"), "{}", service.log());
}

#[tokio::test]
async fn who_shows_nothing_has_the_local_rights_where_they_are_said() {
    let digest = hex::encode(secretum_crypto::sha256(b"token"));
    let (place, recipient) = age_place("");
    let text = std::fs::read_to_string(place.path("kms.toml")).unwrap();
    let more = format!(
        "[[service.tokens]]\nname = \"all\"\nsha256 = \"{digest}\"\n\
         rights = [{{ operations = [\"*\"], keys = [\"*\"] }}]\n\
         {ANY_PORT}local_rights = [{{ operations = [\"decrypt\"], keys = [\"*\"] }}]\n\
         [service.sops]\nproviders = [\"age\"]\n"
    );
    place.write("kms.toml", &(text + &more));
    let mut service = place.start();
    let channel = channel(&mut service).await;
    let refused = encrypt(&channel, age(&recipient), b"x").await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut client = KeyServiceClient::new(channel.clone());
    let request = EncryptRequest {
        key: Some(Key {
            key_type: Some(age(&recipient)),
        }),
        plaintext: b"data".to_vec(),
    };
    let made = client.encrypt(with_token(request, "token")).await.unwrap();
    let ciphertext = made.into_inner().ciphertext;
    let opened = decrypt(&channel, age(&recipient), &ciphertext).await;
    assert_eq!(opened.unwrap(), b"data");

    // A right that is withdrawn is gone with the next SIGHUP, unless the address would change with it.
    let text = std::fs::read_to_string(service.place.path("kms.toml")).unwrap();
    let elsewhere = text.replace("127.0.0.1:0\"\nlocal", "127.0.0.1:1\"\nlocal");
    assert_ne!(elsewhere, text);
    for (text, told, code) in [
        (&elsewhere, "served elsewhere", Code::Ok),
        (&text, "were read anew", Code::PermissionDenied),
    ] {
        let withdrawn = text.replace("[\"decrypt\"]", "[]");
        service.place.write("kms.toml", &withdrawn);
        service.signal("HUP");
        service.wait_for_log(told);
        let opened = decrypt(&channel, age(&recipient), &ciphertext).await;
        assert_eq!(
            opened.map_or_else(|refused| refused.code(), |_| Code::Ok),
            code
        );
    }
}

#[tokio::test]
async fn what_is_no_grpc_is_turned_away() {
    let (place, _) = age_place(&format!(
        "{ANY_PORT}[service.sops]\nproviders = [\"age\"]\n"
    ));
    let mut service = place.start();
    let url = format!("http://{}/KeyService/Decrypt", address(&mut service));
    let page = service
        .client
        .post(&url)
        .header("content-type", "text/plain");
    assert_eq!(page.body("x").send().await.unwrap().status(), 415);
    let http1 = service
        .client
        .post(&url)
        .header("content-type", "application/grpc");
    assert_eq!(http1.body("x").send().await.unwrap().status(), 415);
}
