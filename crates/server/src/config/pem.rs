//! Whether a PEM file holds what it should, without reading the key in it.

use super::problem::reason;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// So far into a file the first certificate or key must begin.
const BEGIN_BYTES_MAX: usize = 64 * 1024;

/// The most bytes of a line that is looked at.
const LINE_BYTES_MAX: usize = 128;

/// How the line after the first begins where the key is encrypted (RFC 1421, section 4.6.1.1).
const ENCRYPTED: &[u8] = b"Proc-Type:";

/// What a PEM file holds.
#[derive(Clone, Copy)]
pub(crate) enum Pem {
    Certificate,
    PrivateKey,
}

/// Whether the file can be read and one of its blocks is of this kind.
///
/// INVARIANT: byte after byte is read, and none of a private key's: nothing here would wipe it.
///
/// **Errors**: why the file will not do.
pub(crate) fn check(path: &Path, kind: Pem) -> Result<(), String> {
    let unreadable = |error: io::Error| reason(&error);
    let mut file = File::open(path).map_err(unreadable)?;
    let mut line = Vec::new();
    for _ in 0..BEGIN_BYTES_MAX {
        match next(&mut file).map_err(unreadable)? {
            Some(b'\n') => line.clear(),
            Some(byte) if line.len() < LINE_BYTES_MAX => line.push(byte),
            Some(_) => {}
            None => break,
        }
        let Some(label) = label(&line) else { continue };
        let is_key = label.ends_with(b"PRIVATE KEY");
        match kind {
            Pem::Certificate if label == b"CERTIFICATE" => return Ok(()),
            Pem::Certificate if is_key => break,
            Pem::PrivateKey if is_key => {
                let encrypted = label.starts_with(b"ENCRYPTED") || says_encrypted(&mut file);
                return refuse_encrypted(encrypted);
            }
            _ => {}
        }
    }
    Err(match kind {
        Pem::Certificate => "it holds no certificate in PEM",
        Pem::PrivateKey => "it holds no private key in PEM",
    }
    .to_owned())
}

fn refuse_encrypted(encrypted: bool) -> Result<(), String> {
    if encrypted {
        Err("its key is encrypted; store it without a passphrase".to_owned())
    } else {
        Ok(())
    }
}

/// The label of a line that begins a block.
fn label(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----")
}

/// Whether the next line is the header of an encrypted key. Of another key these are bytes of the
/// outermost ASN.1 structure, which every key has.
fn says_encrypted(file: &mut File) -> bool {
    let mut found = 0_usize;
    while let (Some(expected), Ok(Some(byte))) = (ENCRYPTED.get(found), next(file)) {
        if byte == *expected {
            found = found.saturating_add(1);
        } else if !matches!(byte, b'\r' | b'\n') {
            break;
        }
    }
    found == ENCRYPTED.len()
}

fn next(file: &mut File) -> io::Result<Option<u8>> {
    let mut byte = [0_u8];
    loop {
        match file.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => return Ok(byte.first().copied()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str, kind: Pem) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        check(file.path(), kind)
    }

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\r\nAA==\r\n-----END {label}-----\n")
    }

    #[test]
    fn keys() {
        let encrypted = Err("its key is encrypted; store it without a passphrase".to_owned());
        let none = Err("it holds no private key in PEM".to_owned());
        let in_header = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n";
        for (text, outcome) in [
            (block("PRIVATE KEY"), &Ok(())),
            (block("EC PARAMETERS") + &block("EC PRIVATE KEY"), &Ok(())),
            (block("CERTIFICATE") + &block("RSA PRIVATE KEY"), &Ok(())),
            (format!("a note\n{}", block("PRIVATE KEY")), &Ok(())),
            (block("ENCRYPTED PRIVATE KEY"), &encrypted),
            (in_header.to_owned(), &encrypted),
            (block("CERTIFICATE"), &none),
            (block("PUBLIC KEY"), &none),
            (String::new(), &none),
            (
                "x".repeat(BEGIN_BYTES_MAX) + "\n" + &block("PRIVATE KEY"),
                &none,
            ),
        ] {
            assert_eq!(&checked(&text, Pem::PrivateKey), outcome, "{text}");
        }
    }

    #[test]
    fn certificates() {
        let none = Err("it holds no certificate in PEM".to_owned());
        for (text, outcome) in [
            (block("CERTIFICATE"), &Ok(())),
            (block("X509 CRL") + &block("CERTIFICATE"), &Ok(())),
            (block("CERTIFICATE REQUEST"), &none),
            (block("PRIVATE KEY") + &block("CERTIFICATE"), &none),
        ] {
            assert_eq!(&checked(&text, Pem::Certificate), outcome, "{text}");
        }
    }

    #[test]
    fn where_the_block_may_begin() {
        let begin = "-----BEGIN CERTIFICATE-----";
        let before = |bytes: usize| "\n".repeat(bytes - begin.len()) + begin;
        assert!(checked(&before(BEGIN_BYTES_MAX), Pem::Certificate).is_ok());
        assert!(checked(&before(BEGIN_BYTES_MAX + 1), Pem::Certificate).is_err());
    }
}
