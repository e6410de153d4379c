//! [`Area`]: where a rule that Cedar cannot say may decide, and the rest of its policy permits nothing.

use super::matcher::{Kind, Matcher, literal};
use crate::Rule;

/// Paths that a rule which is left out may decide over; it may be more of them than it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Area {
    /// This path; of LIST and SCAN, it with a slash behind.
    Exactly(String),
    /// Every path that begins so.
    From(String),
}

impl Area {
    /// That of a rule; `None` where it could be any path.
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        let path = &*rule.path;
        if rule.pattern.as_ref().is_some_and(|one| one.is_exact()) {
            return Some(Self::Exactly(path.to_owned()));
        }
        let fixed = path.find(['+', '*']).unwrap_or(path.len());
        let fixed = fixed.min(path.find("{{").unwrap_or(path.len()));
        let start = path.get(..fixed).unwrap_or_default();
        (!start.is_empty()).then(|| Self::From(start.to_owned()))
    }

    pub(super) fn contains(&self, path: &str, kind: Kind) -> bool {
        match self {
            Self::Exactly(_) => path == self.text(kind),
            Self::From(start) => path.starts_with(start),
        }
    }

    /// Its path as requests of a kind have it.
    fn text(&self, kind: Kind) -> String {
        match (self, kind) {
            (Self::Exactly(own), Kind::Folder) if !own.ends_with('/') => format!("{own}/"),
            (Self::Exactly(own) | Self::From(own), _) => own.clone(),
        }
    }

    /// The beginning of every path in it.
    fn start(&self) -> &str {
        match self {
            Self::Exactly(own) | Self::From(own) => own,
        }
    }
}

/// Areas, none of which is within another.
#[derive(Debug, Clone, Default)]
pub(super) struct Areas(Vec<Area>);

impl Areas {
    /// All of them in few.
    pub(super) fn new(mut all: Vec<Area>) -> Self {
        // What begins with another's text follows it.
        all.sort_by(|one, other| one.start().cmp(other.start()).then(other.cmp(one)));
        all.dedup();
        let mut kept: Vec<Area> = Vec::new();
        let mut within: Option<String> = None;
        for area in all {
            let start = area.start();
            if within.as_ref().is_some_and(|wide| start.starts_with(wide)) {
                continue;
            }
            if matches!(area, Area::From(_)) {
                within = Some(start.to_owned());
            }
            kept.push(area);
        }
        Self(kept)
    }

    pub(super) fn contain(&self, path: &str, kind: Kind) -> bool {
        self.0.iter().any(|area| area.contains(path, kind))
    }

    /// Fewer that contain the same, and more: those whose texts go on alike for the longest are taken
    /// together. `None` where they have nothing in common.
    pub(super) fn widened(&self) -> Option<Self> {
        let pairs = self.0.windows(2);
        let alike = pairs.filter_map(|pair| match pair {
            [one, other] => Some(common(one.start(), other.start())),
            _ => None,
        });
        let longest = alike.max_by_key(|text| text.len())?;
        let wide = (!longest.is_empty()).then(|| Area::From(longest.to_owned()))?;
        let all = self.0.iter().cloned().chain([wide]);
        Some(Self::new(all.collect()))
    }

    /// Those that are not among others.
    pub(super) fn besides<'a>(&'a self, others: &'a Self) -> impl Iterator<Item = &'a str> {
        let new = self.0.iter().filter(|area| !others.0.contains(area));
        new.map(Area::start)
    }

    /// That a path which a rule matches is in none of them; `None` where it always is in one.
    pub(super) fn conditions(&self, matcher: &Matcher, kind: Kind) -> Option<Vec<String>> {
        let (mut paths, mut conditions) = (Vec::new(), Vec::new());
        for area in &self.0 {
            let text = area.text(kind);
            match area {
                Area::Exactly(_) if !matcher.matches(&text) => {}
                Area::Exactly(_) if matcher.is_exact() => return None,
                Area::Exactly(_) => paths.push(text),
                Area::From(_) if matcher.begins_with(&text) => return None,
                Area::From(_) if !matcher.may_begin_with(&text) => {}
                Area::From(_) => {
                    let like = literal(&text);
                    conditions.push(format!("!(resource.path like \"{like}*\")"));
                }
            }
        }
        let listed = match paths.as_slice() {
            [] => None,
            [one] => Some(format!("!(resource.path == {one:?})")),
            several => Some(format!("!({several:?}.contains(resource.path))")),
        };
        Some(listed.into_iter().chain(conditions).collect())
    }
}

/// What two texts begin with.
fn common<'a>(one: &'a str, other: &str) -> &'a str {
    let alike = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let bytes = alike.map(|(own, _)| own.len_utf8()).sum();
    one.get(..bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Area {
        Area::From(text.to_owned())
    }

    fn exactly(text: &str) -> Area {
        Area::Exactly(text.to_owned())
    }

    #[test]
    fn what_is_within_another_is_left_out() {
        let all = [
            exactly("a/b"),
            from("a/"),
            exactly("a"),
            from("a/b"),
            from("b"),
            from("b"),
        ];
        let few = Areas::new(all.into_iter().collect());
        assert_eq!(few.0, [exactly("a"), from("a/"), from("b")]);
        let same = Areas::new(vec![exactly("a"), from("a")]);
        assert_eq!(same.0, [from("a")]);
    }

    #[test]
    fn the_nearest_are_taken_together_until_nothing_is_left_in_common() {
        let all = vec![
            exactly("kv/ä1"),
            from("kv/ä2/"),
            exactly("kv/b"),
            exactly("sys/x"),
        ];
        let once = Areas::new(all).widened().unwrap();
        assert_eq!(once.0, [exactly("kv/b"), from("kv/ä"), exactly("sys/x")]);
        let twice = once.widened().unwrap();
        assert_eq!(twice.0, [from("kv/"), exactly("sys/x")]);
        assert_eq!(twice.besides(&once).collect::<Vec<_>>(), ["kv/"]);
        assert!(twice.widened().is_none());
    }

    #[test]
    fn a_path_is_meant_with_and_without_its_slash_by_the_requests_that_have_it_so() {
        assert!(exactly("a").contains("a", Kind::Plain));
        assert!(!exactly("a").contains("a/", Kind::Plain));
        assert!(exactly("a").contains("a/", Kind::Folder));
        assert!(exactly("a/").contains("a/", Kind::Plain));
        assert!(exactly("a/").contains("a/", Kind::Folder));
    }
}
