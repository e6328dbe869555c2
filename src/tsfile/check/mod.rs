//! Everything that a file's own redundancy can show, in bounded memory.
//!
//! A `TsFile` has no checksums. What is said twice in it is compared. Each flaw is told with its place, and its device and
//! series where it is in one; the tests, those of found.rs where nothing else is said, damage each of these things in turn:
//!
//! | what | how | where | test |
//! |---|---|---|---|
//! | both magics, version, size of the metadata block, separator where it says, block read to its last byte | [`super::tail::check`] | tail.rs | `ends_that_are_damaged_are_found`, and those of tail.rs |
//! | markers; each length lands on the next marker; the last one is the separator; each group has chunks | data zone, front to back | scan.rs | `markers_and_lengths_of_the_data_zone_are_found` |
//! | how much is whole of a file without an end | the same | scan.rs | `a_file_that_was_cut_off_says_what_is_whole` (tests.rs) |
//! | each chunk of the index is there, with its name and type | the header at its offset | index.rs | `chunks_that_are_others_than_the_index_says_are_found` |
//! | each chunk is in the index once, under its device | number, and sum of a hash of place and device, so that no list is kept | index.rs | `chunks_that_are_named_twice_or_never_are_found` |
//! | keys of devices and series ascend | each with the one before | index.rs | `keys_that_do_not_ascend_are_found` |
//! | keys lead to what begins with them | the walk itself | read/index.rs | `keys_that_lead_elsewhere_are_found` |
//! | spans leave no gap in the metadata zone | bytes walked over | index.rs | `gaps_in_the_metadata_zone_are_found` |
//! | columns of an aligned device have as many chunks as its times | counts | index.rs | `columns_with_fewer_chunks_than_their_times_are_found` |
//! | pages decompress to their size, and to what the codec's own checksum says | decoded (deep) | deep.rs | `pages_that_do_not_decompress_to_their_size_are_found` |
//! | pages decode to their count | decoded (deep) | deep.rs | `pages_that_do_not_decode_are_found` |
//! | pages of columns have as many rows as their times | decoded (deep) | deep.rs | `rows_that_do_not_agree_are_found` |
//! | times ascend through the pages and chunks of a series | compared (deep) | deep.rs | `times_that_do_not_ascend_are_found` |
//! | statistics of the chunks are together those of their series | merged | index.rs | `each_byte_of_statistics_is_compared` |
//! | count, times, first, last, least, largest and sum of each page, chunk and series | computed (deep); sums of floats within rounding | deep.rs | `each_byte_of_statistics_is_compared` |
//! | the bloom filter has every path | its bits | index.rs | `paths_that_the_bloom_filter_lacks_are_found` |
//! | nothing else that changes a point | each bit of some samples | | `no_flipped_bit_changes_a_point_unseen` (tests.rs) |
//!
//! What a file cannot show, because nothing in it says the same twice:
//! - a text or blob changed within a page without compression that is neither first nor last, nor (of
//!   `STRING`) smallest or largest; of `BLOB` any
//! - a time moved within a page so that times still ascend, neither the first nor the last
//! - two changes that leave a sum of 64-bit integers or floats equal within its rounding
//! - the last, or lost, digits of a sum of floats
//! - bits that no reader looks at: padding, the upper flags of a series, the compressor of a chunk of empty
//!   pages, the encoding of a time column that decodes all the same, plan ranges, surplus bits of the bloom
//!   filter, table schemas, properties
//!
//! In the samples that the test flips bit by bit, only the last kind is there: what is not seen changes no point.

mod deep;
#[cfg(test)]
mod found;
mod index;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

use thiserror::Error;

use super::read::TsFile;
use super::window::TsFileError;
use crate::data::ReadAt;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Headers and metadata.
    Structure,
    /// Every page, too.
    Pages,
}

/// What a flaw leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Every point can be read; something about them is wrong.
    All,
    /// Every point but those of the place that is named.
    Others,
    /// The chunks before the offset, by reading the data zone front to back.
    Before,
    /// Nothing.
    None,
}

/// Something wrong with a file.
#[derive(Debug)]
pub struct Flaw {
    /// Where, in bytes from the start of the file.
    pub offset: u64,
    /// The device, where one is concerned.
    pub device: Option<String>,
    /// The series, where one is concerned.
    pub series: Option<String>,
    /// What.
    pub what: What,
    /// What can be saved.
    pub saved: Saved,
}

