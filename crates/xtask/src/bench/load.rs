//! [`Load`]: runs `wrk` with one of the scripts of this folder, and reads what it found.

use super::server::{MOUNT, Server};
use crate::failure::Failure;
use crate::workspace::missing;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Connections that are open at a time.
const CONNECTIONS: usize = 64;

/// The most threads of `wrk`.
const THREADS_MAX: usize = 4;

/// The longest that storing the secrets may take.
const STORE_SECONDS_MAX: u32 = 900;

/// How the line begins that the scripts print at the end.
const MARK: &str = "RESULT ";

/// What a measurement found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub(super) per_second: f64,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    /// Answers that were not successful, and requests without an answer.
    pub(super) errors: u64,
}

/// Load for one server.
#[derive(Debug)]
pub(super) struct Load<'a> {
    server: &'a Server,
    seconds: u32,
    secrets: usize,
}

/// **Errors**: [`Failure::Missing`] with the way to install it.
pub(super) fn check_installed() -> Result<(), Failure> {
    let mut wrk = Command::new("wrk");
    wrk.arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    wrk.status()
        .map(drop)
        .map_err(|source| missing(&wrk, "apt-get install wrk", source))
}

impl<'a> Load<'a> {
    pub(super) fn new(server: &'a Server, seconds: u32, secrets: usize) -> Self {
        Self {
            server,
            seconds,
            secrets,
        }
    }

    /// Asks for everything of a script once: what is stored for the measurements.
    pub(super) fn store(&self, script: &str, what: &str) -> Result<(), Failure> {
        let began = Instant::now();
        // One thread, whose end is the end of the process: wrk itself knows no other than time.
        self.wrk(script, STORE_SECONDS_MAX, 1)?;
        let seconds = began.elapsed().as_secs_f64();
        eprintln!("{}: stored {what} in {seconds:.1} s", self.server.name);
        Ok(())
    }

    /// A second that is not measured.
    pub(super) fn warm_up(&self, script: &str) -> Result<(), Failure> {
        self.wrk(script, 1, threads()).map(drop)
    }

    /// Measures.
    pub(super) fn run(&self, script: &'static str) -> Result<Measured, Failure> {
        eprintln!("{}: {script} for {} s", self.server.name, self.seconds);
        let output = self.wrk(script, self.seconds, threads())?;
        parse(&output).ok_or_else(|| self.failed(&format!("no result of {script}: {output}")))
    }

    fn wrk(&self, script: &str, seconds: u32, threads: usize) -> Result<String, Failure> {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bench/scripts");
        let mut wrk = Command::new("wrk");
        wrk.args(["--latency", "--timeout", "10s"])
            .args(["--threads", &threads.to_string()])
            .args(["--connections", &CONNECTIONS.to_string()])
            .args(["--duration", &format!("{seconds}s")])
            .args(["--script", &format!("{scripts}/{script}.lua")])
            .arg(format!("https://{}/", self.server.address))
            .env("LUA_PATH", format!("{scripts}/?.lua"))
            .env("BENCH_MOUNT", MOUNT)
            .env("BENCH_TOKEN", &self.server.token)
            .env("BENCH_SECRETS", self.secrets.to_string());
        let output = wrk
            .output()
            .map_err(|source| missing(&wrk, "apt-get install wrk", source))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(text);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(self.failed(&format!("wrk failed at {script}: {text}{errors}")))
    }

    fn failed(&self, reason: &str) -> Failure {
        self.server.failed(reason)
    }
}

fn threads() -> usize {
    std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(THREADS_MAX)
}

/// Reads the line of a script: requests, microseconds of all, of p50 and of p99, errors.
fn parse(output: &str) -> Option<Measured> {
    let line = output.lines().find_map(|line| line.strip_prefix(MARK))?;
    let numbers: Vec<f64> = line
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let [requests, duration_us, p50_us, p99_us, _] = numbers[..] else {
        return None;
    };
    let errors = line.split_whitespace().last()?.parse().ok()?;
    let time = |us: f64| Duration::try_from_secs_f64(us / 1e6).ok();
    let per_second = requests / (duration_us / 1e6);
    Some(Measured {
        per_second,
        p50: time(p50_us)?,
        p99: time(p99_us)?,
        errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_script_is_read() {
        let output = "Running 10s test\nRESULT 20000 10000000 1500 4250 3\n";
        let expected = Measured {
            per_second: 2_000.0,
            p50: Duration::from_micros(1_500),
            p99: Duration::from_micros(4_250),
            errors: 3,
        };
        assert_eq!(parse(output), Some(expected));
    }

    #[test]
    fn anything_else_is_no_result() {
        for output in [
            "",
            "RESULT",
            "RESULT 1 2 3 4",
            "RESULT 1 2 3 4 x",
            "RESULT 1 2 3 4 5 6",
        ] {
            assert_eq!(parse(output), None, "{output}");
        }
    }
}
