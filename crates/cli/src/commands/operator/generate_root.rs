//! `operator generate-root`: a root token, made by the holders of unseal keys.

use super::share::{Input, give};
use crate::arguments::flags::Connection;
use crate::arguments::pgp_key;
use crate::failure::{During, Failure};
use crate::output::{bare, console, secret, structured, table};
use crate::session::Session;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use clap::Args;
use secretum_client::sys::{Ceremony, RootStatus};
use secretum_client::{Json, Object, SecretString};
use secretum_crypto::{SystemRng, random_base62};
use zeroize::Zeroizing;

/// Makes a root token, with the consent of those who hold the unseal keys
///
/// One person begins with -init, keeps the password (OTP) that is shown, and tells the others the
/// nonce. Each then gives a key: as an argument with -nonce, from standard input (-) with -nonce, or
/// asked for at the terminal. The last of them gets the encoded token, which the password decodes.
///
///   operator generate-root -init
///   operator generate-root
///   operator generate-root -decode=ENCODED -otp=OTP
///   operator generate-root -init -pgp-key=alice.asc
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct GenerateRoot {
    /// An unseal key; - takes it from standard input
    key: Option<String>,
    /// Begin
    #[arg(long)]
    init: bool,
    /// End without a token
    #[arg(long)]
    cancel: bool,
    /// Only say how far it is
    #[arg(long)]
    status: bool,
    /// Decode the token that came out, with -otp; - takes it from standard input
    #[arg(long, value_name = "ENCODED")]
    decode: Option<String>,
    /// Print a password that -init takes as -otp
    #[arg(long)]
    generate_otp: bool,
    /// Password for -init or -decode
    #[arg(long, value_name = "OTP")]
    otp: Option<String>,
    /// File with a PGP public key, to encrypt the token for its holder instead
    #[arg(long, value_name = "FILE")]
    pgp_key: Option<String>,
    /// The nonce that -init told
    #[arg(long, value_name = "NONCE")]
    nonce: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl GenerateRoot {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        if self.generate_otp {
            return generate_otp(&session).await;
        }
        if let Some(encoded) = &self.decode {
            return self.decode(&session, encoded);
        }
        if self.cancel {
            let cancelled = session.client.sys().cancel_ceremony(Ceremony::Root).await;
            cancelled.during(|| "canceling root token generation".to_owned())?;
            let done = "Success! Root token generation canceled (if it was started)";
            return secret::say(&session.style, done);
        }
        let sys = session.client.sys();
        let answer = if self.init {
            let (otp, pgp_key) = self.cover()?;
            let begun = sys.begin_root(&otp, &pgp_key).await;
            begun.during(|| "initializing root generation".to_owned())?
        } else if self.status {
            let status = sys.ceremony(Ceremony::Root).await;
            status.during(|| "getting root generation status".to_owned())?
        } else {
            let input = Input {
                key: self.key.as_deref(),
                nonce: self.nonce.as_deref(),
                ceremony: Ceremony::Root,
                begin: "operator generate-root -init",
                name: "Operation nonce",
            };
            give(&session, &input).await?
        };
        show(&session, &answer)
    }

    fn cover(&self) -> Result<(String, String), Failure> {
        match (&self.otp, &self.pgp_key) {
            (Some(_), Some(_)) => Err(Failure::local(
                "-otp and -pgp-key exclude each other: the token leaves under one of them",
            )),
            (otp, None) => Ok((otp.clone().unwrap_or_default(), String::new())),
            (None, Some(file)) => Ok((String::new(), pgp_key::read(file)?)),
        }
    }

    fn decode(&self, session: &Session, encoded: &str) -> Result<(), Failure> {
        let otp = self.otp.as_deref().unwrap_or_default();
        if otp.is_empty() {
            return Err(Failure::local("Missing otp: use -otp to supply it"));
        }
        let encoded = session.secret(Some(encoded), "Encoded token")?;
        let token = decoded(encoded.expose(), otp)?;
        if session.style.is_table() {
            return bare(token.expose());
        }
        let mut object = Object::new();
        object.insert("token", token.expose());
        structured(&object.into(), session.style.format)
    }
}

