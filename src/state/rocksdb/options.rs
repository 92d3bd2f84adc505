//! The options of a database, and the memory that all of them share.

use crate::state::{Compression, RocksOptions};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, LogLevel, Options,
    WriteBufferManager, WriteOptions,
};

/// Keys are short and values a few hundred bytes: fewer index entries than with RocksDB's 4 KiB.
const BLOCK_BYTES: usize = 16 << 10;
/// One false answer in a hundred; most new keys are in no file, and a read of one touches no block then.
const FILTER_BITS: f64 = 10.0;
/// The part of the shared write buffers that one task may fill before it writes a file. If all of it were one task's, a
/// few tasks that have stopped writing would leave so little that the others write a file with every commit.
const SHARE_OF_ONE_TASK: usize = 8;
const LOG_BYTES: usize = 1 << 20;
/// Of an index or a filter.
const PART_BYTES: usize = 4 << 10;
/// Entries of the cache have no usual size.
const ANY_CHARGE: usize = 0;

/// Kept while a database is open.
pub(super) struct Opened {
    pub(super) database: Options,
    sync: bool,
}

impl Opened {
    pub(super) fn new(user: &RocksOptions) -> Self {
        // Writers are not held up where buffers are full: they take room from the cache until a file is written, so that
        // the sum is the bound.
        let capacity = user.block_cache_bytes.saturating_add(user.write_buffer_bytes);
        let cache = Cache::new_hyper_clock_cache(capacity, ANY_CHARGE);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            user.write_buffer_bytes,
            false,
            cache.clone(),
        );
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&tables(&cache));
        options.set_write_buffer_manager(&buffers);
        options.set_write_buffer_size(user.write_buffer_bytes / SHARE_OF_ONE_TASK);
        options.set_compression_type(match user.compression {
            Compression::None => DBCompressionType::None,
            Compression::Lz4 => DBCompressionType::Lz4,
        });
        options.set_max_open_files(user.max_open_files);
        options.set_skip_stats_update_on_db_open(true);
        // A log that ends in half a record gives the commits before it.
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(2);
        options.set_max_log_file_size(LOG_BYTES);
        Self { database: options, sync: user.sync }
    }

    pub(super) fn write(&self) -> WriteOptions {
        let mut options = WriteOptions::default();
        options.set_sync(self.sync);
        options
    }
}

/// Indexes and filters are in the cache as well: memory has one bound. They are cut into parts, because a filter of a
/// whole file is so large that it is pushed out again and again, and every read then loads it: a hundred times slower.
fn tables(cache: &Cache) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(cache);
    tables.set_block_size(BLOCK_BYTES);
    tables.set_bloom_filter(FILTER_BITS, false);
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_metadata_block_size(PART_BYTES);
    tables.set_pin_top_level_index_and_filter(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    tables
}
