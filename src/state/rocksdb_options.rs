//! What the user says about RocksDB; there also without the feature, so that a configuration reads the same.

/// For all stores of a process together, unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RocksOptions {
    /// Blocks of files that were read, with their indexes and filters.
    pub(crate) block_cache_bytes: usize,
    /// What was written and is not in a file yet (it is in the log of each task).
    pub(crate) write_buffer_bytes: usize,
    pub(crate) compression: Compression,
    /// Of each task; -1: any number.
    pub(crate) max_open_files: i32,
    /// Whether a commit waits until the disk has it.
    pub(crate) sync: bool,
}

/// Of the files, not of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Lz4,
}
