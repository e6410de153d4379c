//! [`Server`]: the operations, one function each.

use super::message::Refusal;
use super::sealed::Encrypted;
use super::{Exchange, Version, attributes, payload_of, request_of};
use crate::ttlv::{Node, Tag, Value};
use crate::{KmsError, Result};
use secretum_crypto::SecretBytes;
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const SYMMETRIC_KEY: u32 = 2;
pub(super) const PUBLIC_KEY: u32 = 3;
pub(super) const PRIVATE_KEY: u32 = 4;

const CREATE: u32 = 0x01;
const RE_KEY: u32 = 0x04;
const LOCATE: u32 = 0x08;
const GET_ATTRIBUTES: u32 = 0x0b;
const ACTIVATE: u32 = 0x12;
const REVOKE: u32 = 0x13;
const DESTROY: u32 = 0x14;
const QUERY: u32 = 0x18;
const ENCRYPT: u32 = 0x1f;
const DECRYPT: u32 = 0x20;

const ENCRYPT_AND_DECRYPT: i32 = 0x0c;
const AES: u32 = 3;
const RSA: u32 = 4;
const GCM: u32 = 9;
const OAEP: u32 = 2;
const SHA_256: u32 = 6;
const MGF1: u32 = 1;

/// The bytes of a tag of AES-GCM.
pub(super) const TAG_BYTES: usize = 16;

/// The most objects that are looked at, with one attribute or in all.
pub(super) const LOCATED_MAX: usize = if cfg!(test) { 256 } else { 10_000 };

/// The most objects that are asked for at once.
const PAGE: usize = if cfg!(test) { 8 } else { 500 };

/// What an operation gives, or why the server refused it.
pub(super) type Outcome<T> = Result<std::result::Result<T, Refusal>>;

/// How something is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// AES-GCM.
    Aes,
    /// RSA-OAEP with SHA-256.
    Rsa,
}

/// A server, asked for one thing at a time.
#[derive(Debug, Clone)]
pub(super) struct Server {
    exchange: Arc<dyn Exchange>,
}

impl Server {
    pub(super) fn new(exchange: Arc<dyn Exchange>) -> Self {
        Self { exchange }
    }

