//! The real `age`, `age-keygen` and `ssh-keygen`, both ways.

use super::*;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a command to its end; gives what it printed.
fn run(program: &str, arguments: &[&OsStr], input: &[u8]) -> std::result::Result<Vec<u8>, String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    crate::test_peers::found(program);
    let package = if program.starts_with("ssh") {
        "openssh-client"
    } else {
        "age"
    };
    let mut child = child.unwrap_or_else(|error| {
        panic!("`{program}`: {error}; install it: apt-get install {package}")
    });
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Encrypts here and opens there, and the other way round.
async fn both_ways(place: &Place, private: &Path, recipients: &Path) {
    let plaintext: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for armor in [false, true] {
        let kms = place.kms(armor);
        let made = sealed(&kms, &plaintext).await;
        let flags = [OsStr::new("-d"), OsStr::new("-i"), private.as_os_str()];
        let opened = run("age", &flags, &made.wrapped().bytes).unwrap();
        assert!(opened == plaintext);

        let mut flags = vec![OsStr::new("-R"), recipients.as_os_str()];
        flags.extend(armor.then_some(OsStr::new("-a")));
        let theirs = run("age", &flags, &plaintext).unwrap();
        let wrapped = Wrapped {
            bytes: theirs,
            ..made.wrapped().clone()
        };
        let theirs = Ciphertext::native(NAME, wrapped).unwrap();
        let opened = kms.decrypt(&theirs, &EncryptionContext::NONE).await;
        assert!(opened.unwrap().expose() == plaintext);
    }
}

#[tokio::test]
async fn files_of_age_keygen_serve_here() {
    let place = Place::empty();
    let (public, private) = (place.path("public.txt"), place.path("private.txt"));
    run("age-keygen", &[OsStr::new("-o"), private.as_os_str()], b"").unwrap();
    let recipient = run("age-keygen", &[OsStr::new("-y"), private.as_os_str()], b"").unwrap();
    std::fs::write(&public, recipient).unwrap();
    both_ways(&place, &private, &public).await;
}

#[tokio::test]
async fn files_made_here_serve_there_also_after_a_rotation() {
    let place = Place::new();
    let (public, private) = (place.path("public.txt"), place.path("private.txt"));
    both_ways(&place, &private, &public).await;
    let kms = place.kms(false);
    let old = sealed(&kms, b"old").await;
    kms.rotate_key(&id("default")).await.unwrap();
    both_ways(&place, &private, &public).await;
    let flags = [OsStr::new("-d"), OsStr::new("-i"), private.as_os_str()];
    assert_eq!(run("age", &flags, &old.wrapped().bytes).unwrap(), b"old");
    // What age-keygen makes of our private file names our public one last.
    let told = run("age-keygen", &[OsStr::new("-y"), private.as_os_str()], b"").unwrap();
    let told = String::from_utf8(told).unwrap();
    let own = std::fs::read_to_string(&public).unwrap();
    assert_eq!(told.lines().last(), own.lines().last());
}

#[tokio::test]
async fn ssh_keys_serve_both_ways() {
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048")] {
        let mut place = Place::empty();
        let private = place.path("id");
        let flags = [
            "-q",
            "-N",
            "",
            "-C",
            "a comment",
            "-t",
            kind,
            "-b",
            bits,
            "-f",
        ];
        let mut flags: Vec<&OsStr> = flags.iter().map(OsStr::new).collect();
        flags.push(private.as_os_str());
        run("ssh-keygen", &flags, b"").unwrap();
        place.files = AgeFiles {
            public: Some(place.path("id.pub")),
            private: Some(private.clone()),
        };
        both_ways(&place, &private, &place.path("id.pub")).await;
        let refused = place.kms(false).rotate_key(&id("default")).await;
        assert!(matches!(refused, Err(KmsError::Unsupported { .. })));
        // The private key alone tells its recipient.
        place.files.public = None;
        both_ways(&place, &private, &place.path("id.pub")).await;
    }
}

#[tokio::test]
async fn an_ssh_key_with_a_passphrase_is_told() {
    let mut place = Place::empty();
    let private = place.path("id");
    let flags = ["-q", "-N", "a passphrase", "-t", "ed25519", "-f"];
    let mut flags: Vec<&OsStr> = flags.iter().map(OsStr::new).collect();
    flags.push(private.as_os_str());
    run("ssh-keygen", &flags, b"").unwrap();
    place.files = AgeFiles {
        public: None,
        private: Some(private),
    };
    let error = place.provider(false).unwrap_err().to_string();
    assert!(error.contains("passphrase"), "{error}");
}

#[tokio::test]
async fn each_of_several_recipients_opens() {
    let (one, two) = (Place::new(), Place::new());
    let mut both = std::fs::read_to_string(one.path("public.txt")).unwrap();
    both.push_str(&std::fs::read_to_string(two.path("public.txt")).unwrap());
    std::fs::write(one.path("public.txt"), both).unwrap();
    let made = one.kms(false);
    let made = sealed(&made, b"x").await;
    for place in [&one, &two] {
        let private = place.path("private.txt");
        let flags = [OsStr::new("-d"), OsStr::new("-i"), private.as_os_str()];
        assert_eq!(run("age", &flags, &made.wrapped().bytes).unwrap(), b"x");
    }
}

#[tokio::test]
async fn a_context_is_not_opened_by_age_alone() {
    let place = Place::new();
    let kms = place.kms(false);
    let context = "env=prod".parse().unwrap();
    let made = kms.encrypt(&id("default"), b"planted", &context).await;
    let made = made.unwrap();
    // What age opens of it is the data key with the context's digest, not the plaintext.
    let private = place.path("private.txt");
    let flags = [OsStr::new("-d"), OsStr::new("-i"), private.as_os_str()];
    let opened = run("age", &flags, &made.wrapped().bytes).unwrap();
    assert!(crate::bound_key::looks_so(&opened));
    assert!(crate::bound_key::part(&opened, &context).is_some());
    assert!(run("age", &flags, &made.to_bytes()).is_err());
}
