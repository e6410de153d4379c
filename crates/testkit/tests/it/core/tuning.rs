//! What a mount's settings do, and that what does nothing says so.

use crate::support::vault::Vault;
use secretum_engine::Fault;
use serde_json::{Value, json};

fn idle(setting: &str) -> String {
    format!("`{setting}` is stored and has no effect in this version")
}

/// Settings that clients expect to read back.
fn kept() -> Value {
    json!({
        "passthrough_request_headers": ["X-One"],
        "allowed_response_headers": ["X-Two"],
        "allowed_managed_keys": ["key"],
        "delegated_auth_accessors": ["auth_x"],
        "identity_token_key": "key",
    })
}

#[tokio::test]
async fn the_word_system_gives_a_life_back_to_the_system() {
    let vault = Vault::open().await;
    let ttls = json!({"default_lease_ttl": "system", "max_lease_ttl": "system"});
    let lives = async |path: &str| {
        let read = vault.read(&format!("sys/{path}/tune")).await.unwrap().data;
        ["default_lease_ttl", "max_lease_ttl"].map(|name| read[name].as_u64().unwrap())
    };
    let body = json!({"type": "kv", "config": ttls});
    vault.write("sys/mounts/new", body).await.unwrap();
    let of_system = lives("mounts/new").await;
    for path in ["mounts/new", "auth/token"] {
        let tune = format!("sys/{path}/tune");
        let own = json!({"default_lease_ttl": "1m", "max_lease_ttl": 120});
        vault.write(&tune, own).await.unwrap();
        assert_eq!(lives(path).await, [60, 120]);
        vault.write(&tune, ttls.clone()).await.unwrap();
        assert_eq!(lives(path).await, of_system);
        let other = json!({"default_lease_ttl": "systems"});
        let refused = vault.write(&tune, other).await.unwrap_err().to_string();
        assert!(refused.contains("`default_lease_ttl`"), "{refused}");
    }
}

#[tokio::test]
async fn settings_without_effect_are_kept_and_say_so() {
    let vault = Vault::open().await;
    let kept = kept();
    let names: Vec<&String> = kept.as_object().unwrap().keys().collect();
    let mut tuned = vault
        .write("sys/mounts/secret/tune", kept.clone())
        .await
        .unwrap()
        .warnings;
    let mut expected: Vec<String> = names.iter().map(|name| idle(name)).collect();
    tuned.sort();
    expected.sort();
    assert_eq!(tuned, expected);
    let body = json!({"type": "kv", "config": kept});
    let mut enabled = vault.write("sys/mounts/new", body).await.unwrap().warnings;
    let mut expected: Vec<String> = names
        .iter()
        .map(|name| idle(&format!("config.{name}")))
        .collect();
    enabled.sort();
    expected.sort();
    assert_eq!(enabled, expected);
    for path in ["secret", "new"] {
        let read = vault.read(&format!("sys/mounts/{path}/tune")).await;
        let mount = vault.read(&format!("sys/mounts/{path}")).await;
        let (read, mount) = (read.unwrap().data, mount.unwrap().data);
        for name in &names {
            assert_eq!(read[name], kept[name], "{path} {name}");
            assert_eq!(mount["config"][name], kept[name], "{path} {name}");
        }
    }
    // They are taken away again without a word.
    let empty = json!({"passthrough_request_headers": [], "identity_token_key": ""});
    let emptied = vault.write("sys/mounts/secret/tune", empty).await.unwrap();
    assert!(emptied.warnings.is_empty(), "{:?}", emptied.warnings);
    let read = vault.read("sys/mounts/secret/tune").await.unwrap().data;
    assert!(read.get("passthrough_request_headers").is_none());
}

#[tokio::test]
async fn flags_of_a_new_mount_are_kept_and_say_so() {
    let vault = Vault::open().await;
    let flags = ["local", "seal_wrap", "external_entropy_access"];
    for (value, warnings) in [(true, 3), (false, 0)] {
        let mut body = json!({"type": "kv"});
        for flag in flags {
            body[flag] = value.into();
        }
        let path = format!("flags-{value}");
        let enabled = vault.write(&format!("sys/mounts/{path}"), body).await;
        assert_eq!(enabled.unwrap().warnings.len(), warnings);
        let mount = vault.read(&format!("sys/mounts/{path}")).await.unwrap();
        for flag in flags {
            assert_eq!(mount.data[flag], value, "{flag}");
        }
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let vault = Vault::open().await;
    for settings in [
        json!({"plugin_version": "v1.0.0"}),
        json!({"user_lockout_config": {"lockout_threshold": "3"}}),
        json!({"token_type": "batch"}),
        json!({"token_type": "service"}),
        json!({"listing_visibility": "all"}),
    ] {
        for path in ["sys/mounts/secret/tune", "sys/auth/token/tune"] {
            let tuned = vault.write(path, settings.clone()).await;
            let refused = matches!(tuned, Err(Fault::Invalid(_)));
            assert!(refused, "{path} {settings}: {tuned:?}");
        }
        let body = json!({"type": "kv", "config": settings});
        let enabled = vault.write("sys/mounts/new", body).await;
        assert!(matches!(enabled, Err(Fault::Invalid(_))), "{settings}");
    }
    let body = json!({"type": "kv", "plugin_version": "v1.0.0"});
    let enabled = vault.write("sys/mounts/new", body).await;
    assert!(matches!(enabled, Err(Fault::Invalid(_))));
    // What asks for nothing is nothing to refuse.
    let nothing = json!({"plugin_version": "", "user_lockout_config": {}, "token_type": ""});
    vault
        .write("sys/mounts/secret/tune", nothing)
        .await
        .unwrap();
}

#[tokio::test]
async fn settings_are_read_as_leniently_as_any_body() {
    let vault = Vault::open().await;
    let text = json!({"force_no_cache": "true", "max_lease_ttl": "2h", "colour": "red"});
    let tuned = vault.write("sys/mounts/secret/tune", text.clone()).await;
    let unknown = "Endpoint ignored these unrecognized parameters: [colour]";
    assert_eq!(tuned.unwrap().warnings, [unknown]);
    let body = json!({"type": "kv", "config": text});
    let enabled = vault.write("sys/mounts/new", body).await.unwrap();
    let unknown = "Endpoint ignored these unrecognized parameters: [config.colour]";
    assert_eq!(enabled.warnings, [unknown]);
    for path in ["sys/mounts/secret/tune", "sys/mounts/new/tune"] {
        let read = vault.read(path).await.unwrap().data;
        assert_eq!(read["force_no_cache"], true, "{path}");
        assert_eq!(read["max_lease_ttl"], 7_200, "{path}");
    }
    let wrong = vault
        .write("sys/mounts/secret/tune", json!({"max_lease_ttl": "soon"}))
        .await
        .unwrap_err();
    assert!(
        wrong.to_string().starts_with("field `max_lease_ttl`"),
        "{wrong}"
    );
}

#[tokio::test]
async fn an_auth_method_is_tuned_among_the_mounts_too() {
    let vault = Vault::open().await;
    let path = "sys/mounts/auth/token/tune";
    vault
        .write(path, json!({"description": "all tokens"}))
        .await
        .unwrap();
    for path in [path, "sys/auth/token/tune"] {
        let tuned = vault.read(path).await.unwrap().data;
        assert_eq!(tuned["description"], "all tokens", "{path}");
    }
    let nothing = vault.write("sys/mounts/auth/none/tune", json!({})).await;
    assert!(matches!(nothing, Err(Fault::Invalid(_))), "{nothing:?}");
}
