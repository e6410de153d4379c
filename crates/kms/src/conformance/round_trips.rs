//! What is encrypted is decrypted, whatever its length.

use super::{Broken, Outcome, Subject, cases, context, ensure, refuse};
use crate::{Ciphertext, KmsError, PLAINTEXT_BYTES_MAX};

cases! {
    plaintexts_come_back,
    a_plaintext_above_the_limit_is_refused,
    equal_plaintexts_give_other_ciphertexts,
    a_ciphertext_says_where_it_belongs,
}

async fn plaintexts_come_back(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    // Beyond what any cloud service encrypts itself, and no more, to be quick over a network.
    let edge = kms.capabilities().native_bytes_max.min(70_000);
    for text in ["", "env=prod", "env=prod,service=api"] {
        let context = context(text);
        for length in [0, 1, 32, 1000, edge, edge + 1] {
            let plaintext: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            let ciphertext = kms.encrypt(&key, &plaintext, &context).await?;
            let bytes = ciphertext.to_bytes();
            let read = Ciphertext::from_bytes(&bytes).map_err(KmsError::from)?;
            let opened = kms.decrypt(&read, &context).await?;
            ensure!(
                opened.expose() == plaintext,
                "{length} bytes came back as {}",
                opened.len()
            );
            let visible = length >= 16 && bytes.windows(length).any(|part| part == plaintext);
            ensure!(!visible, "the plaintext stands in the ciphertext");
        }
    }
    Ok(())
}

async fn a_plaintext_above_the_limit_is_refused(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let long = vec![0; PLAINTEXT_BYTES_MAX + 1];
    let refused = kms.encrypt(&key, &long, &context("")).await;
    refuse!(refused, KmsError::PlaintextTooLarge { .. });
    Ok(())
}

async fn equal_plaintexts_give_other_ciphertexts(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let one = kms.encrypt(&key, b"the same", &context("a=1")).await?;
    let other = kms.encrypt(&key, b"the same", &context("a=1")).await?;
    ensure!(one != other, "two encryptions gave one ciphertext");
    Ok(())
}

async fn a_ciphertext_says_where_it_belongs(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    let ciphertext = kms.encrypt(&key, b"x", &context("")).await?;
    let provider = kms.capabilities().provider;
    ensure!(
        ciphertext.provider() == provider,
        "the provider is {provider}, and the ciphertext says {}",
        ciphertext.provider()
    );
    let known = kms.key_info(ciphertext.key()).await?;
    ensure!(
        known.version == *ciphertext.key_version(),
        "the version is {}, and the ciphertext says {}",
        known.version,
        ciphertext.key_version()
    );
    Ok(())
}
