//! Templates in paths.

use crate::policy;
use secretum_policy::{Acl, AliasValues, EntityValues, GroupValues, TemplateValues};
use std::collections::BTreeMap;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn values() -> TemplateValues {
    let alias = AliasValues {
        id: "alias-id".to_owned(),
        name: "alias-name".to_owned(),
        metadata: map(&[("zip", "zap")]),
        custom_metadata: map(&[("color", "green")]),
    };
    let entity = EntityValues {
        id: "entity-id".to_owned(),
        name: "entity-name".to_owned(),
        metadata: map(&[
            ("team", "dev"),
            ("a.b", "dotted"),
            ("wide", "x*"),
            ("plus", "+"),
            ("none", ""),
        ]),
        aliases: BTreeMap::from([("mount_1".to_owned(), alias)]),
    };
    let group = GroupValues {
        id: "group-id".to_owned(),
        name: "admins".to_owned(),
        metadata: map(&[("site", "home")]),
    };
    TemplateValues {
        entity: Some(entity),
        groups: vec![group],
    }
}

fn paths(template: &str, values: &TemplateValues) -> Vec<String> {
    let text = format!("path \"{template}\" {{ capabilities = [\"read\"] }} path \"x\" {{}}");
    let policy = policy("p", &text).instantiate(values);
    let patterns = policy
        .rules()
        .iter()
        .filter_map(|rule| rule.pattern.as_ref());
    patterns
        .map(ToString::to_string)
        .filter(|path| path != "x")
        .collect()
}

#[test]
fn values_are_put_in() {
    for (template, path) in [
        ("a/{{identity.entity.id}}/*", "a/entity-id/*"),
        ("a/{{ identity.entity.name }}", "a/entity-name"),
        (
            "{{identity.entity.metadata.team}}/{{identity.entity.id}}",
            "dev/entity-id",
        ),
        ("{{identity.entity.metadata.a.b}}", "dotted"),
        ("{{identity.entity.aliases.mount_1.id}}", "alias-id"),
        ("{{identity.entity.aliases.mount_1.name}}", "alias-name"),
        ("{{identity.entity.aliases.mount_1.metadata.zip}}", "zap"),
        (
            "{{identity.entity.aliases.mount_1.custom_metadata.color}}",
            "green",
        ),
        ("{{identity.groups.ids.group-id.name}}", "admins"),
        ("{{identity.groups.names.admins.id}}", "group-id"),
        ("{{identity.groups.names.admins.metadata.site}}", "home"),
        ("{{identity.groups.ids.group-id.metadata.site}}", "home"),
        ("/+/{{identity.entity.id}}", "+/entity-id"),
    ] {
        assert_eq!(paths(template, &values()), [path]);
    }
}

#[test]
fn a_rule_without_its_values_is_left_out() {
    for template in [
        "{{}}",
        "{{entity.id}}",
        "{{identity.entity}}",
        "{{identity.entity.metadata}}",
        "{{identity.entity.metadata.other}}",
        "{{identity.entity.metadata.none}}",
        "{{identity.entity.aliases.mount_1}}",
        "{{identity.entity.aliases.mount_2.id}}",
        "{{identity.groups.ids.other.name}}",
        "{{identity.groups.ids.group-id.id}}",
        "{{identity.groups.names.admins.name}}",
        "{{identity.entity.id}}/{{identity.entity.nope}}",
        "{{time.now}}",
    ] {
        assert!(paths(template, &values()).is_empty(), "{template}");
    }
    assert!(paths("{{identity.entity.id}}", &TemplateValues::default()).is_empty());
    let groups_only = TemplateValues {
        entity: None,
        ..values()
    };
    assert!(paths("{{identity.groups.ids.group-id.name}}", &groups_only).is_empty());
}

#[test]
fn nobody_widens_a_rule_by_a_name() {
    assert!(paths("a/{{identity.entity.metadata.wide}}", &values()).is_empty());
    assert!(paths("a/{{identity.entity.metadata.plus}}/b", &values()).is_empty());
}

#[test]
fn a_template_that_was_not_filled_is_nobodys_rule() {
    let policy = policy(
        "p",
        "path \"a/{{identity.entity.id}}\" { capabilities = [\"read\"] }",
    );
    assert!(policy.is_templated());
    let acl = Acl::new(std::slice::from_ref(&policy));
    assert_eq!(acl.capabilities("a/{{identity.entity.id}}"), ["deny"]);
    let filled = policy.instantiate(&values());
    assert!(!filled.is_templated());
    assert_eq!(Acl::new(&[filled]).capabilities("a/entity-id"), ["read"]);
}
