//! Limits of what callers may have kept in the tables of the vault: mounts, audit devices, tokens.

use secretum_engine::Fault;
use std::collections::BTreeMap;

/// The longest description of a mount or an audit device, in bytes.
const DESCRIPTION_BYTES_MAX: usize = 4_096;

/// The most options of a mount or an audit device.
const OPTIONS_MAX: usize = 64;

/// The longest name of an option, in bytes.
const OPTION_NAME_BYTES_MAX: usize = 128;

/// The longest value of an option, in bytes.
const OPTION_VALUE_BYTES_MAX: usize = 4_096;

/// The most names in a setting that lists some: keys, headers, accessors.
const NAMES_MAX: usize = 256;

/// The longest of these names, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// The longest life that anything may ask for, in seconds: 100 years, as clients write them
/// (876,000 hours). Later moments could not all be told, nor added up.
const LIFE_SECONDS_MAX: u64 = 876_000 * 3_600;

/// The longest part of what a caller sent that an error repeats, in characters.
const REPEATED_MAX: usize = 64;

/// What a caller sent, as an error repeats it.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(REPEATED_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Refuses a description that is too long.
pub(crate) fn check_description(text: &str) -> Result<(), Fault> {
    check(text.len() <= DESCRIPTION_BYTES_MAX, || {
        format!("`description` has at most {DESCRIPTION_BYTES_MAX} bytes")
    })
}

/// Refuses options that are too many or too long.
pub(crate) fn check_options(options: &BTreeMap<String, String>) -> Result<(), Fault> {
    check(options.len() <= OPTIONS_MAX, || {
        format!("there are at most {OPTIONS_MAX} `options`")
    })?;
    let names_fit = options
        .keys()
        .all(|name| name.len() <= OPTION_NAME_BYTES_MAX);
    check(names_fit, || {
        format!("a name in `options` has at most {OPTION_NAME_BYTES_MAX} bytes")
    })?;
    let values_fit = options
        .values()
        .all(|value| value.len() <= OPTION_VALUE_BYTES_MAX);
    check(values_fit, || {
        format!("a value in `options` has at most {OPTION_VALUE_BYTES_MAX} bytes")
    })
}

/// Refuses a setting with too many names, or with one that is too long.
pub(crate) fn check_names(setting: &str, names: &[String]) -> Result<(), Fault> {
    check(names.len() <= NAMES_MAX, || {
        format!("`{setting}` has at most {NAMES_MAX} names")
    })?;
    check(
        names.iter().all(|name| name.len() <= NAME_BYTES_MAX),
        || format!("a name in `{setting}` has at most {NAME_BYTES_MAX} bytes"),
    )
}

/// Refuses a life that is too long to be counted.
pub(crate) fn check_life(setting: &str, seconds: u64) -> Result<(), Fault> {
    check(seconds <= LIFE_SECONDS_MAX, || {
        format!("`{setting}` is at most {LIFE_SECONDS_MAX} seconds, 100 years")
    })
}

/// Refuses where something does not fit.
pub(crate) fn check(fits: bool, text: impl FnOnce() -> String) -> Result<(), Fault> {
    if fits {
        Ok(())
    } else {
        Err(Fault::invalid(text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_end_at_their_limit() {
        assert!(check_description(&"x".repeat(DESCRIPTION_BYTES_MAX)).is_ok());
        assert!(check_description(&"x".repeat(DESCRIPTION_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn options_end_at_their_limits() {
        let many = |count: usize| -> BTreeMap<String, String> {
            (0..count).map(|n| (n.to_string(), String::new())).collect()
        };
        let one =
            |name: usize, value: usize| BTreeMap::from([("n".repeat(name), "v".repeat(value))]);
        assert!(check_options(&many(OPTIONS_MAX)).is_ok());
        assert!(check_options(&many(OPTIONS_MAX + 1)).is_err());
        let (name, value) = (OPTION_NAME_BYTES_MAX, OPTION_VALUE_BYTES_MAX);
        assert!(check_options(&one(name, value)).is_ok());
        assert!(check_options(&one(name + 1, value)).is_err());
        assert!(check_options(&one(name, value + 1)).is_err());
    }

    #[test]
    fn lists_of_names_end_at_their_limits() {
        let names = |count: usize, bytes: usize| vec!["n".repeat(bytes); count];
        assert!(check_names("list", &names(NAMES_MAX, NAME_BYTES_MAX)).is_ok());
        assert!(check_names("list", &names(NAMES_MAX + 1, 1)).is_err());
        assert!(check_names("list", &names(1, NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn lives_end_at_their_limit() {
        assert!(check_life("ttl", LIFE_SECONDS_MAX).is_ok());
        assert!(check_life("ttl", LIFE_SECONDS_MAX + 1).is_err());
    }
}
