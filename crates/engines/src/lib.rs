//! The secret engines and auth methods, a folder each.
//!
//! Owns: what each engine does. Must not know: core, HTTP. A new engine is its folder and one line in
//! [`all`].

pub mod kv;
pub mod transit;

use secretum_engine::{EngineKind, RouteError};

/// Everything that can be enabled.
///
/// **Errors**: [`RouteError`] where the rows of an engine are no table.
pub fn all() -> Result<Vec<EngineKind>, RouteError> {
    Ok(vec![kv::kind()?, transit::kind()?])
}
