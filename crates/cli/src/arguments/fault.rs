//! What to say of arguments that cannot be meant, with a suggestion where one is near.

use crate::output::console;
use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error;
use std::num::ParseIntError;

/// The exit code of a command that does not exist, as shells have it.
const NO_SUCH_COMMAND: u8 = 127;

/// Says what is wrong, or shows the help that was asked for; gives the exit code. `words` name the
/// command that was meant, and `current` is that command.
pub(crate) fn report(error: &clap::Error, words: &[String], current: &Command) -> u8 {
    let at_root = words.is_empty();
    match error.kind() {
        ErrorKind::DisplayHelp => match console::out(&error.to_string()) {
            Ok(()) => 0,
            Err(failure) => failure.exit_code(),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            console::note(error.to_string().trim_end());
            if at_root { NO_SUCH_COMMAND } else { 1 }
        }
        kind => {
            let command = current.get_bin_name().unwrap_or_default();
            let help = format!("Run `{command} -help` for how to use it.");
            console::failure(&sentence(error, current));
            console::note(&format!("\n{help}"));
            if at_root && kind == ErrorKind::InvalidSubcommand {
                NO_SUCH_COMMAND
            } else {
                1
            }
        }
    }
}

fn sentence(error: &clap::Error, current: &Command) -> String {
    let arguments: Vec<_> = context(error, ContextKind::InvalidArg)
        .iter()
        .map(|name| single_dash(name))
        .collect();
    let argument = arguments.join(", ");
    let value = context(error, ContextKind::InvalidValue).join("");
    match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with('-') => unknown_flag(&argument, current),
        ErrorKind::UnknownArgument => too_many(&argument),
        ErrorKind::InvalidSubcommand => {
            let name = context(error, ContextKind::InvalidSubcommand).join(" ");
            let commands = current
                .get_subcommands()
                .filter(|command| !command.is_hide_set());
            let near = near(
                &name,
                commands.flat_map(Command::get_name_and_visible_aliases),
            );
            let meant = near
                .map(|name| format!(": did you mean {name}?"))
                .unwrap_or_default();
            format!("unknown command `{name}`{meant}")
        }
        ErrorKind::MissingRequiredArgument => {
            let verb = if arguments.len() > 1 { "are" } else { "is" };
            format!("not enough arguments: {argument} {verb} missing")
        }
        ErrorKind::InvalidValue if value.is_empty() => format!("the flag {argument} needs a value"),
        ErrorKind::InvalidValue if argument == "-format" => {
            format!(
                "Invalid output format `{value}`: {}",
                choices(error, &value)
            )
        }
        ErrorKind::InvalidValue => {
            let choices = choices(error, &value);
            format!("`{value}` is not a value for {argument}: {choices}")
        }
        ErrorKind::ValueValidation => {
            let reason = match error.source() {
                Some(source) if source.is::<ParseIntError>() => {
                    "it must be a whole number".to_owned()
                }
                Some(source) => source.to_string(),
                None => String::new(),
            };
            format!("`{value}` is not a value for {argument}: {reason}")
        }
        ErrorKind::TooManyValues if argument.starts_with('-') => {
            format!("the flag {argument} takes no value")
        }
        ErrorKind::TooManyValues => too_many(&value),
        ErrorKind::ArgumentConflict => {
            let other = single_dash(&context(error, ContextKind::PriorArg).join(", "));
            format!("{argument} and {other} exclude each other")
        }
        _ => error
            .to_string()
            .trim_start_matches("error: ")
            .trim_end()
            .to_owned(),
    }
}

fn too_many(argument: &str) -> String {
    format!("too many arguments: `{argument}` is one more than it takes")
}

/// What is said of a flag that the command has not.
fn unknown_flag(argument: &str, current: &Command) -> String {
    let name = argument.trim_start_matches('-');
    if let Some(where_it_stands) = misplaced(name, current) {
        return format!("unknown flag {argument} in this place: {where_it_stands}");
    }
    let flags = current.get_arguments().filter(|flag| !flag.is_hide_set());
    let near = near(name, flags.filter_map(|flag| flag.get_long()));
    let meant = near
        .map(|name| format!(": did you mean -{name}?"))
        .unwrap_or_default();
    format!("unknown flag {argument}{meant}")
}

/// Where a flag stands that clap did not know where it stood, before the command that has it.
fn misplaced(name: &str, current: &Command) -> Option<String> {
    let has = |command: &Command| {
        let mut flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
        flags.any(|flag| flag.get_long() == Some(name))
    };
    let behind = |words: &str| format!("put it behind the command, as in `{words} -{name}`");
    if has(current) {
        return current.get_bin_name().map(behind);
    }
    let mut below: Vec<&Command> = current.get_subcommands().collect();
    while let Some(command) = below.pop() {
        if has(command) {
            return command.get_bin_name().map(behind);
        }
        below.extend(command.get_subcommands());
    }
    None
}

/// The values that may be, and the one that is near.
fn choices(error: &clap::Error, value: &str) -> String {
    let choices = context(error, ContextKind::ValidValue);
    let near = near(value, choices.iter().map(String::as_str));
    let meant = near
        .map(|name| format!("; did you mean {name}?"))
        .unwrap_or_default();
    format!("one of {}{meant}", choices.join(", "))
}

/// The name that is nearest, if it is near: a slip of the finger or two away.
pub(crate) fn near<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distant = |name: &&str| strsim::damerau_levenshtein(given, name);
    let nearest = names.min_by_key(distant)?;
    (distant(&nearest) <= 1 + given.chars().count() / 4).then_some(nearest)
}

/// A flag as Vault's users write it: `-format`, without the placeholder of its value.
fn single_dash(flag: &str) -> String {
    let flag = flag.split([' ', '=']).next().unwrap_or(flag);
    match flag.strip_prefix("--") {
        Some(name) => format!("-{name}"),
        None => flag.to_owned(),
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        Some(ContextValue::Number(number)) => vec![number.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_before_its_command_is_sent_behind_it() {
        use clap::CommandFactory;
        let mut root = crate::arguments::Arguments::command();
        root.build();
        let at = |words: &[&str]| {
            let mut command = &root;
            for word in words {
                command = command.find_subcommand(word).unwrap();
            }
            command
        };
        let get = at(&["kv", "get"]);
        let said = misplaced("format", get).unwrap();
        assert!(said.ends_with("kv get -format`"), "{said}");
        // Where the command is not known, one that has the flag stands for it.
        for words in [&[][..], &["kv"]] {
            let said = misplaced("format", at(words)).unwrap();
            assert!(said.contains("behind the command"), "{said}");
        }
        assert_eq!(misplaced("colour", at(&[])), None);
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["get", "put", "metadata", "format", "no-color"];
        for (given, meant) in [
            ("gett", Some("get")),
            ("gte", Some("get")),
            ("formt", Some("format")),
            ("fooo", None),
            ("x", None),
        ] {
            assert_eq!(near(given, names.into_iter()), meant, "{given}");
        }
    }
}
