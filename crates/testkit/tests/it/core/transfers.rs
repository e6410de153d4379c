//! Copies and moves of secrets: the policies hold on both sides, and a commit is whole.

use crate::core::audit::Recorded;
use crate::support::vault::{Answer, Vault};
use secretum_engine::{Fault, Verb};
use serde_json::{Value, json};

/// What each line of a policy grants.
type Rules<'a> = &'a [(&'a str, &'a [&'a str])];

const COPY: Rules<'_> = &[
    ("secret/copy/to/*", &["create"]),
    ("secret/data/from/*", &["read"]),
    ("secret/undelete/from/*", &["update"]),
    ("secret/metadata/from/*", &["read"]),
    ("secret/data/to/*", &["create"]),
    ("secret/metadata/to/*", &["create"]),
];

const MOVE: Rules<'_> = &[
    ("secret/move/to/*", &["create"]),
    ("secret/data/from/*", &["read"]),
    ("secret/undelete/from/*", &["update"]),
    ("secret/metadata/from/*", &["read", "delete"]),
    ("secret/data/to/*", &["create"]),
    ("secret/metadata/to/*", &["create"]),
];

fn policy(rules: Rules<'_>) -> String {
    let line = |(path, capabilities): &(&str, &[&str])| {
        format!("path \"{path}\" {{ capabilities = {capabilities:?} }}")
    };
    rules.iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn vault() -> Vault {
    let vault = Vault::open().await;
    seed(&vault).await;
    vault
}

async fn seed(vault: &Vault) {
    let body = json!({"data": {"k": "of the source"}});
    vault.write("secret/data/from/a", body).await.unwrap();
}

async fn transfer(vault: &Vault, token: &str, area: &str, body: Value) -> Result<Answer, Fault> {
    vault
        .write_as(token, &format!("secret/{area}/to/a"), body)
        .await
}

fn source() -> Value {
    json!({"source": "from/a"})
}

#[tokio::test]
async fn exactly_the_rights_that_are_named_are_needed() {
    for (area, rules) in [("copy", COPY), ("move", MOVE)] {
        let vault = vault().await;
        let all = vault.token_under("all", &policy(rules)).await;
        // Without any one of them nothing happens.
        for (left_out, (_, capabilities)) in rules.iter().enumerate() {
            for capability in *capabilities {
                let mut fewer: Vec<(&str, Vec<&str>)> = rules
                    .iter()
                    .map(|(path, capabilities)| (*path, capabilities.to_vec()))
                    .collect();
                fewer[left_out].1.retain(|one| one != capability);
                let fewer: Vec<(&str, &[&str])> = (fewer.iter())
                    .map(|(path, capabilities)| (*path, capabilities.as_slice()))
                    .collect();
                let text = policy(&fewer);
                let token = vault.token_under("fewer", &text).await;
                let refused = transfer(&vault, &token, area, source()).await;
                assert!(matches!(refused, Err(Fault::Denied)), "{text}: {refused:?}");
                assert!(vault.read("secret/data/to/a").await.is_err());
            }
        }
        transfer(&vault, &all, area, source()).await.unwrap();
        let read = vault.read("secret/data/to/a").await.unwrap();
        assert_eq!(read.data["data"]["k"], "of the source");
        let left = vault.read("secret/data/from/a").await;
        assert_eq!(left.is_ok(), area == "copy");
    }
}

#[tokio::test]
async fn a_deny_on_either_side_holds_whatever_else_is_granted() {
    let vault = vault().await;
    let everything = r#"path "secret/*" { capabilities = ["create", "read", "update", "delete"] }"#;
    for denied in [
        "secret/data/from/a",
        "secret/undelete/from/*",
        "secret/metadata/to/*",
        "secret/data/+/a",
    ] {
        let text = format!("{everything}\npath \"{denied}\" {{ capabilities = [\"deny\"] }}");
        let token = vault.token_under("denied", &text).await;
        let refused = transfer(&vault, &token, "copy", source()).await;
        assert!(
            matches!(refused, Err(Fault::Denied)),
            "{denied}: {refused:?}"
        );
    }
    let token = vault.token_under("everything", everything).await;
    transfer(&vault, &token, "copy", source()).await.unwrap();
}

#[tokio::test]
async fn who_may_not_learns_nothing_of_either_side() {
    let vault = vault().await;
    let only = vault
        .token_under(
            "only",
            r#"path "secret/copy/*" { capabilities = ["create", "update"] }"#,
        )
        .await;
    for body in [
        source(),
        json!({"source": "no/such"}),
        json!({"source": "from/a", "cas": 9}),
    ] {
        let refused = transfer(&vault, &only, "copy", body.clone()).await;
        assert!(matches!(refused, Err(Fault::Denied)), "{body}: {refused:?}");
    }
}

#[tokio::test]
async fn to_overwrite_asks_for_update_and_delete_at_the_destination() {
    let vault = vault().await;
    let body = json!({"data": {"k": "of the destination"}});
    vault.write("secret/data/to/a", body).await.unwrap();
    let rules = |destination: &'static [&'static str], metadata: &'static [&'static str]| {
        policy(&[
            ("secret/copy/to/*", &["update"]),
            ("secret/data/from/*", &["read"]),
            ("secret/undelete/from/*", &["update"]),
            ("secret/metadata/from/*", &["read"]),
            ("secret/data/to/*", destination),
            ("secret/metadata/to/*", metadata),
        ])
    };
    let over = || json!({"source": "from/a", "cas": 1});
    for (data, metadata) in [
        (&["create"][..], &["update", "delete"][..]),
        (&["update"], &["create", "delete"]),
        (&["update"], &["update"]),
    ] {
        let token = vault.token_under("less", &rules(data, metadata)).await;
        let refused = transfer(&vault, &token, "copy", over()).await;
        assert!(
            matches!(refused, Err(Fault::Denied)),
            "{data:?} {metadata:?}: {refused:?}"
        );
    }
    let enough = rules(&["update"], &["update", "delete"]);
    let token = vault.token_under("enough", &enough).await;
    transfer(&vault, &token, "copy", over()).await.unwrap();
    let read = vault.read("secret/data/to/a").await.unwrap();
    assert_eq!(read.data["data"]["k"], "of the source");
}

