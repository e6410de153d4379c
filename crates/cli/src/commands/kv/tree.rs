//! A tree of secrets as a file: what `kv export` writes and `kv import` reads.
//!
//! **Shape**: `{"format": "secretum-kv-1", "mount", "secrets": {"<path below the mount>": {"data",
//! "custom_metadata"?, "expire_time"?}}}`. Also read are one secret as a JSON object, and one as a dotenv file.

use super::get;
use super::location::Location;
use crate::failure::Failure;
use crate::session::Session;
use secretum_client::{Json, Object};
use secretum_crypto::{Clock as _, SystemClock, Timestamp};

/// What the first field of an exported tree says.
const FORMAT: &str = "secretum-kv-1";

/// How many requests are under way at once.
pub(super) const AT_ONCE: usize = 8;

/// The most bytes of a tree: what is written can be read again.
pub(super) const TREE_BYTES_MAX: usize = 64 << 20;

/// The exit code of what was interrupted, as shells have it.
pub(super) const INTERRUPTED: u8 = 130;

/// A secret of a tree.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// Its path below the mount.
    pub(super) path: String,
    pub(super) data: Object,
    pub(super) custom: Option<Json>,
    /// When it ends, where it has a time to live.
    pub(super) expires: Option<Timestamp>,
}

impl Entry {
    /// The time to live that is left of it: at least a second; `None` where it has no end.
    pub(super) fn ttl(&self) -> Option<String> {
        self.expires.map(ttl_until)
    }

    /// Whether its end is over.
    pub(super) fn is_over(&self) -> bool {
        self.expires.is_some_and(|end| end <= SystemClock.now())
    }
}

/// The time to live of what ends then: at least a second.
pub(super) fn ttl_until(end: Timestamp) -> String {
    let left = end.since(SystemClock.now());
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    format!("{}s", seconds.max(1))
}

/// When a version ends, by its metadata.
pub(super) fn expires(metadata: Option<&Json>) -> Option<Timestamp> {
    let end = metadata?.get("expire_time")?.as_str()?;
    Timestamp::parse_rfc3339(end).ok()
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(super) enum Input {
    /// Whichever it looks like.
    #[default]
    Auto,
    /// What kv export wrote.
    Export,
    /// One secret, as a JSON object.
    Json,
    /// One secret, as lines of NAME=value.
    Dotenv,
}

/// A secret as it is on the server.
pub(super) struct Current {
    /// The newest version; 0 where there is none, or the engine has no versions.
    pub(super) version: u64,
    /// What it holds; `None` where it is deleted or never was.
    pub(super) entry: Option<Entry>,
    /// Its custom metadata, which a deleted one may have, too.
    pub(super) custom: Option<Json>,
}

/// Reads the newest version of a secret.
pub(super) async fn current(
    session: &Session,
    location: &Location,
    path: &str,
) -> Result<Current, Failure> {
    let at = location.at(path);
    let Some(found) = get::read(session, &at, 0).await? else {
        return Ok(Current {
            version: 0,
            entry: None,
            custom: None,
        });
    };
    let metadata = found.data.get("metadata");
    let entry = |data: &Object, custom: Option<&Json>| Entry {
        path: path.to_owned(),
        data: data.clone(),
        custom: custom.filter(|custom| !custom.is_null()).cloned(),
        expires: expires(metadata).filter(|_| location.version == 2),
    };
    if location.version != 2 {
        return Ok(Current {
            version: 0,
            entry: found.data.as_object().map(|data| entry(data, None)),
            custom: None,
        });
    }
    let of = |name: &str| metadata.and_then(|metadata| metadata.get(name));
    let data = found.data.get("data").and_then(Json::as_object);
    let custom = of("custom_metadata");
    Ok(Current {
        version: of("version").and_then(Json::as_u64).unwrap_or(0),
        entry: data.map(|data| entry(data, custom)),
        custom: custom.filter(|custom| !custom.is_null()).cloned(),
    })
}

/// The file of a tree.
pub(super) fn document(mount: &str, mut entries: Vec<Entry>) -> Json {
    entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    let secrets = entries.into_iter().map(|entry| {
        let mut secret = Object::new();
        secret.insert("data", entry.data);
        if let Some(custom) = entry.custom {
            secret.insert("custom_metadata", custom);
        }
        if let Some(end) = entry.expires {
            secret.insert("expire_time", end.to_rfc3339());
        }
        (entry.path, secret)
    });
    let mut all = Object::new();
    all.insert("format", FORMAT);
    all.insert("mount", mount);
    all.insert("secrets", secrets.collect::<Object>());
    all.into()
}

/// Reads a file; `path` is what its secrets go below, or the place of its one secret.
///
/// **Errors**: what cannot be read, and where; never a value.
pub(super) fn parse(text: &str, input: Input, path: &str) -> Result<Vec<Entry>, Failure> {
    let json = || {
        Json::parse(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Failure::local(format!("the file is no JSON: line {line}, column {column}"))
        })
    };
    let looks_like_json = text.trim_start().starts_with('{');
    let is_tree = |json: &Json| json.get("format").and_then(Json::as_str) == Some(FORMAT);
    match input {
        Input::Export => tree(&json()?, path),
        Input::Json => one(object(json()?)?, path),
        Input::Dotenv => one(dotenv(text)?, path),
        Input::Auto if !looks_like_json => one(dotenv(text)?, path),
        Input::Auto => match json()? {
            tree_like if is_tree(&tree_like) => tree(&tree_like, path),
            json => one(object(json)?, path),
        },
    }
}

