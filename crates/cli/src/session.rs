//! [`Session`]: the client that a command speaks through, made of flags, environment and the stored
//! token.

pub(crate) mod token_file;

use crate::arguments::flags::{Connection, Field};
use crate::failure::{During, Failure};
use crate::output::{Format, Style};
use crate::prompt;
use reqwest::header::{HeaderName, HeaderValue};
use secretum_client::{Client, ClientConfig, Environment, SecretString};

/// The client that a command speaks through, and how it shows what it gets.
#[derive(Debug)]
pub(crate) struct Session {
    /// The client, with the token that was found.
    pub(crate) client: Client,
    /// How answers are shown.
    pub(crate) style: Style,
    /// Whether a person may be asked.
    pub(crate) interactive: bool,
    /// Whether the rights that the command needs are to be shown, and nothing done.
    pub(crate) shows_policy: bool,
}

impl Session {
    /// Makes the client. The token comes from the environment, else from the file that `login`
    /// wrote.
    ///
    /// **Errors**: which flag, variable or file cannot be used.
    pub(crate) fn open(flags: &Connection) -> Result<Self, Failure> {
        Self::open_in(flags, &Environment::process())
    }

    /// As [`Self::open`], for a command whose answer has fields.
    ///
    /// **Errors**: as [`Self::open`].
    pub(crate) fn with_field(flags: &Connection, field: Field) -> Result<Self, Failure> {
        let mut session = Self::open(flags)?;
        session.style.field = field.field;
        Ok(session)
    }

    fn open_in(flags: &Connection, environment: &Environment) -> Result<Self, Failure> {
        let mut config = configure(flags, environment)?;
        if config.token.is_none() {
            config.token = token_file::read(environment)?;
        }
        Ok(Self {
            client: Client::new(config)?,
            style: Style {
                format: format(flags.format, environment)?,
                field: None,
            },
            interactive: !flags.non_interactive,
            shows_policy: flags.output_policy,
        })
    }

    /// A secret that was given as an argument, `-` for the first line of standard input; one that was
    /// not given is asked for.
    ///
    /// **Errors**: where there is none.
    pub(crate) fn secret(
        &self,
        given: Option<&str>,
        question: &str,
    ) -> Result<SecretString, Failure> {
        match given.map(str::trim) {
            Some("-") => {
                let line = zeroize::Zeroizing::new(prompt::first_line()?);
                Ok(SecretString::new(line.trim().to_owned()))
            }
            Some(text) if !text.is_empty() => Ok(SecretString::new(text.to_owned())),
            _ => prompt::secret(question, self.interactive),
        }
    }

    /// The same session for looking something up before the request that matters: it sends even where
    /// that one is only shown, and nobody is asked.
    pub(crate) fn reader(&self) -> Self {
        Self {
            client: self.scout(),
            style: self.style.clone(),
            interactive: false,
            shows_policy: false,
        }
    }

    /// The same session for a command whose answers are not the server's own: wrapping means nothing to
    /// it.
    pub(crate) fn unwrapped(self) -> Self {
        Self {
            client: self.client.with_wrap_ttl(None),
            ..self
        }
    }

    /// The client for looking something up before the request that matters: it sends even where that
    /// one is only shown, and its answers are not wrapped.
    pub(crate) fn scout(&self) -> Client {
        self.client.with_dry_run(false).with_wrap_ttl(None)
    }
}

/// The settings of the environment, and over them those of the flags.
fn configure(flags: &Connection, environment: &Environment) -> Result<ClientConfig, Failure> {
    let given = flags.agent_address.clone().or(flags.address.clone());
    // An agent in the environment stands before the server that is named there.
    let agent = || environment.get("AGENT_ADDR").map(|(_, address)| address);
    let mut config = match given.or_else(agent) {
        // A bad address of the server in the environment does not matter where another one is asked.
        Some(address) => {
            let mut config = ClientConfig::from_environment(environment)
                .or_else(|_| address.parse().map(ClientConfig::new))?;
            config.address = address.parse()?;
            config
        }
        None => ClientConfig::from_environment(environment)?,
    };
    let tls = &mut config.tls;
    if flags.ca_cert.is_some() || flags.ca_path.is_some() {
        (tls.ca_cert_pem, tls.ca_cert, tls.ca_path) =
            (None, flags.ca_cert.clone(), flags.ca_path.clone());
    }
    tls.client_cert = flags.client_cert.clone().or(tls.client_cert.take());
    tls.client_key = flags.client_key.clone().or(tls.client_key.take());
    tls.server_name = flags.tls_server_name.clone().or(tls.server_name.take());
    tls.skip_verify |= flags.tls_skip_verify;
    config.namespace = flags.namespace.clone().or(config.namespace.take());
    config.wrap_ttl = flags.wrap_ttl.clone().or(config.wrap_ttl.take());
    if !flags.mfa.is_empty() {
        config.mfa.clone_from(&flags.mfa);
    }
    config.follow_redirect &= !flags.disable_redirects;
    config.dry_run = flags.output_curl_string || flags.output_policy;
    for pair in &flags.headers {
        let (name, value) = header(pair)?;
        config.headers.append(name, value);
    }
    Ok(config)
}

