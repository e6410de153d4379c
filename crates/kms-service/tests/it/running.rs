//! [`Running`]: a service of its own for each test.

use crate::peers::Program;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// `a`, `b` and `default`, 32 bytes each.
pub(crate) const KEYS: &str = "default:1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\
     a:1:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=\n\
     b:1:QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=\n";

/// A folder with a configuration.
pub(crate) struct Place(pub(crate) TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With the provider `local`, and this in its configuration besides.
    pub(crate) fn local(service: &str) -> Self {
        let place = Self::new();
        place.write("keys.txt", KEYS);
        place.configure("local", "[kms.local]\nkeys_path = \"keys.txt\"\n", service);
        place
    }

    pub(crate) fn configure(&self, backend: &str, kms: &str, service: &str) {
        let text = format!(
            "[kms]\nenvironment = \"dev\"\ndev_backend = \"{backend}\"\n{kms}\n\
             [service]\naddress = \"127.0.0.1:0\"\n{service}"
        );
        self.write("kms.toml", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, mode 0600.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        let rights = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, rights).unwrap();
    }

    /// The binary, in this folder, with no environment but this folder as HOME.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kms-service"));
        command
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path());
        command
    }

    pub(crate) fn start(self) -> Running {
        self.start_with(&[])
    }

    pub(crate) fn start_with(self, environment: &[(&str, &str)]) -> Running {
        Running::start(self, environment)
    }
}

/// A service that runs.
pub(crate) struct Running {
    pub(crate) place: Place,
    pub(crate) process: Program,
    pub(crate) address: String,
    pub(crate) client: Client,
    log: Arc<Mutex<String>>,
}

/// Starts the binary; what it says is gathered.
fn launch(place: &Place, environment: &[(&str, &str)]) -> (Program, Arc<Mutex<String>>) {
    let mut process = place
        .command()
        .envs(environment.iter().copied())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let log = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let mut log = sink.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    });
    (process.into(), log)
}

impl Running {
    fn start(place: Place, environment: &[(&str, &str)]) -> Self {
        let (process, log) = launch(&place, environment);
        let mut running = Self {
            place,
            process,
            address: String::new(),
            client: Client::builder().build().unwrap(),
            log,
        };
        running.find_address();
        running
    }

    fn find_address(&mut self) {
        let line = self.wait_for_log("listening");
        let (_, rest) = line.split_once("address=").unwrap();
        self.address = rest.split_whitespace().next().unwrap().to_owned();
    }

    /// Ends it in order.
    pub(crate) fn end(&mut self) {
        self.signal("TERM");
        assert!(self.process.wait().unwrap().success(), "{}", self.log());
    }

    /// Ends it in order, and starts it anew.
    pub(crate) fn restart(&mut self) {
        self.end();
        (self.process, self.log) = launch(&self.place, &[]);
        self.find_address();
    }

    /// The first line of the log with this in it.
    pub(crate) fn wait_for_log(&mut self, wanted: &str) -> String {
        let began = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(wanted)) {
                return line.to_owned();
            }
            assert!(
                began.elapsed() < DEADLINE,
                "no `{wanted}` in the log:\n{log}"
            );
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {log}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let told = Command::new("kill").args(["-s", name, &id]).status();
        assert!(told.unwrap().success());
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    /// A request to an operation.
    pub(crate) fn post(&self, operation: &str, body: &Value) -> RequestBuilder {
        self.post_text(operation, body.to_string())
    }

    pub(crate) fn post_text(
        &self,
        operation: &str,
        body: impl Into<reqwest::Body>,
    ) -> RequestBuilder {
        let request = self
            .client
            .post(self.url(&format!("/api/v1/kms/{operation}")));
        request
            .header("content-type", "application/json")
            .body(body)
    }

    /// What an operation gives.
    pub(crate) async fn ok(&self, operation: &str, body: Value) -> Value {
        let (status, answer) = answer(self.post(operation, &body)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The status and code with which an operation is refused.
    pub(crate) async fn refused(&self, operation: &str, body: Value) -> (u16, String) {
        refusal(self.post(operation, &body)).await
    }

    /// `hello` encrypted.
    pub(crate) async fn hello(&self, context: &Value) -> Value {
        let body = json!({ "plaintext": "aGVsbG8=", "context": context });
        self.ok("encrypt", body).await["ciphertext"].clone()
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (
        status,
        serde_json::from_str(&text).unwrap_or(Value::String(text)),
    )
}

/// Every refusal has a code, and a sentence that is not empty.
pub(crate) async fn refusal(request: RequestBuilder) -> (u16, String) {
    let (status, answer) = answer(request).await;
    let error = &answer["error"];
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| text.len() > 20),
        "{status} {answer}"
    );
    (status.as_u16(), error["code"].as_str().unwrap().to_owned())
}

pub(crate) fn write_age_keys(place: &Path) {
    let files = secretum_kms::AgeFiles {
        public: Some(place.join("public.txt")),
        private: Some(place.join("private.txt")),
    };
    files
        .generate(secretum_crypto::Timestamp::UNIX_EPOCH)
        .unwrap();
}