fn object(json: Json) -> Result<Object, Failure> {
    match json {
        Json::Object(object) => Ok(object),
        _ => Err(Failure::local("the file must hold a JSON object")),
    }
}

fn one(data: Object, path: &str) -> Result<Vec<Entry>, Failure> {
    if path.is_empty() {
        return Err(Failure::local(
            "the file holds one secret: name the path where it goes",
        ));
    }
    Ok(vec![Entry {
        path: path.to_owned(),
        data,
        custom: None,
        expires: None,
    }])
}

fn tree(json: &Json, below: &str) -> Result<Vec<Entry>, Failure> {
    let format = json.get("format").and_then(Json::as_str);
    if format != Some(FORMAT) {
        return Err(Failure::local(format!(
            "the file is not what `kv export` writes: its `format` is not `{FORMAT}`"
        )));
    }
    let secrets = json.get("secrets").and_then(Json::as_object);
    let secrets = secrets.ok_or_else(|| Failure::local("the file has no object `secrets`"))?;
    let entry = |(path, secret): (&str, &Json)| {
        let data = secret.get("data").and_then(Json::as_object);
        let data = data.ok_or_else(|| {
            Failure::local(format!(
                "the secret `{path}` of the file has no object `data`"
            ))
        })?;
        if path.trim_matches('/') != path || path.is_empty() {
            return Err(Failure::local(format!(
                "`{path}` in the file is no path of a secret"
            )));
        }
        let custom = secret.get("custom_metadata");
        let custom = custom.filter(|custom| !custom.is_null());
        let is_text = |(_, value): (&str, &Json)| value.as_str().is_some();
        let pairs = custom.map(|custom| custom.as_object().map(|pairs| pairs.iter().all(is_text)));
        if pairs.is_some_and(|all_text| all_text != Some(true)) {
            return Err(Failure::local(format!(
                "`custom_metadata` of the secret `{path}` of the file is no object of texts"
            )));
        }
        let end = secret.get("expire_time").filter(|end| !end.is_null());
        let end = end.map(|end| {
            end.as_str()
                .and_then(|end| Timestamp::parse_rfc3339(end).ok())
        });
        if end == Some(None) {
            return Err(Failure::local(format!(
                "`expire_time` of the secret `{path}` of the file is no time in RFC 3339"
            )));
        }
        Ok(Entry {
            path: match below {
                "" => path.to_owned(),
                below => format!("{below}/{path}"),
            },
            data: data.clone(),
            custom: custom.cloned(),
            expires: end.flatten(),
        })
    };
    secrets.iter().map(entry).collect()
}

/// Lines of `NAME=value`: blank lines and those that begin with `#` are skipped, `export` may stand
/// before a name, values may be quoted. A value ends with its line.
fn dotenv(text: &str) -> Result<Object, Failure> {
    let mut data = Object::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let refuse =
            |what: &str| Failure::local(format!("line {} of the file: {what}", number + 1));
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| refuse("it is not written as NAME=value"))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(refuse("the name is empty, or has a blank in it"));
        }
        let value =
            dotenv_value(value.trim()).ok_or_else(|| refuse("a quotation mark is missing"))?;
        data.insert(name, value);
    }
    if data.is_empty() {
        return Err(Failure::local("there is nothing in the file"));
    }
    Ok(data)
}

