//! The versions of a secret's metadata, where two change it at once.

use crate::mount::{Ask, Mount};
use secretum_engine::{Fault, RawReply, Verb};
use serde_json::{Value, json};

fn change(verb: Verb, cas: u64, owner: &str) -> Ask {
    let body = json!({"metadata_cas": cas, "custom_metadata": {"owner": owner}});
    Ask::new(verb, "metadata/a").body(body)
}

async fn state(mount: &Mount) -> (Value, Value) {
    let read = mount
        .run(&Ask::new(Verb::Read, "metadata/a"))
        .await
        .unwrap();
    let data: Value = serde_json::from_str(read.data.unwrap().get()).unwrap();
    let field = |name: &str| data[name].clone();
    (field("current_metadata_version"), field("custom_metadata"))
}

fn mismatch(outcome: Result<RawReply, Fault>) -> bool {
    let text = "metadata check-and-set parameter does not match the current version";
    matches!(&outcome, Err(Fault::Invalid(said)) if said == text)
}

#[tokio::test]
async fn of_two_changes_that_name_the_same_version_one_is_made() {
    for verb in [Verb::Write, Verb::Patch] {
        let mount = Mount::kv2();
        let first = change(Verb::Write, 0, "first");
        mount.run(&first).await.unwrap();
        let mut slow = mount.call(&change(verb, 1, "slow")).await.unwrap();
        mount.run(&change(verb, 1, "quick")).await.unwrap();
        let writes = std::mem::take(&mut slow.writes);
        assert!(!mount.commit(writes).await);
        assert!(mismatch(mount.run(&change(verb, 1, "slow")).await));
        assert_eq!(state(&mount).await, (json!(2), json!({"owner": "quick"})));
    }
}

#[tokio::test]
async fn a_secret_of_version_1_has_no_version_of_its_metadata() {
    let mount = Mount::kv2();
    let old = mount.as_version(1);
    let put = Ask::new(Verb::Write, "a").body(json!({"x": 1}));
    old.run(&put).await.unwrap();
    assert_eq!(state(&mount).await, (json!(0), Value::Null));
    assert!(mismatch(mount.run(&change(Verb::Write, 1, "me")).await));
    mount.run(&change(Verb::Patch, 0, "me")).await.unwrap();
    assert_eq!(state(&mount).await, (json!(1), json!({"owner": "me"})));
    let list = Ask::new(Verb::List, "detailed-metadata/");
    let listed = mount.run(&list).await.unwrap().data.unwrap();
    let listed: Value = serde_json::from_str(listed.get()).unwrap();
    assert_eq!(listed["keys"], json!(["a"]));
    assert_eq!(listed["key_info"]["a"]["current_version"], 1);
}
