//! `${VAR}`, `${VAR:-default}` and `~/` in texts.

use super::Environment;
use std::path::PathBuf;

/// Puts variables in their places. What they hold is not looked at again.
pub(super) fn variables(text: &str, environment: &Environment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        out.push_str(before);
        let end = behind.split_once('}');
        let (inside, after) =
            end.ok_or("a `${` is not closed; write ${VAR} or ${VAR:-default}".to_owned())?;
        out.push_str(&value(inside, environment)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(inside: &str, environment: &Environment) -> Result<String, String> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let is_name = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name {
        return Err(
            "what stands in `${}` is no name of a variable; write ${VAR} or ${VAR:-default}"
                .to_owned(),
        );
    }
    let value = environment.get(name).or(default.map(str::to_owned));
    value.ok_or_else(|| {
        format!(
            "the environment variable `{name}` is not set; set it, or write ${{{name}:-default}}"
        )
    })
}

/// Puts the home folder in the place of a leading `~/`.
pub(super) fn path(text: &str, environment: &Environment) -> Result<PathBuf, String> {
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(PathBuf::from(text));
    };
    let home = environment
        .get("HOME")
        .ok_or("`~` stands for the home folder, and HOME is not set; write the whole path")?;
    match rest.strip_prefix('/') {
        Some(rest) => Ok(PathBuf::from(home).join(rest)),
        None if rest.is_empty() => Ok(PathBuf::from(home)),
        None => Err("`~name` is not known here; write the whole path".to_owned()),
    }
}
