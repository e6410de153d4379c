//! The steps that a random history is made of.

use super::model::{Model, Settings, Told, VALUE_BESIDE_BYTES_MAX};
use crate::mount::Ask;
use proptest::prelude::*;
use secretum_engine::{Fault, RawReply, Standing, Verb};
use serde_json::{Map, Value, json};

/// The secrets of a history: few, so that they meet, and one that is also a folder.
pub(super) const PATHS: [&str; 3] = ["a", "a/b", "c"];

/// A step of a history.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Wait(u64),
    Config(Settings),
    Write(Write),
    Lost(Write),
    Race(Write, Write),
}

/// A request that changes a secret.
#[derive(Debug, Clone)]
pub(super) struct Write {
    path: &'static str,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Put(Map<String, Value>, Cas),
    Patch(Map<String, Value>, Cas),
    DeleteNewest,
    Delete(Vec<u64>),
    Undelete(Vec<u64>),
    Destroy(Vec<u64>),
    Settings(Settings),
    Remove,
}

/// What a write names as the newest version.
#[derive(Debug, Clone, Copy)]
enum Cas {
    None,
    Zero,
    Newest,
    Older,
}

impl Cas {
    fn number(self, model: &Model, path: &str) -> Option<u64> {
        let newest = model.secrets.get(path).map_or(0, |secret| secret.current);
        match self {
            Self::None => None,
            Self::Zero => Some(0),
            Self::Newest => Some(newest),
            Self::Older => Some(newest.saturating_sub(1)),
        }
    }
}

impl Write {
    /// The request, as a client makes it that knows the mount as it is now.
    pub(super) fn ask(&self, model: &Model) -> Ask {
        let at = |verb, place: &str| Ask::new(verb, format!("{place}/{}", self.path));
        let with_cas = |data: &Map<String, Value>, cas: Cas| {
            let mut body = json!({"data": data});
            if let Some(number) = cas.number(model, self.path) {
                body["options"] = json!({"cas": number});
            }
            body
        };
        match &self.what {
            What::Put(data, cas) => at(Verb::Write, "data").body(with_cas(data, *cas)),
            What::Patch(data, cas) => at(Verb::Patch, "data").body(with_cas(data, *cas)),
            What::DeleteNewest => at(Verb::Delete, "data"),
            What::Delete(versions) => at(Verb::Write, "delete").body(json!({"versions": versions})),
            What::Undelete(versions) => {
                at(Verb::Write, "undelete").body(json!({"versions": versions}))
            }
            What::Destroy(versions) => {
                at(Verb::Write, "destroy").body(json!({"versions": versions}))
            }
            What::Settings(settings) => at(Verb::Write, "metadata").body(body(*settings)),
            What::Remove => at(Verb::Delete, "metadata"),
        }
    }

    /// What the request does to the model, and what its client is told.
    pub(super) fn apply(&self, model: &mut Model) -> Told {
        let cas = match &self.what {
            What::Put(_, cas) | What::Patch(_, cas) => cas.number(model, self.path),
            _ => None,
        };
        self.apply_with(cas, model)
    }

    /// As [`Write::apply`], of a request that was made before the model changed.
    pub(super) fn again(&self, ask: &Ask, model: &mut Model) -> Told {
        let body = ask.body.as_ref();
        let cas = body.and_then(|body| body["options"]["cas"].as_u64());
        self.apply_with(cas, model)
    }

    fn apply_with(&self, cas: Option<u64>, model: &mut Model) -> Told {
        let path = self.path;
        let delete = |version: &mut super::model::Version, now| {
            if version.is_alive(now) {
                version.deleted = Some(now);
            }
        };
        match &self.what {
            What::Put(data, _) => model.put(path, data.clone(), cas),
            What::Patch(patch, _) => model.patch(path, patch.clone(), cas),
            What::DeleteNewest => model.change(path, None, delete),
            What::Delete(versions) => model.change(path, Some(versions), delete),
            What::Undelete(versions) => model.change(path, Some(versions), |version, _| {
                if !version.destroyed {
                    version.deleted = None;
                }
            }),
            What::Destroy(versions) => model.change(path, Some(versions), |version, _| {
                version.destroyed = true;
            }),
            What::Settings(settings) => model.settings(path, *settings),
            What::Remove => model.remove(path),
        }
    }
}

/// Settings as a body.
pub(super) fn body(settings: Settings) -> Value {
    json!({
        "max_versions": settings.max_versions,
        "cas_required": settings.cas_required,
        "delete_version_after": format!("{}s", settings.delete_after),
    })
}

/// What an engine's answer tells a client.
pub(super) fn told(outcome: Result<RawReply, Fault>) -> Told {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(Fault::NotFound) => return Told::Missing,
        Err(Fault::Invalid(text)) => {
            return match &*text {
                "check-and-set parameter did not match the current version" => Told::CasMismatch,
                "check-and-set parameter required for this call" => Told::CasRequired,
                other => panic!("{other}"),
            };
        }
        Err(other) => panic!("{other:?}"),
    };
    let version = || super::data(&reply)["version"].as_u64().unwrap();
    match reply.data {
        Some(_) if reply.standing == Standing::Gone => Told::Gone(version()),
        Some(_) => Told::Version(version()),
        None => Told::Done,
    }
}

/// Any step.
pub(super) fn any() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => write().prop_map(Step::Write),
        2 => write().prop_map(Step::Lost),
        4 => (write(), write()).prop_map(|(first, second)| Step::Race(first, second)),
        1 => (1_u64..40).prop_map(Step::Wait),
        1 => settings().prop_map(Step::Config),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let versions = || prop::collection::vec(1_u64..14, 1..4);
    let what = prop_oneof![
        10 => (object(false), cas()).prop_map(|(data, cas)| What::Put(data, cas)),
        4 => (object(true), cas()).prop_map(|(data, cas)| What::Patch(data, cas)),
        2 => Just(What::DeleteNewest),
        2 => versions().prop_map(What::Delete),
        3 => versions().prop_map(What::Undelete),
        2 => versions().prop_map(What::Destroy),
        2 => settings().prop_map(What::Settings),
        1 => Just(What::Remove),
    ];
    (prop::sample::select(&PATHS), what).prop_map(|(path, what)| Write { path, what })
}

fn object(nulls: bool) -> impl Strategy<Value = Map<String, Value>> {
    // A lone value of this length makes an object that just stands beside its metadata.
    let fits = VALUE_BESIDE_BYTES_MAX - r#"{"a":""}"#.len();
    let value = prop_oneof![
        8 => (0..4_u8).prop_map(move |number| match number {
            0 if nulls => Value::Null,
            number => json!(format!("value-{number}")),
        }),
        1 => (fits..fits + 2).prop_map(|length| json!("x".repeat(length))),
    ];
    prop::collection::btree_map("[a-c]", value, 0..3).prop_map(|map| map.into_iter().collect())
}

fn cas() -> impl Strategy<Value = Cas> {
    prop_oneof![
        4 => Just(Cas::None),
        1 => Just(Cas::Zero),
        3 => Just(Cas::Newest),
        1 => Just(Cas::Older),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    let number = |most| prop_oneof![Just(0), 1..most];
    (number(5_u64), prop::bool::weighted(0.2), number(30_u64)).prop_map(
        |(max_versions, cas_required, delete_after)| Settings {
            max_versions,
            cas_required,
            delete_after,
        },
    )
}