/// `None` where a quotation mark is missing, or something stands behind the last.
fn dotenv_value(text: &str) -> Option<String> {
    let comment = |rest: &str| rest.trim_start().is_empty() || rest.trim_start().starts_with('#');
    if let Some(rest) = text.strip_prefix('\'') {
        let (value, behind) = rest.split_once('\'')?;
        return comment(behind).then(|| value.to_owned());
    }
    let Some(rest) = text.strip_prefix('"') else {
        let end = text.find(" #").unwrap_or(text.len());
        return text.get(..end).map(|value| value.trim_end().to_owned());
    };
    let (mut value, mut chars) = (String::new(), rest.chars());
    loop {
        match chars.next()? {
            '"' => return comment(chars.as_str()).then_some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, input: Input, path: &str) -> Result<Vec<Entry>, String> {
        parse(text, input, path).map_err(|failure| failure.to_string())
    }

    #[test]
    fn what_is_written_is_read_again() {
        let entry = |path: &str, custom: Option<&str>| Entry {
            path: path.to_owned(),
            data: match Json::parse(r#"{"n":1.10,"big":12345678901234567890123}"#).unwrap() {
                Json::Object(data) => data,
                _ => Object::new(),
            },
            custom: custom.map(|text| Json::parse(text).unwrap()),
            expires: custom.map(|_| Timestamp::parse_rfc3339("2026-11-23T10:00:00Z").unwrap()),
        };
        let entries = vec![entry("a/b", Some(r#"{"owner":"me"}"#)), entry("c", None)];
        let text = document("secret", entries.clone()).to_string();
        assert_eq!(read(&text, Input::Auto, "").unwrap(), entries);
        assert_eq!(read(&text, Input::Export, "x").unwrap()[0].path, "x/a/b");
    }

    #[test]
    fn one_secret_comes_as_json_or_dotenv() {
        let json = read(r#"{"a":{"b":1}}"#, Input::Auto, "x").unwrap();
        assert_eq!(
            Json::from(json[0].data.clone()).to_string(),
            r#"{"a":{"b":1}}"#
        );
        let text = "# all\n\nA=1\nexport B = two words # note\nC='x # y'\nD=\"l\\n\\\"q\\\"\"\nE=\nF=a=b\n";
        let dotenv = read(text, Input::Auto, "x").unwrap();
        assert_eq!(
            Json::from(dotenv[0].data.clone()).to_string(),
            r#"{"A":"1","B":"two words","C":"x # y","D":"l\n\"q\"","E":"","F":"a=b"}"#
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_without_its_value() {
        for (text, input, path, word) in [
            ("{\"a\":hunter2}", Input::Auto, "x", "line 1"),
            ("hunter2", Input::Auto, "x", "line 1"),
            ("A=\"hunter2", Input::Auto, "x", "quotation"),
            ("A='x'hunter2", Input::Dotenv, "x", "quotation"),
            ("A B=hunter2", Input::Auto, "x", "blank"),
            ("", Input::Auto, "x", "nothing"),
            ("{\"a\":\"hunter2\"}", Input::Auto, "", "name the path"),
            ("{\"a\":\"hunter2\"}", Input::Export, "", "kv export"),
            ("[\"hunter2\"]", Input::Json, "x", "object"),
            (
                "{\"format\":\"secretum-kv-1\",\"secrets\":{\"a\":\"hunter2\"}}",
                Input::Auto,
                "",
                "`a`",
            ),
            (
                "{\"format\":\"secretum-kv-1\",\"secrets\":{\"/a\":{\"data\":{}}}}",
                Input::Auto,
                "",
                "`/a`",
            ),
            ("{\"format\":\"secretum-kv-1\"}", Input::Auto, "", "secrets"),
            (
                "{\"format\":\"secretum-kv-1\",\"secrets\":{\"a\":{\"data\":{},\"expire_time\":\"hunter2\"}}}",
                Input::Auto,
                "",
                "RFC 3339",
            ),
        ] {
            let told = read(text, input, path).unwrap_err();
            assert!(
                told.contains(word) && !told.contains("hunter2"),
                "{text}: {told}"
            );
        }
    }
}
