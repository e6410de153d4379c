//! HCL in its canonical form: two spaces a level, one item a line, comments where they were.
//!
//! The text is cut into pieces that keep their spelling, and the pieces are laid out anew. What comes
//! out must read as the same document with the same comments, or nothing does.

mod layout;
mod pieces;

use secretum_hcl::HclError;

/// Why a text was not formatted.
#[derive(Debug, thiserror::Error)]
pub(super) enum FormatError {
    /// The text is no HCL.
    #[error("failed to parse policy: {0}")]
    Hcl(#[from] HclError),
    /// The text is JSON, which has no form of its own here.
    #[error("the policy is JSON; only HCL has a canonical form")]
    Json,
    /// The result would not mean the same.
    #[error("a comment stands where it cannot be kept; move it to a line of its own")]
    Comment,
}

/// The canonical form of a document; of canonical text, the text itself.
///
/// **Errors**: [`FormatError`].
pub(super) fn format(text: &str) -> Result<String, FormatError> {
    let meant = secretum_hcl::parse(text)?;
    if text.trim_start().starts_with('{') {
        return Err(FormatError::Json);
    }
    let text = text.replace("\r\n", "\n");
    let pieces = pieces::cut(&text);
    let formatted = layout::lay_out(&pieces);
    let kept = secretum_hcl::parse(&formatted)
        .is_ok_and(|read| read.to_string() == meant.to_string())
        && pieces::comments(&pieces) == pieces::comments(&pieces::cut(&formatted));
    if kept {
        Ok(formatted)
    } else {
        Err(FormatError::Comment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_gets_its_line_and_comments_stay() {
        let text = r#"# top


path "a/*" {capabilities=["read","list"] min_wrapping_ttl="1h"
# inside
  allowed_parameters={"a"=["x","y"], "*"=[]} // tail


    denied_parameters = {
  "b" = []
}
}
/* block
   comment */
path   "b"   { capabilities = [
 "read",
     "list" # c
 ] } # end
path "c" {}
path "d" {

  # only comment

}
"#;
        let formatted = r#"# top

path "a/*" {
  capabilities = ["read", "list"]
  min_wrapping_ttl = "1h"
  # inside
  allowed_parameters = {
    "a" = ["x", "y"]
    "*" = []
  } // tail

  denied_parameters = {
    "b" = []
  }
}

/* block
   comment */
path "b" {
  capabilities = [
    "read",
    "list", # c
  ]
} # end

path "c" {}

path "d" {
  # only comment
}
"#;
        assert_eq!(format(text).unwrap(), formatted);
        assert_eq!(format(formatted).unwrap(), formatted);
    }

    #[test]
    fn texts_keep_their_spelling() {
        let text = "path \"a/${x}\\\"}\" {\n  policy = <<EOF\n  { # no comment\nEOF\n}\n";
        assert_eq!(format(text).unwrap(), text);
        assert_eq!(format("").unwrap(), "");
        assert_eq!(format("a=1 b=true").unwrap(), "a = 1\n\nb = true\n");
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        assert!(matches!(format("path \"a\" {"), Err(FormatError::Hcl(_))));
        assert!(matches!(format("{\"path\":{}}"), Err(FormatError::Json)));
    }
}
