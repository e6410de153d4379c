//! What a pair of RSA keys does, whatever the way to the server is.

use super::{Exchange, attributes, payload_of, request_of};
use crate::ttlv::{Node, Tag};
use crate::{
    DataKeySpec, EncryptionContext, Form, KeyId, KeyManagementService, KmsError, Provider,
    ProviderKms,
};

const CREATE_KEY_PAIR: u32 = 2;
const ACTIVATE: u32 = 0x12;

/// Asks for what has no function of its own.
pub(crate) async fn ask(exchange: &dyn Exchange, operation: u32, payload: Vec<Node>) -> Node {
    let message = request_of(exchange.version().await.unwrap(), operation, payload);
    let answer = exchange.exchange(&message, false).await.unwrap();
    payload_of(exchange.provider(), operation, answer)
        .unwrap()
        .unwrap()
}

pub(crate) async fn activate(exchange: &dyn Exchange, id: &str) {
    let id = Node::text(Tag::UNIQUE_IDENTIFIER, id);
    ask(exchange, ACTIVATE, vec![id]).await;
}

/// Makes a pair with this name, of a server that speaks KMIP 2.
pub(crate) async fn make(exchange: &dyn Exchange, name: &str) {
    let common = [
        attributes::name(name),
        Node::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, 4),
        Node::integer(Tag::CRYPTOGRAPHIC_LENGTH, 2048),
        Node::integer(Tag::CRYPTOGRAPHIC_USAGE_MASK, 12),
    ];
    let tag = |name| Tag::named(name).unwrap();
    let payload = vec![Node::structure(tag("CommonAttributes"), common)];
    let made = ask(exchange, CREATE_KEY_PAIR, payload).await;
    for part in ["PrivateKeyUniqueIdentifier", "PublicKeyUniqueIdentifier"] {
        activate(exchange, made.text_of(tag(part)).unwrap()).await;
    }
}

/// The public key encrypts a data key, the private one opens it.
pub(crate) async fn conforms(kms: &ProviderKms, provider: &dyn Provider, pair: &KeyId) {
    let read = |text: &str| text.parse::<EncryptionContext>().unwrap();
    for text in ["", "a=1"] {
        let context = read(text);
        // More than RSA itself takes.
        let plaintext = vec![7; 5000];
        let ciphertext = kms.encrypt(pair, &plaintext, &context).await.unwrap();
        assert_eq!(ciphertext.form(), Form::Native);
        let opened = kms.decrypt(&ciphertext, &context).await.unwrap();
        assert_eq!(opened.expose(), plaintext);
        let refused = kms.decrypt(&ciphertext, &read("a=2")).await;
        assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
        let mut changed = ciphertext.wrapped().clone();
        for at in [1, 2, 3, 40, 300, 5000] {
            changed.bytes[at] ^= 1;
            let refused = provider.unwrap(&changed, &context).await;
            assert!(
                matches!(refused, Err(KmsError::NotAuthentic { .. })),
                "{at}: {refused:?}"
            );
            changed.bytes[at] ^= 1;
        }
    }
    let (spec, none) = (DataKeySpec::AES_256, read(""));
    let key = kms.generate_data_key(pair, spec, &none).await.unwrap();
    let opened = kms.decrypt_data_key(&key.wrapped, &none).await.unwrap();
    assert!(opened == key.plaintext);
    let refused = kms.rotate_key(pair).await;
    assert!(matches!(refused, Err(KmsError::Unsupported { .. })));
}
