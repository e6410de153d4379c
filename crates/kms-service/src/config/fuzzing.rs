//! Configurations of any text.

use secretum_kms::Environment;
use secretum_kms::config::{ConfigFault, Stage};

/// What is wrong with the table `[service]` of a text.
pub fn faults(text: &str, environment: &Environment) -> Vec<ConfigFault> {
    super::draft::read(text, environment, Stage::Production)
        .err()
        .unwrap_or_default()
}
