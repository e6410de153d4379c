//! PGP keys that flags name: files, read here and sent in base64.

use crate::failure::Failure;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fs::File;
use std::io::Read;

/// The most bytes of a file with a key, in base64 or its armor.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The keys of a comma-separated list of files, for the server.
///
/// **Errors**: which file cannot be read, or why `keybase:` is not served.
pub(crate) fn read_list(list: Option<&str>) -> Result<Vec<String>, Failure> {
    let names = list.unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(read).collect()
}

/// The key of a file, for the server: base64 of what it holds, unless that is base64 already.
///
/// **Errors**: as [`read_list`].
pub(crate) fn read(name: &str) -> Result<String, Failure> {
    if name.starts_with("keybase:") {
        return Err(Failure::local(format!(
            "`{name}`: keys are not fetched from Keybase, which could answer with another one; \
             export the key to a file (`gpg --export NAME > FILE`), and name that"
        )));
    }
    let path = name.strip_prefix('@').unwrap_or(name);
    let failed = |error| Failure::local(format!("cannot read the PGP key `{path}`: {error}"));
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut limited = file.take(FILE_BYTES_MAX + 1);
    limited.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Failure::local(format!(
            "the PGP key `{path}` is larger than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(as_base64(&bytes))
}

fn as_base64(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let compact: String = text.split_ascii_whitespace().collect();
        if !compact.is_empty() && STANDARD.decode(&compact).is_ok() {
            return compact;
        }
    }
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_in_base64_once() {
        assert_eq!(as_base64(&[0x99, 1, 2]), "mQEC");
        assert_eq!(as_base64(b"mQEC\n"), "mQEC");
        assert_eq!(as_base64(b"mQ\r\nEC"), "mQEC");
        let armor = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQEC\n";
        assert_eq!(as_base64(armor), STANDARD.encode(armor));
    }

    #[test]
    fn files_are_read_in_the_order_of_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
        std::fs::write(&one, [0x99, 1, 2]).unwrap();
        std::fs::write(&other, b"mQED").unwrap();
        let list = format!("{}, @{}", other.display(), one.display());
        assert_eq!(read_list(Some(&list)).unwrap(), ["mQED", "mQEC"]);
        assert!(read_list(None).unwrap().is_empty());
        let large = vec![0x99; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
        std::fs::write(&one, &large).unwrap();
        let refused = read_list(Some(&list)).unwrap_err().to_string();
        assert!(refused.contains("larger than"), "{refused}");
        std::fs::write(&one, &large[1..]).unwrap();
        assert!(read_list(Some(&list)).is_ok());
        let missing = read("/nowhere/key").unwrap_err().to_string();
        assert!(missing.contains("cannot read the PGP key `/nowhere/key`"));
    }

    #[test]
    fn keybase_is_refused_with_what_to_do() {
        let refused = read_list(Some("keybase:alice")).unwrap_err().to_string();
        assert!(refused.contains("export the key to a file"), "{refused}");
    }
}