fn header(pair: &str) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| Failure::local("a header is written as -header name=value"))?;
    let name: HeaderName = name
        .parse()
        .map_err(|_| Failure::local(format!("`{name}` is not the name of a header")))?;
    if name.as_str().starts_with("x-vault-") {
        return Err(Failure::local(format!(
            "the header `{name}` is set by flags of its own"
        )));
    }
    let mut value: HeaderValue = value
        .parse()
        .map_err(|_| Failure::local(format!("the value of `{name}` cannot stand in a header")))?;
    value.set_sensitive(true);
    Ok((name, value))
}

/// The format that a flag names, else the environment.
///
/// **Errors**: which variable cannot be used.
pub(crate) fn format(flag: Option<Format>, environment: &Environment) -> Result<Format, Failure> {
    if let Some(format) = flag {
        return Ok(format);
    }
    let known = |text: &str| <Format as clap::ValueEnum>::from_str(text, true);
    let reason = |_| "it must be table, json, yaml or raw".to_owned();
    let format = environment.parse("FORMAT", |text| known(text).map_err(reason));
    Ok(format
        .during(|| "reading the environment".to_owned())?
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(flags: &Connection, variables: &[(&str, &str)]) -> Result<Session, Failure> {
        Session::open_in(flags, &Environment::of(variables.iter().copied()))
    }

    #[test]
    fn flags_come_before_the_environment() {
        let flags = Connection {
            address: Some("http://flag:1".to_owned()),
            namespace: Some("flag".to_owned()),
            format: Some(Format::Yaml),
            ..Connection::default()
        };
        let variables = [
            ("VAULT_ADDR", "nonsense"),
            ("VAULT_NAMESPACE", "environment"),
            ("VAULT_FORMAT", "json"),
            ("VAULT_TOKEN", "t"),
        ];
        let session = session(&flags, &variables).unwrap();
        assert_eq!(session.style.format, Format::Yaml);
        let config = configure(
            &flags,
            &Environment::of([("VAULT_NAMESPACE", "environment")]),
        )
        .unwrap();
        assert_eq!(config.address.to_string(), "http://flag:1");
        assert_eq!(config.namespace.as_deref(), Some("flag"));
    }

    #[test]
    fn an_agent_is_asked_before_the_server() {
        let asked = |flags: &Connection, variables: &[(&str, &str)]| {
            let environment = Environment::of(variables.iter().copied());
            configure(flags, &environment).unwrap().address.to_string()
        };
        let server = ("VAULT_ADDR", "http://server:1");
        let agent = ("VAULT_AGENT_ADDR", "http://agent:2");
        let none = Connection::default();
        assert_eq!(asked(&none, &[server]), "http://server:1");
        assert_eq!(asked(&none, &[server, agent]), "http://agent:2");
        let address = Connection {
            address: Some("http://flag:3".to_owned()),
            ..Connection::default()
        };
        assert_eq!(asked(&address, &[server, agent]), "http://flag:3");
        let both = Connection {
            agent_address: Some("http://flag:4".to_owned()),
            ..address
        };
        assert_eq!(asked(&both, &[server, agent]), "http://flag:4");
    }

    #[test]
    fn the_format_may_come_from_the_environment() {
        let address = ("VAULT_ADDR", "http://127.0.0.1:1");
        let flags = Connection::default();
        let found = session(
            &flags,
            &[address, ("VAULT_FORMAT", "JSON"), ("VAULT_TOKEN", "t")],
        );
        assert_eq!(found.unwrap().style.format, Format::Json);
        let failure = session(&flags, &[address, ("BAO_FORMAT", "xml")]).unwrap_err();
        assert!(failure.to_string().contains("BAO_FORMAT"), "{failure}");
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn vaults_own_headers_are_refused() {
        for pair in ["X-Vault-Token=t", "no pair", "bad name=x"] {
            assert!(header(pair).is_err(), "{pair}");
        }
        let (name, value) = header("X-Trace=a=b").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-trace", "a=b"));
    }
}
