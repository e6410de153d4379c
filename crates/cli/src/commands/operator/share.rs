//! Giving a share to a ceremony.

use crate::failure::{During, Failure};
use crate::output::console;
use crate::session::Session;
use secretum_client::Json;
use secretum_client::sys::Ceremony;

/// A share that somebody wants to give.
#[derive(Debug)]
pub(super) struct Input<'a> {
    /// The share; `-` for the first line of standard input, none to be asked for it.
    pub(super) key: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) ceremony: Ceremony,
    /// The command that begins the ceremony.
    pub(super) begin: &'static str,
    /// What the nonce is called.
    pub(super) name: &'static str,
}

/// Gives the share.
///
/// Who is asked for it sees the nonce, and so which ceremony it goes to; who writes it elsewhere must
/// say which one is meant.
///
/// **Errors**: where no ceremony is under way, or the server refuses.
pub(super) async fn give(session: &Session, input: &Input<'_>) -> Result<Json, Failure> {
    let sys = session.client.sys();
    let status = session.scout().sys().ceremony(input.ceremony).await;
    let status = status.during(|| "getting the status of the operation".to_owned())?;
    if status.get("started").and_then(Json::as_bool) != Some(true) {
        return Err(Failure::local(format!(
            "nothing is under way that a key could be given to; begin with `{}`",
            input.begin
        )));
    }
    let begun = status.get("nonce").and_then(Json::as_str);
    let nonce = match (input.nonce, input.key) {
        (Some(nonce), _) => nonce,
        (None, Some(_)) => {
            return Err(Failure::local(
                "Missing nonce value: specify it via the -nonce flag",
            ));
        }
        (None, None) => {
            let nonce = begun.unwrap_or_default();
            console::note(&format!("{}: {nonce}", input.name));
            nonce
        }
    };
    let key = session.secret(input.key, "Unseal Key")?;
    let given = sys.give_share(input.ceremony, nonce, &key).await;
    given.during(|| "posting unseal key".to_owned())
}
