//! Data keys kept in Google Cloud Storage, as fake-gcs-server plays it, whose command `SECRETUM_FAKE_GCS` names;
//! `./test --all` sets it.
//!
//! It takes objects by the JSON interface alone, and the service sends them by the XML one. So a gateway of
//! the tests stands between: it says a PUT in the words of the other interface, its condition too, and passes
//! on all else as it is. What is written under a condition, and what is not, fake-gcs-server decides.

use crate::cloud_storage::{Server, data_keys_are_kept};
use crate::grpc::ANY_PORT;
use crate::running::Place;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use reqwest::Client;
use serde_json::{Value, json};

/// The address behind the gateway.
type Behind = State<String>;

async fn gateway(
    State(behind): Behind,
    method: Method,
    uri: Uri,
    sent: (HeaderMap, Bytes),
) -> Response {
    let (headers, body) = sent;
    if method == Method::PUT {
        return put(&behind, uri.path(), &headers, body).await;
    }
    assert_eq!(method, Method::GET);
    let answer = Client::new()
        .get(format!("{behind}{uri}"))
        .send()
        .await
        .unwrap();
    let (status, mut told) = (answer.status(), answer.headers().clone());
    told.remove("transfer-encoding");
    (status, told, answer.bytes().await.unwrap()).into_response()
}

/// `PUT /bucket/object` of the XML interface.
async fn put(behind: &str, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
    let (bucket, object) = path.trim_start_matches('/').split_once('/').unwrap();
    let condition = headers
        .get("x-goog-if-generation-match")
        .unwrap()
        .to_str()
        .unwrap();
    // The name is encoded already.
    let url = format!(
        "{behind}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={object}\
         &ifGenerationMatch={condition}"
    );
    let answer = Client::new().post(url).body(body).send().await.unwrap();
    if !answer.status().is_success() {
        return (answer.status(), "refused").into_response();
    }
    let made: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let told = |name: &str| made[name].as_str().unwrap().to_owned();
    let headers = [
        ("etag", format!("\"{}\"", told("etag"))),
        ("x-goog-generation", told("generation")),
    ];
    (StatusCode::OK, headers).into_response()
}

/// A gateway that ends with the test; its address.
async fn start_gateway(behind: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(gateway).with_state(behind);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let serving = Builder::new(TokioExecutor::new());
                // A client may end a connection as it likes.
                let _ = serving
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_has_one_key_in_google_cloud_storage() {
    let server = Server::start("SECRETUM_FAKE_GCS", |command, port, _| {
        let public = format!("127.0.0.1:{port}");
        command
            .args([
                "-scheme",
                "http",
                "-host",
                "127.0.0.1",
                "-backend",
                "memory",
            ])
            .args(["-port", &port.to_string(), "-public-host", &public]);
    });
    let Some(server) = server else {
        return;
    };
    let behind = format!("http://127.0.0.1:{}", server.port);
    let made = async || {
        let url = format!("{behind}/storage/v1/b?project=p");
        let body = json!({ "name": "keys" }).to_string();
        let request = Client::new()
            .post(url)
            .header("content-type", "application/json");
        let made = request.body(body).send().await;
        made.is_ok_and(|made| made.status().is_success())
    };
    server.until(made).await;
    let address = start_gateway(behind).await;
    let place = || {
        let place = Place::local(&format!(
            "{ANY_PORT}[service.data_keys]\nstorage = \"storage://gcp?projectID=p&bucket=keys\
             &endpoint={address}&credentialsPath=${{HOME}}/account.json&prefix=team\"\n"
        ));
        // As the library of storages takes it for who asks as nobody.
        let account = json!({
            "client_email": "planted-account",
            "private_key_id": "planted-account",
            "private_key": "planted-account",
            "disable_oauth": true,
        });
        place.write("account.json", &account.to_string());
        place
    };
    data_keys_are_kept(place, "planted-account").await;
}
