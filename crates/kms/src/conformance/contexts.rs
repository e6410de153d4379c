//! A ciphertext opens with the context it was made with, and with no other.

use super::{Broken, Outcome, Subject, cases, context, ensure, refuse};
use crate::{KmsError, SecretBytes};

cases! {
    another_context_does_not_open,
    the_order_of_pairs_does_not_count,
    a_data_key_is_bound_too,
    re_encryption_changes_the_context,
    re_encryption_wants_the_right_context,
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
