//! `token create`: makes a token.

use crate::arguments::flags::{self, Connection, Field, GoBool};
use crate::failure::{During, Failure};
use crate::session::Session;
use clap::Args;
use secretum_client::token::CreateToken;

/// Makes a token, a child of one's own
///
///   token create -policy=app -ttl=1h
///   token create -orphan -period=24h -display-name=ci
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Create {
    /// Policy it carries; may be given more than once; one's own where none is given
    #[arg(long = "policy", value_name = "NAME")]
    policies: Vec<String>,
    /// How long it lives
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    ttl: Option<String>,
    /// How long it can ever live
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    explicit_max_ttl: Option<String>,
    /// Every renewal gives it this long again, without end
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    period: Option<String>,
    /// Whether it can be renewed
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    renewable: GoBool,
    /// Make it nobody's child: it outlives its maker
    #[arg(long)]
    orphan: bool,
    /// Leave out the policy `default`
    #[arg(long)]
    no_default_policy: bool,
    /// How many uses it has; 0 for any number
    #[arg(long, value_name = "COUNT")]
    use_limit: Option<u64>,
    /// What logs call it
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// What it is made for; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = flags::key_value)]
    metadata: Vec<(String, String)>,
    /// Role that says what it is
    #[arg(long, value_name = "NAME")]
    role: Option<String>,
    /// service or batch
    #[arg(long = "type", value_name = "KIND", value_parser = ["service", "batch", "default"])]
    kind: Option<String>,
    /// The token itself; - takes it from standard input; needs a root token or sudo
    #[arg(long, value_name = "TOKEN")]
    id: Option<String>,
    /// Name of the entity alias it belongs to, with -role
    #[arg(long, value_name = "NAME")]
    entity_alias: Option<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Create {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let id = self
            .id
            .as_deref()
            .map(|id| session.secret(Some(id), "Token"))
            .transpose()?;
        let token = CreateToken {
            id,
            policies: self.policies,
            metadata: flags::pairs(self.metadata),
            ttl: self.ttl,
            explicit_max_ttl: self.explicit_max_ttl,
            period: self.period,
            no_parent: self.orphan,
            no_default_policy: self.no_default_policy,
            display_name: self.display_name,
            num_uses: self.use_limit,
            renewable: Some(self.renewable.0),
            kind: self.kind,
            entity_alias: self.entity_alias,
        };
        let made = session
            .client
            .token()
            .create(&token, self.role.as_deref())
            .await;
        super::show(made.during(|| "creating token".to_owned())?, &session)
    }
}
