use crate::running::{Place, refusal};
use serde_json::json;

pub(crate) fn token(name: &str, token: &str, operations: &str, keys: &str) -> String {
    let digest = hex::encode(secretum_crypto::sha256(token.as_bytes()));
    format!(
        "[[service.tokens]]\nname = \"{name}\"\nsha256 = \"{digest}\"\n\
         rights = [{{ operations = [{operations}], keys = [{keys}] }}]\n"
    )
}

#[tokio::test]
async fn rights_hold_per_operation_and_key() {
    let writer = token(
        "writer",
        "planted-w",
        "\"encrypt\", \"re-encrypt\"",
        "\"a\"",
    );
    let reader = token("reader", "planted-r", "\"decrypt\", \"status\"", "\"*\"");
    let mut service = Place::local(&format!("{writer}{reader}")).start();
    let ask = |who: &str, operation: &str, body: serde_json::Value| {
        service
            .post(operation, &body)
            .bearer_auth(format!("planted-{who}"))
    };
    let body = json!({ "plaintext": "aGk=", "key_id": "a" });
    let (status, made) = crate::running::answer(ask("w", "encrypt", body.clone())).await;
    assert_eq!(status, 200, "{made}");
    let made = &made["ciphertext"];
    let forbidden = (403, "forbidden".to_owned());
    for refused in [
        ask(
            "w",
            "encrypt",
            json!({ "plaintext": "aGk=", "key_id": "b" }),
        ),
        ask("w", "encrypt", json!({ "plaintext": "aGk=" })),
        ask("w", "decrypt", json!({ "ciphertext": made })),
        ask(
            "w",
            "re-encrypt",
            json!({ "ciphertext": made, "new_key_id": "b" }),
        ),
        ask("w", "rotate", json!({ "key_id": "a" })),
        ask("r", "encrypt", body.clone()),
        ask("r", "decrypt-key", json!({ "ciphertext": made })),
        service.get("/api/v1/kms/status").bearer_auth("planted-w"),
        service.get("/metrics").bearer_auth("planted-w"),
    ] {
        assert_eq!(refusal(refused).await, forbidden);
    }
    let opened = ask("r", "decrypt", json!({ "ciphertext": made }))
        .send()
        .await
        .unwrap();
    assert_eq!(opened.status(), 200);
    let status = service.get("/api/v1/kms/status").bearer_auth("planted-r");
    assert_eq!(status.send().await.unwrap().status(), 200);
    service.wait_for_log("\\\"caller\\\":\\\"writer\\\"");
    // Who tries is recorded too: the last that was refused, and what was refused for its key.
    let status = "\\\"operation\\\":\\\"health_check\\\"";
    service.wait_for_log(status);
    let log = service.log();
    for (operation, key) in [
        ("encrypt", "\\\"b\\\""),
        ("decrypt", "null"),
        ("re_encrypt", "\\\"b\\\""),
    ] {
        let refused = log.lines().any(|line| {
            line.contains(&format!("\\\"operation\\\":\\\"{operation}\\\""))
                && line.contains(&format!("\\\"key\\\":{key}"))
                && line.contains("\\\"caller\\\":\\\"writer\\\"")
                && line.contains("\\\"outcome\\\":\\\"forbidden\\\"")
        });
        assert!(refused, "{operation}: {log}");
    }
    assert!(!log.contains("planted"), "{log}");
}

#[tokio::test]
async fn strangers_are_told_what_is_missing() {
    let all = token("all", "right", "\"*\"", "\"*\"");
    let service = Place::local(&all).start();
    let body = json!({ "plaintext": "aGk=" });
    let ask = || service.post("encrypt", &body);
    for (request, wanted) in [
        (ask(), "unauthenticated"),
        (
            ask().header("authorization", "Basic cmlnaHQ="),
            "no_bearer_token",
        ),
        (ask().bearer_auth("wrong"), "unknown_token"),
        (service.get("/api/v1/kms/status"), "unauthenticated"),
        (service.get("/metrics"), "unauthenticated"),
        // A stranger's body is not looked at.
        (service.post_text("encrypt", "no json"), "unauthenticated"),
    ] {
        assert_eq!(refusal(request).await, (401, wanted.to_owned()));
    }
    for open in ["/api/v1/kms/health", "/openapi.json", "/"] {
        assert_eq!(
            service.get(open).send().await.unwrap().status(),
            200,
            "{open}"
        );
    }
    assert_eq!(
        ask().bearer_auth("right").send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn callers_are_read_anew() {
    let mut service = Place::local(&token("one", "one", "\"*\"", "\"*\"")).start();
    let two = token("two", "two", "\"*\"", "\"*\"");
    service
        .place
        .configure("local", "[kms.local]\nkeys_path = \"keys.txt\"\n", &two);
    service.signal("HUP");
    service.wait_for_log("were read anew");
    let body = json!({ "plaintext": "aGk=" });
    let gone = refusal(service.post("encrypt", &body).bearer_auth("one")).await;
    assert_eq!(gone, (401, "unknown_token".to_owned()));
    let came = service
        .post("encrypt", &body)
        .bearer_auth("two")
        .send()
        .await
        .unwrap();
    assert_eq!(came.status(), 200);
    // A file that cannot be used changes nothing, and neither does one that would open it to all.
    service.place.write("kms.toml", "[kms\n");
    service.signal("HUP");
    service.wait_for_log("nothing was read anew");
    service
        .place
        .configure("local", "[kms.local]\nkeys_path = \"keys.txt\"\n", "");
    service.signal("HUP");
    service.wait_for_log("callers stay as they are");
    let still = service
        .post("encrypt", &body)
        .bearer_auth("two")
        .send()
        .await
        .unwrap();
    assert_eq!(still.status(), 200);
    let stranger = refusal(service.post("encrypt", &body)).await;
    assert_eq!(stranger.0, 401);
}
