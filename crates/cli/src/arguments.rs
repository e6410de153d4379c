//! What the user typed: the commands and their flags, in the way that Vault's users write them.

pub(crate) mod data;
pub(crate) mod fault;
pub(crate) mod flags;
pub(crate) mod normal;
pub(crate) mod pgp_key;

use crate::commands::{
    audit, auth, generic, kv, lease, login, operator, path_help, policy, print, secrets, server,
    status, token, unwrap,
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
    after_help = "Flags are written with one dash or two, before or after the other arguments.\n\
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
    /// Prints what the command line uses
    #[command(
        subcommand,
        arg_required_else_help = true,
        disable_help_subcommand = true
    )]
    Print(print::Command),
    /// Prints the version
    Version,
}
