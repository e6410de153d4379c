//! [`Object`]: what a key stands for, and how it is found.

use super::attributes;
use super::message::Refusal;
use super::server::{Cipher, PRIVATE_KEY, PUBLIC_KEY, SYMMETRIC_KEY, Server};
use crate::ttlv::{Node, Tag, Value};
use crate::{KeyId, KmsError, Result};
use futures::future::ready;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// The most objects that one key has.
const VERSIONS_MAX: u32 = 256;

/// How many objects are asked about at one time; less than there are connections.
const ASKED_AT_ONCE: usize = 4;

/// What the object group of a key's versions begins with.
const GROUP: &str = "secretum-kms:";

const PRE_ACTIVE: u32 = 1;
const ACTIVE: u32 = 2;
const DESTROYED: u32 = 5;
const DESTROYED_COMPROMISED: u32 = 6;

/// An object, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    pub(super) id: String,
    kind: u32,
    state: Option<u32>,
    names: Vec<String>,
    groups: Vec<String>,
    pub(super) initial_date: Option<i64>,
    public: Option<String>,
    private: Option<String>,
}

/// The objects that encrypt and decrypt under a key now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Current {
    /// What decrypts, which is the version that is kept.
    pub(super) id: String,
    /// What encrypts.
    pub(super) encrypting: String,
    pub(super) cipher: Cipher,
    /// The number behind the name; 1 where there is none.
    pub(super) number: u32,
    pub(super) initial_date: Option<i64>,
}

impl Current {
    /// The number of the version that follows by hand.
    ///
    /// **Errors**: [`KmsError::Refused`] where a key has as many as are looked for.
    pub(super) fn next_number(&self, provider: &'static str, key: &KeyId) -> Result<u32> {
        if self.number < VERSIONS_MAX {
            return Ok(self.number + 1);
        }
        let reason = format!(
            "the key `{key}` has {VERSIONS_MAX} versions; make a new key and re-encrypt to it"
        );
        Err(KmsError::Refused { provider, reason })
    }
}

impl Object {
    pub(super) fn new(id: &str, attributes: &[Node]) -> Self {
        let mut object = Self {
            id: id.to_owned(),
            ..Self::default()
        };
        for node in attributes {
            match (node.tag, &node.value) {
                (Tag::OBJECT_TYPE, Value::Enumeration(kind)) => object.kind = *kind,
                (Tag::STATE, Value::Enumeration(state)) => object.state = Some(*state),
                (Tag::INITIAL_DATE, Value::DateTime(date)) => object.initial_date = Some(*date),
                (Tag::OBJECT_GROUP, Value::TextString(group)) => object.groups.push(group.clone()),
                (Tag::NAME, _) => {
                    let name = node.text_of(Tag::NAME_VALUE).map(str::to_owned);
                    object.names.extend(name);
                }
                (Tag::LINK, _) => object.link(node),
                _ => {}
            }
        }
        object
    }

