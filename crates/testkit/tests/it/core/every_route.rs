//! Every route of the OpenAPI document, asked with generated paths, queries and bodies: as root, by a
//! token without rights, by nobody, and of a sealed vault.
//!
//! `FUZZ_FACTOR` asks for more rounds, `FUZZ_SEED` for those of another seed. What fails names the seed
//! and the request.

mod generate;
mod raw;
mod routes;

use crate::support::vault::{Ask, Vault, ask};
use generate::Dice;
use routes::Route;
use secretum_api::RequestPath;
use secretum_core::{Outcome, Request};
use secretum_engine::{Fault, Verb};
use serde_json::json;
use std::time::Duration;

/// Rounds of a normal run, and its seed.
const ROUNDS: u64 = 4;
const SEED: u64 = 20;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// What ends the vault or the token that the others are asked with: asked last.
const ENDS: [&str; 3] = ["/sys/seal", "/sys/step-down", "/auth/token/revoke-self"];

/// The routes that need no token.
const PUBLIC: [&str; 11] = [
    "Read /sys/health",
    "Read /sys/init",
    "Read /sys/internal/specs/openapi",
    "Read /sys/internal/ui/mounts",
    "Read /sys/internal/ui/mounts/{path}",
    "Read /sys/leader",
    "Read /sys/seal-status",
    "Write /sys/decode-token",
    "Write /sys/init",
    "Write /sys/unseal",
    "Write /sys/wrapping/lookup",
];

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Root,
    /// A token whose one policy grants nothing that is asked for.
    Poor,
    Nobody,
    /// Root, while the vault is sealed.
    OfSealed,
}

fn from_environment(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().expect(name))
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "who repeats a run needs its seed")]
async fn no_route_fails_whatever_it_is_asked_and_by_whom() {
    let seed = from_environment("FUZZ_SEED", SEED);
    let rounds = ROUNDS * from_environment("FUZZ_FACTOR", 1);
    println!("FUZZ_SEED={seed}, {rounds} rounds");
    let mut tally = Tally::default();
    for round in 0..rounds {
        let seed = seed.wrapping_add(round);
        let mut run = Run::new(seed).await;
        for caller in [Caller::Nobody, Caller::Poor, Caller::OfSealed, Caller::Root] {
            run.ask_all(caller, &mut tally).await;
        }
    }
    println!("{tally:?}");
    // What is generated is worth asking: much of it is understood, and much is not.
    assert!(tally.done > rounds * 60, "{tally:?}");
    assert!(tally.refused > rounds * 60, "{tally:?}");
}

/// What anybody may ask without a token.
#[tokio::test]
async fn these_routes_are_public_and_no_others() {
    let vault = Vault::open().await;
    let document = vault.read("sys/internal/specs/openapi").await.unwrap().data;
    let routes = routes::of(&document);
    let public = routes.iter().filter(|route| route.is_public);
    let mut public: Vec<String> = public
        .map(|route| format!("{:?} {}", route.verb, route.path))
        .collect();
    public.sort();
    assert_eq!(public, PUBLIC);
}

/// Every path that does something says what, to who asks for help.
#[tokio::test]
async fn help_tells_of_every_route() {
    let run = Run::new(SEED).await;
    for route in &run.routes {
        let template = route.path.trim_end_matches('/');
        let segments = template.trim_start_matches('/').split('/');
        let segments = segments.map(|segment| match segment.strip_prefix('{') {
            Some(_) => "a1",
            None => segment,
        });
        let path = segments.collect::<Vec<_>>().join("/");
        let help = run.open.ask(Verb::Help, &path).await.expect(&path);
        let text = help.data["help"].as_str().unwrap();
        assert!(text.contains(template), "{path}: {text}");
    }
}

/// How many requests ended how.
#[derive(Debug, Default)]
struct Tally {
    done: u64,
    refused: u64,
    /// Paths that no request can have.
    unasked: u64,
}

/// A round: vaults of its own, and what is asked of them.
struct Run {
    seed: u64,
    dice: Dice,
    open: Vault,
    sealed: Vault,
    poor: String,
    routes: Vec<Route>,
}

