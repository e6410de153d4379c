//! [`Server`]: a process under measurement. It ends with its value, on errors too.

use super::subject::Subject;
use crate::failure::Failure;
use crate::workspace::{missing, run};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer, and to become active.
const PATIENCE: Duration = Duration::from_secs(60);

/// The mount that holds the secrets.
pub(super) const MOUNT: &str = "bench";

/// The folder of a bench, removed at its end, and the certificate of its servers.
#[derive(Debug)]
pub(super) struct Place {
    folder: tempfile::TempDir,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Place {
    /// Makes a folder below cargo's, which is on a real disk, and a certificate in it.
    pub(super) fn new(target: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(target).map_err(Failure::file(target))?;
        let folder = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(target)
            .map_err(Failure::file(target))?;
        let (certificate, key) = (
            folder.path().join("server.pem"),
            folder.path().join("server.key"),
        );
        let mut openssl = Command::new("openssl");
        openssl
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .arg("-out")
            .arg(&certificate)
            .arg("-keyout")
            .arg(&key)
            .stderr(Stdio::null());
        run(&mut openssl, "install openssl")?;
        Ok(Self {
            folder,
            certificate,
            key,
        })
    }

    /// A new folder in it.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Failure> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        Ok(folder)
    }
}

/// A process under measurement.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) name: &'static str,
    pub(super) address: String,
    /// The root token, once it is ready.
    pub(super) token: String,
    /// The one share of its key, once it has one.
    share: String,
    certificate: PathBuf,
    folder: PathBuf,
    process: Child,
}

impl Server {
    /// Starts it on a free port of the loopback.
    pub(super) fn start(place: &Place, subject: &Subject) -> Result<Self, Failure> {
        let folder = place.folder.path().join(subject.name);
        std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        let address = free_address()?;
        let mut command = subject.command(place, &folder, &address)?;
        let log = folder.join("log");
        let output = File::create(&log).map_err(Failure::file(&log))?;
        let errors = output.try_clone().map_err(Failure::file(&log))?;
        command
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        let process = command
            .spawn()
            .map_err(|source| missing(&command, "apt-get install util-linux", source))?;
        eprintln!("{}: started on {address}", subject.name);
        Ok(Self {
            name: subject.name,
            token: String::new(),
            share: String::new(),
            certificate: place.certificate.clone(),
            address,
            folder,
            process,
        })
    }

    /// Initialized, unsealed, with a file audit device and a KV 2 mount that answers.
    pub(super) fn make_ready(&mut self) -> Result<(), Failure> {
        self.wait_for("/v1/sys/init")?;
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let born = self.put("sys/init", &shares)?;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        self.share =
            text(born.pointer("/keys/0")).ok_or_else(|| self.failed("init gave no key"))?;
        self.token =
            text(born.get("root_token")).ok_or_else(|| self.failed("init gave no root token"))?;
        self.unseal()?;
        let log = self.audit_log();
        self.put(
            "sys/audit/file",
            &json!({"type": "file", "options": {"file_path": log}}),
        )?;
        self.put(
            &format!("sys/mounts/{MOUNT}"),
            &json!({"type": "kv", "options": {"version": "2"}}),
        )?;
        self.wait_for(&format!("/v1/{MOUNT}/config"))
    }

    /// Where its audit device writes.
    pub(super) fn audit_log(&self) -> PathBuf {
        self.folder.join("audit/audit.log")
    }

    /// The public key of that device; `None` where it has none.
    pub(super) fn audit_key(&self) -> Result<Option<String>, Failure> {
        let output = self.curl(&[], "/v1/sys/audit-key/file")?;
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let key = answer.pointer("/data/public_key").and_then(Value::as_str);
        Ok(key.map(str::to_owned))
    }

    fn unseal(&mut self) -> Result<(), Failure> {
        self.put("sys/unseal", &json!({"key": self.share}))?;
        self.wait_for("/v1/sys/health")
    }

