//! [`Seen`]: what stood in files when they were read, so that strangers do not have them read at will.

use crate::Result;
use parking_lot::Mutex;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How often files are read at most that have not changed.
const EVERY: Duration = Duration::from_secs(1);

/// The files of a provider, as they were when a ciphertext that no key opens had them read.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    read: Option<(Instant, Vec<Facts>)>,
    #[cfg(test)]
    times: usize,
}

/// What changes with a file, `None` where there is none.
type Facts = Option<(u64, Option<SystemTime>, [i64; 4])>;

impl Seen {
    /// Has the files read where they are not as they were, and otherwise once a second: on some file systems
    /// nobody is told of a change at once. Who comes meanwhile waits for what is read.
    ///
    /// **Errors**: those of `read`, which is then due as before.
    pub(crate) fn again<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Path>,
        read: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let mut last = self.0.lock();
        // Before they are read: what changes meanwhile is seen the next time.
        let (now, facts) = (Instant::now(), files.into_iter().map(facts).collect());
        let is_fresh = |(at, seen): &(Instant, Vec<Facts>)| *seen == facts && now < *at + EVERY;
        if last.read.as_ref().is_some_and(is_fresh) {
            return Ok(());
        }
        #[cfg(test)]
        {
            last.times += 1;
        }
        read()?;
        last.read = Some((now, facts));
        Ok(())
    }

    /// How often they were read.
    #[cfg(test)]
    pub(crate) fn times(&self) -> usize {
        self.0.lock().times
    }
}

fn facts(path: &Path) -> Facts {
    let facts = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let more = {
        use std::os::unix::fs::MetadataExt;
        let (device, number) = (facts.dev().cast_signed(), facts.ino().cast_signed());
        [device, number, facts.ctime(), facts.ctime_nsec()]
    };
    #[cfg(not(unix))]
    let more = [0; 4];
    Some((facts.len(), facts.modified().ok(), more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KmsError;

    #[tokio::test(start_paused = true)]
    async fn files_that_did_not_change_are_read_once_a_second() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        std::fs::write(&one, "1").unwrap();
        let seen = Seen::default();
        let again = || seen.again([one.as_path(), &other], || Ok(())).unwrap();
        for _ in 0..1000 {
            again();
        }
        assert_eq!(seen.times(), 1);
        // Another file in its place, of the same length; one that was not there; and none again.
        std::fs::write(folder.path().join("new"), "2").unwrap();
        std::fs::rename(folder.path().join("new"), &one).unwrap();
        again();
        assert_eq!(seen.times(), 2);
        std::fs::write(&other, "3").unwrap();
        again();
        std::fs::remove_file(&other).unwrap();
        again();
        assert_eq!(seen.times(), 4);
        tokio::time::advance(EVERY - Duration::from_millis(1)).await;
        again();
        assert_eq!(seen.times(), 4);
        tokio::time::advance(Duration::from_millis(1)).await;
        again();
        assert_eq!(seen.times(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_read_again() {
        let seen = Seen::default();
        let broken = || KmsError::Unavailable {
            provider: "local",
            reason: "broken".to_owned(),
            source: None,
        };
        for _ in 0..2 {
            assert!(seen.again([Path::new("x")], || Err(broken())).is_err());
        }
        seen.again([Path::new("x")], || Ok(())).unwrap();
        seen.again([Path::new("x")], || Err(broken())).unwrap();
    }
}
