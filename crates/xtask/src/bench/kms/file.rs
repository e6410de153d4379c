//! A large file by `secretum kms encrypt-file` and by the age command.

use super::{Findings, MEMORY_MIB, write_keys};
use crate::bench::server::{Place, pause};
use crate::failure::Failure;
use crate::workspace::{missing, run};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Bytes of the file.
const BYTES: u64 = 1 << 30;

/// The same for a first look.
const BYTES_QUICK: u64 = 64 << 20;

/// Measurements of each, of which the fastest counts.
const ROUNDS: usize = 3;

/// How long a command took, and its memory.
#[derive(Debug, Clone, Copy)]
struct Took {
    time: Duration,
    peak_mib: f64,
}

/// The commands that are measured, in a folder of their own.
struct Contest {
    folder: PathBuf,
    secretum: PathBuf,
    recipient: String,
}

pub(super) fn measure(
    place: &Place,
    secretum: &Path,
    is_quick: bool,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let bytes = if is_quick { BYTES_QUICK } else { BYTES };
    let contest = Contest::new(place.folder("file")?, secretum, bytes)?;
    let ours = contest.best("kms encrypt-file", || {
        contest.ours("encrypt-file", "plain", "ours")
    })?;
    let back = contest.best("kms decrypt-file", || {
        contest.ours("decrypt-file", "ours", "back")
    })?;
    let age = contest.best("age", || contest.age(true))?;
    let age_back = contest.best("age -d", || contest.age(false))?;
    let mib = to_mib(bytes);
    for (title, took) in [
        ("encrypt-file", ours),
        ("decrypt-file", back),
        ("age, a file", age),
        ("age -d, a file", age_back),
    ] {
        let rate = mib / took.time.as_secs_f64();
        let peak = took.peak_mib;
        let title = format!("{title}, {mib:.0} MiB");
        findings.number(title, format!("{rate:.0} MiB/s, {peak:.0} MiB of memory"));
    }
    let faster = |ours: Took, theirs: Took| theirs.time.as_secs_f64() / ours.time.as_secs_f64();
    findings.ratio("encrypt-file / age", faster(ours, age), Some(1.0));
    findings.ratio("decrypt-file / age -d", faster(back, age_back), Some(1.0));
    let peak = ours.peak_mib.max(back.peak_mib);
    findings.ratio("64 MiB / memory of a file", MEMORY_MIB / peak, Some(1.0));
    Ok(())
}

impl Contest {
    /// Makes a file of random bytes, and keys.
    fn new(folder: PathBuf, secretum: &Path, bytes: u64) -> Result<Self, Failure> {
        let plain = folder.join("plain");
        let random = Path::new("/dev/urandom");
        let mut source = File::open(random)
            .map_err(Failure::file(random))?
            .take(bytes);
        let mut file = File::create(&plain).map_err(Failure::file(&plain))?;
        std::io::copy(&mut source, &mut file).map_err(Failure::file(&plain))?;
        file.sync_all().map_err(Failure::file(&plain))?;
        write_keys(&folder.join("keys.txt"))?;
        let config = folder.join("kms.toml");
        let text = "[kms]\nenvironment = \"dev\"\ndev_backend = \"local\"\n[kms.local]\n\
                    keys_path = \"keys.txt\"\n";
        std::fs::write(&config, text).map_err(Failure::file(&config))?;
        let mut keygen = Command::new("age-keygen");
        keygen.args(["-o", "age.txt"]).current_dir(&folder);
        run(keygen.stderr(Stdio::null()), "apt-get install age")?;
        let mut public = Command::new("age-keygen");
        public.args(["-y", "age.txt"]).current_dir(&folder);
        let output = public.output();
        let output = output.map_err(|source| missing(&public, "apt-get install age", source))?;
        Ok(Self {
            folder,
            secretum: secretum.to_owned(),
            recipient: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        })
    }

    fn ours(&self, command: &str, from: &str, to: &str) -> Command {
        let mut ours = Command::new(&self.secretum);
        ours.args(["kms", command, "-config=kms.toml", "-force"]);
        ours.arg(format!("-in={from}")).arg(format!("-out={to}"));
        ours
    }

    fn age(&self, encrypts: bool) -> Command {
        let mut age = Command::new("age");
        if encrypts {
            age.args(["-r", &self.recipient, "-o", "age", "plain"]);
        } else {
            age.args(["-d", "-i", "age.txt", "-o", "back", "age"]);
        }
        age
    }

    /// The fastest of some rounds, and the most memory of them.
    fn best(&self, what: &str, command: impl Fn() -> Command) -> Result<Took, Failure> {
        eprintln!("{what}");
        let mut best: Option<Took> = None;
        for _ in 0..ROUNDS {
            let took = self.time(what, command())?;
            best = Some(best.map_or(took, |best| Took {
                time: best.time.min(took.time),
                peak_mib: best.peak_mib.max(took.peak_mib),
            }));
        }
        best.ok_or_else(|| failed(what, "it was never run"))
    }

    fn time(&self, what: &str, mut command: Command) -> Result<Took, Failure> {
        command.current_dir(&self.folder).stderr(Stdio::null());
        let began = Instant::now();
        let mut process = command
            .spawn()
            .map_err(|source| missing(&command, "apt-get install age", source))?;
        let status = PathBuf::from(format!("/proc/{}/status", process.id()));
        let mut peak_mib: f64 = 0.0;
        loop {
            let ended = process.try_wait().map_err(Failure::file(&status))?;
            if let Some(ended) = ended {
                let time = began.elapsed();
                if ended.success() {
                    return Ok(Took { time, peak_mib });
                }
                return Err(failed(what, &format!("it failed ({ended})")));
            }
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            peak_mib = peak_mib.max(peak(&text).unwrap_or_default());
            pause(Duration::from_millis(2));
        }
    }
}

/// The most memory that a process had, from its status.
fn peak(status: &str) -> Option<f64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes here are a few powers of two"
)]
fn to_mib(bytes: u64) -> f64 {
    (bytes >> 20) as f64
}

fn failed(who: &str, reason: &str) -> Failure {
    Failure::Bench {
        who: who.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_a_status() {
        assert_eq!(peak("Name:\tx\nVmHWM:\t   20480 kB\n"), Some(20.0));
        assert_eq!(peak("Name:\tx\n"), None);
    }
}
