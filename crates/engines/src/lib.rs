//! A folder per secret engine and per auth method.
