//! `completion`: what the shell offers at the tab key.
//!
//! The shells get a few lines each, which ask this binary with the line as it stands; so there is no
//! second list of commands and flags, and mounts and paths come from the server.

mod install;
mod line;
mod paths;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::console;
use crate::persona::Persona;
use clap::{Args, CommandFactory, ValueEnum};
use line::Line;
use secretum_client::Environment;
use std::io::{BufReader, Read};

/// The longest line that is completed, in bytes.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// Bash takes what stands behind one of these for a word of its own.
const BASH_BREAKS: [char; 3] = ['=', ':', '@'];

/// Prints what makes a shell complete commands, flags, mounts and paths
///
///   source <(secretum completion bash)
///   secretum completion fish >~/.config/fish/completions/secretum.fish
///
/// -install writes that into the start-up files of the shells that are there, once however often it
/// is called, and -uninstall takes it out again; without a command these are called
/// -autocomplete-install and -autocomplete-uninstall.
#[derive(Default, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_enum, required_unless_present_any = ["install", "uninstall", "line"])]
    shell: Option<Shell>,
    /// Write it into the start-up files of the shells
    #[arg(long, conflicts_with_all = ["uninstall", "shell"])]
    install: bool,
    /// Take it out of these files
    #[arg(long, conflicts_with = "shell")]
    uninstall: bool,
    /// Print what may stand at the end of this line; `-` reads it from the standard input, since other
    /// users see what a command was called with
    #[arg(long, hide = true, value_name = "LINE", conflicts_with_all = ["install", "uninstall"])]
    line: Option<String>,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish.
    Fish,
}

/// What Vault's users write without a command.
pub(crate) fn asked_as_vault(argument: Option<&str>) -> Option<Completion> {
    let name = argument?.trim_start_matches('-');
    let is_flag = argument?.starts_with('-');
    let (install, uninstall) = (
        name == "autocomplete-install",
        name == "autocomplete-uninstall",
    );
    (is_flag && (install || uninstall)).then(|| Completion {
        install,
        uninstall,
        ..Completion::default()
    })
}

impl Completion {
    pub(crate) async fn run(self, persona: Persona) -> Result<(), Failure> {
        if let Some(line) = self.line {
            let line = if line == "-" { read_line() } else { line };
            return offer(&line, self.shell).await;
        }
        let environment = Environment::process();
        match self.shell {
            _ if self.install => install::install(persona, &environment),
            _ if self.uninstall => install::uninstall(persona, &environment),
            Some(shell) => console::out(&script(shell, persona.name(), persona.name())),
            None => Ok(()),
        }
    }
}

/// What is typed so far; empty where that cannot be read.
fn read_line() -> String {
    let mut line = String::new();
    let input = std::io::stdin().lock().take(LINE_BYTES_MAX);
    if BufReader::new(input).read_to_string(&mut line).is_err() {
        return String::new();
    }
    // Fish ends what is typed with one, which is no blank behind the last word.
    if line.ends_with('\n') {
        line.pop();
    }
    line
}

/// Prints what may stand at the end of a line, each on a line of its own. Whatever goes wrong, there
/// is nothing to offer then, and nothing else is said.
async fn offer(line: &str, shell: Option<Shell>) -> Result<(), Failure> {
    let mut command = Arguments::command();
    command.build();
    let line = Line::of(line);
    let mut offers = line.offers(&command);
    if offers.is_empty() {
        offers = paths::offers(&line.given(&command)).await;
    }
    offers.retain(|offer| offer.starts_with(&line.last) && !offer.contains(char::is_control));
    offers.sort_unstable();
    offers.dedup();
    let hidden = match (shell, line.last.rfind(BASH_BREAKS)) {
        (Some(Shell::Bash), Some(at)) => at + 1,
        _ => 0,
    };
    let lines = offers.iter().filter_map(|offer| offer.get(hidden..));
    console::out(&lines.map(|line| format!("{line}\n")).collect::<String>())
}

/// What a shell reads: `name` is completed by asking `binary`.
fn script(shell: Shell, name: &str, binary: &str) -> String {
    let text = match shell {
        Shell::Bash => {
            r#"_NAME_complete() {
  local IFS=$'\n'
  COMPREPLY=($(printf %s "${COMP_LINE:0:$COMP_POINT}" | BINARY completion bash -line=- 2>/dev/null))
}
complete -o nospace -F _NAME_complete NAME
"#
        }
        Shell::Zsh => {
            r#"#compdef NAME
_NAME_complete() {
  local -a offers
  offers=("${(@f)$(printf %s "${(j: :)words[1,CURRENT]}" | BINARY completion zsh -line=- 2>/dev/null)}")
  offers=(${offers:#})
  compadd -Q -S '' -- $offers
}
(( $+functions[compdef] )) || { autoload -U compinit && compinit }
compdef _NAME_complete NAME
"#
        }
        Shell::Fish => {
            r#"function _NAME_complete
  commandline -cp | BINARY completion fish -line=- 2>/dev/null
end
complete -c NAME -f -a '(_NAME_complete)'
"#
        }
    };
    text.replace("NAME", name).replace("BINARY", binary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vaults_flags_are_known_without_a_command() {
        for (argument, expected) in [
            ("-autocomplete-install", Some((true, false))),
            ("--autocomplete-uninstall", Some((false, true))),
            ("autocomplete-install", None),
            ("-version", None),
        ] {
            let asked = asked_as_vault(Some(argument));
            let asked = asked.map(|completion| (completion.install, completion.uninstall));
            assert_eq!(asked, expected, "{argument}");
        }
    }

    #[test]
    fn every_shell_asks_the_binary_by_its_place() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = script(shell, "vault", "'/opt/my bin/vault'");
            assert!(text.contains("'/opt/my bin/vault' completion "), "{text}");
            assert!(!text.contains("NAME") && !text.contains("BINARY"), "{text}");
        }
    }
}
