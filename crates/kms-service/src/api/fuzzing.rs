//! Bodies of any bytes.

use super::fields::Fields;

const KNOWN: &[&str] = &[
    "plaintext",
    "ciphertext",
    "context",
    "key_id",
    "key_spec",
    "without_plaintext",
];

/// The messages of all that is refused about a body.
pub fn body(bytes: &[u8]) -> Vec<String> {
    let fields = match Fields::read(bytes, KNOWN) {
        Ok(fields) => fields,
        Err(error) => return vec![error.message],
    };
    let errors = [
        fields.plaintext().err(),
        fields.ciphertext().err(),
        fields.context("context").err(),
        fields.key("key_id").err(),
        fields.key_spec().err(),
        fields.switch("without_plaintext").err(),
    ];
    let told = errors.into_iter().flatten();
    told.map(|error| error.message).collect()
}
