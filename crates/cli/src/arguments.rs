//! What the user typed: the commands and their flags, in the way that Vault's users write them.

pub(crate) mod data;
pub(crate) mod fault;
pub(crate) mod flags;
pub(crate) mod normal;
pub(crate) mod pgp_key;

use crate::commands::{
    audit, auth, completion, generic, kms, kv, lease, login, operator, path_help, policy, print,
    secrets, server, status, token, unwrap, version_history,
};
use clap::{ArgAction, Parser, Subcommand};

/// SecretumVault: a secrets manager that speaks Vault's API.
#[derive(Parser)]
#[command(
    args_override_self = true,
    disable_version_flag = true,
    disable_help_flag = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Flags are written with one dash or two, behind the command, before or\n                  after its other arguments.\n\
                  A command shows its flags with -help."
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Shows this help
    #[arg(id = "help", short = 'h', long = "help", global = true, action = ArgAction::HelpLong)]
    _help: Option<bool>,
}

/// Every command.
#[derive(Subcommand)]
pub(crate) enum Command {
    Read(generic::Read),
    Write(generic::Write),
    Patch(generic::Patch),
    Delete(generic::Delete),
    List(generic::List),
    Scan(generic::Scan),
    Login(login::Login),
    Status(status::Status),
    Server(server::Server),
    #[command(hide = true)]
    BenchFloor(crate::serving::Floor),
    Unwrap(unwrap::Unwrap),
    /// Works with key-value secrets
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Kv(kv::Command),
    /// Encrypts, decrypts and makes data keys, without a vault
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Kms(kms::Command),
    /// Works with leases
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Lease(lease::Command),
    /// Works with tokens
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Token(token::Command),
    /// Works with policies
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Policy(policy::Command),
    /// Works with secret engines
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Secrets(secrets::Command),
    /// Works with auth methods
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Auth(auth::Command),
    /// Works with audit devices
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Audit(audit::Command),
    /// Makes, opens, closes and cares for a vault
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Operator(operator::Command),
    PathHelp(path_help::PathHelp),
    VersionHistory(version_history::VersionHistory),
    /// Prints what the command line uses
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Print(print::Command),
    Completion(completion::Completion),
    /// Prints the version
    Version,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    /// Commands that speak to no vault, beside those of `kms`.
    const LOCAL: [&str; 7] = [
        "server",
        "version",
        "print token",
        "policy fmt",
        "policy translate",
        "audit verify",
        "completion",
    ];

    /// Every command that does something, with its words.
    fn leaves(command: &clap::Command, words: &str, into: &mut Vec<(String, clap::Command)>) {
        for command in command.get_subcommands().filter(|one| !one.is_hide_set()) {
            let words = format!("{words} {}", command.get_name());
            if command.has_subcommands() {
                leaves(command, &words, into);
            } else {
                into.push((words.trim().to_owned(), command.clone()));
            }
        }
    }

    fn all() -> Vec<(String, clap::Command)> {
        let mut command = Arguments::command();
        command.build();
        let mut all = Vec::new();
        leaves(&command, "", &mut all);
        all
    }

    #[test]
    fn every_command_that_speaks_to_a_server_has_the_flags_that_all_have() {
        for (words, command) in all() {
            let has = |name: &str| {
                command
                    .get_arguments()
                    .any(|arg| arg.get_long() == Some(name))
            };
            let is_local = LOCAL.contains(&words.as_str()) || words.starts_with("kms ");
            assert_eq!(has("address"), !is_local, "{words}");
            if !has("address") {
                continue;
            }
            for name in [
                "format",
                "output-curl-string",
                "output-policy",
                "wrap-ttl",
                "non-interactive",
                "namespace",
                "header",
                "ca-cert",
                "agent-address",
                "no-color",
            ] {
                assert!(has(name), "{words} has no -{name}");
            }
        }
    }

    #[test]
    fn help_says_what_every_command_and_flag_is() {
        for (words, mut command) in all() {
            assert!(command.get_about().is_some(), "{words} is not explained");
            let shown: Vec<_> = (command.get_arguments())
                .filter(|arg| !arg.is_hide_set())
                .cloned()
                .collect();
            let help = command.render_long_help().to_string();
            for arg in shown {
                let name = arg.get_long().unwrap_or(arg.get_id().as_str());
                assert!(
                    arg.get_help().is_some(),
                    "{words}: `{name}` is not explained"
                );
                let flag = arg.get_long().map(|name| format!("--{name}"));
                assert!(
                    flag.is_none_or(|flag| help.contains(&flag)),
                    "{words}: `{name}`"
                );
            }
        }
    }

    #[test]
    fn the_names_of_commands_and_flags_are_written_alike() {
        for (words, command) in all() {
            for arg in command.get_arguments() {
                let name = arg.get_long().unwrap_or_default();
                let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.chars().all(is_plain), "{words} -{name}");
            }
        }
    }
}