/// What is wrong.
#[derive(Debug, Error)]
pub enum What {
    /// Something that cannot be read.
    #[error(transparent)]
    Unreadable(TsFileError),
    /// A byte in the data zone that is no marker.
    #[error("{0:#04x} is no marker of the data zone")]
    Marker(u8),
    /// A chunk before any device, or a device without a chunk.
    #[error("a chunk without a device, or a device without a chunk")]
    Group,
    /// A chunk of the index that is another one in the data zone.
    #[error("the chunk is of another series or type than the index says")]
    OtherChunk,
    /// Chunks that the index does not know: their points cannot be queried.
    #[error("{0} chunks of the data zone are not in the index")]
    Orphans(u64),
    /// The index names chunks more than once, of another device than the data zone, or where none begins.
    #[error("the index names chunks twice, under another device, or where none begins")]
    Misplaced,
    /// Names that do not ascend: searches miss them.
    #[error("it does not come after the one before it")]
    Order,
    /// Bytes of the metadata zone that nothing points to, or that several things point to.
    #[error("{expected} bytes of metadata, but the index covers {got}")]
    Gap {
        /// Bytes of the metadata zone.
        expected: u64,
        /// Bytes that the index covers.
        got: u64,
    },
    /// An aligned column with more or fewer chunks than the time column.
    #[error("{got} chunks, but the time column has {expected}")]
    ChunkCount {
        /// Chunks of the time column.
        expected: u64,
        /// Chunks of this one.
        got: u64,
    },
    /// Times that do not ascend.
    #[error("time {time} is not later than the one before it")]
    Time {
        /// The first of them.
        time: i64,
    },
    /// Statistics that the points do not have.
    #[error("the statistics of the {0} are not those of its points")]
    Statistics(Level),
    /// A path that the bloom filter does not know: queries miss it.
    #[error("the bloom filter does not know it")]
    Bloom,
}

/// Whose statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// A page's.
    Page,
    /// A chunk's.
    Chunk,
    /// A series'.
    Series,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Page => "page",
            Self::Chunk => "chunk",
            Self::Series => "series",
        })
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checked {
    /// 3 or 4; 0 if the ends are flawed.
    pub version: u8,
    /// Devices of the index.
    pub devices: u64,
    /// Series, time columns not counted.
    pub series: u64,
    /// Chunks of the data zone.
    pub chunks: u64,
    /// Points by the statistics; of a deep check, those that were read.
    pub points: u64,
    /// Flaws that were reported.
    pub flaws: u64,
}

/// Checks a file and reports each flaw.
///
/// # Errors
/// [`TsFileError::Read`] if the disk fails: that says nothing about the file.
pub fn check<R: ReadAt>(
    file: &R,
    depth: Depth,
    report: &mut dyn FnMut(&Flaw),
) -> Result<Checked, TsFileError> {
    let mut checker = Checker { checked: Checked::default(), scanned: Sum::default(), report };
    let file = match TsFile::open(file) {
        Ok(file) => file,
        Err(error) => {
            checker.without_ends(file, error)?;
            return Ok(checker.checked);
        }
    };
    checker.checked.version = file.summary().version;
    checker.scan(&file)?;
    checker.index(&file)?;
    if depth == Depth::Pages {
        checker.pages(&file)?;
    }
    Ok(checker.checked)
}

struct Checker<'r> {
    checked: Checked,
    /// Chunks of the data zone.
    scanned: Sum,
    report: &'r mut dyn FnMut(&Flaw),
}

impl Checker<'_> {
    fn flaw(&mut self, flaw: &Flaw) {
        self.checked.flaws += 1;
        (self.report)(flaw);
    }

    /// Reports what cannot be read; what the disk says ends the check.
    fn unreadable(&mut self, at: Place<'_>, error: TsFileError) -> Result<(), TsFileError> {
        if matches!(error, TsFileError::Read { .. }) {
            return Err(error);
        }
        let offset = error.offset();
        self.flaw(&at.flaw(offset, What::Unreadable(error), Saved::Others));
        Ok(())
    }

    /// A file without sound ends: says how much of its data zone is whole.
    fn without_ends<R: ReadAt>(&mut self, file: &R, error: TsFileError) -> Result<(), TsFileError> {
        if matches!(error, TsFileError::Read { .. }) {
            return Err(error);
        }
        let whole = self.scan_without_end(file)?;
        let saved = if self.checked.chunks > 0 { Saved::Before } else { Saved::None };
        let offset = if saved == Saved::Before { whole } else { error.offset() };
        self.flaw(&Place::default().flaw(offset, What::Unreadable(error), saved));
        Ok(())
    }
}

/// What a flaw concerns.
#[derive(Debug, Clone, Copy, Default)]
struct Place<'a> {
    device: Option<&'a str>,
    series: Option<&'a str>,
}

impl Place<'_> {
    fn flaw(self, offset: u64, what: What, saved: Saved) -> Flaw {
        let [device, series] = [self.device, self.series].map(|name| name.map(str::to_owned));
        Flaw { offset, device, series, what, saved }
    }
}

/// A set of offsets, known by its size and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    count: u64,
    hashes: u64,
}

impl Sum {
    /// Adds a chunk of the device with this hash.
    const fn add(&mut self, offset: u64, device: u64) {
        // The finisher of MurmurHash3: every bit of the offset moves every bit of the hash.
        let mut hash = offset ^ (offset >> 33) ^ device;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        self.count += 1;
        self.hashes = self.hashes.wrapping_add(hash ^ (hash >> 33));
    }
}

/// A flaw on one line, for people.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: ", self.offset)?;
        if let Some(device) = &self.device {
            write!(f, "{device}")?;
        }
        match self.series.as_deref() {
            Some("") => f.write_str(" times: ")?,
            Some(series) => write!(f, ".{series}: ")?,
            None if self.device.is_some() => f.write_str(": ")?,
            None => {}
        }
        write!(f, "{}", self.what)?;
        f.write_str(match self.saved {
            Saved::All => " (every point can be read)",
            Saved::Others => " (all other points can be read)",
            Saved::Before => " (the chunks before it are whole)",
            Saved::None => " (nothing can be read)",
        })
    }
}
