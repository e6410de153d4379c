//! Cedar policies beside HCL ones.

use crate::support::vault::{Vault, ask, clock};
use secretum_crypto::SystemRng;
use secretum_engine::{Fault, MountStorage, Setup, Verb};
use secretum_storage::Key;
use secretum_storage::memory::MemoryStorage;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const PERMIT_ALL: &str = "permit (principal, action, resource);";

#[tokio::test]
async fn documents_are_kept_as_written_and_names_are_lower_case() {
    let vault = Vault::open().await;
    let none = vault.ask(Verb::List, "sys/policies/cedar").await;
    assert!(matches!(none, Err(Fault::NotFound)), "{none:?}");
    let text = "// who may\npermit (principal in Role::\"app\",action,resource)\n;";
    vault.cedar("Mixed-Case", text).await;
    for name in ["mixed-case", "MIXED-case"] {
        let path = format!("sys/policies/cedar/{name}");
        let read = vault.read(&path).await.unwrap().data;
        assert_eq!(read, json!({"name": "mixed-case", "policy": text}));
    }
    let names = vault.ask(Verb::List, "sys/policies/cedar").await.unwrap();
    assert_eq!(names.data["keys"], json!(["mixed-case"]));
    // The two languages do not share names.
    let hcl = vault.read("sys/policies/acl/mixed-case").await;
    assert!(matches!(hcl, Err(Fault::NotFound)));
    vault
        .ask(Verb::Delete, "sys/policies/cedar/mixed-case")
        .await
        .unwrap();
    let gone = vault.read("sys/policies/cedar/mixed-case").await;
    assert!(matches!(gone, Err(Fault::NotFound)));
    assert!(
        vault
            .storage
            .keys("sys/policy/root/cedar/")
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn faulty_documents_are_refused_with_their_place() {
    let vault = Vault::open().await;
    vault
        .cedar(
            "other",
            "@id(\"taken\") permit (principal, action, resource);",
        )
        .await;
    for (text, told) in [
        ("", "'policy' parameter not supplied or empty"),
        (
            "permit (principal, action",
            "line 1, column 26: unexpected end of input",
        ),
        (
            "permit (principal,\n  action == Action::\"fly\", resource);",
            "line 2, column 13: for policy `bad#1`, unrecognized action `Action::\"fly\"`; did you mean",
        ),
        (
            "@id(\"taken\") permit (principal, action, resource);",
            "`@id(\"taken\")` belongs to a statement of `other`; choose another",
        ),
    ] {
        let written = vault
            .write("sys/policies/cedar/bad", json!({"policy": text}))
            .await;
        match written {
            Err(Fault::Invalid(found)) => assert!(found.contains(told), "{found}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let missing = vault.read("sys/policies/cedar/bad").await;
    assert!(matches!(missing, Err(Fault::NotFound)));
    let never = json!({"policy": "permit (principal, action, resource) when { context.mfa && !context.mfa };"});
    let odd = vault.write("sys/policies/cedar/odd", never).await.unwrap();
    assert!(
        odd.warnings.is_empty() || odd.warnings[0].starts_with("line 1"),
        "{odd:?}"
    );
    let body = json!({"policy": PERMIT_ALL});
    let name = vault.write("sys/policies/cedar/a,b", body).await;
    assert!(matches!(name, Err(Fault::Invalid(_))), "{name:?}");
}

/// A token with one HCL policy, with this Cedar policy beside it.
async fn token_under(vault: &Vault, hcl: &str, cedar: &str) -> String {
    vault.policy("app", hcl).await;
    if cedar.is_empty() {
        vault
            .ask(Verb::Delete, "sys/policies/cedar/app")
            .await
            .unwrap();
    } else {
        vault.cedar("app", cedar).await;
    }
    vault.token_with(&["app"]).await
}

/// Whether such a token may read a path.
async fn outcome(vault: &Vault, hcl: &str, cedar: &str, path: &str) -> bool {
    let token = token_under(vault, hcl, cedar).await;
    match vault.ask_as(&token, Verb::Read, path).await {
        Ok(_) => true,
        // Nobody is told why.
        Err(Fault::Denied) => false,
        Err(other) => panic!("{hcl} {cedar}: {other:?}"),
    }
}

#[tokio::test]
async fn either_language_permits_and_either_forbids() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/dev/a", json!({"data": {"a": 1}}))
        .await
        .unwrap();
    let read = r#"path "secret/data/dev/*" { capabilities = ["read"] }"#;
    let deny = r#"path "secret/data/dev/*" { capabilities = ["deny"] }"#;
    let list = r#"path "secret/data/dev/*" { capabilities = ["list"] }"#;
    let failing =
        r#"path "secret/data/dev/*" { capabilities = ["read"] required_parameters = ["x"] }"#;
    let permit = "permit (principal in Role::\"app\", action == Action::\"read\", resource in Secret::\"secret/dev\");";
    let elsewhere = "permit (principal in Role::\"app\", action == Action::\"read\", resource in Secret::\"secret/data\");";
    let forbid = "forbid (principal, action, resource in Secret::\"secret/dev\");";
    let erring = "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };";
    let both = format!("{permit}{forbid}");
    for (hcl, cedar, allowed) in [
        (read, "", true),
        (list, "", false),
        (list, permit, true),
        (list, elsewhere, false),
        (failing, "", false),
        (failing, permit, true),
        (deny, permit, false),
        (deny, PERMIT_ALL, false),
        (read, forbid, false),
        (read, both.as_str(), false),
        (list, both.as_str(), false),
        // No number is that large, so the statement errs.
        (read, erring, false),
    ] {
        let found = outcome(&vault, hcl, cedar, "secret/data/dev/a").await;
        assert_eq!(found, allowed, "{hcl} {cedar}");
    }
    // Nothing is forbidden to a root token.
    vault
        .cedar("app", "forbid (principal, action, resource);")
        .await;
    vault.read("secret/data/dev/a").await.unwrap();
}

#[tokio::test]
async fn a_sudo_route_needs_both_rights_from_either_language() {
    let vault = Vault::open().await;
    let hcl = |words: &str| format!("path \"probe/*\" {{ capabilities = [{words}] }}");
    let permit = |action: &str| {
        format!(
            "permit (principal in Role::\"app\", action == Action::\"{action}\", resource in Secret::\"probe\");"
        )
    };
    let forbid_sudo = "forbid (principal, action == Action::\"sudo\", resource);".to_owned();
    let both = permit("read") + &permit("sudo");
    for (words, cedar, allowed) in [
        ("\"read\"", String::new(), false),
        ("\"read\"", permit("sudo"), true),
        ("\"sudo\"", permit("read"), true),
        ("\"list\"", both.clone(), true),
        ("\"list\"", permit("sudo"), false),
        ("\"list\"", permit("read"), false),
        ("\"deny\"", both.clone(), false),
        ("\"read\", \"sudo\"", forbid_sudo.clone(), false),
        ("\"list\"", both + &forbid_sudo, false),
    ] {
        let found = outcome(&vault, &hcl(words), &cedar, "probe/sudo").await;
        assert_eq!(found, allowed, "{words} {cedar}");
    }
    // What is for root only stays so.
    assert!(!outcome(&vault, &hcl("\"read\""), PERMIT_ALL, "probe/root").await);
    // A `forbid` of sudo leaves the rest.
    assert!(outcome(&vault, &hcl("\"read\""), &forbid_sudo, "probe/token").await);
}

#[tokio::test]
async fn a_maker_of_tokens_has_sudo_from_either_language() {
    let vault = Vault::open().await;
    let hcl = |words: &str, more: &str| {
        format!("path \"auth/token/create\" {{ capabilities = [{words}] {more} }}")
    };
    let sudo = "\"update\", \"sudo\"";
    let permit = "permit (principal in Role::\"app\", action == Action::\"sudo\", resource in Secret::\"auth/token/create\");";
    let forbid = "forbid (principal, action == Action::\"sudo\", resource);";
    let other = "permit (principal in Role::\"app\", action == Action::\"sudo\", resource in Secret::\"auth/token/roles\");";
    let second_factor = "mfa_methods = [\"one\"]";
    for (hcl, cedar, foreign) in [
        (hcl("\"update\"", ""), "", false),
        (hcl(sudo, ""), "", true),
        (hcl(sudo, ""), forbid, false),
        (hcl(sudo, ""), other, true),
        (hcl("\"update\"", ""), permit, true),
        (hcl("\"update\"", ""), other, false),
    ] {
        let token = token_under(&vault, &hcl, cedar).await;
        for body in [
            json!({"policies": ["foreign"]}),
            json!({"no_parent": true}),
            json!({"period": "1h"}),
        ] {
            let made = vault.write_as(&token, "auth/token/create", body.clone());
            match made.await {
                Ok(_) => assert!(foreign, "{hcl} {cedar} {body}"),
                Err(Fault::Invalid(_)) => assert!(!foreign, "{hcl} {cedar} {body}"),
                Err(other) => panic!("{hcl} {cedar} {body}: {other:?}"),
            }
        }
    }
    // What is around the request counts, as for rows that need sudo.
    let long = "forbid (principal, action == Action::\"sudo\", resource) when { context.ttl > duration(\"30m\") };";
    let token = token_under(&vault, &hcl(sudo, ""), long).await;
    for (ttl, taken) in [("10m", true), ("1h", false)] {
        let body = json!({"no_parent": true, "ttl": ttl});
        let made = vault.write_as(&token, "auth/token/create", body).await;
        assert_eq!(made.is_ok(), taken, "{made:?}");
    }
    // A rule that asks for a second factor gives nothing, so the verb comes from Cedar here.
    let verb = "permit (principal in Role::\"app\", action == Action::\"update\", resource in Secret::\"auth/token/create\");";
    let token = token_under(&vault, &hcl(sudo, second_factor), verb).await;
    let made = vault.write_as(&token, "auth/token/create", json!({"no_parent": true}));
    assert!(matches!(made.await, Err(Fault::Invalid(_))));
}

#[tokio::test]
async fn a_row_asks_for_its_own_action_and_goes_by_its_logical_path() {
    let vault = Vault::open().await;
    vault.enable("database", json!({"type": "probe"})).await;
    let none = r#"path "x" { capabilities = ["read"] }"#;
    let read = r#"path "database/*" { capabilities = ["read"] }"#;
    let permit = |action: &str, path: &str| {
        format!(
            "permit (principal in Role::\"app\", action == Action::\"{action}\", resource in Secret::\"{path}\")
             when {{ context.ttl <= duration(\"1h\") }};"
        )
    };
    let path = "database/creds/dynamic";
    for (hcl, cedar, allowed) in [
        (none, permit("generate", "database/dynamic"), true),
        (none, permit("read", "database/dynamic"), false),
        (none, permit("generate", "database/creds/dynamic"), false),
        (none, permit("generate", "database"), true),
        (read, String::new(), true),
    ] {
        assert_eq!(
            outcome(&vault, hcl, &cedar, path).await,
            allowed,
            "{hcl} {cedar}"
        );
    }
    // The life that is asked for counts, else that of the mount, which is an hour here.
    vault
        .cedar("app", &permit("generate", "database/dynamic"))
        .await;
    vault.policy("app", none).await;
    let token = vault.token_with(&["app"]).await;
    for (ttl, allowed) in [
        ("60", true),
        ("1h", true),
        ("3601", false),
        ("2h", false),
        ("", true),
        ("0", true),
    ] {
        let ask = ask(Verb::Read, path).token(&token).query("ttl", ttl);
        assert_eq!(ask.of(&vault.core).await.is_ok(), allowed, "{ttl}");
    }
    // What cannot be read is longer than everything.
    let ask = ask(Verb::Read, path).token(&token).query("ttl", "soon");
    assert!(matches!(ask.of(&vault.core).await, Err(Fault::Denied)));
    // A row whose action the schema does not have is nobody's but root's.
    vault.cedar("app", PERMIT_ALL).await;
    let unheard = vault
        .ask_as(&token, Verb::Read, "database/unheard-of")
        .await;
    assert!(matches!(unheard, Err(Fault::Internal(_))), "{unheard:?}");
    vault.read("database/unheard-of").await.unwrap();
}

#[test]
fn every_action_of_an_engine_is_in_the_schema() {
    let mut rows = 0;
    for kind in secretum_engines::all().unwrap() {
        for version in kind.versions() {
            let prefix = Key::try_from("mount/x/").unwrap();
            let options = [("version".to_owned(), version.to_owned())];
            let setup = Setup {
                store: MountStorage::new(MemoryStorage::new(), prefix),
                options: options.into_iter().collect(),
                default_lease_ttl: Duration::from_secs(60),
                clock: clock(),
                rng: Arc::new(SystemRng),
            };
            let engine = kind.build(setup).unwrap();
            for row in engine.rows() {
                rows += 1;
                let action = engine.facts(row.id).unwrap().action;
                let known = action.is_none_or(secretum_policy::cedar::is_action);
                assert!(known, "{} {}", kind.name(), row.pattern);
            }
        }
    }
    assert!(rows > 0);
}

#[tokio::test]
async fn paths_of_version_two_are_one_secret() {
    let vault = Vault::open().await;
    let permit = "permit (principal in Role::\"app\", action, resource in Secret::\"secret/dev\");";
    vault.cedar("app", permit).await;
    let token = vault.token_with(&["app"]).await;
    let body = json!({"data": {"a": 1}});
    vault
        .write_as(&token, "secret/data/dev/a", body.clone())
        .await
        .unwrap();
    for (verb, path) in [
        (Verb::Read, "secret/data/dev/a"),
        (Verb::Read, "secret/metadata/dev/a"),
        (Verb::Read, "secret/subkeys/dev/a"),
        (Verb::List, "secret/metadata/dev/"),
        (Verb::Delete, "secret/metadata/dev/a"),
    ] {
        vault.ask_as(&token, verb, path).await.unwrap();
    }
    for (verb, path) in [
        (Verb::Read, "secret/data/prod/a"),
        (Verb::List, "secret/metadata/"),
        (Verb::Read, "secret/config"),
        (Verb::Read, "secret/data"),
        (Verb::Read, "dev/a"),
    ] {
        let refused = vault.ask_as(&token, verb, path).await;
        assert!(matches!(refused, Err(Fault::Denied)), "{path}: {refused:?}");
    }
    let refused = vault
        .write_as(&token, "secret/data/development", body)
        .await;
    assert!(matches!(refused, Err(Fault::Denied)), "{refused:?}");
}

#[tokio::test]
async fn create_and_update_are_told_apart_and_parameters_are_seen() {
    let vault = Vault::open().await;
    let cedar = "permit (principal in Role::\"app\", action == Action::\"create\", resource in Secret::\"secret\")
        unless { context.parameters.hasTag(\"options\") };
        permit (principal in Role::\"wrapped\", action == Action::\"read\", resource in Secret::\"secret\")
        when { context.wrap_ttl > duration(\"0s\") && context.wrap_ttl <= duration(\"1m\") };";
    vault.cedar("app", cedar).await;
    let token = vault.token_with(&["app"]).await;
    let body = json!({"data": {"a": 1}});
    let cas = json!({"data": {"a": 1}, "options": {"cas": 0}});
    let refused = vault.write_as(&token, "secret/data/a", cas).await;
    assert!(matches!(refused, Err(Fault::Denied)));
    vault
        .write_as(&token, "secret/data/a", body.clone())
        .await
        .unwrap();
    let again = vault.write_as(&token, "secret/data/a", body).await;
    assert!(matches!(again, Err(Fault::Denied)));
    let token = vault.token_with(&["wrapped"]).await;
    for (seconds, allowed) in [(None, false), (Some(60), true), (Some(61), false)] {
        let read = ask(Verb::Read, "secret/data/a").token(&token);
        let read = match seconds {
            None => read,
            Some(seconds) => read.wrapped(seconds),
        };
        assert_eq!(read.of(&vault.core).await.is_ok(), allowed, "{seconds:?}");
    }
}

/// An encryption makes its key for who may create one, whatever else is permitted.
#[tokio::test]
async fn an_action_of_a_row_does_not_create() {
    let vault = Vault::open().await;
    let transit = json!({"type": "transit"});
    vault.write("sys/mounts/transit", transit).await.unwrap();
    let text = json!({"plaintext": "aGk="});
    vault
        .write("transit/encrypt/old", text.clone())
        .await
        .unwrap();
    let permit = |action: &str| {
        format!(
            "permit (principal, action == Action::\"{action}\", resource in Secret::\"transit\");"
        )
    };
    for (policy, old, new) in [
        (permit("encrypt"), true, false),
        (permit("create"), false, true),
        (permit("encrypt") + &permit("create"), true, true),
    ] {
        vault.cedar("app", &policy).await;
        let token = vault.token_with(&["app"]).await;
        let name = format!("new-{old}-{new}");
        for (key, allowed) in [("old", old), (name.as_str(), new)] {
            let path = format!("transit/encrypt/{key}");
            let made = vault.write_as(&token, &path, text.clone()).await;
            assert_eq!(made.is_ok(), allowed, "{policy} {key}");
        }
    }
}

#[tokio::test]
async fn a_change_counts_with_the_answer_and_outlives_a_seal() {
    let vault = Vault::open().await;
    let token = vault.token_with(&["app"]).await;
    let allowed = async |vault: &Vault| {
        vault
            .ask_as(&token, Verb::Read, "probe/token")
            .await
            .is_ok()
    };
    for _ in 0..20 {
        vault.cedar("app", PERMIT_ALL).await;
        assert!(allowed(&vault).await);
        vault
            .cedar(
                "no",
                "forbid (principal in Role::\"app\", action, resource);",
            )
            .await;
        assert!(!allowed(&vault).await);
        vault
            .ask(Verb::Delete, "sys/policies/cedar/no")
            .await
            .unwrap();
        assert!(allowed(&vault).await);
        vault
            .ask(Verb::Delete, "sys/policies/cedar/app")
            .await
            .unwrap();
        assert!(!allowed(&vault).await);
    }
    vault.cedar("app", PERMIT_ALL).await;
    vault.core.seal().await;
    vault.unseal().await;
    assert!(allowed(&vault).await);
}

#[tokio::test]
async fn capabilities_are_those_of_both_languages() {
    let vault = Vault::open().await;
    vault.enable("database", json!({"type": "probe"})).await;
    let hcl = r#"path "secret/*" { capabilities = ["read", "list", "delete"] }
                 path "secret/data/no" { capabilities = ["deny"] }"#;
    vault.policy("app", hcl).await;
    let token = vault.token_with(&["app"]).await;
    let cedar = "permit (principal in Role::\"app\", action in [Action::\"edit\", Action::\"sudo\"], resource in Secret::\"secret/dev\");
        permit (principal in Role::\"app\", action == Action::\"generate\", resource in Secret::\"database\");
        permit (principal in Role::\"app\", action, resource == Secret::\"secret/no\");
        forbid (principal in Role::\"app\", action == Action::\"delete\", resource in Secret::\"secret\");
        forbid (principal, action == Action::\"scan\", resource)
            when { context.time < datetime(\"2020-01-01\") };";
    let of = async |path: &str| {
        let body = json!({"token": token, "paths": [path]});
        let told = vault.write("sys/capabilities", body).await.unwrap().data;
        let own = vault
            .write_as(&token, "sys/capabilities-self", json!({"path": path}))
            .await;
        assert_eq!(own.unwrap().data, told);
        told["capabilities"].clone()
    };
    assert_eq!(
        of("secret/data/dev/a").await,
        json!(["delete", "list", "read"])
    );
    assert_eq!(of("database/creds/x").await, json!(["deny"]));
    vault.cedar("app", cedar).await;
    assert_eq!(
        of("secret/data/dev/a").await,
        json!(["create", "list", "patch", "read", "sudo", "update"])
    );
    assert_eq!(of("secret/data/other").await, json!(["list", "read"]));
    assert_eq!(of("secret/data/no").await, json!(["deny"]));
    // Reading there is generating.
    assert_eq!(of("database/creds/x").await, json!(["read"]));
    assert_eq!(of("nowhere/a").await, json!(["deny"]));
    let root = json!({"token": vault.root, "path": "secret/data/dev/a"});
    let root = vault.write("sys/capabilities", root).await.unwrap().data;
    assert_eq!(root["capabilities"], json!(["root"]));
}

#[tokio::test]
async fn mounts_are_seen_by_who_has_a_right_by_cedar() {
    let vault = Vault::open().await;
    let token = vault.token_with(&["default", "app"]).await;
    let about = async || {
        vault
            .ask_as(&token, Verb::Read, "sys/internal/ui/mounts/secret/x")
            .await
    };
    assert!(about().await.is_err());
    vault
        .cedar(
            "app",
            "permit (principal in Role::\"app\", action, resource in Secret::\"secret/dev/deep\");",
        )
        .await;
    assert_eq!(about().await.unwrap().data["path"], "secret/");
    let listed = vault
        .ask_as(&token, Verb::Read, "sys/internal/ui/mounts")
        .await
        .unwrap()
        .data;
    assert!(listed["secret"]["secret/"].is_object());
    assert!(listed["secret"].get("probe/").is_none());
}

#[tokio::test]
async fn the_page_limit_of_a_rule_is_lifted_by_a_permit() {
    let vault = Vault::open().await;
    vault
        .write("secret/data/a", json!({"data": {}}))
        .await
        .unwrap();
    let hcl = r#"path "secret/metadata/" { capabilities = ["list"] pagination_limit = 1 }"#;
    let token = vault.token_under("app", hcl).await;
    let listed = async || vault.ask_as(&token, Verb::List, "secret/metadata/").await;
    vault
        .cedar(
            "other",
            "permit (principal in Role::\"other\", action, resource);",
        )
        .await;
    assert!(matches!(listed().await, Err(Fault::Invalid(_))));
    vault.cedar("app", "permit (principal in Role::\"app\", action == Action::\"list\", resource == Secret::\"secret\");").await;
    listed().await.unwrap();
}

#[tokio::test]
async fn audit_records_tell_which_statement_decided() {
    let vault = Vault::open().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.log");
    let body = json!({"type": "file", "options": {"file_path": file}});
    vault.write("sys/audit/file", body).await.unwrap();
    let hcl = r#"path "probe/*" { capabilities = ["read"] }
                 path "probe/creds/*" { capabilities = ["list"] }"#;
    vault.policy("app", hcl).await;
    let cedar = "@id(\"sudoers\") permit (principal in Role::\"app\", action == Action::\"sudo\", resource);
        @id(\"no-names\") forbid (principal in Role::\"app\", action, resource in Secret::\"probe/open-not\");
        permit (principal in Role::\"app\", action == Action::\"generate\", resource);";
    vault.cedar("team", cedar).await;
    let token = vault.token_with(&["app"]).await;
    for path in [
        "probe/token",
        "probe/sudo",
        "probe/open-not",
        "probe/creds/x",
        "secret/data/a",
    ] {
        let _ = vault.ask_as(&token, Verb::Read, path).await;
    }
    let text = std::fs::read_to_string(&file).unwrap();
    let records: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let hcl_allows = json!({"decision": "allow", "policy_id": "app:probe/*"});
    for (path, policy, cedar) in [
        ("probe/token", hcl_allows.clone(), Value::Null),
        (
            "probe/sudo",
            hcl_allows,
            json!({"decision": "allow", "policy_id": "sudoers"}),
        ),
        (
            "probe/open-not",
            Value::Null,
            json!({"decision": "deny", "policy_id": "no-names"}),
        ),
        (
            "probe/creds/x",
            Value::Null,
            json!({"decision": "allow", "policy_id": "team#3"}),
        ),
        (
            "secret/data/a",
            json!({"decision": "deny", "policy_id": ""}),
            Value::Null,
        ),
    ] {
        let of_path = records
            .iter()
            .filter(|record| record["request"]["path"] == path);
        let of_path: Vec<_> = of_path.collect();
        assert_eq!(of_path.len(), 2, "{path}");
        for record in of_path {
            assert_eq!(record["policy"], policy, "{record}");
            assert_eq!(record["cedar_policy"], cedar, "{record}");
        }
    }
}

#[tokio::test]
async fn who_may_ask_learns_what_decides_over_others() {
    let vault = Vault::open().await;
    vault
        .policy("app", r#"path "probe/*" { capabilities = ["read"] }"#)
        .await;
    let text = "@id(\"closed\") forbid (principal, action, resource in Secret::\"secret/closed\");
        permit (principal in Role::\"app\", action == Action::\"generate\", resource)
        when { context.parameters.hasTag(\"why\") };";
    vault.cedar("team", text).await;
    let app = vault
        .token_of(&vault.root, json!({"policies": "app"}))
        .await;
    let check = async |operation: &str, path: &str, parameters: Value| {
        let accessor = &app.accessor;
        let body = json!({"accessor": accessor, "operation": operation, "path": path, "parameters": parameters});
        vault.write("sys/policies/check", body).await.unwrap().data
    };
    let told = check("read", "probe/token", json!({})).await;
    assert_eq!(
        told["policy"],
        json!({"decision": "allow", "policy_id": "app:probe/*"})
    );
    let told = check("read", "probe/sudo", json!({})).await;
    assert_eq!(
        (&told["allowed"], &told["access"]),
        (&json!(false), &json!("sudo"))
    );
    let told = check("read", "secret/data/closed/a", json!({})).await;
    assert_eq!(
        told["cedar_policy"],
        json!({"decision": "deny", "policy_id": "closed"})
    );
    assert_eq!(told["cedar_resource"], "secret/closed/a");
    // HCL permits the verb, whatever the row's own action is.
    let told = check("read", "probe/creds/x", json!({})).await;
    let (allowed, action) = (&told["allowed"], &told["cedar_action"]);
    assert_eq!((allowed, action), (&json!(true), &json!("generate")));
    assert_eq!(told["policy"]["policy_id"], "app:probe/*");
    vault
        .policy("app", r#"path "x" { capabilities = ["read"] }"#)
        .await;
    assert_eq!(
        check("read", "probe/creds/x", json!({})).await["allowed"],
        false
    );
    let told = check("read", "probe/creds/x", json!({"why": "x"})).await;
    assert_eq!(
        told["cedar_policy"],
        json!({"decision": "allow", "policy_id": "team#2"})
    );
    assert_eq!(
        check("read", "sys/health", json!({})).await["access"],
        "public"
    );
    // It needs sudo, and asks for one token.
    let own = json!({"operation": "read", "path": "probe/token"});
    let refused = vault
        .write_as(&app.client_token, "sys/policies/check", own)
        .await;
    assert!(matches!(refused, Err(Fault::Denied)));
    for wrong in [
        json!({"operation": "fly", "path": "a"}),
        json!({"operation": "read", "path": "a/../b"}),
        json!({"operation": "read", "path": "a", "ip": "nowhere"}),
        json!({"operation": "read", "path": "a", "token": "hvs.unknown"}),
        json!({"operation": "read", "path": "a", "token": "x", "accessor": "y"}),
    ] {
        let refused = vault.write("sys/policies/check", wrong.clone()).await;
        assert!(
            matches!(refused, Err(Fault::Invalid(_))),
            "{wrong}: {refused:?}"
        );
    }
}
