//! Policies: when a change of them takes effect.

use crate::support::vault::{Vault, ask};
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const READ: &str = r#"path "probe/token" { capabilities = ["read"] }"#;
const DENY: &str = r#"path "probe/token" { capabilities = ["deny"] }"#;

async fn may_read(vault: &Vault, token: &str) -> bool {
    match vault.ask_as(token, Verb::Read, "probe/token").await {
        Ok(_) => true,
        Err(Fault::Denied) => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_caller_learns_what_its_policies_come_to() {
    let vault = Vault::open().await;
    let text = r#"
        path "secret/a" { capabilities = ["read", "list"] }
        path "secret/b/*" { capabilities = ["update"] }
        path "secret/+/c*" { capabilities = ["deny"] }
        path "sys/internal/ui/resultant-acl" { capabilities = ["read"] }"#;
    vault.policy("some", text).await;
    let settings = json!({"policies": "some", "no_default_policy": true});
    let token = vault.token_of(&vault.root, settings).await.client_token;
    let asked = "sys/internal/ui/resultant-acl";
    let told = vault.ask_as(&token, Verb::Read, asked).await.unwrap().data;
    let expected = json!({
        "root": false,
        "exact_paths": {
            "secret/a": {"capabilities": ["list", "read"]},
            "sys/internal/ui/resultant-acl": {"capabilities": ["read"]},
        },
        "glob_paths": {
            "secret/b/": {"capabilities": ["update"]},
            "secret/+/c*": {"capabilities": ["deny"]},
        },
    });
    assert_eq!(told, expected);
    let root = vault.read(asked).await.unwrap().data;
    assert_eq!(root["root"], true);
}

#[tokio::test]
async fn a_change_takes_effect_on_the_next_request() {
    let vault = Vault::open().await;
    let token = vault.token_with(&["changing"]).await;
    for _ in 0..50 {
        assert!(!may_read(&vault, &token).await);
        vault.policy("changing", READ).await;
        assert!(may_read(&vault, &token).await);
        assert!(may_read(&vault, &token).await, "from the cache");
        vault.policy("changing", DENY).await;
        assert!(!may_read(&vault, &token).await);
        vault.policy("changing", READ).await;
        assert!(may_read(&vault, &token).await);
        vault
            .ask(Verb::Delete, "sys/policies/acl/changing")
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_meanwhile_do_not_bring_the_old_policy_back() {
    let vault = Arc::new(Vault::open().await);
    vault.storage.slow_reads(2);
    let token = vault.token_with(&["changing"]).await;
    for round in 0..50 {
        let mut readers = JoinSet::new();
        for _ in 0..8 {
            let (vault, token) = (Arc::clone(&vault), token.clone());
            readers.spawn(async move { may_read(&vault, &token).await });
        }
        let allowed = round % 2 == 0;
        vault
            .policy("changing", if allowed { READ } else { DENY })
            .await;
        assert_eq!(may_read(&vault, &token).await, allowed);
        readers.join_all().await;
        assert_eq!(may_read(&vault, &token).await, allowed);
    }
}

#[tokio::test]
async fn a_rule_ends_when_it_says() {
    let vault = Vault::open().await;
    let now = secretum_crypto::Clock::now(&*vault.clock);
    let end = now.plus(Duration::from_secs(60)).to_rfc3339();
    let text = format!(r#"path "probe/token" {{ capabilities = ["read"] expiration = "{end}" }}"#);
    let token = vault.token_under("passing", &text).await;
    assert!(may_read(&vault, &token).await);
    vault.clock.advance(Duration::from_secs(59));
    assert!(may_read(&vault, &token).await);
    vault.clock.advance(Duration::from_secs(1));
    assert!(!may_read(&vault, &token).await);
}

#[tokio::test]
async fn policies_come_back_as_they_were_written() {
    let vault = Vault::open().await;
    let text = "# why\npath \"a/${x}\" {\n  capabilities = [\"read\"]\n}\n";
    vault.policy("Mixed-Case", text).await;
    for path in ["sys/policies/acl/mixed-case", "sys/policies/acl/MIXED-CASE"] {
        let read = vault.read(path).await.unwrap();
        assert_eq!(
            (&read.data["name"], &read.data["policy"]),
            (&"mixed-case".into(), &text.into())
        );
    }
    let legacy = vault.read("sys/policy/mixed-case").await.unwrap();
    assert_eq!(legacy.data["rules"], text);
    let names = vault.ask(Verb::List, "sys/policies/acl").await.unwrap();
    assert_eq!(names.data["keys"], json!(["default", "mixed-case", "root"]));
}

#[tokio::test]
async fn some_policies_stay() {
    let vault = Vault::open().await;
    for name in ["root", "default"] {
        let path = format!("sys/policies/acl/{name}");
        let deleted = vault.ask(Verb::Delete, &path).await;
        assert!(matches!(deleted, Err(Fault::Invalid(_))), "{name}");
    }
    let root = vault.write("sys/policies/acl/root", json!({"policy": READ}));
    assert!(matches!(root.await, Err(Fault::Invalid(_))));
    for text in ["path", "path \"a\" { capabilities = [\"fly\"] }", "", "{"] {
        let written = vault.write("sys/policies/acl/bad", json!({"policy": text}));
        assert!(matches!(written.await, Err(Fault::Invalid(_))), "{text}");
    }
    let missing = vault.read("sys/policies/acl/bad").await;
    assert!(matches!(missing, Err(Fault::NotFound)));
}

#[tokio::test]
async fn parameters_of_body_and_query_are_looked_at() {
    let vault = Vault::open().await;
    let token = vault.token_under("narrow", r#"path "secret/data/*" { capabilities = ["create", "update"] denied_parameters = { "options" = [] } }
               path "secret/metadata/*" { capabilities = ["read"] required_parameters = ["why"] }"#).await;
    let plain = json!({"data": {"a": 1}});
    vault
        .write_as(&token, "secret/data/a", plain)
        .await
        .unwrap();
    let denied = json!({"data": {"a": 1}, "options": {"cas": 1}});
    let denied = vault.write_as(&token, "secret/data/a", denied).await;
    assert!(matches!(denied, Err(Fault::Denied)));
    let read = |query: Option<&str>| {
        let ask = ask(Verb::Read, "secret/metadata/a").token(&token);
        match query {
            Some(name) => ask.query(name, "x"),
            None => ask,
        }
        .of(&vault.core)
    };
    assert!(matches!(read(None).await, Err(Fault::Denied)));
    read(Some("why")).await.unwrap();
}

/// A rule for each path of so many segments that are `+` or `a`, and this end.
fn alternatives(levels: u32, last: &str) -> String {
    let rules = (0..1_u32 << levels).map(|bits| {
        let segment = |at: u32| if bits >> at & 1 == 0 { "+" } else { "a" };
        let segments: Vec<_> = (0..levels).map(segment).chain([last]).collect();
        format!(
            "path \"{}\" {{ capabilities = [\"read\"] }}\n",
            segments.join("/")
        )
    });
    rules.collect()
}

#[tokio::test]
async fn a_policy_of_too_many_alternatives_is_refused() {
    let vault = Vault::open().await;
    let body = json!({"policy": alternatives(13, "b")});
    let refused = vault.write("sys/policies/acl/bomb", body).await;
    let Err(Fault::Invalid(told)) = refused else {
        panic!("{refused:?}");
    };
    assert!(told.contains("24573 places"), "{told}");
}

/// Who adds a policy to a token's takes no `deny` away from it.
#[tokio::test]
async fn policies_that_are_too_much_together_give_nothing_and_cedar_neither() {
    let vault = Vault::open().await;
    vault.policy("own", READ).await;
    vault.policy("one", &alternatives(12, "b/c")).await;
    vault.policy("two", &alternatives(12, "+")).await;
    vault
        .cedar("all", "permit (principal, action, resource);")
        .await;
    for (policies, may) in [
        (vec!["own", "one"], true),
        (vec!["own", "one", "two"], false),
    ] {
        let settings = json!({"policies": policies, "no_default_policy": true});
        let token = vault.token_of(&vault.root, settings).await.client_token;
        assert_eq!(may_read(&vault, &token).await, may, "{policies:?}");
        let asked = json!({"token": token, "paths": ["probe/token"]});
        let told = vault.write("sys/capabilities", asked).await.unwrap().data;
        assert_eq!(told["capabilities"] == json!(["deny"]), !may, "{told}");
    }
}
