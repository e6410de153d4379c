//! How long one decision takes, in process: HCL and Cedar together.
//!
//! `cargo run --release -p secretum-policy --example authorize`
//!
//! There are 10, 100 and 1,000 Cedar policies in force, of which ten match by their heads and none is
//! satisfied but the last, so that every one of the ten is evaluated. The token carries 1, 5 and 20 HCL
//! policies, which do not permit the request. Each row is of 20,000 decisions.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program to be read at the terminal, which ends where it cannot go on"
)]

use secretum_crypto::Timestamp;
use secretum_policy::cedar::{
    Action, Ask, Caller, Cedar, Circumstances, Document, Resource, Verdict, Wanted,
};
use secretum_policy::{AccessRequest, Acl, Operation, Policy};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// That of the server.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const DECISIONS: usize = 20_000;
const MATCHING: usize = 10;
const PATH: &str = "secret/data/team/app/db";

fn main() {
    println!("Cedar policies | HCL policies on the token |  p50 µs |  p99 µs");
    println!("---------------|---------------------------|---------|--------");
    for in_force in [0, 10, 100, 1_000] {
        for carried in [1, 5, 20] {
            let mut times = measure(in_force, carried);
            times.sort_unstable();
            let at = |percent: usize| times.get(times.len() * percent / 100).copied();
            let micros = |percent| at(percent).unwrap_or_default().as_secs_f64() * 1e6;
            let (p50, p99) = (micros(50), micros(99));
            println!("{in_force:>14} | {carried:>25} | {p50:>7.1} | {p99:>7.1}");
        }
    }
}

/// Ten that match by their heads, of which the last by name is satisfied, and others.
fn cedar(in_force: usize) -> Cedar {
    let cedar = Cedar::default();
    for at in 0..in_force {
        let head = match at {
            at if at < MATCHING => "principal in Role::\"role-0\", action == Action::\"read\", \
                                    resource in Secret::\"secret/team/app\""
                .to_owned(),
            at if at % 3 == 0 => {
                format!("principal in Role::\"other-{at}\", action, resource")
            }
            at if at % 3 == 1 => format!(
                "principal in Role::\"role-0\", action == Action::\"read\", resource in Secret::\"secret/{at}\""
            ),
            at => format!(
                "principal in Role::\"role-{}\", action == Action::\"delete\", resource in Secret::\"secret/team\"",
                at % 20
            ),
        };
        let condition = match at {
            9 => "context.ttl <= duration(\"1h\")",
            at if at % 2 == 0 => "context.mfa",
            _ => "context.ip.isInRange(ip(\"10.0.0.0/8\")) && resource.engine == \"kv\"",
        };
        let text = format!("permit ({head}) when {{ {condition} }};");
        let name = format!("policy-{at:04}");
        cedar.put(Document::read(&name, &text).unwrap());
    }
    cedar
}

fn hcl(carried: usize) -> Acl {
    let policies: Vec<_> = (0..carried)
        .map(|at| {
            let text: String = (0..10)
                .map(|n| format!("path \"kv/data/{at}/{n}/*\" {{ capabilities = [\"read\"] }}\n"))
                .collect();
            Arc::new(Policy::parse(&format!("role-{at}"), &text).unwrap())
        })
        .collect();
    Acl::new(&policies)
}

fn measure(in_force: usize, carried: usize) -> Vec<Duration> {
    let (cedar, acl) = (cedar(in_force), hcl(carried));
    let roles: Vec<String> = (0..carried).map(|at| format!("role-{at}")).collect();
    let caller = Caller::new(None, "accessor", &roles, &[]).unwrap();
    let action = Action::named("read").unwrap();
    let permitted = |verdict: &Verdict| matches!(verdict, Verdict::Permitted(_));
    assert_eq!(
        permitted(&decide(&cedar, &acl, &caller, action)),
        in_force > 0
    );
    (0..DECISIONS)
        .map(|_| {
            let start = Instant::now();
            black_box(decide(&cedar, &acl, &caller, action));
            start.elapsed()
        })
        .collect()
}

/// What the pipeline does for a request.
fn decide(cedar: &Cedar, acl: &Acl, caller: &Caller, action: Action) -> Verdict {
    let hcl = acl.decide(&AccessRequest {
        path: PATH,
        operation: Operation::Read,
        parameters: None,
        wrap_ttl: None,
    });
    if cedar.is_empty() || hcl.forbids() {
        return Verdict::Silent;
    }
    let ask = Ask {
        caller,
        action,
        resource: &Resource::new("secret/", "team/app/db", PATH, "kv"),
        around: Circumstances {
            ttl: Duration::from_secs(3_600),
            time: Timestamp::from_unix_seconds(1_800_000_000),
            ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            mfa: false,
            wrap_ttl: Duration::ZERO,
            parameters: None,
        },
    };
    let wanted = if hcl.allowed {
        Wanted::Forbids
    } else {
        Wanted::Both
    };
    cedar.decide(&ask, wanted).unwrap_or(Verdict::Silent)
}
