//! KV version 2 beside a plain map: random requests, some of them lost, some of them racing.

mod model;
mod steps;

use crate::mount::{Ask, Mount};
use model::{Model, Secret, Settings};
use proptest::prelude::*;
use secretum_engine::{Fault, Standing, Verb};
use serde_json::{Value, json};
use std::time::Duration;
use steps::{PATHS, Step, Write};

/// A mount, and what should be in it.
struct Pair {
    mount: Mount,
    model: Model,
    is_configured: bool,
}

impl Pair {
    async fn step(&mut self, step: Step) {
        match step {
            Step::Wait(seconds) => {
                self.mount.clock.advance(Duration::from_secs(seconds));
                self.model.now += seconds;
            }
            Step::Config(settings) => {
                let ask = Ask::new(Verb::Write, "config").body(steps::body(settings));
                self.mount.run(&ask).await.unwrap();
                self.model.settings = settings;
                self.is_configured = true;
            }
            Step::Write(write) => self.write(&write).await,
            // The server dies, or the disk is full, before the commit: nothing changes.
            Step::Lost(write) => drop(self.mount.call(&write.ask(&self.model)).await),
            Step::Race(first, second) => self.race(&first, &second).await,
        }
    }

    async fn write(&mut self, write: &Write) {
        let ask = write.ask(&self.model);
        let expected = write.apply(&mut self.model);
        let told = steps::told(self.mount.run(&ask).await);
        assert_eq!(told, expected, "{write:?}");
    }

    /// A write that has read, and then another whole write, before the first commits.
    async fn race(&mut self, first: &Write, second: &Write) {
        let ask = first.ask(&self.model);
        match self.mount.call(&ask).await {
            Ok(mut reply) if !reply.writes.is_empty() => {
                self.write(second).await;
                let expected = first.again(&ask, &mut self.model);
                let writes = std::mem::take(&mut reply.writes);
                let outcome = if self.mount.commit(writes).await {
                    Ok(reply)
                } else {
                    self.mount.run(&ask).await
                };
                assert_eq!(steps::told(outcome), expected, "{first:?} after {second:?}");
            }
            // It had nothing to write, so it came before.
            outcome => {
                let expected = first.apply(&mut self.model);
                assert_eq!(steps::told(outcome), expected, "{first:?}");
                self.write(second).await;
            }
        }
    }

    async fn compare(&self) {
        for path in PATHS {
            self.compare_metadata(path).await;
            let newest = self
                .model
                .secrets
                .get(path)
                .map_or(0, |secret| secret.current);
            for version in 0..=newest + 1 {
                self.compare_version(path, version).await;
            }
        }
        for folder in ["", "a/", "none/"] {
            let ask = Ask::new(Verb::List, format!("metadata/{folder}"));
            let listed = match self.mount.run(&ask).await {
                Ok(reply) => data(&reply)["keys"].clone(),
                Err(Fault::NotFound) => json!([]),
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(
                listed,
                json!(self.model.names(folder)),
                "names below `{folder}`"
            );
        }
        assert_eq!(
            self.mount.keys().await,
            self.model.keys(self.is_configured),
            "nothing is left over, nothing is missing"
        );
    }

    async fn compare_metadata(&self, path: &str) {
        let ask = Ask::new(Verb::Read, format!("metadata/{path}"));
        let read = self.mount.run(&ask).await;
        let Some(secret) = self.model.secrets.get(path) else {
            assert!(matches!(read, Err(Fault::NotFound)), "{path}");
            return;
        };
        let told = data(&read.unwrap());
        let Settings {
            max_versions,
            cas_required,
            ..
        } = secret.settings;
        assert_eq!(told["current_version"], secret.current, "{path}");
        assert_eq!(told["oldest_version"], secret.oldest, "{path}");
        assert_eq!(told["max_versions"], max_versions, "{path}");
        assert_eq!(told["cas_required"], cas_required, "{path}");
        let versions = told["versions"].as_object().unwrap();
        let numbers: Vec<String> = secret.versions.keys().map(u64::to_string).collect();
        assert!(versions.keys().eq(&numbers), "{path}: {versions:?}");
        for (number, version) in &secret.versions {
            let told = &versions[&number.to_string()];
            assert_eq!(told["destroyed"], version.destroyed, "{path} {number}");
            let has_time = told["deletion_time"] != "";
            assert_eq!(has_time, version.deleted.is_some(), "{path} {number}");
        }
    }

    async fn compare_version(&self, path: &str, version: u64) {
        let ask = Ask::new(Verb::Read, format!("data/{path}")).query("version", version);
        let read = self.mount.run(&ask).await;
        let find = |secret: &Secret| {
            let number = if version == 0 {
                secret.current
            } else {
                version
            };
            secret.versions.get(&number).cloned()
        };
        let Some(expected) = self.model.secrets.get(path).and_then(find) else {
            assert!(matches!(read, Err(Fault::NotFound)), "{path} {version}");
            return;
        };
        let reply = read.unwrap();
        let alive = expected.is_alive(self.model.now);
        assert_eq!(reply.standing == Standing::Gone, !alive, "{path} {version}");
        let value = if alive {
            Value::Object(expected.data)
        } else {
            Value::Null
        };
        assert_eq!(data(&reply)["data"], value, "{path} {version}");
    }
}

fn data(reply: &secretum_engine::RawReply) -> Value {
    serde_json::from_str(reply.data.as_ref().unwrap().get()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_is_as_the_map_says(steps in prop::collection::vec(steps::any(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair {
                mount: Mount::kv2(),
                model: Model::default(),
                is_configured: false,
            };
            for step in steps {
                pair.step(step).await;
                pair.compare().await;
            }
        });
    }
}