    /// Ends it as if the machine had, and starts it anew over what it stored.
    pub(super) fn restart(&mut self, place: &Place, subject: &Subject) -> Result<(), Failure> {
        let (token, share) = (self.token.clone(), self.share.clone());
        self.end();
        *self = Self::start(place, subject)?;
        (self.token, self.share) = (token, share);
        self.wait_for("/v1/sys/init")?;
        self.unseal()
    }

    /// Takes a token that may read secrets and nothing else in the place of the root token.
    pub(super) fn become_a_reader(&mut self) -> Result<(), Failure> {
        let policy = format!("path \"{MOUNT}/*\" {{ capabilities = [\"read\", \"list\"] }}");
        self.put("sys/policies/acl/reader", &json!({ "policy": policy }))?;
        let made = self.put("auth/token/create", &json!({ "policies": ["reader"] }))?;
        let token = made.pointer("/auth/client_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| self.failed("it gave no token"))?;
        token.clone_into(&mut self.token);
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn end_gently(mut self) -> Result<(), Failure> {
        let mut kill = Command::new("kill");
        run(kill.arg(self.process.id().to_string()), "install procps")?;
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = self.process.try_wait() {
            if Instant::now() > deadline {
                return Err(self.failed(&format!("it did not end in {PATIENCE:?}")));
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits until a path answers without an error.
    pub(super) fn wait_for(&mut self, path: &str) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        while !self
            .curl(&["--output", "/dev/null"], path)?
            .status
            .success()
        {
            if let Ok(Some(status)) = self.process.try_wait() {
                return Err(self.failed(&format!("it ended by itself ({status})")));
            }
            if Instant::now() > deadline {
                return Err(self.failed(&format!("no answer of {path} in {PATIENCE:?}")));
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Memory that it holds now.
    pub(super) fn resident_mib(&self) -> Result<f64, Failure> {
        let file = PathBuf::from(format!("/proc/{}/status", self.process.id()));
        let status = std::fs::read_to_string(&file).map_err(Failure::file(&file))?;
        let kib = status.lines().find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        kib.map(|kib: f64| kib / 1024.0)
            .ok_or_else(|| self.failed("it has ended"))
    }

    /// An error that names this server and shows the end of its log.
    pub(super) fn failed(&self, reason: &str) -> Failure {
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines
            .get(lines.len().saturating_sub(15)..)
            .unwrap_or_default()
            .join("\n");
        let reason = format!("{reason}; the end of its log:\n{end}");
        Failure::Bench {
            who: self.name.to_owned(),
            reason,
        }
    }

    fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let body = body.to_string();
        let output = self.curl(
            &["--request", "PUT", "--data", &body],
            &format!("/v1/{path}"),
        )?;
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            return Err(self.failed(&format!("PUT {path} was refused: {answer}")));
        }
        // Where there is nothing to say there is no body.
        Ok(serde_json::from_str(&answer).unwrap_or(Value::Null))
    }

    /// **Errors**: [`Failure::Bench`] where it is refused.
    pub(super) fn delete(&self, path: &str) -> Result<(), Failure> {
        let output = self.curl(&["--request", "DELETE"], &format!("/v1/{path}"))?;
        if output.status.success() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&output.stdout);
        Err(self.failed(&format!("DELETE {path} was refused: {answer}")))
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Result<Output, Failure> {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--fail-with-body",
            "--max-time",
            "30",
            "--cacert",
        ])
        .arg(&self.certificate)
        .args(["--header", &format!("X-Vault-Token: {}", self.token)])
        .args(arguments)
        .arg(format!("https://{}{path}", self.address));
        curl.output()
            .map_err(|source| missing(&curl, "install curl", source))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// An address of the loopback that is free now.
pub(super) fn free_address() -> Result<String, Failure> {
    let bound = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|listener| listener.local_addr());
    bound
        .map(|address| address.to_string())
        .map_err(Failure::file(Path::new("127.0.0.1:0")))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a process is waited for, and there is no runtime here"
)]
pub(super) fn pause(time: Duration) {
    std::thread::sleep(time);
}
