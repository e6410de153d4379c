//! How long tokens and leases live: what is asked for, within what a mount allows.

use secretum_api::fields::{Seconds, short_duration};

/// The lives that a mount gives, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lives {
    /// For who asks for none.
    pub(crate) default: u64,
    /// The longest.
    pub(crate) max: u64,
}

/// How long a new token is to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Without an end, as root tokens may.
    Endless,
    /// Exactly so many seconds, whatever a mount allows.
    Exactly(u64),
    /// So many seconds, 0 for the default, within these.
    Within(u64, Lives),
}

/// What bounds the life of one token, in seconds; 0 where it does not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounds {
    /// The longest from birth to end, whatever is renewed.
    pub(crate) explicit_max: u64,
    /// What each renewal gives, without end.
    pub(crate) period: u64,
    /// How old it is.
    pub(crate) age: u64,
}

/// A life that was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Seconds from now; 0 where there is nothing left to give.
    pub(crate) seconds: u64,
    /// Why it is shorter than what was asked for.
    pub(crate) warning: Option<String>,
}

impl Lives {
    /// The life that a token gets which asks for so many seconds, 0 for the default.
    pub(crate) fn give(self, asked: u64, bounds: Bounds) -> Given {
        let most = match bounds.explicit_max {
            0 => self.max,
            explicit => explicit.min(self.max),
        };
        let (word, wanted, left) = if bounds.period > 0 {
            // A period begins anew with each renewal: only an explicit maximum counts from birth.
            let left = match bounds.explicit_max {
                0 => most,
                explicit => explicit.saturating_sub(bounds.age).min(most),
            };
            ("period", bounds.period, left)
        } else {
            let wanted = if asked > 0 { asked } else { self.default };
            ("TTL", wanted, most.saturating_sub(bounds.age))
        };
        Given {
            seconds: wanted.min(left),
            warning: (wanted > left).then(|| capped(word, wanted, most)),
        }
    }
}

/// The warning where a life is shorter than the one wanted.
fn capped(word: &str, wanted: u64, most: u64) -> String {
    format!(
        "{word} of \"{}\" exceeded the effective max_ttl of \"{}\"; {word} value is capped accordingly",
        short_duration(Seconds(wanted).duration()),
        short_duration(Seconds(most).duration()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: Lives = Lives {
        default: 3_600,
        max: 36_000,
    };

    fn given(asked: u64, explicit_max: u64, period: u64, age: u64) -> (u64, bool) {
        let bounds = Bounds {
            explicit_max,
            period,
            age,
        };
        let given = LIVES.give(asked, bounds);
        (given.seconds, given.warning.is_some())
    }

    #[test]
    fn every_bound_holds() {
        for ((asked, explicit_max, period, age), expected) in [
            ((0, 0, 0, 0), (3_600, false)),
            ((36_000, 0, 0, 0), (36_000, false)),
            ((36_001, 0, 0, 0), (36_000, true)),
            ((3_600, 0, 0, 35_000), (1_000, true)),
            ((3_600, 0, 0, 36_001), (0, true)),
            ((0, 1_800, 0, 0), (1_800, true)),
            ((60, 100, 0, 50), (50, true)),
            ((50_000, 72_000, 0, 0), (36_000, true)),
            ((300, 0, 7_200, 0), (7_200, false)),
            ((300, 0, 7_200, 1_000_000), (7_200, false)),
            ((300, 0, 72_000, 1_000_000), (36_000, true)),
            ((300, 1_800, 72_000, 0), (1_800, true)),
            ((300, 10_000, 7_200, 9_000), (1_000, true)),
            ((u64::MAX, u64::MAX, u64::MAX, u64::MAX), (0, true)),
        ] {
            assert_eq!(
                given(asked, explicit_max, period, age),
                expected,
                "{asked} {explicit_max} {period} {age}"
            );
        }
    }

    #[test]
    fn a_warning_names_what_was_wanted_and_the_most_there_is() {
        let given = LIVES.give(360_000, Bounds::default());
        assert_eq!(
            given.warning.unwrap(),
            "TTL of \"100h\" exceeded the effective max_ttl of \"10h\"; TTL value is capped accordingly"
        );
        let period = Bounds {
            period: 72_000,
            ..Bounds::default()
        };
        assert_eq!(
            LIVES.give(0, period).warning.unwrap(),
            "period of \"20h\" exceeded the effective max_ttl of \"10h\"; period value is capped accordingly"
        );
    }
}
