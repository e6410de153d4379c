use super::super::load::work;
use super::super::{
    Action, CallerEntity, Circumstances, PREPARED_MAX, ROLES_MAX, Resource, STATEMENTS_ALIKE_MAX,
};
use super::*;
use proptest::prelude::*;
use secretum_crypto::Timestamp;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

fn document(name: &str, text: &str) -> Document {
    Document::read(name, text).unwrap()
}

fn decide(cedar: &Cedar, role: &str, path: &str) -> Result<Verdict, Undecided> {
    let caller = Caller::new(None, "accessor", &[role.to_owned()], &[]).unwrap();
    decide_as(cedar, &caller, path)
}

fn decide_as(cedar: &Cedar, caller: &Caller, path: &str) -> Result<Verdict, Undecided> {
    let ask = Ask {
        caller,
        action: Action::named("read").unwrap(),
        resource: &Resource::new("secret/", path, path, "kv"),
        around: around(),
    };
    cedar.decide(&ask, Wanted::Both)
}

fn around() -> Circumstances<'static> {
    Circumstances {
        ttl: Duration::from_secs(60),
        time: Timestamp::from_unix_seconds(1_800_000_000),
        ip: None,
        mfa: false,
        wrap_ttl: Duration::ZERO,
        parameters: None,
    }
}

/// What is wrong with a document beside the others.
fn check(cedar: &Cedar, document: &Document) -> Result<(), CedarProblem> {
    cedar.check(document).map_err(|error| error.problem)
}

