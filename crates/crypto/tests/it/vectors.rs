//! Each file of `tests/vectors` names its source in its first line.

use secretum_crypto::{
    Aead, HmacKey, Key256, NameKey, SecretBytes, SecretKey, constant_time_eq, ed25519, hkdf_sha256,
    shamir,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wycheproof {
    number_of_tests: usize,
    test_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Group {
    iv_size: usize,
    tag_size: usize,
    public_key: Hex,
    tests: Vec<Case>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Case {
    tc_id: u32,
    comment: String,
    key: Hex,
    iv: Hex,
    aad: Hex,
    msg: Hex,
    ct: Hex,
    tag: Hex,
    ikm: Hex,
    salt: Hex,
    info: Hex,
    size: usize,
    okm: Hex,
    sig: Hex,
    result: String,
}

impl Case {
    fn valid(&self) -> bool {
        self.result == "valid"
    }
}

#[derive(Default)]
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Hex).map_err(serde::de::Error::custom)
    }
}

/// Every case of the file, with its group; fails if any was lost.
fn for_each(file: &str, mut check: impl FnMut(&Group, &Case)) {
    let file: Wycheproof = serde_json::from_str(file).unwrap();
    let mut seen = 0;
    for group in &file.test_groups {
        for case in &group.tests {
            check(group, case);
            seen += 1;
        }
    }
    assert!(seen > 0 && seen == file.number_of_tests);
}

#[test]
fn aes_gcm() {
    for_each(
        include_str!("../vectors/wycheproof_aes_gcm.json"),
        |group, case| {
            let what = format!("{} {}", case.tc_id, case.comment);
            // Nonces of other lengths than 96 bits cannot be said with our types.
            let Ok(nonce) = <[u8; 12]>::try_from(case.iv.0.as_slice()) else {
                return assert_ne!(group.iv_size, 96, "{what}");
            };
            let key = Aead::aes_256_gcm(&Key256::from_slice(&case.key.0).unwrap()).unwrap();
            let sealed = [case.ct.0.as_slice(), &case.tag.0].concat();
            if case.valid() {
                assert_eq!(
                    key.seal(nonce, &case.aad.0, &case.msg.0).unwrap(),
                    sealed,
                    "{what}"
                );
                assert_eq!(
                    key.open(nonce, &case.aad.0, &sealed).unwrap(),
                    case.msg.0,
                    "{what}"
                );
            } else {
                assert!(key.open(nonce, &case.aad.0, &sealed).is_err(), "{what}");
            }
        },
    );
}

#[test]
fn aes_siv_cmac() {
    for_each(
        include_str!("../vectors/wycheproof_aes_siv_cmac.json"),
        |_, case| {
            let what = format!("{} {}", case.tc_id, case.comment);
            let key = NameKey::new(&SecretKey::from_slice(&case.key.0).unwrap());
            let associated = [case.aad.0.as_slice()];
            if case.valid() {
                assert_eq!(
                    key.seal(&associated, &case.msg.0).unwrap(),
                    case.ct.0,
                    "{what}"
                );
                assert_eq!(
                    key.open(&associated, &case.ct.0).unwrap(),
                    case.msg.0,
                    "{what}"
                );
            } else {
                assert!(key.open(&associated, &case.ct.0).is_err(), "{what}");
            }
        },
    );
}

#[test]
fn hmac_sha256() {
    for_each(
        include_str!("../vectors/wycheproof_hmac_sha256.json"),
        |group, case| {
            let what = format!("{} {}", case.tc_id, case.comment);
            let key = HmacKey::new(&case.key.0);
            let tag = key.sign(&case.msg.0);
            let same = constant_time_eq(&tag[..group.tag_size / 8], &case.tag.0);
            assert_eq!(same, case.valid(), "{what}");
            if group.tag_size == 256 {
                assert_eq!(key.verify(&case.msg.0, &case.tag.0), case.valid(), "{what}");
            }
        },
    );
}

#[test]
fn hkdf() {
    for_each(
        include_str!("../vectors/wycheproof_hkdf_sha256.json"),
        |_, case| {
            let what = format!("{} {}", case.tc_id, case.comment);
            let derived = hkdf_sha256(&case.ikm.0, &case.salt.0, &case.info.0, case.size);
            match derived {
                Ok(okm) => assert_eq!(okm.expose() == case.okm.0, case.valid(), "{what}"),
                Err(_) => assert!(!case.valid(), "{what}"),
            }
        },
    );
}

#[test]
fn ed25519() {
    for_each(
        include_str!("../vectors/wycheproof_ed25519.json"),
        |group, case| {
            let verified = ed25519::verify(&group.public_key.0, &case.msg.0, &case.sig.0);
            assert_eq!(
                verified.is_ok(),
                case.valid(),
                "{} {}",
                case.tc_id,
                case.comment
            );
        },
    );
}

#[derive(Deserialize)]
struct Rfc {
    tests: Vec<Case>,
}

#[test]
fn rfc_4231() {
    let file: Rfc = serde_json::from_str(include_str!("../vectors/rfc4231.json")).unwrap();
    assert_eq!(file.tests.len(), 6);
    for case in file.tests {
        assert_eq!(
            HmacKey::new(&case.key.0).sign(&case.msg.0).as_slice(),
            case.tag.0
        );
    }
}

#[test]
fn rfc_5869() {
    let file: Rfc = serde_json::from_str(include_str!("../vectors/rfc5869.json")).unwrap();
    assert_eq!(file.tests.len(), 3);
    for case in file.tests {
        let okm = hkdf_sha256(&case.ikm.0, &case.salt.0, &case.info.0, case.okm.0.len()).unwrap();
        assert_eq!(okm.expose(), case.okm.0);
    }
}

#[derive(Deserialize)]
struct SharesFile {
    cases: Vec<Shares>,
}

/// A secret, and the shares of it that another implementation gave out.
#[derive(Deserialize)]
struct Shares {
    threshold: usize,
    shares_hex: Vec<Hex>,
    secret_hex: Hex,
}

impl Shares {
    /// What the shares of these places give together.
    fn combined(&self, places: u32) -> SecretBytes {
        let shares = self.shares_hex.iter().enumerate();
        let shares = shares.filter(|(place, _)| places >> place & 1 == 1);
        let shares: Vec<_> = shares
            .map(|(_, share)| SecretBytes::new(share.0.clone()))
            .collect();
        shamir::combine(&shares).unwrap()
    }
}

/// As many as are needed give the secret, whichever they are; one less gives another.
#[test]
fn openbao_shares_combine() {
    let file: SharesFile =
        serde_json::from_str(include_str!("../vectors/openbao-shares.json")).unwrap();
    assert!(file.cases.len() > 1);
    for case in &file.cases {
        let secret = SecretBytes::new(case.secret_hex.0.clone());
        let mut enough = 0;
        for places in 0..1_u32 << case.shares_hex.len() {
            let taken = usize::try_from(places.count_ones()).unwrap();
            if taken >= case.threshold && taken > 1 {
                assert_eq!(case.combined(places), secret, "{places:b}");
                enough += 1;
            } else if taken > 1 && taken + 1 == case.threshold {
                assert_ne!(case.combined(places), secret, "{places:b}");
            }
        }
        assert!(enough > 0);
    }
}
