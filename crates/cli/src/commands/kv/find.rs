//! `kv find`: secrets by their names, or by the names of their keys.

use super::location::{Location, Place};
use super::tree::AT_ONCE;
use crate::arguments::flags::Connection;
use crate::commands::generic::nothing_at;
use crate::failure::{During, Failure};
use crate::output::rights::Right;
use crate::output::{console, structured};
use crate::session::Session;
use clap::Args;
use futures::StreamExt;
use secretum_client::{Json, Object};

/// Finds secrets below a path by their names
///
/// A name with * or ? must match whole, any other text anywhere in it; capitals do not count. With
/// -keys the names of the keys in each secret count instead; values are not shown.
///
///   kv find -name=database secret/
///   kv find -name='*_token' -keys -mount=secret
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Find {
    #[command(flatten)]
    place: Place,
    /// What to look for
    #[arg(long, value_name = "PATTERN")]
    name: String,
    /// Look for keys in the secrets, which reads the shape of each of them
    #[arg(long)]
    keys: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A secret that was found, and the keys that were looked for.
struct Found {
    path: String,
    keys: Vec<String>,
}

impl Find {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let location = self.place.find_any(&session).await?;
        if session.shows_policy {
            return Err(Failure::Rights(rights(&location, self.keys)));
        }
        let pattern = Pattern::new(&self.name);
        let paths = below(&session, &location).await?;
        let found = if self.keys {
            with_keys(&session, &location, paths, &pattern).await?
        } else {
            let named = paths.into_iter().filter(|path| pattern.matches(last(path)));
            let found = named.map(|path| Found {
                path,
                keys: Vec::new(),
            });
            found.collect()
        };
        show(&found, &session, self.keys)
    }
}

/// What the server asks for.
fn rights(location: &Location, keys: bool) -> Vec<Right> {
    let folder = |area: &str| format!("{}/", location.api_path(area).trim_end_matches('/'));
    let mut rights = vec![Right::new(folder("metadata"), &["scan"])];
    if keys {
        rights.push(Right::new(format!("{}*", folder("subkeys")), &["read"]));
    }
    rights
}

/// Paths of all secrets below a location, the location's own path before them.
pub(super) async fn below(session: &Session, location: &Location) -> Result<Vec<String>, Failure> {
    let path = location.api_path("metadata");
    let found = session.client.scan(&path).await;
    let found = found.during(|| format!("scanning {path}"))?;
    let found = found.ok_or_else(|| nothing_at(&path))?;
    let keys = found.keys().ok_or_else(|| nothing_at(&path))?;
    let folder = match location.path.as_str() {
        "" => String::new(),
        path => format!("{path}/"),
    };
    let secrets = keys.iter().filter(|key| !key.ends_with('/'));
    Ok(secrets.map(|key| format!("{folder}{key}")).collect())
}

/// The secrets in which a key matches. Those that may not be read are counted and left out.
async fn with_keys(
    session: &Session,
    location: &Location,
    paths: Vec<String>,
    pattern: &Pattern,
) -> Result<Vec<Found>, Failure> {
    let mut found = Vec::new();
    let (mut refused, all) = (0_usize, paths.len());
    let shapes = futures::stream::iter(paths).map(|path| async move {
        let shape = shape(session, location, &path).await;
        (path, shape)
    });
    // In their order, whichever is answered first.
    let mut shapes = shapes.buffered(AT_ONCE);
    while let Some((path, shape)) = shapes.next().await {
        let shape = match shape? {
            Shape::Known(shape) => shape,
            Shape::Gone => continue,
            Shape::Refused => {
                refused += 1;
                continue;
            }
        };
        let mut keys = Vec::new();
        collect(&shape, "", pattern, &mut keys);
        if !keys.is_empty() {
            found.push(Found { path, keys });
        }
    }
    if refused > 0 {
        console::note(&format!(
            "{refused} of {all} secrets may not be read, and were left out"
        ));
    }
    Ok(found)
}

/// What the server says of the keys of a secret.
enum Shape {
    Known(Json),
    /// It was deleted, or went meanwhile.
    Gone,
    Refused,
}

