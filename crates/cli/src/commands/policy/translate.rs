//! `policy translate`: HCL to Cedar.

use crate::failure::Failure;
use crate::output::console;
use clap::Args;
use secretum_policy::cedar::translate::translate_rest;
use std::path::Path;

/// The exit code where rules were left out.
const LEFT_OUT: u8 = 2;

/// Writes a policy in HCL down in Cedar, and shows it
///
/// It says the same of every token that carries this one policy, under the name of the file without
/// its end or under -name. Rules that Cedar cannot say are named in comments and left out; where they
/// may decide nothing is permitted, and it ends with 2. No server is asked.
///
///   policy translate app.hcl >app.cedar
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Translate {
    /// File with the policy; - for standard input
    #[arg(value_name = "FILE")]
    source: String,
    /// Name of the policy on tokens
    #[arg(long)]
    name: Option<String>,
}

impl Translate {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let stem = Path::new(&self.source).file_stem();
        let stem = stem
            .and_then(|stem| stem.to_str())
            .filter(|stem| *stem != "-");
        let name = self
            .name
            .as_deref()
            .or(stem)
            .ok_or_else(|| Failure::local("say the name of the policy with -name"))?
            .to_lowercase();
        let made = translate_rest(&name, &super::text(&self.source)?).map_err(Failure::display)?;
        console::out(&made.text)?;
        console::note(&format!(
            "This says the same as the policy `{name}` on all of {} generated requests{}. Actions of an \
             engine's own (generate, sign…) are no verbs: permit those where they are meant.",
            made.requests,
            match made.left_out.len() {
                0 => String::new(),
                left_out => format!(
                    ", but for the paths of {left_out} rules that Cedar cannot say: there it permits nothing"
                ),
            }
        ));
        if made.left_out.is_empty() {
            Ok(())
        } else {
            Err(Failure::Silent(LEFT_OUT))
        }
    }
}
