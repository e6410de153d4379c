//! Every document of the corpus gets the verdict of its folder; so do those of the HCL crate, which
//! are policies too.

use secretum_policy::Policy;
use std::fs;
use std::path::Path;

fn each(folder: &str, at_least: usize, accepted: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let Ok(text) = String::from_utf8(fs::read(&path).unwrap()) else {
            continue;
        };
        let verdict = Policy::parse("p", &text);
        assert_eq!(verdict.is_ok(), accepted, "{}: {verdict:?}", path.display());
        count += 1;
    }
    assert!(count >= at_least, "only {count} documents");
}

#[test]
fn good_policies_are_read() {
    each("tests/corpus/good", 80, true);
    each("tests/corpus/lenient", 10, true);
    each("../hcl/tests/corpus/good", 50, true);
    each("../hcl/tests/corpus/lenient", 4, true);
}

#[test]
fn bad_policies_are_refused() {
    each("tests/corpus/bad", 75, false);
    each("tests/corpus/stricter", 15, false);
    each("../hcl/tests/corpus/bad", 90, false);
    each("../hcl/tests/corpus/stricter", 11, false);
}
