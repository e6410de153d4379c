//! Mounts and paths at the tab key, asked of the server.

use super::line::Given;
use crate::arguments::flags::Connection;
use crate::commands::kv::location::Place;
use crate::session::Session;
use secretum_client::{Json, Object};
use std::time::Duration;

/// How long a person waits for the tab key at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most names that are offered.
const OFFERS_MAX: usize = 1_000;

/// Commands whose words are paths of the API.
const RAW: [&str; 6] = ["read", "write", "patch", "delete", "list", "scan"];

/// Paths that may stand at the cursor; none where the server does not say in time.
pub(super) async fn offers(given: &Given) -> Vec<String> {
    let is_kv = given.command.starts_with("kv ") && given.command != "kv enable-versioning";
    // Behind the path stand data.
    let paths = match given.command.as_str() {
        "kv copy" | "kv move" => 2,
        _ => 1,
    };
    let is_path = (is_kv || RAW.contains(&given.command.as_str())) && given.others < paths;
    if !is_path || given.last.starts_with(['-', '@']) {
        return Vec::new();
    }
    let found = tokio::time::timeout(PATIENCE, found(given, is_kv)).await;
    let mut offers = found.ok().flatten().unwrap_or_default();
    offers.retain(|offer| is_plain(offer));
    offers.truncate(OFFERS_MAX);
    offers
}

/// Whether a shell takes a path as it is, and this command takes it for a path. Others are not offered:
/// what a stranger named so could be run, or be a flag, for who completes it.
fn is_plain(path: &str) -> bool {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@:,=%".contains(c);
    path.chars().all(is_plain) && !path.starts_with(['-', '@', '='])
}

async fn found(given: &Given, is_kv: bool) -> Option<Vec<String>> {
    let flag = |name: &str| {
        let flag = given.flags.iter().rfind(|(own, _)| own == name);
        flag.map(|(_, value)| value.clone())
    };
    let connection = Connection {
        address: flag("address"),
        agent_address: flag("agent-address"),
        namespace: flag("namespace").or_else(|| flag("ns")),
        ca_cert: flag("ca-cert").map(Into::into),
        non_interactive: true,
        ..Connection::default()
    };
    let session = Session::open(&connection).ok()?.reader();
    let mount = flag("mount").filter(|_| is_kv);
    let folder = given.last.rfind('/').and_then(|at| given.last.get(..=at));
    let Some(folder) = folder.or(mount.as_ref().map(|_| "")) else {
        return mounts(&session, is_kv).await;
    };
    let asked = if is_kv {
        let place = Place::new(folder.to_owned(), mount);
        place.find_any(&session).await.ok()?.api_path("metadata")
    } else {
        folder.to_owned()
    };
    let listed = session.client.list(&asked).await.ok()??;
    let names = listed.keys()?;
    Some(names.iter().map(|name| format!("{folder}{name}")).collect())
}

/// What is mounted, as far as the token may see it.
async fn mounts(session: &Session, is_kv: bool) -> Option<Vec<String>> {
    let visible = session.client.read("sys/internal/ui/mounts").await.ok()??;
    let kind = |facts: &Json| facts.get("type").and_then(Json::as_str).map(str::to_owned);
    let secret = visible.data.get("secret").and_then(Json::as_object);
    let secret = secret.into_iter().flat_map(Object::iter);
    let wanted = secret.filter(|(_, facts)| !is_kv || kind(facts).is_some_and(|kind| kind == "kv"));
    Some(wanted.map(|(path, _)| path.to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_run_is_not_offered() {
        for path in ["app/db", "a.b-c_d+e@f:g,h=i%20", "größe/ñ"] {
            assert!(is_plain(path), "{path}");
        }
        for path in [
            "a$(id)", "a`id`", "a;id", "a b", "a*", "a?", "a|b", "a&", "~a", "a'b", "a\"b", "a\\b",
            "a\nb", "!a", "a>b", "{a,b}", "#a",
        ] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
