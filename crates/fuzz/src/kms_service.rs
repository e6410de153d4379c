//! The key management service: bodies of requests, and the table `[service]`.

use secretum_kms::Environment;
use secretum_kms_service::fuzzing;

/// A body is taken or refused: in the same words twice, one line each, and never with much of itself.
pub(crate) fn body(data: &[u8]) {
    const MESSAGE_BYTES_MAX: usize = 20_000;
    let told = fuzzing::body(data);
    assert_eq!(told, fuzzing::body(data));
    for message in told {
        assert!(!message.is_empty() && message.len() <= MESSAGE_BYTES_MAX);
        assert!(!message.contains('\n'), "{message:?}");
    }
}

/// A configuration is taken, or something is said of it: a line each, the same twice, and nothing of
/// what variables hold.
pub(crate) fn config(data: &[u8]) {
    const PLANTED: &str = "planted-value";
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.contains(PLANTED) {
        return;
    }
    let environment = Environment::of([("HOME", "/home/u"), ("SECRET", PLANTED)]);
    let faults = fuzzing::faults(text, &environment);
    assert_eq!(faults, fuzzing::faults(text, &environment));
    for fault in faults {
        assert!(
            !fault.message.contains(PLANTED) && !fault.message.contains('\n'),
            "{fault:?}"
        );
    }
}
