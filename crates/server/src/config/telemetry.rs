//! The `telemetry` blocks: of the whole configuration, and of a listener.

use super::notice::Notices;
use super::section::{Section, Source, URL};
use super::{NodeUrl, Placed};
use secretum_hcl::{Body, Value, ValueKind};

/// Where traces go, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The receiver, which speaks OTLP over HTTP: the URL before `/v1/traces`.
    pub endpoint: NodeUrl,
    /// Which part of the requests is traced that no caller decided about, from 0 to 1. Default: 1.
    pub sampling_ratio: SamplingRatio,
}

/// A part of a whole, in millionths, so that two that are written alike are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SamplingRatio(u32);

const WHOLE: u32 = 1_000_000;

impl SamplingRatio {
    /// Everything.
    pub const ALL: Self = Self(WHOLE);

    /// From 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    fn parse(value: &Value) -> Option<Self> {
        let ratio = match &value.kind {
            ValueKind::Integer(number) => f64::from(i32::try_from(*number).ok()?),
            ValueKind::Float(number) => *number,
            ValueKind::String(text) => text.parse().ok()?,
            _ => return None,
        };
        if !(0.0..=1.0).contains(&ratio) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and a million"
        )]
        let millionths = (ratio * f64::from(WHOLE)).round() as u32;
        Some(Self(millionths))
    }
}

const RATIO: &str = "a number from 0 to 1, such as `0.1`";

/// Keys that say how Vault keeps what it measures; here there is nothing to keep.
const WITHOUT_NEED: &[&str] = &[
    "add_lease_metrics_namespace_labels",
    "disable_hostname",
    "enable_hostname_label",
    "lease_metrics_epsilon",
    "maximum_gauge_cardinality",
    "num_lease_metrics_buckets",
    "prometheus_retention_time",
    "usage_gauge_period",
];

/// Keys of other receivers, and of what is filtered.
pub(crate) const UNSERVED: &[&str] = &[
    "circonus_api_app",
    "circonus_api_token",
    "circonus_api_url",
    "circonus_broker_id",
    "circonus_broker_select_tag",
    "circonus_check_display_name",
    "circonus_check_force_metric_activation",
    "circonus_check_id",
    "circonus_check_instance_id",
    "circonus_check_search_tag",
    "circonus_check_tags",
    "circonus_submission_interval",
    "circonus_submission_url",
    "dogstatsd_addr",
    "dogstatsd_tags",
    "filter_default",
    "metrics_prefix",
    "prefix_filter",
    "rollback_metrics_include_mount_point",
    "stackdriver_debug_logs",
    "stackdriver_location",
    "stackdriver_namespace",
    "stackdriver_project_id",
    "statsd_address",
    "statsite_address",
];

/// Keys of a listener's block.
const LISTENER_UNSERVED: &[&str] = &[
    "unauthenticated_in_flight_requests_access",
    "unauthenticated_pprof_access",
    "disallow_metrics",
    "metrics_only",
];

/// What the whole configuration says of traces.
pub(crate) fn traces(
    source: &Source,
    block: &Body,
    notices: &mut Notices,
) -> Option<Placed<Traces>> {
    let mut section = Section::new(source, block, notices);
    for key in WITHOUT_NEED {
        section.knows(key);
    }
    let url = |value: &Value| value.as_str().and_then(NodeUrl::parse);
    let endpoint = section.take("otlp_endpoint", URL, url);
    let ratio = section.take("otlp_sampling_ratio", RATIO, SamplingRatio::parse);
    section.finish(UNSERVED);
    endpoint.map(|endpoint| Placed {
        value: Traces {
            endpoint: endpoint.value,
            sampling_ratio: ratio.map_or(SamplingRatio::ALL, |ratio| ratio.value),
        },
        place: endpoint.place,
    })
}

/// Whether a listener gives metrics to who has no token.
pub(crate) fn unauthenticated_metrics(section: &mut Section<'_, '_>) -> bool {
    let Some(block) = section.block("telemetry") else {
        return false;
    };
    let mut section = Section::new(section.source, block, section.notices);
    let open = section.flag("unauthenticated_metrics_access");
    section.finish(LISTENER_UNSERVED);
    open.is_some_and(|open| open.value)
}
