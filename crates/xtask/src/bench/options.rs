//! [`Options`]: the command line of the bench.

use crate::failure::Failure;

/// The longest single measurement.
const SECONDS_MAX: u32 = 600;

/// How many secrets a server holds, but for a first look.
const SECRETS: usize = 100_000;

/// What to measure, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Of each measurement.
    pub(super) seconds: u32,
    /// How many secrets our server holds.
    pub(super) secrets: usize,
    /// How many OpenBao holds; fewer, since it takes longer to store them.
    pub(super) secrets_of_others: usize,
    /// Whether reads are measured among many mounts and policies, too.
    pub(super) crowds: bool,
    only: Option<String>,
}

impl Options {
    /// **Errors**: [`Failure::Usage`].
    pub(super) fn read(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self {
            seconds: 10,
            secrets: SECRETS,
            secrets_of_others: 100_000,
            crowds: false,
            only: None,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    options = Self {
                        seconds: 2,
                        secrets: 5_000,
                        secrets_of_others: 1_000,
                        ..options
                    };
                }
                "--crowd" => options.crowds = true,
                "--seconds" => options.seconds = seconds(arguments.next())?,
                "--only" => options.only = Some(subject(arguments.next())?),
                other => {
                    return Err(Failure::Usage(format!(
                        "unknown argument `{other}`: see `cargo xtask help`"
                    )));
                }
            }
        }
        Ok(options)
    }

    /// The same for the key services, which have no mounts and nobody to be compared with.
    ///
    /// **Errors**: [`Failure::Usage`].
    pub(super) fn read_of_kms(arguments: &[String]) -> Result<Self, Failure> {
        let foreign = |argument: &&String| ["--crowd", "--only"].contains(&argument.as_str());
        match arguments.iter().find(foreign) {
            Some(flag) => Err(Failure::Usage(format!(
                "`bench kms` has no `{flag}`: see `cargo xtask help`"
            ))),
            None => Self::read(arguments),
        }
    }

    /// Whether a first look is enough.
    pub(super) fn is_quick(&self) -> bool {
        self.secrets < SECRETS
    }

    /// Whether this subject is measured.
    pub(super) fn measures(&self, subject: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == subject)
    }
}

fn seconds(text: Option<&String>) -> Result<u32, Failure> {
    let seconds = text.and_then(|text| text.parse().ok());
    seconds
        .filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
        .ok_or_else(|| {
            Failure::Usage(format!(
                "`--seconds` takes a number from 1 to {SECONDS_MAX}"
            ))
        })
}

fn subject(text: Option<&String>) -> Result<String, Failure> {
    let known = text.filter(|text| ["secretum", "openbao"].contains(&text.as_str()));
    known
        .cloned()
        .ok_or_else(|| Failure::Usage("`--only` takes `secretum` or `openbao`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Options, Failure> {
        Options::read(
            &text
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn all_subjects_are_measured_unless_one_is_named() {
        let all = read("").unwrap();
        assert!(all.measures("secretum") && all.measures("openbao"));
        let one = read("--only openbao").unwrap();
        assert!(!one.measures("secretum") && one.measures("openbao"));
        assert!(read("--only nothing").is_err());
    }

    #[test]
    fn the_key_services_have_their_own_flags() {
        let read = |text: &str| {
            let arguments: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
            Options::read_of_kms(&arguments)
        };
        assert_eq!(read("--quick --seconds 5").unwrap().seconds, 5);
        for wrong in [
            "--crowd",
            "--only secretum",
            "--quick --crowd",
            "--nonsense",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_have_bounds() {
        assert_eq!(read("--seconds 1").unwrap().seconds, 1);
        assert_eq!(read("--seconds 600").unwrap().seconds, SECONDS_MAX);
        for wrong in [
            "--seconds",
            "--seconds 0",
            "--seconds 601",
            "--seconds x",
            "--nonsense",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_quick_run_can_still_be_given_seconds() {
        assert_eq!(read("--quick --seconds 5").unwrap().seconds, 5);
        assert_eq!(read("--quick").unwrap().seconds, 2);
        assert!(read("--quick --crowd").unwrap().crowds && !read("").unwrap().crowds);
    }
}
