//! What a person can do about a failure of the server's.

use super::Failure;
use secretum_client::ClientError;

/// What to try, where that can be said; `name` is what this program is called.
pub(crate) fn hint(failure: &Failure, name: &str) -> Option<String> {
    let Failure::Server { error, .. } = failure else {
        return None;
    };
    let answer = match error {
        ClientError::Api(answer) => answer,
        error if error.is_nobody_there() => {
            return Some(format!(
                "Is a server running there? Another address goes into VAULT_ADDR or -address; \
                 `{name} server -dev` starts one for trying things out."
            ));
        }
        _ => return None,
    };
    match answer.status {
        403 if !answer.token_sent => Some(format!(
            "No token was sent: log in by `{name} login`, or set VAULT_TOKEN."
        )),
        403 => Some(format!(
            "The token is not valid, or no policy of it allows this: `{name} token lookup` shows it."
        )),
        503 => Some(format!(
            "`{name} status` shows whether the vault is initialized and sealed; `{name} operator init` \
             makes it, `{name} operator unseal` opens it."
        )),
        _ => None,
    }
}
