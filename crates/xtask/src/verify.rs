//! `cargo xtask verify`: the rules of the house. It changes nothing.
//!
//! Every step runs, whatever the ones before it found, the quick ones first; the end names those that
//! failed. The folder has a file per step; [`tools`] has those that other programs do.

mod floors;
mod links;
mod manifests;
mod sizes;
mod tools;

use crate::failure::Failure;
use crate::workspace::Workspace;
use std::time::Instant;

/// One check.
struct Step {
    name: &'static str,
    /// Whether it compiles, which `--fast` leaves out.
    compiles: bool,
    check: fn(&Workspace) -> Result<(), Failure>,
}

const STEPS: [Step; 8] = [
    Step {
        name: "floors",
        compiles: false,
        check: floors::check,
    },
    Step {
        name: "manifests",
        compiles: false,
        check: manifests::check,
    },
    Step {
        name: "sizes",
        compiles: false,
        check: sizes::check,
    },
    Step {
        name: "links",
        compiles: false,
        check: links::check,
    },
    Step {
        name: "format",
        compiles: false,
        check: tools::format,
    },
    Step {
        name: "dependencies",
        compiles: false,
        check: tools::dependencies,
    },
    Step {
        name: "lints",
        compiles: true,
        check: tools::lints,
    },
    Step {
        name: "documentation",
        compiles: true,
        check: tools::documentation,
    },
];

/// Runs the steps.
///
/// **Errors**: [`Failure::Findings`] with the names of the steps that failed.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let fast = match arguments {
        [] => false,
        [flag] if flag == "--fast" => true,
        _ => {
            return Err(Failure::Usage(
                "`verify` takes `--fast` or nothing".to_owned(),
            ));
        }
    };
    let mut failed = Vec::new();
    for step in STEPS.iter().filter(|step| !(fast && step.compiles)) {
        let began = Instant::now();
        match (step.check)(workspace) {
            Ok(()) => eprintln!(
                "{:>14}  ok ({:.1} s)",
                step.name,
                began.elapsed().as_secs_f32()
            ),
            Err(failure @ Failure::LeftOut(_)) => eprintln!("{:>14}  {failure}", step.name),
            Err(failure) => {
                eprintln!("{:>14}  FAILED\n{failure}", step.name);
                failed.push(step.name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Findings(vec![format!(
        "these steps failed: {}",
        failed.join(", ")
    )]))
}