    fn link(&mut self, link: &Node) {
        const PUBLIC_KEY_LINK: u32 = 0x102;
        const PRIVATE_KEY_LINK: u32 = 0x103;
        let id = link
            .text_of(Tag::LINKED_OBJECT_IDENTIFIER)
            .map(str::to_owned);
        match link.enumeration_of(Tag::LINK_TYPE) {
            Some(PUBLIC_KEY_LINK) => self.public = id,
            Some(PRIVATE_KEY_LINK) => self.private = id,
            _ => {}
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.state == Some(ACTIVE)
    }

    pub(super) fn is_destroyed(&self) -> bool {
        matches!(self.state, Some(DESTROYED | DESTROYED_COMPROMISED))
    }

    /// Whether it encrypts and decrypts, by itself or with the other one of its pair.
    fn is_key(&self) -> bool {
        match self.kind {
            SYMMETRIC_KEY => true,
            PRIVATE_KEY => self.public.is_some(),
            PUBLIC_KEY => self.private.is_some(),
            _ => false,
        }
    }

    /// The number behind the name of a version; 1 where it has the name itself, or is meant by its
    /// identifier or tag.
    fn number(&self, key: &KeyId) -> u32 {
        let numbers = self.names.iter().filter_map(|name| {
            let number = name.strip_prefix(key.as_str())?.strip_prefix('@')?;
            number.parse().ok()
        });
        numbers.max().unwrap_or(1)
    }

    /// Whether it has the name of this key as a version of another one: `k@2` may be the second version
    /// of `k`, and a key of its own.
    fn is_version_of_another(&self, key: &KeyId) -> bool {
        let mut groups = self
            .groups
            .iter()
            .filter_map(|group| group.strip_prefix(GROUP));
        self.is_named(key)
            && groups.clone().next().is_some()
            && !groups.any(|group| group == key.as_str())
    }

    /// Whether it has the name of this key, which ReKey takes from the old object.
    fn is_named(&self, key: &KeyId) -> bool {
        self.names.iter().any(|name| name == key.as_str())
    }

    fn into_current(self, key: &KeyId) -> Current {
        let number = self.number(key);
        let (cipher, id, encrypting) = match self.kind {
            PRIVATE_KEY => (Cipher::Rsa, self.id.clone(), self.public),
            PUBLIC_KEY => (
                Cipher::Rsa,
                self.private.unwrap_or_default(),
                Some(self.id.clone()),
            ),
            _ => (Cipher::Aes, self.id.clone(), None),
        };
        Current {
            encrypting: encrypting.unwrap_or(self.id),
            id,
            cipher,
            number,
            initial_date: self.initial_date,
        }
    }

    /// The key that it is a version of.
    pub(super) fn key(&self) -> Option<KeyId> {
        if !self.is_key() || self.kind == PUBLIC_KEY || self.is_destroyed() {
            return None;
        }
        let of_group = self
            .groups
            .iter()
            .find_map(|group| group.strip_prefix(GROUP));
        let name = of_group.or(self.names.first().map(String::as_str));
        KeyId::new(name.unwrap_or(&self.id)).ok()
    }
}

/// The attributes of a version with this number.
pub(super) fn of_version(key: &KeyId, number: u32) -> Vec<Node> {
    let name = match number {
        1 => key.as_str().to_owned(),
        number => format!("{key}@{number}"),
    };
    vec![attributes::name(&name), group(key)]
}

fn group(key: &KeyId) -> Node {
    Node::text(Tag::OBJECT_GROUP, format!("{GROUP}{key}"))
}

/// An attribute of Cosmian's own: the tags of an object, as a list in JSON.
fn tag(key: &KeyId) -> Node {
    let list = serde_json::Value::from(vec![key.as_str()]).to_string();
    Node::structure(
        Tag::ATTRIBUTE,
        [
            Node::text(Tag::VENDOR_IDENTIFICATION, "cosmian"),
            Node::text(Tag::ATTRIBUTE_NAME, "tag"),
            Node::text(Tag::ATTRIBUTE_VALUE, list),
        ],
    )
}

/// Everything that a key may stand for: by its name, by the group of its versions, by its tag where the
/// server has those, and else by its identifier.
pub(super) async fn of_key(server: &Server, key: &KeyId, tags: bool) -> Result<Vec<Object>> {
    let mut ids = server
        .locate(|| Some(attributes::name(key.as_str())))
        .await?;
    ids.extend(server.locate(|| Some(group(key))).await?);
    if ids.is_empty() && tags {
        ids = server.locate(|| Some(tag(key))).await?;
    }
    if ids.is_empty() {
        ids.insert(key.as_str().to_owned());
    }
    described(server, ids).await
}

/// Every object of the server.
pub(super) async fn all(server: &Server) -> Result<Vec<Object>> {
    described(server, server.locate(|| None).await?).await
}

/// These objects, as far as they are there.
async fn described(server: &Server, ids: BTreeSet<String>) -> Result<Vec<Object>> {
    let asked = ids.into_iter().map(|id| {
        let server = server.clone();
        async move { object(&server, &id).await }
    });
    let found = stream::iter(asked).buffered(ASKED_AT_ONCE);
    found
        .try_filter_map(|object| ready(Ok(object)))
        .try_collect()
        .await
}

/// An object; `None` where there is none, or the caller may not know of it.
pub(super) async fn object(server: &Server, id: &str) -> Result<Option<Object>> {
    match server.attributes(id).await? {
        Ok(attributes) => Ok(Some(Object::new(id, &attributes))),
        Err(refusal) if refusal.is_absence() => Ok(None),
        Err(Refusal { reason, .. }) if reason == Refusal::PERMISSION_DENIED => Ok(None),
        Err(refusal) => Err(refusal.into_error(server.provider())),
    }
}

/// Of all that a key stands for, what is a version of it that is there.
fn versions(key: &KeyId, found: Vec<Object>) -> impl Iterator<Item = Object> {
    found.into_iter().filter(|object| {
        object.is_key() && !object.is_destroyed() && !object.is_version_of_another(key)
    })
}

/// The newest of them: with the highest number, then the youngest, then the one with the name.
fn newest(key: &KeyId, versions: impl Iterator<Item = Object>) -> Option<Object> {
    versions.max_by_key(|object| {
        let named = object.is_named(key);
        let id = object.id.clone();
        (object.number(key), object.initial_date, named, id)
    })
}

/// Of all that a key stands for, what encrypts now: the newest that is active.
///
/// **Errors**: [`KmsError::KeyNotFound`] and [`KmsError::KeyDisabled`].
pub(super) fn current(provider: &'static str, key: &KeyId, found: Vec<Object>) -> Result<Current> {
    let mut versions = versions(key, found).peekable();
    if versions.peek().is_none() {
        let key = key.clone();
        return Err(KmsError::KeyNotFound { provider, key });
    }
    let newest = newest(key, versions.filter(Object::is_active)).ok_or_else(|| {
        let key = key.clone();
        KmsError::KeyDisabled { provider, key }
    })?;
    Ok(newest.into_current(key))
}

/// What a rotation made that was cut short: the newest of all that can be used, where it is not active
/// yet. Its identifier.
pub(super) fn begun(key: &KeyId, found: Vec<Object>) -> Option<String> {
    let usable = |object: &Object| object.is_active() || object.state == Some(PRE_ACTIVE);
    let newest = newest(key, versions(key, found).filter(usable))?;
    (newest.kind == SYMMETRIC_KEY && !newest.is_active()).then_some(newest.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: &str, name: &str, state: u32) -> Object {
        Object {
            id: id.to_owned(),
            kind: SYMMETRIC_KEY,
            state: Some(state),
            names: vec![name.to_owned()],
            ..Object::default()
        }
    }

    #[test]
    fn the_highest_number_that_is_active_encrypts() {
        let key = KeyId::new("k").unwrap();
        let all = |third| {
            vec![
                object("a", "k", ACTIVE),
                object("b", "k@10", third),
                object("c", "k@2", ACTIVE),
                object("d", "k@x", ACTIVE),
            ]
        };
        let newest = current("kmip", &key, all(ACTIVE)).unwrap();
        assert_eq!((newest.id.as_str(), newest.number), ("b", 10));
        assert_eq!(current("kmip", &key, all(1)).unwrap().id, "c");
        assert_eq!(current("kmip", &key, all(DESTROYED)).unwrap().id, "c");
    }

    #[test]
    fn the_newest_that_is_not_active_yet_was_begun() {
        let key = KeyId::new("k").unwrap();
        let all = |state| vec![object("b", "k", ACTIVE), object("a", "k@2", state)];
        assert_eq!(begun(&key, all(PRE_ACTIVE)).as_deref(), Some("a"));
        // One that is out of use was no beginning.
        for state in [ACTIVE, 3, 4, DESTROYED] {
            assert_eq!(begun(&key, all(state)), None);
        }
        let outrun = vec![object("a", "k", PRE_ACTIVE), object("b", "k@2", ACTIVE)];
        assert_eq!(begun(&key, outrun), None);
        // ReKey in the same second: the new one has the name.
        let grouped = |id: &str, name: &str, state| Object {
            groups: vec!["secretum-kms:k".to_owned()],
            initial_date: Some(7),
            ..object(id, name, state)
        };
        let made = vec![grouped("b", "", ACTIVE), grouped("a", "k", PRE_ACTIVE)];
        assert_eq!(begun(&key, made).as_deref(), Some("a"));
        let done = vec![grouped("b", "", ACTIVE), grouped("a", "k", ACTIVE)];
        assert_eq!(current("kmip", &key, done).unwrap().id, "a");
        // A pair is not rotated from here.
        let mut pair = object("a", "k", PRE_ACTIVE);
        pair.kind = PRIVATE_KEY;
        pair.public = Some("public".to_owned());
        assert_eq!(begun(&key, vec![pair]), None);
    }

    #[test]
    fn a_key_that_is_not_active_is_told_from_one_that_is_gone() {
        let key = KeyId::new("k").unwrap();
        let disabled = current("kmip", &key, vec![object("a", "k", 3)]);
        assert!(matches!(disabled, Err(KmsError::KeyDisabled { .. })));
        for gone in [vec![], vec![object("a", "k", DESTROYED)]] {
            let gone = current("kmip", &key, gone);
            assert!(matches!(gone, Err(KmsError::KeyNotFound { .. })));
        }
    }

    #[test]
    fn a_version_of_one_key_is_no_other_key() {
        let mut version = object("a", "k@2", ACTIVE);
        version.groups = vec!["secretum-kms:k".to_owned()];
        let mut own = object("b", "k@2", ACTIVE);
        own.groups = vec!["secretum-kms:k@2".to_owned()];
        let (k, k2) = (KeyId::new("k").unwrap(), KeyId::new("k@2").unwrap());
        let found = vec![version.clone(), own.clone()];
        assert_eq!(current("kmip", &k2, found).unwrap().id, "b");
        let first = object("c", "k", ACTIVE);
        let newest = current("kmip", &k, vec![first, version.clone()]).unwrap();
        assert_eq!((newest.id.as_str(), newest.number), ("a", 2));
        let alone = current("kmip", &k2, vec![version]);
        assert!(matches!(alone, Err(KmsError::KeyNotFound { .. })));
    }

    #[test]
    fn versions_have_their_limit() {
        let key = KeyId::new("k").unwrap();
        let next = |number: u32| {
            let newest = object("a", &format!("k@{number}"), ACTIVE);
            let newest = current("kmip", &key, vec![newest]).unwrap();
            newest.next_number("kmip", &key)
        };
        assert_eq!(next(VERSIONS_MAX - 1).unwrap(), VERSIONS_MAX);
        assert!(matches!(next(VERSIONS_MAX), Err(KmsError::Refused { .. })));
    }

    #[test]
    fn both_of_a_pair_are_the_same_key() {
        let key = KeyId::new("pair").unwrap();
        let mut private = object("private", "pair", ACTIVE);
        private.kind = PRIVATE_KEY;
        private.public = Some("public".to_owned());
        let mut public = object("public", "pair", ACTIVE);
        public.kind = PUBLIC_KEY;
        public.private = Some("private".to_owned());
        for found in [
            vec![private.clone()],
            vec![public.clone()],
            vec![private, public],
        ] {
            let pair = current("kmip", &key, found).unwrap();
            assert_eq!(
                (pair.id.as_str(), pair.encrypting.as_str()),
                ("private", "public")
            );
            assert_eq!(pair.cipher, Cipher::Rsa);
        }
    }
}