async fn shape(session: &Session, location: &Location, path: &str) -> Result<Shape, Failure> {
    let at = location.at(path);
    // Version 1 has no way to ask for the keys alone.
    let asked = at.api_path("subkeys");
    match session.client.read(&asked).await {
        Ok(Some(found)) if location.version == 2 => {
            let keys = found.data.get("subkeys").filter(|keys| !keys.is_null());
            Ok(keys.cloned().map_or(Shape::Gone, Shape::Known))
        }
        Ok(Some(found)) => Ok(Shape::Known(found.data)),
        Ok(None) => Ok(Shape::Gone),
        Err(error) if error.status() == Some(403) => Ok(Shape::Refused),
        Err(error) => Err(error).during(|| format!("reading {asked}")),
    }
}

/// The keys of an object that match, at any depth, as paths with dots.
fn collect(shape: &Json, above: &str, pattern: &Pattern, into: &mut Vec<String>) {
    let Some(object) = shape.as_object() else {
        return;
    };
    for (key, value) in object.iter() {
        let path = format!("{above}{key}");
        if pattern.matches(key) {
            into.push(path.clone());
        }
        collect(value, &format!("{path}."), pattern, into);
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn show(found: &[Found], session: &Session, keys: bool) -> Result<(), Failure> {
    if session.style.is_table() {
        for Found { path, keys } in found {
            let line = match keys.as_slice() {
                [] => path.clone(),
                keys => format!("{path}: {}", keys.join(", ")),
            };
            console::line(&line)?;
        }
    } else {
        let told: Json = if keys {
            let each = found
                .iter()
                .map(|found| (found.path.as_str(), found.keys.clone()));
            each.collect::<Object>().into()
        } else {
            let paths: Vec<&str> = found.iter().map(|found| found.path.as_str()).collect();
            paths.into()
        };
        structured(&told, session.style.format)?;
    }
    if found.is_empty() {
        return Err(Failure::Missing("nothing was found".to_owned()));
    }
    Ok(())
}

/// What to look for: a text, or a form with `*` for any characters and `?` for one.
struct Pattern {
    text: Vec<char>,
    is_form: bool,
}

impl Pattern {
    fn new(text: &str) -> Self {
        Self {
            text: text.to_lowercase().chars().collect(),
            is_form: text.contains(['*', '?']),
        }
    }

    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.to_lowercase().chars().collect();
        if self.is_form {
            return fits(&self.text, &name);
        }
        let length = self.text.len();
        length == 0 || name.windows(length).any(|part| part == self.text)
    }
}

/// Whether a name has this form. A `*` that stood for too little takes one more, so the time grows with
/// the product of the lengths at most.
fn fits(form: &[char], name: &[char]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(next) = name.get(here) {
        match form.get(at) {
            Some('*') => {
                retry = Some((at + 1, here));
                at += 1;
            }
            Some(c) if *c == '?' || c == next => (at, here) = (at + 1, here + 1),
            _ => match retry {
                Some((behind, taken)) => {
                    (at, here) = (behind, taken + 1);
                    retry = Some((behind, taken + 1));
                }
                None => return false,
            },
        }
    }
    form.iter().skip(at).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_matches_whole_and_a_text_anywhere() {
        for (pattern, name, expected) in [
            ("base", "Database", true),
            ("base", "bas", false),
            ("", "any", true),
            ("*_token", "API_TOKEN", true),
            ("*_token", "api_token_old", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("?", "", false),
            ("é*", "Éa", true),
        ] {
            let matches = Pattern::new(pattern).matches(name);
            assert_eq!(matches, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_bad_form_ends_soon() {
        let (form, name) = ("a*".repeat(200) + "b", "a".repeat(5_000));
        assert!(!Pattern::new(&form).matches(&name));
    }

    #[test]
    fn keys_are_found_at_every_depth() {
        let shape = Json::parse(r#"{"a":{"token":null,"b":{"my_token":null}},"token":null}"#);
        let mut keys = Vec::new();
        collect(&shape.unwrap(), "", &Pattern::new("token"), &mut keys);
        assert_eq!(keys, ["a.token", "a.b.my_token", "token"]);
    }
}
