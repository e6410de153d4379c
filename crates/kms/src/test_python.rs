//! Servers and clients in Python, whose interpreter with the cloud's own packages `SECRETUM_PYTHON` names;
//! `./test` sets it.

use crate::test_peers::{Program, peer};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A running server.
pub(crate) struct Server {
    _program: Program,
    python: PathBuf,
    /// Where it listens on the loopback.
    pub(crate) port: u16,
}

impl Server {
    /// Starts the program, which stands below `src/`, and waits until it says its port; `None` without
    /// an interpreter.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let python = peer("SECRETUM_PYTHON")?;
        let program = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(program);
        let mut process = Command::new(&python)
            .arg(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let port = line.strip_prefix("port ").map(str::trim);
        let port = port.unwrap_or_else(|| panic!("it says {line:?}")).parse();
        Some(Self {
            _program: process.into(),
            python,
            port: port.unwrap(),
        })
    }

    /// Runs a program with these arguments; what it prints.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let run = Command::new(&self.python)
            .args(["-c", program])
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{said}");
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    }
}
