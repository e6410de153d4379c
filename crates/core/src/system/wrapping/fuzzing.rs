//! What must hold of any bytes in the place of a wrapped answer.

use super::Kept;
use secretum_engine::to_json;

/// An answer that is read is the same when it is wrapped again, and tells of a token or lease that it
/// hands out.
pub fn wrapped_answer(data: &[u8]) {
    let Ok(kept) = Kept::read(data) else {
        return;
    };
    let Ok(written) = to_json(&kept) else {
        unreachable!("what was read can be written");
    };
    let again = Kept::read(&written).and_then(|again| to_json(&again));
    assert_eq!(again.ok(), Some(written));
    let hands_out = kept.auth.is_some() || kept.lease.is_some();
    let has_data = kept.data.is_some();
    let reply = kept.into_reply();
    assert_eq!(reply.issues, hands_out);
    assert_eq!(reply.data.is_some(), has_data);
}
