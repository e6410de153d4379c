//! Field types that parse what Vault clients send and print what Vault prints.
//!
//! Plain booleans, numbers and strings need no type of their own: the engine framework reads
//! `"true"` as a boolean and `"5"` as a number wherever a request type asks for one.

mod address_range;
mod comma_list;
mod count;
mod duration;
mod json_object;
mod key_values;

pub use address_range::AddressRange;
pub use comma_list::CommaList;
pub use count::Count;
pub use duration::{DurationFault, Seconds, go_duration, parse_duration, short_duration};
pub use json_object::JsonObject;
pub use key_values::KeyValues;

/// Implements `JsonSchema` as one JSON type with a description.
macro_rules! schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
    };
}
use schema;
