//! A test in a process of its own, for what is said by variables.

use std::process::Command;

const CHILD: &str = "SECRETUM_TEST_CHILD";

/// Whether this is the process that [`run`] began.
pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs this test of this binary once more, with these variables.
pub(crate) fn run(test: &str, variables: &[(&str, &str)]) {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let said = said + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{variables:?}: {said}");
    assert!(said.contains("1 passed"), "there is no test {test}: {said}");
}
