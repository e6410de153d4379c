//! Configuration files of the server, in each syntax.

use crate::hcl::Lines;
use secretum_server::config::{Config, Notice};
use std::path::Path;

/// A configuration that is taken can be served, and of one that is not, something is said. What is
/// said is one line, with a place in the file it names; and it is the same twice.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = Lines::of(data);
    for name in ["a.hcl", "a.toml", "a.json", "a"] {
        let file = Path::new(name);
        let read = Config::parse(file, text);
        assert_eq!(read, Config::parse(file, text));
        let notices = match &read {
            Ok(loaded) => {
                assert!(!loaded.config.listeners.is_empty());
                &loaded.warnings
            }
            Err(faults) => {
                assert!(!faults.notices.is_empty());
                &faults.notices
            }
        };
        for notice in notices {
            check(notice, file, &lines);
        }
    }
}

fn check(notice: &Notice, file: &Path, lines: &Lines) {
    let said = notice.to_string();
    assert!(!said.contains('\n') && !said.ends_with('.'), "{said}");
    assert_eq!(*notice.place.file, *file, "{said}");
    if let Some((line, column)) = notice.place.line_and_column {
        lines.check_numbers(line, column);
    }
}
