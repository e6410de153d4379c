//! The programs that tests run against, each named by a variable that `./test` sets.

use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const WITHOUT: &str = "SECRETUM_WITHOUT_PEERS";

/// Names the file that tells which peers were asked for and found, a line each time.
const FOUND: &str = "SECRETUM_PEERS_FOUND";

/// The program that this variable names. `None` where peers are to be left out; a test that finds none
/// otherwise fails, for one that passes without its peer tells nothing.
pub(crate) fn peer(variable: &str) -> Option<PathBuf> {
    let program = named(
        variable,
        std::env::var_os(variable),
        std::env::var_os(WITHOUT),
    )?;
    found(variable);
    Some(program)
}

/// The program that this variable names, which takes long to install: `./test --all` alone sets it.
pub(crate) fn peer_of_all(variable: &str) -> Option<PathBuf> {
    let Some(program) = std::env::var_os(variable) else {
        eprintln!("{variable} names no program: left out; ./test --all sets it");
        return None;
    };
    found(variable);
    Some(program.into())
}

/// A running program. It is killed with its value, and what it started too where it leads a process group.
pub(crate) struct Program(Child);

impl From<Child> for Program {
    fn from(process: Child) -> Self {
        Self(process)
    }
}

impl Program {
    /// Starts it; nobody reads what it says.
    pub(crate) fn start(command: &mut Command) -> Self {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.spawn().unwrap().into()
    }

    /// Starts a development server of OpenBao, of this root token, on this port of the loopback; `None` where
    /// no binary is named.
    pub(crate) fn bao(home: &Path, port: u16, root: &str, more: &[String]) -> Option<Self> {
        Some(Self::vault(
            &peer("SECRETUM_BAO")?,
            home,
            port,
            (root, more),
        ))
    }

    /// The same of any server with the command line of Vault, by its binary.
    pub(crate) fn vault(
        binary: &Path,
        home: &Path,
        port: u16,
        (root, more): (&str, &[String]),
    ) -> Self {
        let mut command = Command::new(binary);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={root}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .args(more)
            .env("HOME", home);
        Self::start(&mut command)
    }

    /// Starts PyKMIP on this port of the loopback, with the certificates in its home; `None` where no command
    /// is named.
    pub(crate) fn pykmip(home: &Path, port: u16) -> Option<Self> {
        let binary = peer("SECRETUM_PYKMIP")?;
        let path = |name: &str| home.join(name).display().to_string();
        std::fs::create_dir_all(home.join("policy")).unwrap();
        let settings = format!(
            "[server]\nhostname=127.0.0.1\nport={port}\ncertificate_path={}\nkey_path={}\nca_path={}\n\
             auth_suite=TLS1.2\npolicy_path={}\nenable_tls_client_auth=True\nlogging_level=WARNING\n\
             database_path={}\n",
            path("server.pem"),
            path("server-key.pem"),
            path("ca.pem"),
            path("policy"),
            path("pykmip.db"),
        );
        std::fs::write(home.join("server.conf"), settings).unwrap();
        let mut command = Command::new(binary);
        command
            .args(["-f", &path("server.conf"), "-l", &path("server.log")])
            .env("HOME", home)
            .current_dir(home)
            // It starts processes of its own.
            .process_group(0);
        Some(Self::start(&mut command))
    }

    /// Starts moto, which plays AWS; `None` where no command is named. And its URL.
    pub(crate) fn moto() -> Option<(Self, String)> {
        let binary = peer("SECRETUM_MOTO")?;
        let port = free_port().to_string();
        let mut command = Command::new(binary);
        command.args(["-H", "127.0.0.1", "-p", &port]);
        Some((
            Self::start(&mut command),
            format!("http://127.0.0.1:{port}"),
        ))
    }

    /// Kills it before its value goes.
    pub(crate) fn end(&mut self) {
        if let Some(group) = Pid::from_raw(self.0.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Deref for Program {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

/// A port of the loopback that nobody listened on a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Notes that a test ran against this peer: a variable, or a program that is where all programs are.
pub(crate) fn found(variable: &str) {
    if let Some(file) = std::env::var_os(FOUND) {
        note(Path::new(&file), variable);
    }
}

fn note(file: &Path, variable: &str) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(format!("{variable}\n").as_bytes()).unwrap();
}

fn named(variable: &str, found: Option<OsString>, without: Option<OsString>) -> Option<PathBuf> {
    if let Some(program) = found {
        return Some(program.into());
    }
    assert!(
        without.is_some_and(|value| !value.is_empty()),
        "{variable} names no program: `./test rust -- -p {}` installs what is missing and sets it; \
         {WITHOUT}=1 leaves such tests out",
        env!("CARGO_PKG_NAME")
    );
    eprintln!("{variable} names no program, and {WITHOUT} is set: left out");
    None
}

#[test]
#[should_panic(expected = "./test rust -- -p secretum-kms")]
fn a_peer_that_is_missing_is_told() {
    named("SECRETUM_MOTO", None, Some(OsString::new()));
}

#[test]
fn a_peer_that_was_found_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("found");
    note(&file, "SECRETUM_BAO");
    note(&file, "SECRETUM_MOTO");
    let found = std::fs::read_to_string(&file).unwrap();
    assert_eq!(found, "SECRETUM_BAO\nSECRETUM_MOTO\n");
}

#[test]
fn a_peer_is_left_out_where_that_is_wanted() {
    let yes = || Some(OsString::from("1"));
    assert_eq!(named("SECRETUM_MOTO", None, yes()), None);
    let found = named("SECRETUM_MOTO", Some("/bin/moto".into()), yes());
    assert_eq!(found, Some(PathBuf::from("/bin/moto")));
}