impl Run {
    async fn new(seed: u64) -> Self {
        let open = Vault::open().await;
        open.enable("kv1", json!({"type": "kv"})).await;
        let secret = json!({"data": {"x": "y"}});
        open.write("secret/data/a", secret).await.unwrap();
        open.write("kv1/a", json!({"x": "y"})).await.unwrap();
        open.policy("dev", r#"path "nowhere" { capabilities = ["read"] }"#)
            .await;
        let settings = json!({"policies": ["dev"], "no_default_policy": true});
        let poor = open.token_of(&open.root, settings).await.client_token;
        let document = open.read("sys/internal/specs/openapi").await.unwrap().data;
        let mut dice = Dice::new(seed);
        let mut routes = routes::of(&document);
        dice.shuffle(&mut routes);
        routes.sort_by_key(|route| ENDS.contains(&route.path.as_str()));
        assert!(routes.len() > 200, "{} routes", routes.len());
        Self {
            seed,
            dice,
            open,
            sealed: Vault::sealed(1, 1).await,
            poor,
            routes,
        }
    }

    async fn ask_all(&mut self, caller: Caller, tally: &mut Tally) {
        for index in 0..self.routes.len() {
            let Some(request) = self.request(index, caller) else {
                tally.unasked += 1;
                continue;
            };
            let (core, shown) = match caller {
                Caller::OfSealed => (&self.sealed.core, shown(&request)),
                _ => (&self.open.core, shown(&request)),
            };
            let told = format!("seed {}, {caller:?}: {shown}", self.seed);
            let answers_sealed = request.answers_while_sealed();
            let answer = tokio::time::timeout(ANSWER_TIME, core.handle(request));
            let outcome = answer.await.expect(&told).outcome;
            let route = &self.routes[index];
            match outcome {
                Ok(outcome) => {
                    tally.done += 1;
                    route.check_documented(&outcome, &told);
                    check_granted(caller, route, answers_sealed, &outcome, &told);
                }
                Err(fault) => {
                    tally.refused += 1;
                    check_refusal(caller, route, answers_sealed, &fault, &told);
                }
            }
        }
    }

    /// A request of a route; `None` where what was generated is no path.
    fn request(&mut self, index: usize, caller: Caller) -> Option<Request> {
        let Asked { path, query, body } = self.routes[index].generate(&mut self.dice);
        RequestPath::parse(path.as_str()).ok()?;
        let verb = self.routes[index].verb;
        let mut asked = ask(verb, &path);
        for (name, value) in &query {
            asked = asked.query(name, value);
        }
        if let Some(body) = body {
            asked = asked.text(&body);
        }
        let asked = match caller {
            Caller::Root => asked.token(&self.open.root),
            Caller::Poor => asked.token(&self.poor),
            Caller::Nobody => asked,
            Caller::OfSealed => asked.token(&self.sealed.root),
        };
        let Ask { mut request } = asked;
        if self.dice.one_in(16) {
            request.wrap_ttl = Some(secretum_api::fields::Seconds(self.dice.number()));
        }
        Some(request)
    }
}

/// What is asked of a route.
struct Asked {
    path: String,
    query: Vec<(String, String)>,
    body: Option<String>,
}

fn shown(request: &Request) -> String {
    let body = request.body.as_ref().map_or("", |body| body.get());
    let body: String = body.chars().take(2_000).collect();
    let (verb, path, query) = (request.verb, &request.path, &request.query);
    format!("{verb:?} {} {query:?} {body}", path.as_str())
}

/// Only who may gets an answer.
fn check_granted(
    caller: Caller,
    route: &Route,
    answers_sealed: bool,
    outcome: &Outcome,
    told: &str,
) {
    let may = match caller {
        Caller::Root => true,
        Caller::Poor | Caller::Nobody => route.is_public,
        Caller::OfSealed => {
            answers_sealed || (route.verb == Verb::Write && route.path == "/sys/seal")
        }
    };
    assert!(may, "{told}: answered with {:?}", outcome.reply);
}

/// A refusal is a refusal, and tells those who may not nothing else.
fn check_refusal(caller: Caller, route: &Route, answers_sealed: bool, fault: &Fault, told: &str) {
    match fault {
        Fault::Internal(_) | Fault::Unrecorded => panic!("{told}: {fault:?}"),
        Fault::Storage(error) => assert!(error.is_for_callers(), "{told}: {fault:?}"),
        _ => {}
    }
    let expected = match caller {
        Caller::Root => true,
        Caller::Poor | Caller::Nobody => route.is_public || matches!(fault, Fault::Denied),
        Caller::OfSealed => answers_sealed || matches!(fault, Fault::Sealed),
    };
    assert!(expected, "{told}: {fault:?}");
}