    pub(super) fn provider(&self) -> &'static str {
        self.exchange.provider()
    }

    pub(super) async fn version(&self) -> Result<Version> {
        self.exchange.version().await
    }

    async fn ask(&self, operation: u32, payload: Vec<Node>) -> Outcome<Node> {
        let message = request_of(self.version().await?, operation, payload);
        // A second one of these would make a second object.
        let repeatable = !matches!(operation, CREATE | RE_KEY);
        let answer = self.exchange.exchange(&message, repeatable).await?;
        payload_of(self.provider(), operation, answer)
    }

    pub(super) fn bad(&self, reason: &str) -> KmsError {
        KmsError::BadAnswer {
            provider: self.provider(),
            reason: reason.to_owned(),
        }
    }

    /// The identifiers of all objects with this attribute, or without one, of all.
    ///
    /// **Errors**: [`KmsError::Refused`] where there are more than [`LOCATED_MAX`]: in a list that ends
    /// too early the newest version of a key may be missing.
    pub(super) async fn locate(
        &self,
        sought: impl Fn() -> Option<Node> + Send,
    ) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        let mut by_pages = self.version().await?.has_offsets();
        loop {
            let (offset, items) = match by_pages {
                true => (found.len(), PAGE),
                false => (0, LOCATED_MAX + 1),
            };
            let page = self.page(sought(), offset, items).await?;
            let before = found.len();
            let count = page.all(Tag::UNIQUE_IDENTIFIER).count();
            let ids = page.all(Tag::UNIQUE_IDENTIFIER).filter_map(Node::as_text);
            found.extend(ids.map(str::to_owned));
            if found.len() > LOCATED_MAX {
                return Err(self.too_many());
            }
            // A server may give less than it was asked for, and tell how many there are.
            let has_more = located(&page).is_some_and(|all| all > found.len());
            let is_stuck = found.len() == before;
            if count < items && !has_more || is_stuck && !by_pages {
                return Ok(found);
            }
            // Where it begins from the front again, it is asked for all at once.
            by_pages &= !is_stuck;
        }
    }

    async fn page(&self, sought: Option<Node>, offset: usize, items: usize) -> Result<Node> {
        let version = self.version().await?;
        let number = |tag, count| Node::integer(tag, i32::try_from(count).unwrap_or(i32::MAX));
        let mut payload = vec![number(Tag::MAXIMUM_ITEMS, items)];
        if offset > 0 {
            payload.push(number(Tag::OFFSET_ITEMS, offset));
        }
        payload.extend(attributes::of_sought(version, Vec::from_iter(sought)));
        match self.ask(LOCATE, payload).await? {
            Ok(found) => Ok(found),
            Err(refusal) if refusal.is_absence() => Ok(Node::structure(Tag::RESPONSE_PAYLOAD, [])),
            Err(refusal) => Err(refusal.into_error(self.provider())),
        }
    }

    fn too_many(&self) -> KmsError {
        let reason = format!(
            "more than {LOCATED_MAX} objects were found, so that the newest may be missing; permit this \
             client fewer of them, or make a new key and re-encrypt to it"
        );
        let provider = self.provider();
        KmsError::Refused { provider, reason }
    }

    /// All that is said of an object.
    pub(super) async fn attributes(&self, id: &str) -> Outcome<Vec<Node>> {
        let found = self.ask(GET_ATTRIBUTES, vec![identifier(id)]).await?;
        Ok(found.map(attributes::in_answer))
    }

    /// Makes a key of AES-256 that encrypts and decrypts, and gives its identifier.
    pub(super) async fn create(&self, mut said: Vec<Node>) -> Outcome<String> {
        let version = self.version().await?;
        said.push(Node::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, AES));
        said.push(Node::integer(Tag::CRYPTOGRAPHIC_LENGTH, 256));
        said.push(Node::integer(
            Tag::CRYPTOGRAPHIC_USAGE_MASK,
            ENCRYPT_AND_DECRYPT,
        ));
        let payload = vec![
            Node::enumeration(Tag::OBJECT_TYPE, SYMMETRIC_KEY),
            attributes::of_new(version, said),
        ];
        self.identified(self.ask(CREATE, payload).await?)
    }

    /// Makes a key that takes the name of this one, and gives its identifier.
    pub(super) async fn re_key(&self, id: &str) -> Outcome<String> {
        self.identified(self.ask(RE_KEY, vec![identifier(id)]).await?)
    }

    fn identified(&self, made: std::result::Result<Node, Refusal>) -> Outcome<String> {
        let made = match made {
            Ok(made) => made,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = made.text_of(Tag::UNIQUE_IDENTIFIER).map(str::to_owned);
        Ok(Ok(id.ok_or_else(|| self.bad("it names no object"))?))
    }

    pub(super) async fn activate(&self, id: &str) -> Outcome<()> {
        let done = self.ask(ACTIVATE, vec![identifier(id)]).await?;
        Ok(done.map(drop))
    }

    /// Takes an object out of use: it encrypts no longer.
    pub(super) async fn revoke(&self, id: &str) -> Outcome<()> {
        const CESSATION_OF_OPERATION: u32 = 6;
        let code = Node::enumeration(Tag::REVOCATION_REASON_CODE, CESSATION_OF_OPERATION);
        let reason = Node::structure(Tag::REVOCATION_REASON, [code]);
        let done = self.ask(REVOKE, vec![identifier(id), reason]).await?;
        Ok(done.map(drop))
    }

    pub(super) async fn destroy(&self, id: &str) -> Outcome<()> {
        let done = self.ask(DESTROY, vec![identifier(id)]).await?;
        Ok(done.map(drop))
    }

    pub(super) async fn encrypt(
        &self,
        id: &str,
        cipher: Cipher,
        plaintext: &[u8],
        aad: Option<&[u8]>,
    ) -> Outcome<Encrypted> {
        let parameters = parameters(cipher, self.version().await?);
        let mut payload = vec![
            identifier(id),
            parameters,
            Node::bytes(Tag::DATA, plaintext),
        ];
        let bound = |aad| Node::bytes(Tag::AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA, aad);
        payload.extend(aad.map(bound));
        let made = match self.ask(ENCRYPT, payload).await? {
            Ok(made) => made,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let part = |tag| made.bytes_of(tag).map(<[u8]>::to_vec);
        let data = part(Tag::DATA).ok_or_else(|| self.bad("it has no ciphertext"))?;
        let nonce = part(Tag::IV_COUNTER_NONCE).unwrap_or_default();
        let tag = part(Tag::AUTHENTICATED_ENCRYPTION_TAG).unwrap_or_default();
        if nonce.len() > 255 {
            return Err(self.bad("its nonce is too long"));
        }
        // Without these nobody could decrypt it any more. Before 1.4 the tag stands behind the data.
        let appended = aad.is_none() && data.len() >= plaintext.len() + TAG_BYTES;
        let complete = !nonce.is_empty() && (tag.len() == TAG_BYTES || appended && tag.is_empty());
        if cipher == Cipher::Aes && !complete {
            return Err(self.bad(if aad.is_none() && tag.is_empty() {
                "its ciphertext comes without its nonce or its tag, as some servers have it before \
                 KMIP 1.4; have 1.4 or a newer version spoken"
            } else {
                "its ciphertext comes without its nonce or without its tag of 16 bytes"
            }));
        }
        Ok(Ok(Encrypted { nonce, tag, data }))
    }

    pub(super) async fn decrypt(
        &self,
        id: &str,
        cipher: Cipher,
        encrypted: &Encrypted,
        aad: Option<&[u8]>,
    ) -> Outcome<SecretBytes> {
        let parameters = parameters(cipher, self.version().await?);
        let data = Node::bytes(Tag::DATA, encrypted.data.as_slice());
        let mut payload = vec![identifier(id), parameters, data];
        let mut add = |tag, bytes: &[u8]| {
            if !bytes.is_empty() {
                payload.push(Node::bytes(tag, bytes));
            }
        };
        add(Tag::IV_COUNTER_NONCE, &encrypted.nonce);
        add(
            Tag::AUTHENTICATED_ENCRYPTION_ADDITIONAL_DATA,
            aad.unwrap_or_default(),
        );
        add(Tag::AUTHENTICATED_ENCRYPTION_TAG, &encrypted.tag);
        let opened = match self.ask(DECRYPT, payload).await? {
            Ok(opened) => opened,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // An empty plaintext may be left out.
        let data = opened.into_first(Tag::DATA).and_then(Node::into_bytes);
        Ok(Ok(data.unwrap_or_else(|| SecretBytes::new(Vec::new()))))
    }

    /// The operations that it has, and what it calls itself.
    pub(super) async fn query(&self) -> Outcome<(Vec<u32>, String)> {
        const OPERATIONS: u32 = 1;
        const SERVER_INFORMATION: u32 = 3;
        let functions = [OPERATIONS, SERVER_INFORMATION];
        let functions = functions.map(|function| Node::enumeration(Tag::QUERY_FUNCTION, function));
        let told = self.ask(QUERY, functions.into()).await?;
        Ok(told.map(|told| {
            let operations = told.all(Tag::OPERATION).filter_map(Node::as_enumeration);
            let vendor = told.text_of(Tag::VENDOR_IDENTIFICATION);
            (
                operations.collect(),
                crate::error::shown(vendor.unwrap_or_default()),
            )
        }))
    }

    /// Whether these operations are all that a provider cannot do without.
    pub(super) fn can_encrypt(operations: &[u32]) -> bool {
        [ENCRYPT, DECRYPT]
            .iter()
            .all(|wanted| operations.contains(wanted))
    }
}

/// How many objects a server says there are, where it does.
fn located(page: &Node) -> Option<usize> {
    match page.find(Tag::LOCATED_ITEMS)?.value {
        Value::Integer(count) => usize::try_from(count).ok(),
        _ => None,
    }
}

fn identifier(id: &str) -> Node {
    Node::text(Tag::UNIQUE_IDENTIFIER, id)
}

fn parameters(cipher: Cipher, version: Version) -> Node {
    let nodes = match cipher {
        Cipher::Aes => vec![
            Node::enumeration(Tag::BLOCK_CIPHER_MODE, GCM),
            Node::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, AES),
            Node::new(Tag::RANDOM_IV, Value::Boolean(true)),
            Node::integer(Tag::TAG_LENGTH, 16),
        ],
        Cipher::Rsa => {
            let mut nodes = vec![
                Node::enumeration(Tag::PADDING_METHOD, OAEP),
                Node::enumeration(Tag::HASHING_ALGORITHM, SHA_256),
                Node::enumeration(Tag::CRYPTOGRAPHIC_ALGORITHM, RSA),
            ];
            if version.has_associated_data() {
                let hash = Tag::MASK_GENERATOR_HASHING_ALGORITHM;
                nodes.push(Node::enumeration(Tag::MASK_GENERATOR, MGF1));
                nodes.push(Node::enumeration(hash, SHA_256));
            }
            nodes
        }
    };
    Node::structure(Tag::CRYPTOGRAPHIC_PARAMETERS, nodes)
}
