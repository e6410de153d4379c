//! The vectors of C2SP CCTV: each says which keys open it, and what must come of it.

use super::super::file::{Fault, open};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// A vector: what its head says, and the age file behind it.
struct Vector {
    name: String,
    head: BTreeMap<String, Vec<String>>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
        let mut head: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
            let (key, value) = line.split_once(": ").unwrap();
            head.entry(key.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        let mut file = bytes[end + 2..].to_vec();
        if head.contains_key("compressed") {
            let mut whole = Vec::new();
            let mut reader = flate2::read::ZlibDecoder::new(file.as_slice());
            reader.read_to_end(&mut whole).unwrap();
            file = whole;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        Self { name, head, file }
    }

    fn first(&self, key: &str) -> &str {
        self.head.get(key).map_or("", |values| values[0].as_str())
    }

    /// Passphrases, and keys of the kind that the crate has no private half of, are not offered.
    fn is_served(&self) -> bool {
        let identities = self.head.get("identity").into_iter().flatten();
        let served = !self.head.contains_key("passphrase");
        served && identities.into_iter().all(|text| !text.contains("-PQ-"))
    }

    /// The crate reads the headers that age wrote before 1.0, which may lack a stanza's last line. They
    /// are authenticated like any other.
    fn is_forgiven(&self) -> bool {
        matches!(
            self.name.as_str(),
            "stanza_missing_body" | "stanza_missing_final_line"
        )
    }

    fn check(&self) {
        let name = &self.name;
        let identities: Vec<age::x25519::Identity> = self
            .head
            .get("identity")
            .into_iter()
            .flatten()
            .map(|text| text.parse().unwrap())
            .collect();
        let identities = identities.iter().map(|one| one as &dyn age::Identity);
        let outcome = open(identities, &self.file);
        match self.first("expect") {
            "success" => {
                let payload = outcome.unwrap_or_else(|fault| panic!("{name}: {fault:?}"));
                let payload = secretum_crypto::sha256(payload.expose());
                let hex: String = payload.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(hex, self.first("payload"), "{name}");
            }
            "header failure" if self.is_forgiven() => assert!(outcome.is_ok(), "{name}"),
            "no match" => assert_eq!(outcome.unwrap_err(), Fault::NoKey, "{name}"),
            "HMAC failure" | "header failure" | "payload failure" | "armor failure" => {
                assert!(outcome.is_err(), "{name}");
            }
            other => panic!("{name} expects `{other}`"),
        }
    }
}

#[test]
fn all_that_is_served_behaves_as_published() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/age");
    let mut checked = 0;
    let mut unserved = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let vector = Vector::read(&entry.unwrap().path());
        if vector.is_served() {
            vector.check();
            checked += 1;
        } else {
            unserved += 1;
        }
    }
    assert_eq!((checked, unserved), (98, 45));
}
