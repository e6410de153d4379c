//! Arguments as Vault's users write them, turned into what clap reads.
//!
//! Vault's flags have one dash (`-format=json`), switches take values (`-detailed=true`), and the
//! argument after a flag that wants a value is its value whatever it looks like (`-id -`). Which is
//! which is asked of the commands themselves, so there is no second list of flags.

use clap::builder::ArgAction;
use clap::{Arg, Command};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Takes the word `help` in front (`help kv get`) for the flag at the end. Behind a command it may be
/// a command of its own, or a path.
pub(crate) fn without_help_word(mut argv: Vec<OsString>) -> Vec<OsString> {
    if argv.get(1).is_some_and(|word| word == "help") {
        argv.remove(1);
        argv.push("-help".into());
    }
    argv
}

/// Turns the arguments of a process into what `command` reads. Arguments that it knows nothing about
/// stay, for clap to name in its error.
pub(crate) fn normalise(command: &Command, argv: Vec<OsString>) -> Vec<OsString> {
    let mut given = argv.into_iter();
    let mut normal: Vec<OsString> = given.next().into_iter().collect();
    let mut current = command;
    while let Some(argument) = given.next() {
        let Some(text) = argument.to_str() else {
            normal.push(with_two_dashes(argument));
            continue;
        };
        if text == "--" {
            normal.push(argument);
            break;
        }
        match Flag::of(text) {
            None => {
                current = current.find_subcommand(text).unwrap_or(current);
                normal.push(argument);
            }
            Some(flag) => normal.extend(flag.normal(current, &mut given)),
        }
    }
    normal.extend(given);
    normal
}

/// The words of the command that was meant, as far as they name one, and that command.
pub(crate) fn meant<'a>(command: &'a Command, argv: &[OsString]) -> (Vec<String>, &'a Command) {
    let mut words = Vec::new();
    let mut current = command;
    for argument in argv.iter().skip(1).filter_map(|argument| argument.to_str()) {
        match current.find_subcommand(argument) {
            Some(found) => {
                words.push(found.get_name().to_owned());
                current = found;
            }
            None if argument.starts_with('-') => {}
            None => break,
        }
    }
    (words, current)
}

/// A flag as it was written: `-name` or `--name=value`.
struct Flag<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

impl<'a> Flag<'a> {
    /// `None` for what is no flag: a word, a lone dash, a negative number.
    fn of(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
        if rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        Some(match rest.split_once('=') {
            Some((name, value)) => Self {
                name,
                value: Some(value),
            },
            None => Self {
                name: rest,
                value: None,
            },
        })
    }

    fn normal(
        &self,
        command: &Command,
        rest: &mut impl Iterator<Item = OsString>,
    ) -> Option<OsString> {
        if matches!(self.name, "h" | "help") {
            return Some("--help".into());
        }
        let long = format!("--{}", self.name);
        let Some(known) = command
            .get_arguments()
            .find(|argument| is_named(argument, self.name))
        else {
            return Some(self.with_value(&long));
        };
        match (known.get_action(), self.value) {
            (ArgAction::SetTrue, Some("1" | "t" | "T" | "true" | "True" | "TRUE")) => {
                Some(long.into())
            }
            (ArgAction::SetTrue, Some("0" | "f" | "F" | "false" | "False" | "FALSE")) => None,
            (_, None) if wants_value(known) => match rest.next() {
                Some(value) => Some(joined(&long, &value)),
                None => Some(long.into()),
            },
            _ => Some(self.with_value(&long)),
        }
    }

    fn with_value(&self, long: &str) -> OsString {
        self.value
            .map_or_else(|| long.into(), |value| format!("{long}={value}").into())
    }
}

/// A flag with a value that is no text, such as the name of a file, as clap reads it. Anything else stays.
fn with_two_dashes(argument: OsString) -> OsString {
    let bytes = argument.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=');
    let name = end.and_then(|end| std::str::from_utf8(bytes.get(..end)?).ok());
    match name.and_then(Flag::of) {
        Some(_) if !bytes.starts_with(b"--") => OsString::from_vec([b"-", bytes].concat()),
        _ => argument,
    }
}

