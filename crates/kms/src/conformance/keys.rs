//! Keys: unknown, rotated, described, listed.

use super::{Broken, Outcome, Subject, cases, context, ensure, refuse};
use crate::{KeyId, KmsError, KmsOperation};

cases! {
    an_unknown_key_is_told,
    what_was_encrypted_opens_after_a_rotation,
    re_encryption_takes_the_newest_version,
    re_encryption_takes_another_key,
    keys_are_listed,
    it_is_healthy,
}

async fn an_unknown_key_is_told(subject: Subject) -> Outcome {
    let Subject { kms, .. } = subject;
    let unknown = KeyId::new("no-such-key")?;
    let refused = kms.encrypt(&unknown, b"x", &context("")).await;
    refuse!(refused, KmsError::KeyNotFound { .. });
    refuse!(kms.key_info(&unknown).await, KmsError::KeyNotFound { .. });
    Ok(())
}

async fn what_was_encrypted_opens_after_a_rotation(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    if !kms.capabilities().rotation {
        let refused = kms.rotate_key(&key).await;
        let rotation = KmsOperation::RotateKey;
        let told = matches!(&refused, Err(KmsError::Unsupported { operation, .. }) if *operation == rotation);
        ensure!(told, "it has no rotation, and says {refused:?}");
        return Ok(());
    }
    let before = kms.key_info(&key).await?;
    let mut made = Vec::new();
    for text in ["", "a=1"] {
        made.push((text, kms.encrypt(&key, b"old", &context(text)).await?));
    }
    let rotated = kms.rotate_key(&key).await?;
    ensure!(
        rotated.version != before.version,
        "it was rotated, and its version is still {}",
        before.version
    );
    ensure!(
        kms.key_info(&key).await?.version == rotated.version,
        "the rotation tells another version than the key"
    );
    for (text, ciphertext) in made {
        let opened = kms.decrypt(&ciphertext, &context(text)).await?;
        ensure!(opened.expose() == b"old", "another plaintext came back");
        let anew = kms.encrypt(&key, b"new", &context(text)).await?;
        ensure!(
            *anew.key_version() == rotated.version,
            "it encrypts under {}, not under {}",
            anew.key_version(),
            rotated.version
        );
        let opened = kms.decrypt(&anew, &context(text)).await?;
        ensure!(opened.expose() == b"new", "another plaintext came back");
    }
    Ok(())
}

async fn re_encryption_takes_the_newest_version(subject: Subject) -> Outcome {
    let Subject { kms, key, .. } = subject;
    if !kms.capabilities().rotation {
        return Ok(());
    }
    for text in ["", "a=1"] {
        let context = context(text);
        let old = kms.encrypt(&key, b"kept", &context).await?;
        let rotated = kms.rotate_key(&key).await?;
        let new = kms.re_encrypt(&old, &context, &key, &context).await?;
        ensure!(
            *new.key_version() == rotated.version,
            "it was re-encrypted under {}, not under {}",
            new.key_version(),
            rotated.version
        );
        let opened = kms.decrypt(&new, &context).await?;
        ensure!(opened.expose() == b"kept", "another plaintext came back");
    }
    Ok(())
}

async fn re_encryption_takes_another_key(subject: Subject) -> Outcome {
    let Subject {
        kms,
        key,
        other_key,
    } = subject;
    let Some(other_key) = other_key else {
        return Ok(());
    };
    for text in ["", "a=1"] {
        let context = context(text);
        let old = kms.encrypt(&key, b"kept", &context).await?;
        let new = kms.re_encrypt(&old, &context, &other_key, &context).await?;
        let (own, others) = (old.key(), new.key());
        ensure!(own != others, "both are under `{own}`");
        let opened = kms.decrypt(&new, &context).await?;
        ensure!(opened.expose() == b"kept", "another plaintext came back");
    }
    Ok(())
}

async fn keys_are_listed(subject: Subject) -> Outcome {
    let Subject {
        kms,
        key,
        other_key,
    } = subject;
    if !kms.capabilities().listing {
        refuse!(kms.list_keys(None, 10).await, KmsError::Unsupported { .. });
        return Ok(());
    }
    let mut found: Vec<KeyId> = Vec::new();
    loop {
        let page = kms.list_keys(found.last(), 1).await?;
        ensure!(
            page.keys.len() <= 1,
            "a page of one has {}",
            page.keys.len()
        );
        ensure!(
            page.keys.iter().all(|key| !found.contains(key)),
            "a key is listed twice"
        );
        found.extend(page.keys);
        if !page.more {
            break;
        }
    }
    for wanted in std::iter::once(&key).chain(&other_key) {
        ensure!(found.contains(wanted), "`{wanted}` is not listed");
    }
    Ok(())
}

async fn it_is_healthy(subject: Subject) -> Outcome {
    let health = subject.kms.health_check().await?;
    ensure!(
        health.provider == subject.kms.capabilities().provider,
        "another provider answers"
    );
    Ok(())
}
