//! HCL policies: parse, validate, decide, explain.
