//! The framework secret engines and auth methods are written against.
