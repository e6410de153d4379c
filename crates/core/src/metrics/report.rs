//! [`Report`]: metrics as text of Prometheus, and as Vault's JSON.
//!
//! **Source**: Prometheus' text format 0.0.4; Vault's API documentation of `sys/metrics`.

use super::histogram::{Histogram, Reading};
use secretum_crypto::Timestamp;
use secretum_engine::Fault;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use std::fmt::{self, Display, Write};

/// All metrics at a time.
#[derive(Debug, Clone)]
pub enum Report {
    /// Text of Prometheus.
    Text(String),
    /// Vault's JSON.
    Json(Box<RawValue>),
}

impl Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Json(json) => formatter.write_str(json.get()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Samples of one name.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    pub(super) samples: Vec<Sample>,
}

#[derive(Debug)]
pub(super) struct Sample {
    labels: Vec<(&'static str, String)>,
    reading: Measurement,
}

#[derive(Debug)]
enum Measurement {
    Number(f64),
    Histogram(Reading),
}

impl Family {
    pub(super) fn new(name: &'static str, help: &'static str, kind: Kind) -> Self {
        Self {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }
}

impl Sample {
    pub(super) fn number(value: f64) -> Self {
        Self {
            labels: Vec::new(),
            reading: Measurement::Number(value),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "Prometheus has no other numbers"
    )]
    pub(super) fn whole(value: u64) -> Self {
        Self::number(value as f64)
    }

    pub(super) fn histogram(histogram: &Histogram) -> Self {
        Self {
            labels: Vec::new(),
            reading: Measurement::Histogram(histogram.read()),
        }
    }

    pub(super) fn with(mut self, labels: &[(&'static str, String)]) -> Self {
        self.labels = labels.to_vec();
        self
    }
}

impl Report {
    pub(super) fn text(families: &[Family]) -> Self {
        let mut text = String::new();
        for family in families.iter().filter(|family| !family.samples.is_empty()) {
            // Writing to a string cannot fail.
            let _ = write_family(&mut text, family);
        }
        Self::Text(text)
    }

    pub(super) fn json(families: &[Family], now: Timestamp) -> Result<Self, Fault> {
        let (mut gauges, mut counters, mut samples) = (Vec::new(), Vec::new(), Vec::new());
        for family in families {
            for sample in &family.samples {
                let (list, value) = match (&sample.reading, family.kind) {
                    (Measurement::Number(number), Kind::Counter) => {
                        (&mut counters, json!({"Count": number, "Sum": number}))
                    }
                    (Measurement::Number(number), _) => (&mut gauges, json!({"Value": number})),
                    (Measurement::Histogram(reading), _) => (&mut samples, vault_sample(reading)),
                };
                let mut entry = Map::new();
                entry.insert("Name".to_owned(), family.name.into());
                entry.extend(value.as_object().cloned().unwrap_or_default());
                let labels = sample.labels.iter();
                let labels: Map<String, Value> = labels
                    .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
                    .collect();
                entry.insert("Labels".to_owned(), labels.into());
                list.push(Value::Object(entry));
            }
        }
        let whole = json!({
            "Timestamp": now.to_string(),
            "Gauges": gauges,
            "Points": [],
            "Counters": counters,
            "Samples": samples,
        });
        to_raw_value(&whole)
            .map(Self::Json)
            .map_err(Fault::internal)
    }
}

/// What Vault tells of a series, less what is not kept here (the extremes, and the deviation).
fn vault_sample(reading: &Reading) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a mean is no exact number")]
    let mean = match reading.count {
        0 => 0.0,
        count => reading.sum_seconds / count as f64,
    };
    json!({"Count": reading.count, "Sum": reading.sum_seconds, "Mean": mean})
}

fn write_family(text: &mut String, family: &Family) -> fmt::Result {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let name = family.name;
    writeln!(text, "# HELP {name} {}", family.help)?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for sample in &family.samples {
        match &sample.reading {
            Measurement::Number(number) => {
                write_line(text, name, (&sample.labels, None), number)?;
            }
            Measurement::Histogram(reading) => {
                write_histogram(text, name, &sample.labels, reading)?
            }
        }
    }
    Ok(())
}

type Labels = [(&'static str, String)];

fn write_histogram(text: &mut String, name: &str, labels: &Labels, of: &Reading) -> fmt::Result {
    let bucket = format!("{name}_bucket");
    for (end, count) in &of.buckets {
        write_line(text, &bucket, (labels, Some(&end.to_string())), count)?;
    }
    write_line(text, &bucket, (labels, Some("+Inf")), &of.count)?;
    write_line(
        text,
        &format!("{name}_sum"),
        (labels, None),
        &of.sum_seconds,
    )?;
    write_line(text, &format!("{name}_count"), (labels, None), &of.count)
}

/// A line; the upper end of a bucket is one more label.
fn write_line(
    text: &mut String,
    name: &str,
    (labels, end): (&Labels, Option<&str>),
    value: &dyn Display,
) -> fmt::Result {
    text.push_str(name);
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
    for (index, (name, value)) in labels.chain(end.map(|end| ("le", end))).enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        write!(text, "{before}{name}=\"")?;
        value.chars().try_for_each(|character| match character {
            '\\' => text.write_str("\\\\"),
            '"' => text.write_str("\\\""),
            '\n' => text.write_str("\\n"),
            other => text.write_char(other),
        })?;
        text.push('"');
    }
    if text.ends_with('"') {
        text.push('}');
    }
    writeln!(text, " {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_escapes_what_a_label_holds() {
        let mut family = Family::new("a_total", "Help.", Kind::Counter);
        let label = ("device", "a\"b\\c\nd".to_owned());
        family.samples.push(Sample::whole(7).with(&[label]));
        let empty = Family::new("b", "Nothing.", Kind::Gauge);
        assert_eq!(
            Report::text(&[family, empty]).to_string(),
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{device=\"a\\\"b\\\\c\\nd\"} 7\n"
        );
    }

    #[test]
    fn json_is_sorted_by_what_a_metric_is() {
        let mut gauge = Family::new("g", "", Kind::Gauge);
        gauge.samples.push(Sample::number(1.5));
        let mut series = Family::new("h", "", Kind::Histogram);
        series
            .samples
            .push(Sample::histogram(&Histogram::default()));
        let report = Report::json(&[gauge, series], Timestamp::from_unix_seconds(0)).unwrap();
        let json: Value = serde_json::from_str(&report.to_string()).unwrap();
        assert_eq!(
            json["Gauges"][0],
            json!({"Name": "g", "Value": 1.5, "Labels": {}})
        );
        assert_eq!(json["Samples"][0]["Count"], 0);
        assert_eq!(
            (&json["Counters"], &json["Points"]),
            (&json!([]), &json!([]))
        );
    }
}
