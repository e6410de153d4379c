//! `unwrap`: what a wrapping token holds.

use crate::arguments::flags::{Connection, Field};
use crate::failure::{During, Failure};
use crate::output::secret;
use crate::session::Session;
use clap::Args;
use secretum_client::SecretString;

/// Takes out what a wrapping token holds; it can be done once.
///
/// Without an argument the token is the one that requests are made with.
#[derive(Args)]
pub(crate) struct Unwrap {
    /// The wrapping token; - takes it from standard input
    token: Option<String>,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

impl Unwrap {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field)?;
        let own = session.client.token_value().map(SecretString::duplicate);
        let token = match (self.token, own) {
            (None, Some(own)) => own,
            (given, _) => session.secret(given.as_deref(), "Wrapping token")?,
        };
        let found = session
            .client
            .sys()
            .unwrap(&token)
            .await
            .during(|| "unwrapping".to_owned())?;
        match found {
            // What was wrapped may have been a listing.
            Some(found) if found.keys().is_some() && session.style.field.is_none() => {
                secret::show_list(&found, &session.style, false)
            }
            Some(found) => secret::show(&found, &session.style),
            None => Err(Failure::Missing(
                "Could not find wrapped response".to_owned(),
            )),
        }
    }
}
