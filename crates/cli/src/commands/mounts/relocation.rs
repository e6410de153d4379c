//! `move`: a mount goes to another path.

use super::Engine;
use crate::arguments::flags::{self, Connection};
use crate::failure::{During, Failure};
use crate::output::rights::Right;
use crate::output::secret;
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Object};
use std::time::Duration;

/// How long it is between two looks at how far it is.
const PAUSE: Duration = Duration::from_millis(200);

/// The flags of `move`.
#[derive(Args)]
pub(crate) struct Move {
    /// Where it is mounted
    source: String,
    /// Where it goes
    destination: String,
    #[command(flatten)]
    connection: Connection,
}

impl Move {
    pub(crate) async fn run<K: Engine>(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        if session.shows_policy {
            return Err(Failure::Rights(vec![
                Right::new("sys/remount", &["create", "update", "sudo"]),
                // The server says by what name once it has begun.
                Right::new("sys/remount/status/*", &["read"]),
            ]));
        }
        let full = |path: String| format!("{}{path}/", K::PREFIX);
        let from = full(flags::path(&self.source)?);
        let to = full(flags::path(&self.destination)?);
        let doing = || format!("moving the {} at {from}", K::NAME);
        let mut asked = Object::new();
        asked.insert("from", from.as_str());
        asked.insert("to", to.as_str());
        let client = &session.client;
        let begun = client.write("sys/remount", &asked).await.during(doing)?;
        let text = |json: Option<&Json>| json.and_then(Json::as_str).map(str::to_owned);
        let id = begun.and_then(|begun| text(begun.data.get("migration_id")));
        let id =
            id.ok_or_else(|| Failure::local("the server does not say how the move is known"))?;
        let status = format!("sys/remount/status/{id}");
        loop {
            let told = client.read(&status).await.during(doing)?;
            let told = told.and_then(|told| {
                text(
                    told.data
                        .get("migration_info")
                        .and_then(|info| info.get("status")),
                )
            });
            match told.as_deref() {
                Some("success") => break,
                Some("in-progress") => tokio::time::sleep(PAUSE).await,
                _ => {
                    return Err(Failure::local(format!(
                        "moving the {} from {from} to {to} failed: the log of the server says why",
                        K::NAME
                    )));
                }
            }
        }
        secret::say(
            &session.style,
            &format!("Success! Moved the {} from {from} to {to}", K::NAME),
        )
    }
}