fn joined(long: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(long);
    text.push("=");
    text.push(value);
    text
}

fn is_named(argument: &Arg, name: &str) -> bool {
    argument.get_long() == Some(name)
        || argument
            .get_all_aliases()
            .is_some_and(|aliases| aliases.contains(&name))
}

/// Whether the next argument is this one's value.
fn wants_value(argument: &Arg) -> bool {
    let least = argument
        .get_num_args()
        .map_or(1, |range| range.min_values());
    argument.get_action().takes_values() && least > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// The arguments of one line, as they are and as they become.
    fn normal(line: &str) -> String {
        let mut command = crate::arguments::Arguments::command();
        command.build();
        let argv = line.split(' ').map(OsString::from).collect();
        let normal = normalise(&command, argv);
        normal
            .iter()
            .map(|word| word.to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn single_dashes_become_double() {
        for (given, becomes) in [
            ("x status -format=json", "x status --format=json"),
            ("x status --format json", "x status --format=json"),
            (
                "x kv get -field=a -mount secret b",
                "x kv get --field=a --mount=secret b",
            ),
            ("x write -f a", "x write --f a"),
            ("x write -force a", "x write --force a"),
            ("x kv -help", "x kv --help"),
            ("x -h", "x --help"),
            (
                "x token create -policy a -policy=b -ns n",
                "x token create --policy=a --policy=b --ns=n",
            ),
        ] {
            assert_eq!(normal(given), becomes);
        }
    }

    #[test]
    fn values_that_are_no_text_stay_what_they_are() {
        let mut command = crate::arguments::Arguments::command();
        command.build();
        for (given, becomes) in [
            (&b"-in=b\xff=c"[..], &b"--in=b\xff=c"[..]),
            (b"--in=b\xff", b"--in=b\xff"),
            (b"-\xff=b", b"-\xff=b"),
            (b"-in\xff", b"-in\xff"),
            (b"b\xff=c", b"b\xff=c"),
            (b"-1=\xff", b"-1=\xff"),
        ] {
            let words = [b"x", &b"kms"[..], b"decrypt", given];
            let argv = words.map(|word| OsString::from_vec(word.to_vec())).to_vec();
            let normal = normalise(&command, argv);
            assert_eq!(normal.last().unwrap().as_bytes(), becomes);
        }
    }

    #[test]
    fn what_is_no_flag_stays() {
        for line in [
            "x write secret/a -",
            "x write secret/a k=- n=-1 -1",
            "x kv put secret/a -- -k=v -x",
            "x write secret/a k=-format",
        ] {
            assert_eq!(normal(line), line);
        }
    }

    #[test]
    fn switches_take_values() {
        assert_eq!(
            normal("x secrets list -detailed=true"),
            "x secrets list --detailed"
        );
        assert_eq!(normal("x secrets list -detailed=0"), "x secrets list");
        assert_eq!(
            normal("x secrets list -detailed=perhaps"),
            "x secrets list --detailed=perhaps"
        );
        assert_eq!(
            normal("x token create -renewable=false"),
            "x token create --renewable=false"
        );
        assert_eq!(
            normal("x token create -renewable -id a"),
            "x token create --renewable --id=a"
        );
    }

    #[test]
    fn a_value_may_look_like_a_flag() {
        assert_eq!(
            normal("x token create -display-name -field"),
            "x token create --display-name=-field"
        );
        assert_eq!(normal("x token create -id -"), "x token create --id=-");
    }

    #[test]
    fn unknown_flags_stay_for_the_error() {
        assert_eq!(normal("x kv get -formt=json a"), "x kv get --formt=json a");
        assert_eq!(normal("x status -format"), "x status --format");
    }
}
