//! Who may do what, and that who may not learns nothing.

use crate::support::vault::{Ask, Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::json;

#[tokio::test]
async fn a_caller_without_rights_learns_nothing() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/there", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    let token = vault.token_with(&["default"]).await;
    let long = format!("secret/data/{}", "x".repeat(3_000));
    for ask in [
        ask(Verb::Read, "secret/data/there"),
        ask(Verb::Read, "secret/data/missing"),
        ask(Verb::Read, "nowhere/data/there"),
        ask(Verb::Read, "probe/no/such/row"),
        ask(Verb::Delete, "probe/token"),
        ask(Verb::Patch, "nowhere"),
        ask(Verb::List, "secret/metadata/"),
        ask(Verb::Scan, "secret/metadata/"),
        ask(Verb::Read, "probe/sudo"),
        ask(Verb::Read, "probe/root"),
        ask(Verb::Read, "sys/mounts"),
        ask(Verb::Read, "sys/no-such-path"),
        ask(Verb::Delete, "sys/mounts"),
        ask(Verb::Help, "secret/data/there"),
        ask(Verb::Help, "nowhere"),
        ask(Verb::Read, "auth/nowhere/login"),
        ask(Verb::Read, ""),
        // What is wrong with a request is told to those who may make it.
        ask(Verb::Write, "secret/data/there").text("[1]"),
        ask(Verb::Write, "secret/data/there").text("\"text\""),
        ask(Verb::Write, "nowhere/data/there").text("[1]"),
        ask(Verb::Write, &long).body(json!({"data": {}})),
        ask(Verb::Write, "secret/data/a/").body(json!({"data": {}})),
        ask(Verb::Read, "secret/data/there").query("version", "no number"),
        ask(Verb::Read, "secret/data/there").wrapped(60),
        ask(Verb::Read, "nowhere").wrapped(60),
    ] {
        refused(&vault, ask, &token).await;
    }
}

async fn refused(vault: &Vault, ask: Ask, token: &str) {
    let shown = format!("{ask:?}");
    let answer = ask.token(token).of(&vault.core).await;
    assert!(matches!(answer, Err(Fault::Denied)), "{shown}: {answer:?}");
}

#[tokio::test]
async fn a_permitted_caller_learns_what_is_wrong() {
    let vault = Vault::open().await;
    let everything =
        r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "patch"] }"#;
    let token = vault.token_under("everything", everything).await;
    let answer = async |ask: Ask| ask.token(&token).of(&vault.core).await.unwrap_err();
    let missing = answer(ask(Verb::Read, "nowhere/a")).await;
    assert_eq!(
        missing.to_string(),
        "no handler for route \"nowhere/a\". route entry not found."
    );
    let no_row = answer(ask(Verb::Read, "probe/no/such/row")).await;
    assert!(matches!(no_row, Fault::NotFoundBecause(_)), "{no_row:?}");
    let other_verb = answer(ask(Verb::Delete, "probe/token")).await;
    assert!(matches!(other_verb, Fault::Unsupported), "{other_verb:?}");
    let no_object = answer(ask(Verb::Write, "secret/data/a").text("[1]")).await;
    assert!(matches!(no_object, Fault::Invalid(_)), "{no_object:?}");
    let long = format!("secret/data/{}", "x".repeat(3_000));
    let too_long = answer(ask(Verb::Write, &long).body(json!({"data": {}}))).await;
    assert!(matches!(too_long, Fault::Storage(_)), "{too_long:?}");
}

