//! What a request asks for, and what a row asks of its caller.

/// What a request asks for, once it is known whether a write creates or updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A write of something that does not exist.
    Create,
    /// A read.
    Read,
    /// A write of something that exists, or where that makes no difference.
    Update,
    /// A JSON merge patch.
    Patch,
    /// A delete.
    Delete,
    /// A list of names.
    List,
    /// A recursive list of names.
    Scan,
    /// A question for help.
    Help,
}

impl Operation {
    /// The word in audit records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Help => "help",
        }
    }
}

/// The verb of a row, and of a request before its row is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// GET.
    Read,
    /// POST and PUT.
    Write,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
    /// LIST, and GET with `?list=true`.
    List,
    /// SCAN, and GET with `?scan=true`.
    Scan,
    /// HELP, and GET with `?help=1`.
    Help,
}

impl Verb {
    /// The operation, where a write is an update.
    pub fn operation(self) -> Operation {
        match self {
            Self::Read => Operation::Read,
            Self::Write => Operation::Update,
            Self::Patch => Operation::Patch,
            Self::Delete => Operation::Delete,
            Self::List => Operation::List,
            Self::Scan => Operation::Scan,
            Self::Help => Operation::Help,
        }
    }

    /// Whether the path of a request with this verb names a folder.
    pub fn names_folder(self) -> bool {
        matches!(self, Self::List | Self::Scan)
    }
}

/// What a row asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing; there need not be a token.
    Public,
    /// A valid token, and a policy that grants the operation on the path.
    Token,
    /// As [`Access::Token`], and the `sudo` capability on the path.
    Sudo,
    /// A root token.
    Root,
}
