//! Data keys of every kind, with and without their plaintext.

use super::{Broken, Outcome, Subject, cases, context, ensure};
use crate::{DATA_KEY_BYTES_MAX, DataKeySpec};

cases! {
    data_keys_come_back,
    a_data_key_without_plaintext_opens,
    no_two_data_keys_are_equal,
}

async fn data_keys_come_back(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let longest = DataKeySpec::bytes(DATA_KEY_BYTES_MAX)?;
    for spec in [
        DataKeySpec::AES_128,
        DataKeySpec::AES_256,
        DataKeySpec::bytes(1)?,
        DataKeySpec::bytes(64)?,
        longest,
    ] {
        for text in ["", "a=1"] {
            let context = context(text);
            let made = kms.generate_data_key(&key, spec, &context).await?;
            ensure!(
                made.plaintext.len() == spec.len(),
                "{spec} has {} bytes",
                made.plaintext.len()
            );
            let opened = kms.decrypt_data_key(&made.wrapped, &context).await?;
            ensure!(opened == made.plaintext, "{spec} came back as another key");
        }
    }
    Ok(())
}

async fn a_data_key_without_plaintext_opens(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let spec = DataKeySpec::AES_256;
    let wrapped = kms
        .generate_data_key_without_plaintext(&key, spec, &context("a=1"))
        .await?;
    let opened = kms.decrypt_data_key(&wrapped, &context("a=1")).await?;
    ensure!(opened.len() == 32, "it has {} bytes", opened.len());
    Ok(())
}

async fn no_two_data_keys_are_equal(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let spec = DataKeySpec::AES_256;
    let one = kms.generate_data_key(&key, spec, &context("")).await?;
    let other = kms.generate_data_key(&key, spec, &context("")).await?;
    ensure!(one.plaintext != other.plaintext, "two data keys are equal");
    Ok(())
}
