//! A ciphertext opens with the context it was made with, and with no other.

use super::{Broken, Outcome, Subject, cases, context, ensure, refuse};
use crate::{Ciphertext, Form, KmsError, SecretBytes};

cases! {
    another_context_does_not_open,
    the_order_of_pairs_does_not_count,
    a_data_key_is_bound_too,
    re_encryption_changes_the_context,
    re_encryption_wants_the_right_context,
    a_sealed_data_key_is_no_plaintext,
    a_plaintext_may_look_like_a_data_key,
}

const TEXTS: [&str; 6] = ["", "a=1", "a=2", "b=1", "a=1,b=1", "a=1b=1"];

async fn another_context_does_not_open(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    for made in TEXTS {
        let ciphertext = kms.encrypt(&key, b"bound", &context(made)).await?;
        for tried in TEXTS.into_iter().filter(|tried| *tried != made) {
            let refused = kms.decrypt(&ciphertext, &context(tried)).await;
            refuse!(refused, KmsError::NotAuthentic { .. });
        }
    }
    Ok(())
}

async fn the_order_of_pairs_does_not_count(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let ciphertext = kms.encrypt(&key, b"x", &context("a=1,b=2")).await?;
    let opened: SecretBytes = kms.decrypt(&ciphertext, &context("b=2,a=1")).await?;
    ensure!(opened.expose() == b"x", "another plaintext came back");
    Ok(())
}

async fn a_data_key_is_bound_too(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    for made in ["", "a=1"] {
        let spec = crate::DataKeySpec::AES_256;
        let data_key = kms.generate_data_key(&key, spec, &context(made)).await?;
        for tried in ["a=2", "a=1,b=1"] {
            let refused = kms
                .decrypt_data_key(&data_key.wrapped, &context(tried))
                .await;
            refuse!(refused, KmsError::NotAuthentic { .. });
        }
    }
    Ok(())
}

async fn re_encryption_changes_the_context(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    for (from, to) in [("", "a=1"), ("a=1", "a=2"), ("a=1", ""), ("a=1", "a=1")] {
        let (from, to) = (context(from), context(to));
        let ciphertext = kms.encrypt(&key, b"moved", &from).await?;
        let moved = kms.re_encrypt(&ciphertext, &from, &key, &to).await?;
        let opened = kms.decrypt(&moved, &to).await?;
        ensure!(opened.expose() == b"moved", "another plaintext came back");
        if from != to {
            let refused = kms.decrypt(&moved, &from).await;
            refuse!(refused, KmsError::NotAuthentic { .. });
        }
    }
    Ok(())
}

async fn re_encryption_wants_the_right_context(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let ciphertext = kms.encrypt(&key, b"x", &context("a=1")).await?;
    for tried in ["", "a=2"] {
        let refused = kms
            .re_encrypt(&ciphertext, &context(tried), &key, &context("a=1"))
            .await;
        refuse!(refused, KmsError::NotAuthentic { .. });
    }
    Ok(())
}

/// Taken out and written as a native ciphertext, it would open the sealed one without its context.
async fn a_sealed_data_key_is_no_plaintext(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let made = kms.encrypt(&key, b"bound", &context("a=1")).await?;
    if made.form() == Form::Native {
        return Ok(());
    }
    let taken = Ciphertext::native(made.provider(), made.wrapped().clone());
    let taken = taken.map_err(KmsError::from)?;
    for tried in TEXTS.map(context) {
        refuse!(
            kms.decrypt(&taken, &tried).await,
            KmsError::NotAuthentic { .. }
        );
        let refused = kms.decrypt_data_key(&taken, &tried).await;
        refuse!(refused, KmsError::NotAuthentic { .. });
        let refused = kms.re_encrypt(&taken, &tried, &key, &tried).await;
        refuse!(refused, KmsError::NotAuthentic { .. });
    }
    Ok(())
}

/// And comes back; but the provider itself never wraps it, or it could be passed off as one.
async fn a_plaintext_may_look_like_a_data_key(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let data_key = secretum_crypto::Key256::from_slice(&[7; 32]).map_err(KmsError::from)?;
    let plaintext = crate::bound_key::join(&data_key, &context("a=1"));
    for text in ["", "a=1"] {
        let context = context(text);
        let made = kms.encrypt(&key, plaintext.expose(), &context).await?;
        let layered = kms.capabilities().context == crate::SuppliedBy::Layer;
        ensure!(
            !layered || made.form() == Form::Sealed,
            "the provider wrapped it"
        );
        let opened = kms.decrypt(&made, &context).await?;
        ensure!(opened == plaintext, "another plaintext came back");
    }
    Ok(())
}