/// Takes the cover of a password off a token.
fn decoded(encoded: &str, otp: &str) -> Result<SecretString, Failure> {
    let refuse = |why: &str| Failure::local(format!("Error decoding root token: {why}"));
    let covered = STANDARD_NO_PAD
        .decode(encoded.trim_end_matches('='))
        .map(Zeroizing::new)
        .map_err(|_| refuse("it is not in base64"))?;
    if covered.len() != otp.len() {
        return Err(refuse("it and the password differ in length"));
    }
    let token = covered.iter().zip(otp.bytes());
    let token = token.map(|(one, other)| one ^ other).collect();
    let token = String::from_utf8(token).map_err(|_| refuse("it is of another password"))?;
    Ok(SecretString::new(token))
}

/// Prints a password that is as long as the server's tokens.
async fn generate_otp(session: &Session) -> Result<(), Failure> {
    let status = session.client.sys().ceremony(Ceremony::Root).await;
    let status = status.during(|| "getting root generation status".to_owned())?;
    let status: RootStatus = status.decode().map_err(Failure::display)?;
    let otp = random_base62(&SystemRng, status.otp_length).map_err(Failure::display)?;
    if session.style.is_table() {
        return bare(otp.expose());
    }
    let mut object = Object::new();
    object.insert("otp", otp.expose());
    object.insert("otp_length", otp.len() as u64);
    structured(&object.into(), session.style.format)
}

fn show(session: &Session, answer: &Json) -> Result<(), Failure> {
    if !session.style.is_table() {
        return structured(answer, session.style.format);
    }
    let status: RootStatus = answer.decode().map_err(Failure::display)?;
    if !status.otp.is_empty() {
        console::note(
            "The OTP below decodes the token that will come out. It is shown this once: keep it.",
        );
    }
    console::out(&Zeroizing::new(table::plain(&rows(&status))))
}

fn rows(status: &RootStatus) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut rows = vec![
        row("Nonce", status.nonce.clone()),
        row("Started", status.started.to_string()),
        row(
            "Progress",
            format!("{}/{}", status.progress, status.required),
        ),
        row("Complete", status.complete.to_string()),
    ];
    let encoded = [&status.encoded_token, &status.encoded_root_token];
    let encoded = encoded.into_iter().find(|token| !token.is_empty());
    for (name, value) in [
        ("PGP Fingerprint", Some(&status.pgp_fingerprint)),
        ("Encoded Token", encoded),
        ("OTP", Some(&status.otp)),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            rows.push(row(name, value.clone()));
        }
    }
    if status.otp_length > 0 {
        rows.push(row("OTP Length", status.otp_length.to_string()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_uncovers_its_token_alone() {
        let (token, otp) = ("hvs.token", "123456789");
        let covered: Vec<u8> = token.bytes().zip(otp.bytes()).map(|(a, b)| a ^ b).collect();
        let encoded = STANDARD_NO_PAD.encode(&covered);
        assert_eq!(decoded(&encoded, otp).unwrap().expose(), token);
        assert_eq!(
            decoded(&format!("{encoded}="), otp).unwrap().expose(),
            token
        );
        assert_ne!(decoded(&encoded, "987654321").unwrap().expose(), token);
        for (encoded, otp) in [("!", "1"), ("AAAA", "1"), ("gICA", "123")] {
            assert!(decoded(encoded, otp).is_err(), "{encoded}");
        }
    }

    #[test]
    fn the_status_shows_what_there_is() {
        let status: RootStatus = serde_json::from_str(
            r#"{"nonce":"n","started":true,"progress":1,"required":3,"otp_length":32}"#,
        )
        .unwrap();
        let shown = table::plain(&rows(&status));
        assert_eq!(
            shown,
            "Nonce         n\nStarted       true\nProgress      1/3\nComplete      false\n\
             OTP Length    32\n"
        );
        let done: RootStatus = serde_json::from_str(
            r#"{"nonce":"n","started":true,"progress":3,"required":3,"complete":true,
                "encoded_root_token":"x","pgp_fingerprint":"ff"}"#,
        )
        .unwrap();
        let shown = table::plain(&rows(&done));
        assert!(shown.contains("Encoded Token      x\n"), "{shown}");
        assert!(shown.contains("PGP Fingerprint    ff\n"), "{shown}");
    }
}
