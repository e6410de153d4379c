//! Every document of the corpus gets the verdict of its folder.

use secretum_hcl::parse_bytes;
use std::fs;
use std::path::Path;

fn each(folder: &str, at_least: usize, accepted: bool) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let mut count = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let verdict = parse_bytes(&fs::read(&path).unwrap());
        assert_eq!(verdict.is_ok(), accepted, "{}: {verdict:?}", path.display());
        count += 1;
    }
    assert!(count >= at_least, "only {count} documents");
}

#[test]
fn good_documents_are_read() {
    each("good", 50, true);
    each("lenient", 4, true);
}

#[test]
fn bad_documents_are_refused() {
    each("bad", 90, false);
    each("stricter", 11, false);
}