#[tokio::test]
async fn rows_ask_for_what_they_say() {
    let vault = Vault::open().await;
    vault
        .policy("reader", r#"path "probe/*" { capabilities = ["read"] }"#)
        .await;
    vault
        .policy(
            "sudoer",
            r#"path "probe/*" { capabilities = ["read", "sudo"] }"#,
        )
        .await;
    vault
        .policy("sudo-only", r#"path "probe/*" { capabilities = ["sudo"] }"#)
        .await;
    vault
        .policy("denied", r#"path "probe/*" { capabilities = ["deny"] }"#)
        .await;
    let rows = ["probe/open", "probe/token", "probe/sudo", "probe/root"];
    for (policies, expected) in [
        (vec!["default"], [true, false, false, false]),
        (vec!["reader"], [true, true, false, false]),
        (vec!["sudoer"], [true, true, true, false]),
        (vec!["sudo-only"], [true, false, false, false]),
        (vec!["sudoer", "denied"], [true, false, false, false]),
        (vec!["no-such-policy"], [true, false, false, false]),
        (vec!["root"], [true, true, true, true]),
    ] {
        let token = vault.token_with(&policies).await;
        for (row, allowed) in rows.iter().zip(expected) {
            let answer = vault.ask_as(&token, Verb::Read, row).await;
            assert_eq!(answer.is_ok(), allowed, "{policies:?} {row}: {answer:?}");
        }
    }
    // Without a token, or with one that is over.
    for token in [None, Some("hvs.unknown")] {
        for (row, allowed) in rows.iter().zip([true, false, false, false]) {
            let ask = ask(Verb::Read, row);
            let ask = match token {
                Some(token) => ask.token(token),
                None => ask,
            };
            let answer = ask.of(&vault.core).await;
            assert_eq!(answer.is_ok(), allowed, "{token:?} {row}");
        }
    }
}

#[tokio::test]
async fn a_write_creates_or_updates_by_what_exists() {
    let vault = Vault::open().await;
    vault.enable("plain", json!({"type": "kv"})).await;
    let rule = |capability| {
        format!(
            r#"path "secret/data/*" {{ capabilities = ["{capability}"] }}
               path "plain/*" {{ capabilities = ["{capability}"] }}"#
        )
    };
    vault.policy("creator", &rule("create")).await;
    vault.policy("updater", &rule("update")).await;
    let creator = vault.token_with(&["creator"]).await;
    let updater = vault.token_with(&["updater"]).await;
    for (path, body) in [
        ("secret/data/a", json!({"data": {"a": 1}})),
        ("plain/a", json!({"a": 1})),
    ] {
        let early = vault.write_as(&updater, path, body.clone()).await;
        assert!(matches!(early, Err(Fault::Denied)), "{path}: {early:?}");
        vault.write_as(&creator, path, body.clone()).await.unwrap();
        let again = vault.write_as(&creator, path, body.clone()).await;
        assert!(matches!(again, Err(Fault::Denied)), "{path}: {again:?}");
        vault.write_as(&updater, path, body).await.unwrap();
    }
}

#[tokio::test]
async fn the_preflight_tells_of_mounts_with_a_right_below() {
    let vault = Vault::open().await;
    let token = vault
        .token_under(
            "reader",
            r#"path "secret/data/a" { capabilities = ["read"] }"#,
        )
        .await;
    let about = |token: &str, path: &str| {
        ask(Verb::Read, &format!("sys/internal/ui/mounts/{path}"))
            .token(token)
            .of(&vault.core)
    };
    let told = about(&token, "secret/data/whatever").await.unwrap();
    assert_eq!(told.data["path"], "secret/");
    assert_eq!(told.data["options"]["version"], "2");
    let text = |path: &str| {
        format!(
            "preflight capability check returned 403, please ensure client's policies grant \
             access to path \"{path}/\""
        )
    };
    let stranger = vault.token_with(&["default"]).await;
    for (token, path) in [
        (&token, "probe"),
        (&token, "nowhere"),
        (&stranger, "secret"),
        (&stranger, "nowhere"),
    ] {
        let refused = about(token, path).await.unwrap_err();
        assert!(matches!(refused, Fault::DeniedBecause(_)));
        assert_eq!(refused.to_string(), text(path));
    }
    let listed = ask(Verb::Read, "sys/internal/ui/mounts").token(&token);
    let listed = listed.of(&vault.core).await.unwrap().data;
    let seen: Vec<&String> = listed["secret"].as_object().unwrap().keys().collect();
    assert_eq!(seen, ["cubbyhole/", "secret/", "sys/"]);
}

#[tokio::test]
async fn without_a_token_only_mounts_that_show_themselves_are_listed() {
    let vault = Vault::open().await;
    let list = async |token: Option<&str>| {
        let ask = ask(Verb::Read, "sys/internal/ui/mounts");
        let ask = match token {
            Some(token) => ask.token(token),
            None => ask,
        };
        ask.of(&vault.core).await.map(|answer| answer.data)
    };
    let nothing = json!({"auth": {}, "secret": {}});
    assert_eq!(list(None).await.unwrap(), nothing);
    let tune = |visibility: &str| json!({"listing_visibility": visibility, "description": "ours"});
    let shown = json!({"listing_visibility": "unauth"});
    vault.write("sys/auth/token/tune", shown).await.unwrap();
    for (visibility, secret) in [
        ("hidden", json!({})),
        (
            "unauth",
            json!({"secret/": {"type": "kv", "description": "ours", "options": {"version": "2"}}}),
        ),
    ] {
        let body = tune(visibility);
        vault.write("sys/mounts/secret/tune", body).await.unwrap();
        let about = "token based credentials";
        let token = json!({"type": "token", "description": about, "options": null});
        let expected = json!({"auth": {"token/": token}, "secret": secret});
        assert_eq!(list(None).await.unwrap(), expected, "{visibility}");
    }
    let unknown = list(Some("hvs.unknown")).await;
    assert!(matches!(unknown, Err(Fault::Denied)), "{unknown:?}");
    // Who is known sees all of what is shown.
    let token = vault.token_with(&["default"]).await;
    let seen = list(Some(&token)).await.unwrap();
    assert!(seen["secret"]["secret/"]["accessor"].is_string());
    assert!(seen["secret"].get("probe/").is_none());
    // One mount is told of to those with a right under it only.
    let path = "sys/internal/ui/mounts/secret";
    for refused in [
        ask(Verb::Read, path).of(&vault.core).await,
        ask(Verb::Read, "sys/internal/ui/mounts/sys")
            .of(&vault.core)
            .await,
        vault.ask_as(&token, Verb::Read, path).await,
    ] {
        assert!(
            matches!(refused, Err(Fault::DeniedBecause(_))),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn wrapping_that_is_asked_for_must_be_wrapping() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    for (bound, seconds, allowed) in [
        ("max_wrapping_ttl = \"1m\"", None, false),
        ("max_wrapping_ttl = \"1m\"", Some(0), false),
        ("max_wrapping_ttl = \"1m\"", Some(60), true),
        ("max_wrapping_ttl = \"1m\"", Some(61), false),
        ("min_wrapping_ttl = \"1m\"", Some(0), false),
        ("min_wrapping_ttl = \"1m\"", Some(60), true),
    ] {
        let rule = format!("path \"secret/data/a\" {{ capabilities = [\"read\"] {bound} }}");
        let token = vault.token_under("wrapped", &rule).await;
        let read = ask(Verb::Read, "secret/data/a").token(&token);
        let read = match seconds {
            Some(seconds) => read.wrapped(seconds),
            None => read,
        };
        match read.of(&vault.core).await {
            Ok(answer) => assert!(
                allowed && answer.wrap_token.is_some(),
                "{bound} {seconds:?}"
            ),
            Err(Fault::Denied) => assert!(!allowed, "{bound} {seconds:?}"),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_storage_that_fails_refuses() {
    let vault = Vault::open().await;
    let settings = json!({"policies": "root", "num_uses": 5});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    vault.storage.fail_commits_after(0);
    // The use cannot be counted, so it is not given.
    let answer = vault.ask_as(&token, Verb::Read, "probe/token").await;
    assert!(matches!(answer, Err(Fault::Storage(_))), "{answer:?}");
}