#[tokio::test]
async fn rules_over_values_and_wrapping_permit_no_copy() {
    let vault = vault().await;
    for (path, rule) in [
        (
            "secret/data/to/*",
            r#"allowed_parameters = { "data" = ["a"] }"#,
        ),
        (
            "secret/data/to/*",
            r#"denied_parameters = { "data" = ["a"] }"#,
        ),
        (
            "secret/data/to/*",
            r#"denied_parameters = { "options" = [] }"#,
        ),
        ("secret/data/to/*", r#"required_parameters = ["note"]"#),
        (
            "secret/metadata/to/*",
            r#"allowed_parameters = { "max_versions" = [] }"#,
        ),
        (
            "secret/data/from/*",
            r#"denied_parameters = { "version" = [] }"#,
        ),
        ("secret/data/from/*", r#"min_wrapping_ttl = "1m""#),
    ] {
        let mut text = policy(
            COPY.iter()
                .copied()
                .filter(|(own, _)| *own != path)
                .collect::<Vec<_>>()
                .as_slice(),
        );
        let capability = if path.contains("from") {
            "read"
        } else {
            "create"
        };
        text += &format!("\npath \"{path}\" {{ capabilities = [\"{capability}\"]\n {rule} }}");
        let token = vault.token_under("bound", &text).await;
        let refused = transfer(&vault, &token, "copy", source()).await;
        assert!(matches!(refused, Err(Fault::Denied)), "{rule}: {refused:?}");
    }
}

#[tokio::test]
async fn cedar_holds_on_both_sides_too() {
    let vault = vault().await;
    let token = vault.token_with(&["nothing"]).await;
    let permit = |actions: &str, folder: &str| {
        format!(
            "permit (principal in Role::\"nothing\", action in [{actions}], \
             resource in Secret::\"secret/{folder}\");"
        )
    };
    let read_only = permit("Action::\"read\"", "from");
    let read = permit("Action::\"read\", Action::\"update\"", "from");
    let create = permit("Action::\"create\"", "to");
    for (text, allowed) in [
        (read.clone(), false),
        (create.clone(), false),
        (format!("{read_only}\n{create}"), false),
        (
            format!(
                "{read}\n{create}\nforbid (principal, action == Action::\"read\", resource in Secret::\"secret/from\");"
            ),
            false,
        ),
        (
            format!(
                "{read}\n{create}\nforbid (principal, action == Action::\"create\", resource) when {{ context.parameters.hasTag(\"data\") }};"
            ),
            false,
        ),
        (format!("{read}\n{create}"), true),
    ] {
        vault.cedar("copies", &text).await;
        let told = transfer(&vault, &token, "copy", source()).await;
        assert_eq!(told.is_ok(), allowed, "{text}: {told:?}");
    }
    let moved = json!({"source": "from/a", "cas": 1});
    let refused = transfer(&vault, &token, "move", moved).await;
    assert!(matches!(refused, Err(Fault::Denied)), "{refused:?}");
}

#[tokio::test]
async fn the_audit_record_names_what_refused_the_other_path() {
    let recorded = Recorded::open().await;
    let vault = &recorded.vault;
    seed(vault).await;
    let forbid =
        "@id(\"keep-out\") forbid (principal, action, resource in Secret::\"secret/from\");";
    vault.cedar("forbids", forbid).await;
    let everything = r#"path "secret/*" { capabilities = ["create", "read", "update"] }"#;
    let token = vault.token_under("everything", everything).await;
    let refused = transfer(vault, &token, "copy", source()).await;
    assert!(matches!(refused, Err(Fault::Denied)), "{refused:?}");
    let text = recorded.text();
    let line = text.lines().rfind(|line| line.contains("secret/copy/to/a"));
    assert!(line.unwrap().contains("keep-out"), "{line:?}");
}

#[tokio::test]
async fn help_asks_for_no_other_path() {
    let vault = vault().await;
    let help = vault.ask(Verb::Help, "secret/move/to/a").await.unwrap();
    assert!(help.text.contains("metadata/"), "{}", help.text);
}

#[tokio::test]
async fn a_transfer_whose_commit_fails_changes_nothing() {
    for area in ["copy", "move"] {
        let vault = vault().await;
        let before = vault.storage.keys("").await;
        vault.storage.fail_commits_after(0);
        let root = vault.root.clone();
        let failed = transfer(&vault, &root, area, source()).await;
        assert!(failed.is_err(), "{failed:?}");
        vault.storage.heal();
        assert_eq!(vault.storage.keys("").await, before);
        let read = vault.read("secret/data/from/a").await.unwrap();
        assert_eq!(read.data["data"]["k"], "of the source");
        // It was one commit, and is one when it succeeds.
        let commits = vault.storage.commits();
        transfer(&vault, &root, area, source()).await.unwrap();
        assert_eq!(vault.storage.commits(), commits + 1);
    }
}

#[tokio::test]
async fn the_largest_secret_passes_through_the_barrier() {
    let vault = vault().await;
    let root = vault.root.clone();
    // What fits into one write of a secret, less what a transfer keeps free for keys.
    let most = secretum_storage::BATCH_BYTES_MAX - 66 * 1_024;
    let body = json!({"data": {"a": "x".repeat(most)}});
    vault.write("secret/data/large", body).await.unwrap();
    let body = json!({"source": "large"});
    transfer(&vault, &root, "move", body).await.unwrap();
    let body = json!({"data": {"a": "x".repeat(most + 4_096)}});
    vault.write("secret/data/large", body).await.unwrap();
    let body = json!({"source": "large", "cas": 1});
    let refused = transfer(&vault, &root, "move", body).await;
    assert!(matches!(refused, Err(Fault::TooLarge(_))), "{refused:?}");
}
