//! `login`: proves who one is, and keeps the token.

use crate::arguments::data;
use crate::arguments::flags::{Connection, Field};
use crate::failure::{During, Failure};
use crate::output::{console, secret};
use crate::session::{Session, token_file};
use clap::Args;
use secretum_client::token::Which;
use secretum_client::{Environment, Json, Object, Secret, SecretString};

/// Logs in and stores the token in ~/.vault-token, where the other commands find it
///
/// With a token, and no method, the token is looked up and stored. userpass, ldap and radius take
/// username=… and ask for the password.
///
///   login
///   login -method=userpass username=ann
///   login -token-only -method=ldap -path=staff username=ann
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Login {
    /// The token, - to take it from standard input, or what the method wants as key=value
    #[arg(value_name = "TOKEN or KEY=VALUE", allow_negative_numbers = true)]
    arguments: Vec<String>,
    /// How to log in: token, userpass, ldap or radius
    #[arg(long, default_value = "token", value_name = "NAME")]
    method: String,
    /// Where the method is mounted; at its own name where none is given
    #[arg(long)]
    path: Option<String>,
    /// Do not store the token
    #[arg(long)]
    no_store: bool,
    /// Show nothing
    #[arg(long)]
    no_print: bool,
    /// Print the token only, and do not store it
    #[arg(long)]
    token_only: bool,
    #[command(flatten)]
    field: Field,
    #[command(flatten)]
    connection: Connection,
}

/// Methods whose login is a name in the path and a password in the body.
const PASSWORD_METHODS: [&str; 3] = ["userpass", "ldap", "radius"];

impl Login {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::with_field(&self.connection, self.field.clone())?;
        let answer = match self.method.as_str() {
            "token" => by_token(&session, &self.arguments).await?,
            method if PASSWORD_METHODS.contains(&method) => {
                let path = self.path.as_deref().unwrap_or(method);
                by_password(&session, path.trim_matches('/'), &self.arguments).await?
            }
            method => {
                let known = PASSWORD_METHODS.join(", ");
                return Err(Failure::local(format!(
                    "unknown auth method `{method}`: this command knows token, {known}; others log \
                     in by `write auth/{method}/login …`"
                )));
            }
        };
        self.keep(&session, &answer)
    }

    /// Stores the token and shows what is known of it, as asked.
    fn keep(self, session: &Session, answer: &Secret) -> Result<(), Failure> {
        if answer.wrap_info.is_some() {
            return secret::show(answer, &session.style);
        }
        let auth = answer
            .auth
            .as_ref()
            .ok_or_else(|| Failure::Missing("the server gave no token".to_owned()))?;
        let environment = Environment::process();
        let store = !self.no_store && !self.token_only;
        if store {
            token_file::write(&environment, &auth.client_token)?;
            if let Some((name, _)) = environment.get("TOKEN") {
                console::note(&format!(
                    "WARNING! The environment variable {name} is set; its token comes before the \
                     one that was just stored.\n"
                ));
            }
        }
        if self.no_print {
            return Ok(());
        }
        if self.token_only {
            return crate::output::bare(auth.client_token.expose());
        }
        if session.style.field.is_none() {
            announce(session, store)?;
        }
        secret::show(answer, &session.style)
    }
}

fn announce(session: &Session, stored: bool) -> Result<(), Failure> {
    let text = if stored {
        "Success! You are now authenticated. The token below is stored; commands use it\n\
         from now on, and you need not log in again.\n"
    } else {
        "Success! You are now authenticated. The token below is not stored; give it to\n\
         commands in the environment variable VAULT_TOKEN.\n"
    };
    secret::say(&session.style, text)
}

/// Looks a token up, and gives what is known of it the shape of a login.
async fn by_token(session: &Session, arguments: &[String]) -> Result<Secret, Failure> {
    let token = session.secret(token_argument(arguments)?, "Token")?;
    let client = session.client.with_wrap_ttl(None);
    let client = client.with_token(Some(token.duplicate()));
    let looked_up = client.token().lookup(Which::Own).await;
    let found = looked_up.during(|| "authenticating: error looking up token".to_owned())?;
    let data = found.map(|found| found.data).unwrap_or_default();
    as_login(&data, &token)
        .ok_or_else(|| Failure::Missing("the server does not say what the token is".to_owned()))
}

fn token_argument(arguments: &[String]) -> Result<Option<&str>, Failure> {
    match arguments {
        [] => Ok(None),
        [one] => Ok(Some(one.strip_prefix("token=").unwrap_or(one))),
        _ => Err(Failure::local("too many arguments: a token is one")),
    }
}

fn as_login(data: &Json, token: &SecretString) -> Option<Secret> {
    let member = |name: &str| data.get(name).cloned().unwrap_or_default();
    let mut auth = Object::new();
    auth.insert("client_token", token.expose());
    for name in [
        "accessor",
        "policies",
        "identity_policies",
        "entity_id",
        "orphan",
        "renewable",
    ] {
        if let Some(value) = data.get(name).filter(|value| !value.is_null()) {
            auth.insert(name, value.clone());
        }
    }
    auth.insert("token_policies", member("policies"));
    auth.insert("metadata", member("meta"));
    auth.insert("lease_duration", member("ttl").as_u64().unwrap_or(0));
    let object: Object = [("auth", auth)].into_iter().collect();
    Secret::parse(Json::from(object).to_string().as_bytes()).ok()
}

async fn by_password(
    session: &Session,
    path: &str,
    arguments: &[String],
) -> Result<Secret, Failure> {
    let mut data = data::read(arguments, &mut std::io::stdin().lock())?;
    let name = match data.remove("username") {
        Some(Json::String(name)) if !name.is_empty() => name,
        _ => return Err(Failure::local("this method needs username=…")),
    };
    if data.get("password").is_none() {
        let password = session.secret(None, "Password")?;
        data.insert("password", password.expose());
    }
    let path = format!("auth/{path}/login/{name}");
    let answer = session.client.with_token(None).write(&path, &data).await;
    answer
        .during(|| "authenticating".to_owned())?
        .ok_or_else(|| Failure::Missing("the server gave no token".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_looked_up_token_reads_as_a_login() {
        let data = Json::parse(
            r#"{"accessor":"a","policies":["root"],"identity_policies":null,"meta":{"k":"v"},"ttl":60,"renewable":true,"entity_id":""}"#,
        );
        let token = SecretString::new("hvs.x".to_owned());
        let auth = as_login(&data.unwrap(), &token).unwrap().auth.unwrap();
        assert_eq!(auth.client_token.expose(), "hvs.x");
        assert_eq!(
            (auth.accessor.as_str(), auth.lease_duration, auth.renewable),
            ("a", 60, true)
        );
        assert_eq!(auth.token_policies.unwrap(), ["root"]);
        assert_eq!(auth.metadata.unwrap()["k"], "v");
    }

    #[test]
    fn a_token_is_one_argument() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(token_argument(&words("token=x")).unwrap(), Some("x"));
        assert_eq!(token_argument(&words("-")).unwrap(), Some("-"));
        assert!(token_argument(&words("a b")).is_err());
    }
}
