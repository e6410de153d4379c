//! Wrapped answers.

use super::Sys;
use crate::{ClientError, Request, Secret};
use secretum_crypto::SecretString;
use serde::Serialize;

#[derive(Serialize)]
struct Unwrap<'a> {
    token: &'a str,
}

impl Sys<'_> {
    /// Takes out what a wrapping token holds; it holds nothing afterwards. A client without a token
    /// of its own asks as the wrapping token.
    ///
    /// **Errors**: as [`crate::Client::send`]; 400 for a token that holds nothing.
    pub async fn unwrap(&self, token: &SecretString) -> Result<Option<Secret>, ClientError> {
        let client = self.client.with_wrap_ttl(None);
        if client.token_value().is_none_or(|own| own == token) {
            let client = client.with_token(Some(token.duplicate()));
            return client.act(Request::put("sys/wrapping/unwrap")).await;
        }
        let body = Unwrap {
            token: token.expose(),
        };
        client
            .act(Request::put("sys/wrapping/unwrap").json(&body)?)
            .await
    }
}
