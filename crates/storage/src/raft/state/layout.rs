//! Where the pages of the database stand in their file.
//!
//! ```text
//! block 0      the head: magic, version, whose state it is
//! block 1, 2   the first page of the database, and its checksum and generation: copy A
//! block 3, 4   copy B
//! block 5–7    unused
//! then groups: a block of 1,024 checksums, then the 1,024 pages they are of
//! ```
//! The first page is the only one the database changes in place. It is written to the copy that
//! was not synced last, so that a torn write leaves the other.

/// A block, and a page of the database.
pub(super) const BLOCK: u64 = 4_096;
/// The same, for buffers.
pub(super) const BLOCK_BYTES: usize = 4_096;
/// Pages that share a block of checksums.
pub(super) const GROUP_PAGES: u64 = 1_024;
/// Blocks before the first group.
const FIRST_GROUP: u64 = 8;

/// Where a copy of the first page starts.
pub(super) fn copy_offset(copy: usize) -> u64 {
    BLOCK * if copy == 0 { 1 } else { 3 }
}

/// Where the checksums of a group start.
pub(super) fn checksums_offset(group: u64) -> u64 {
    (FIRST_GROUP + group * (GROUP_PAGES + 1)) * BLOCK
}

/// Where a page stands.
pub(super) fn page_offset(page: u64) -> u64 {
    checksums_offset(page / GROUP_PAGES) + (1 + page % GROUP_PAGES) * BLOCK
}

/// How long the file is for a database of so many pages.
pub(super) fn file_bytes(pages: u64) -> u64 {
    match pages {
        0 => FIRST_GROUP * BLOCK,
        _ => page_offset(pages - 1) + BLOCK,
    }
}

/// How many pages a file of this length holds.
pub(super) fn pages(file_bytes: u64) -> u64 {
    let blocks = (file_bytes / BLOCK).saturating_sub(FIRST_GROUP);
    let groups = blocks / (GROUP_PAGES + 1);
    let rest = blocks % (GROUP_PAGES + 1);
    groups * GROUP_PAGES + rest.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_checksums_do_not_overlap() {
        let mut end = checksums_offset(0);
        for page in 0..GROUP_PAGES * 3 {
            if page % GROUP_PAGES == 0 {
                assert_eq!(checksums_offset(page / GROUP_PAGES), end);
                end += BLOCK;
            }
            assert_eq!(page_offset(page), end);
            end += BLOCK;
            assert_eq!(file_bytes(page + 1), end);
            assert_eq!(pages(end), page + 1);
        }
        assert_eq!(pages(file_bytes(0)), 0);
        assert!(copy_offset(1) + 2 * BLOCK <= checksums_offset(0));
        assert!(copy_offset(0) + 2 * BLOCK <= copy_offset(1));
    }
}
