//! Listeners, TLS, HTTP, configuration and signals.