#[test]
fn a_document_takes_the_place_of_one_of_its_name_and_leaves_nothing_behind() {
    let cedar = Cedar::default();
    assert!(cedar.is_empty());
    let text = |role: &str| {
        format!(
            "permit (principal in Role::\"{role}\", action in [Action::\"view\", Action::\"use\"],
                     resource in Secret::\"secret/a\");
             forbid (principal is Token, action, resource == Secret::\"secret/a/no\");
             permit (principal, action == Action::\"fly\", resource);"
        )
    };
    // The last statement can match nothing, and was stored by a version that knew the action.
    let stored = |role| Document::read_stored("d", &text(role)).unwrap();
    cedar.put(stored("one"));
    let permitted = Ok(Verdict::Permitted("d#1".into()));
    assert_eq!(decide(&cedar, "one", "a/b"), permitted);
    assert_eq!(
        decide(&cedar, "one", "a/no"),
        Ok(Verdict::Forbidden("d#2".into()))
    );
    cedar.put(stored("two"));
    assert_eq!(decide(&cedar, "one", "a/b"), Ok(Verdict::Silent));
    assert_eq!(decide(&cedar, "two", "a/b"), permitted);
    cedar.remove("d");
    assert!(cedar.is_empty());
    assert_eq!(decide(&cedar, "two", "a/b"), Ok(Verdict::Silent));
    let left = cedar.documents.read();
    assert!(left.forbids.is_empty() && left.permits.is_empty() && left.ids.is_empty());
    assert_eq!(left.text_bytes, 0);
}

#[test]
fn a_document_that_cannot_be_read_decides_nothing_until_it_is_gone() {
    let cedar = Cedar::default();
    cedar.put(document("good", "permit (principal, action, resource);"));
    cedar.put_unreadable("bad", "no Cedar".to_owned());
    let error = decide(&cedar, "any", "a").unwrap_err();
    assert!(matches!(error, Undecided::Unreadable { name, .. } if name == "bad"));
    cedar.put(document("bad", "permit (principal, action, resource);"));
    assert!(decide(&cedar, "any", "a").is_ok());
    cedar.put_unreadable("bad", "no Cedar".to_owned());
    cedar.retain(&["good".to_owned()]);
    assert!(decide(&cedar, "any", "a").is_ok());
}

#[test]
fn ids_and_bytes_are_shared_by_all_documents() {
    let cedar = Cedar::default();
    let mine = "@id(\"mine\") permit (principal, action, resource);";
    cedar.put(document("one", mine));
    let two = document(
        "two",
        &format!("permit (principal, action, resource);\n  // another\n  {mine}"),
    );
    let taken = CedarProblem::TakenId {
        id: "mine".to_owned(),
        document: "one".to_owned(),
    };
    assert_eq!(check(&cedar, &two), Err(taken));
    let at = cedar.check(&two).unwrap_err().at;
    assert_eq!((at.line, at.column), (3, 3));
    assert_eq!(check(&cedar, &document("one", mine)), Ok(()));
    let mut large = document("three", "permit (principal, action, resource);");
    large.text_bytes = TOTAL_TEXT_BYTES_MAX - mine.len();
    assert_eq!(check(&cedar, &large), Ok(()));
    large.text_bytes += 1;
    assert_eq!(check(&cedar, &large), Err(CedarProblem::TotalTooLong));
}

#[test]
fn what_one_decision_evaluates_has_its_limit() {
    let cedar = Cedar::default();
    let alike = |count: usize| "permit (principal, action, resource) when { false };".repeat(count);
    let half = STATEMENTS_ALIKE_MAX / 2;
    cedar.put(document("one", &alike(half)));
    assert_eq!(check(&cedar, &document("two", &alike(half))), Ok(()));
    // One that is written anew makes room for itself.
    assert_eq!(check(&cedar, &document("one", &alike(2 * half))), Ok(()));
    let many = format!("forbid (principal, action, resource);\n{}", alike(half + 1));
    let refused = cedar.check(&document("two", &many)).unwrap_err();
    assert!(matches!(refused.problem, CedarProblem::TooManyAlike { .. }));
    assert_eq!(refused.at.line, 2);
    // Those of other heads do not count.
    let other = "permit (principal in Role::\"r\", action, resource) when { false };";
    assert_eq!(
        check(&cedar, &document("two", &other.repeat(2 * half))),
        Ok(())
    );
    for at in 1..EVALUATED_MAX / half {
        cedar.put(document(&format!("d{at}"), &alike(half)));
    }
    assert_eq!(decide(&cedar, "any", "a"), Ok(Verdict::Silent));
    cedar.put(document("last", &alike(half)));
    let statements = EVALUATED_MAX + half;
    assert_eq!(
        decide(&cedar, "any", "a"),
        Err(Undecided::TooMany { statements })
    );
}

#[test]
fn what_one_request_could_meet_is_known_when_it_is_written() {
    let cedar = Cedar::default();
    let many = |effect: &str, head: &str| {
        format!("{effect} ({head}) when {{ false }};").repeat(STATEMENTS_ALIKE_MAX)
    };
    let anywhere = "principal, action, resource";
    let within = "principal, action, resource in Secret::\"secret/a\"";
    let reads = "principal, action == Action::\"read\", resource";
    for (name, effect, head) in [
        ("one", "forbid", anywhere),
        ("two", "permit", anywhere),
        ("three", "forbid", within),
        ("four", "permit", reads),
    ] {
        let document = document(name, &many(effect, head));
        assert_eq!(check(&cedar, &document), Ok(()), "{name}");
        cedar.put(document);
    }
    let role = |name: &str| format!("principal in Role::\"{name}\", action, resource");
    let fits = document("five", &many("permit", &role("r")));
    assert_eq!(check(&cedar, &fits), Ok(()));
    cedar.put(fits);
    assert_eq!(cedar.overload(), None);
    // What is not below each other does not count together, nor do actions.
    let beside = "principal, action, resource in Secret::\"secret/b\"";
    let writes = "principal, action == Action::\"update\", resource";
    for head in [beside, writes] {
        assert_eq!(
            check(&cedar, &document("six", &many("permit", head))),
            Ok(())
        );
    }
    let one = |head: &str| document("six", &format!("permit ({head});"));
    let statements = EVALUATED_MAX + 1;
    let exact = "principal, action == Action::\"read\", resource == Secret::\"secret/a/b\"";
    // A token may carry both policies.
    let other = role("s").replace("action,", "action == Action::\"read\",");
    for head in [&other, exact] {
        let refused = check(&cedar, &one(head));
        assert_eq!(refused, Err(CedarProblem::TooManyTogether { statements }));
    }
    // What was in force already can be made less, and not more.
    cedar.put(one(exact));
    assert_eq!(cedar.overload(), Some(statements));
    assert_eq!(check(&cedar, &one(exact)), Ok(()));
    let less = document("two", "permit (principal, action, resource);");
    assert_eq!(check(&cedar, &less), Ok(()));
    let more = document("six", &format!("permit ({exact});").repeat(2));
    let statements = EVALUATED_MAX + 2;
    assert_eq!(
        check(&cedar, &more),
        Err(CedarProblem::TooManyTogether { statements })
    );
}

#[test]
fn no_more_is_prepared_than_the_bound() {
    let cedar = Cedar::default();
    for at in 0..PREPARED_MAX / 100 + 10 {
        let text: String = (0..100)
            .map(|n| format!("permit (principal in Role::\"{at}-{n}\", action, resource);"))
            .collect();
        cedar.put(Document::read_stored(&format!("d{at}"), &text).unwrap());
        for n in 0..100 {
            let role = format!("{at}-{n}");
            let id = format!("d{at}#{}", n + 1);
            let expected = Ok(Verdict::Permitted(id.as_str().into()));
            assert_eq!(decide(&cedar, &role, "a"), expected);
        }
    }
    let held = cedar.prepared.len();
    assert!((PREPARED_MAX / 2..=PREPARED_MAX).contains(&held), "{held}");
}

#[test]
fn a_mount_is_seen_by_who_may_do_something_below() {
    let cedar = Cedar::default();
    let text = "permit (principal in Role::\"deep\", action, resource in Secret::\"kv/a/b\");
        permit (principal in Role::\"above\", action, resource in Secret::\"team\");
        permit (principal in Role::\"like\", action, resource == Secret::\"kv-2/a\");
        permit (principal in Role::\"all\", action, resource);
        forbid (principal in Role::\"none\", action, resource);";
    cedar.put(document("d", text));
    for (role, mount, seen) in [
        ("deep", "kv/", true),
        ("deep", "kv-2/", false),
        ("deep", "team/kv/", false),
        ("above", "team/kv/", true),
        ("above", "teams/", false),
        ("like", "kv-2/", true),
        ("like", "kv/", false),
        ("all", "kv/", true),
        ("none", "kv/", false),
    ] {
        let caller = Caller::new(None, "accessor", &[role.to_owned()], &[]).unwrap();
        assert_eq!(
            cedar.may_permit_below(&caller, mount),
            seen,
            "{role} {mount}"
        );
    }
}

/// A head of each kind of principal, beside one that concerns nobody.
const PRINCIPALS: [&str; 12] = [
    "principal",
    "principal is Token",
    "principal is User",
    "principal is Service",
    "principal == Token::\"t\"",
    "principal == Token::\"u\"",
    "principal == User::\"u\"",
    "principal in Role::\"default\"",
    "principal is Token in Role::\"r\"",
    "principal in Role::\"s\"",
    "principal in Group::\"g\"",
    "principal in Group::\"h\"",
];

/// Everybody who could ask, as far as these heads tell.
fn callers() -> Vec<Caller> {
    let roles = ["default", "r", "s"].map(str::to_owned);
    let groups = ["g", "h"].map(str::to_owned);
    let user = |name: &str| Some(CallerEntity::User(name.to_owned()));
    let logins = [None, user("u"), Some(CallerEntity::Service("s".to_owned()))];
    let with = |login: &Option<CallerEntity>, accessor: &str| {
        Caller::new(login.as_ref(), accessor, &roles, &groups).unwrap()
    };
    let tokens = ["t", "u"].map(|accessor| with(&None, accessor));
    logins
        .iter()
        .map(|login| with(login, "other"))
        .chain(tokens)
        .collect()
}

/// The most statements whose heads can match one request of them.
fn met(cedar: &Cedar) -> usize {
    let documents = cedar.documents.read();
    let paths = ["m", "m/a", "m/a/b", "m/a/b/c", "m/ab", "m/x", "m/x/y", "n"];
    let resources = paths.map(|path| Resource::new("", path, path, "kv"));
    let mut most = 0;
    for caller in &callers() {
        for resource in &resources {
            for action in Action::all() {
                let ask = Ask {
                    caller,
                    action,
                    resource,
                    around: around(),
                };
                let mut found = Vec::new();
                documents.forbids.candidates(&ask, &mut found);
                documents.permits.candidates(&ask, &mut found);
                most = most.max(found.len());
            }
        }
    }
    most
}

fn statement() -> impl Strategy<Value = String> {
    let one_of = |all: &'static [&'static str]| prop::sample::select(all);
    (
        one_of(&["permit", "forbid"]),
        one_of(&PRINCIPALS),
        one_of(&[
            "action",
            "action == Action::\"read\"",
            "action in Action::\"view\"",
            "action in [Action::\"edit\", Action::\"list\"]",
            "action == Action::\"fly\"",
        ]),
        one_of(&[
            "resource",
            "resource is Secret",
            "resource in Secret::\"m\"",
            "resource in Secret::\"m/a\"",
            "resource == Secret::\"m/a\"",
            "resource in Secret::\"m/a/b\"",
            "resource == Secret::\"m/a/b/c\"",
            "resource in Secret::\"m/ab\"",
            "resource == Secret::\"m/x\"",
            "resource in Secret::\"n\"",
        ]),
    )
        .prop_map(|(effect, who, what, on)| format!("{effect} ({who}, {what}, {on});\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Of few roles the bound is what somebody meets, no more and no less.
    #[test]
    fn the_bound_is_what_the_heaviest_caller_meets(
        documents in prop::collection::vec(prop::collection::vec(statement(), 1..12), 1..5),
    ) {
        let cedar = Cedar::default();
        for (at, lines) in documents.iter().enumerate() {
            cedar.put(Document::read_stored(&format!("d{at}"), &lines.concat()).unwrap());
        }
        let all = cedar.documents.read().all();
        let all = all.iter().flat_map(|one| of(one, Since::Always));
        prop_assert_eq!(Loads::new(all).heaviest(), met(&cedar));
    }
}

/// A document of a thousand statements of a principal.
fn filler(name: &str, principal: &str) -> Document {
    let text = format!("permit ({principal}, action, resource) when {{ false }};");
    Document::read_stored(name, &text.repeat(STATEMENTS_ALIKE_MAX)).unwrap()
}

#[test]
fn a_type_a_name_and_every_role_of_a_token_count_together() {
    let principals = [
        "principal is Token",
        "principal == Token::\"accessor\"",
        "principal in Role::\"default\"",
        "principal in Role::\"r\"",
        "principal in Group::\"g\"",
    ];
    let fillers = principals.map(|principal| filler(principal, principal));
    let cedar = Cedar::default();
    fillers.iter().for_each(|one| cedar.put(one.clone()));
    assert_eq!(cedar.overload(), None);
    let statements = EVALUATED_MAX + 1;
    let one = |new: &str| {
        let text = format!("permit ({new}, action, resource == Secret::\"secret/a\");");
        document("one", &text)
    };
    for new in principals {
        let refused = check(&cedar, &one(new));
        let expected = Err(CedarProblem::TooManyTogether { statements });
        assert_eq!(refused, expected, "{new}");
    }
    // A caller of another type is another caller.
    assert_eq!(check(&cedar, &one("principal is User")), Ok(()));
    // It would have been the token that carries both policies.
    cedar.remove(principals[4]);
    cedar.put(filler("everybody", "principal"));
    let roles = ["default", "r"].map(str::to_owned);
    let caller = Caller::new(None, "accessor", &roles, &[]).unwrap();
    for new in &principals[..4] {
        assert_eq!(decide_as(&cedar, &caller, "a"), Ok(Verdict::Silent));
        cedar.put(one(new));
        let refused = decide_as(&cedar, &caller, "a");
        assert_eq!(refused, Err(Undecided::TooMany { statements }), "{new}");
        cedar.remove("one");
    }
}

#[test]
fn no_token_carries_more_policies_than_are_counted() {
    let cedar = Cedar::default();
    let text = |roles: std::ops::Range<usize>| -> String {
        roles
            .map(|n| {
                format!("permit (principal in Role::\"r{n}\", action, resource in Secret::\"s\");")
            })
            .collect()
    };
    for at in 0..4 {
        cedar.put(document(&format!("d{at}"), &text(at * 250..(at + 1) * 250)));
    }
    let all = cedar.documents.read().all();
    let all = all.iter().flat_map(|one| of(one, Since::Always));
    assert_eq!(Loads::new(all).heaviest(), ROLES_MAX);
}

#[test]
fn what_is_made_worse_at_one_place_is_refused_though_another_is_worse() {
    let cedar = Cedar::default();
    // As an earlier version took them.
    let there = ["a", "a", "a", "a", "a", "a", "b", "b", "b", "b", "b"];
    for (at, path) in there.iter().enumerate() {
        let text = format!(
            "permit (principal, action, resource == Secret::\"s/{path}\") when {{ false }};"
        );
        cedar.put(document(
            &format!("d{at}"),
            &text.repeat(STATEMENTS_ALIKE_MAX),
        ));
    }
    assert_eq!(cedar.overload(), Some(6_000));
    let one = |path: &str| {
        document(
            "new",
            &format!(
                "permit (principal in Role::\"r\", action, resource == Secret::\"s/{path}\");"
            ),
        )
    };
    let refused = check(&cedar, &one("b"));
    assert_eq!(
        refused,
        Err(CedarProblem::TooManyTogether { statements: 5_001 })
    );
    assert_eq!(check(&cedar, &one("c")), Ok(()));
}

#[test]
fn decisions_go_on_while_a_document_is_checked() {
    let cedar = Arc::new(Cedar::default());
    cedar.put(document(
        "there",
        &"permit (principal, action, resource in Secret::\"s/a\");".repeat(50),
    ));
    let (looked, free) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (Arc::clone(&looked), Arc::clone(&free), Arc::clone(&cedar));
    work::watch(move || {
        seen.0.fetch_add(1, Ordering::Relaxed);
        // Neither would a decision wait, nor who puts a document in force.
        let is_free = seen.2.documents.try_write().is_some();
        seen.1.fetch_add(usize::from(is_free), Ordering::Relaxed);
    });
    let new = document(
        "new",
        "permit (principal, action, resource in Secret::\"s/a/b\");",
    );
    check(&cedar, &new).unwrap();
    let (looked, free) = (looked.load(Ordering::Relaxed), free.load(Ordering::Relaxed));
    assert!(looked > 10, "{looked}");
    assert_eq!(free, looked);
}
