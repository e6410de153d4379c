//! The table `[service.traces]`.

use super::draft::{Reader, Text};
use http::Uri;
use serde::Deserialize;
use toml::Spanned;

/// Where traces go, and how many.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TracesConfig {
    /// The receiver, which speaks OTLP over HTTP: the URL before `/v1/traces`.
    pub(crate) endpoint: String,
    /// Which part of the requests is traced that no caller decided about, from 0 to 1.
    pub(crate) sampling_ratio: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesDraft {
    endpoint: Text,
    sampling_ratio: Option<Spanned<f64>>,
}

impl Reader<'_> {
    pub(super) fn traces(&mut self, draft: TracesDraft) -> Option<TracesConfig> {
        let ratio = draft.sampling_ratio;
        let sampling_ratio = ratio.as_ref().map_or(1.0, |ratio| *ratio.get_ref());
        if let Some(ratio) = ratio
            && !(0.0..=1.0).contains(&sampling_ratio)
        {
            self.fault(ratio.span(), "`sampling_ratio` is a number from 0 to 1");
        }
        let (endpoint, at) = self.expand("endpoint", draft.endpoint)?;
        if !is_receiver(&endpoint) {
            self.fault(
                at,
                "`endpoint` is the URL of a receiver before /v1/traces; write http://127.0.0.1:4318",
            );
        }
        Some(TracesConfig {
            endpoint,
            sampling_ratio,
        })
    }
}

fn is_receiver(url: &str) -> bool {
    url.parse().is_ok_and(|uri: Uri| {
        let scheme = uri.scheme_str();
        matches!(scheme, Some("http" | "https")) && uri.host().is_some() && uri.query().is_none()
    })
}
