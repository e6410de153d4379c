//! A ciphertext that was changed is refused.

use super::{Broken, Outcome, Subject, cases, context, ensure, refuse};
use crate::{Ciphertext, FormatError, KmsError};

cases! {
    a_changed_byte_never_gives_another_plaintext,
    a_cut_ciphertext_is_told,
    what_another_provider_made_is_told,
}

/// The most bytes that are changed one by one: enough for all of a short ciphertext, and quick over a
/// network.
const CHANGES_MAX: usize = 300;

/// What names a key or version may name another one that opens it just as well; whatever else is
/// changed, nothing opens.
async fn a_changed_byte_never_gives_another_plaintext(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    for text in ["", "a=1"] {
        let context = context(text);
        let made = kms.encrypt(&key, b"plaintext", &context).await?;
        let bytes = made.to_bytes();
        let step = bytes.len() / CHANGES_MAX + 1;
        for at in (0..bytes.len()).step_by(step) {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            let Ok(read) = Ciphertext::from_bytes(&changed) else {
                continue;
            };
            let labels =
                read.wrapped().bytes == made.wrapped().bytes && read.form() == crate::Form::Native;
            match kms.decrypt(&read, &context).await {
                Ok(opened) => ensure!(
                    labels && opened.expose() == b"plaintext",
                    "it opens with byte {at} changed"
                ),
                Err(error) => ensure!(
                    !error.is_service_fault(),
                    "a changed ciphertext counts as a fault of the service: {error}"
                ),
            }
        }
    }
    Ok(())
}

async fn a_cut_ciphertext_is_told(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let bytes = kms.encrypt(&key, b"x", &context("a=1")).await?.to_bytes();
    for length in 0..bytes.len() {
        let cut = bytes.get(..length).unwrap_or_default();
        refuse!(Ciphertext::from_bytes(cut), FormatError::Truncated { .. });
    }
    Ok(())
}

async fn what_another_provider_made_is_told(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let made = kms.encrypt(&key, b"x", &context("")).await?;
    let foreign = Ciphertext::native("another", made.wrapped().clone()).map_err(KmsError::from)?;
    let refused = kms.decrypt(&foreign, &context("")).await;
    refuse!(refused, KmsError::OtherProvider { .. });
    let refused = kms.decrypt_data_key(&foreign, &context("")).await;
    refuse!(refused, KmsError::OtherProvider { .. });
    let refused = kms
        .re_encrypt(&foreign, &context(""), &key, &context(""))
        .await;
    refuse!(refused, KmsError::OtherProvider { .. });
    Ok(())
}
