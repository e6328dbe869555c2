//! The durable, ordered log of everything taken in, and the files that lie beside it.
//!
//! ```text
//!  gate, inbox --> append / seal --> sync --> Reader --> pipes, landing
//!                  (one thread)       |         |            |
//!                                     v         v            v
//!                      what is below `synced` is on disk   advance(cursor) --> release
//! ```
//!
//! A [`Spool`] is a synchronous struct with one owner. [`Reader`]s are independent objects for other threads; they see
//! synced entries only. All access to the disk goes through [`Disk`].
//!
//! # What lies where
//!
//! ```text
//!  <data_dir>/
//!    origin                        the node's identity, twice (identity.rs)
//!    quarantine/<n>, <n>.why       what can never be accepted or could not be read (quarantine.rs)
//!    spool/
//!      00000000000000000001.seg    segments, named by their first sequence
//!      files/<sequence>-<n>        n-th file of the file entry with this sequence
//!      files/<sequence>-<n>-<name> the same, moved here from the node's own inbox
//!      partial/<id>                files and requests that are still arriving
//!      partial/<id>-<name>         taken over from the inbox, not yet sealed; survives a restart
//!      partial/made-<n>            made of entries for a pipe (made.rs), with its scratches `.twin-<name>`
//!      runs/                       where files of runs are made
//!      cursors/<consumer>          two slots (slots.rs, cursor.rs)
//!      state                       two slots: starts, uptime, counters (state.rs)
//!      snapshot-0, snapshot-1      what de-duplication knows, written at each new segment (snapshot.rs)
//!      seen/<origin id>            digests of what was taken under each identity (digests.rs)
//!      failing                     the latest fatal exits (failing.rs)
//!      dropped                     a line for each range that `drop-oldest` gave up
//! ```
//!
//! # Segment, version 1
//!
//! A segment is preallocated and filled from its start. All numbers are little-endian; CRCs are CRC-32 (IEEE).
//!
//! ```text
//!  offset  bytes
//!       0     64  segment header
//!      64      .  entries, each padded with zeros to a multiple of 8 bytes
//!       .      .  zeros, or what a crash left: nothing here is believed unless it is an entry of this segment
//!
//!  segment header
//!       0      8  magic "PENSTOCK"
//!       8      2  version, 1
//!      10      2  bytes of this header, 64
//!      12      2  lane, 0 (for segments that hold one lane only)
//!      14      2  flags, 0
//!      16      8  segment id: random, never zero; every entry repeats it, so that neither an older use of the same blocks
//!                 nor a payload that looks like an entry is taken for one
//!      24      8  sequence of the first entry
//!      32     16  origin id of the node at that time
//!      48      8  uptime of the node when the segment was made, ms over all its runs
//!      56      4  reserved, 0
//!      60      4  CRC of bytes 0..60
//! ```
//!
//! # Entry, version 1
//!
//! ```text
//!  offset  bytes
//!       0      4  magic "PSE1"
//!       4      2  version, 1
//!       6      2  bytes of this header, 160
//!       8      8  segment id
//!      16      8  sequence
//!      24      8  synced: everything below this sequence was durable when this entry was written
//!      32      8  arrival, ms since 1970, signed
//!      40      1  kind: 0 void, 1 tablet, 2 file, 3 opaque, 4 reserved for deletes
//!      41      1  source: 0 own, 1 a Penstock peer, 2 a stock peer
//!      42      2  flags: 1 clock was trusted, 2 time range is known, 4 last part of its request
//!      44      1  precision: 0 ms, 1 us, 2 ns, 255 unknown
//!      45      1  hops behind it: 0 for what was written here, or counts as such
//!      46      2  lane, 0
//!      48     16  origin id          identity; it travels with the data and is never rewritten
//!      64      8  origin sequence
//!      72      8  earliest time      in units of the precision, signed; 0 if unknown
//!      80      8  latest time
//!      88      8  cluster hash       request of a stock peer, else 0 (dedup.rs)
//!      96     16  request hash
//!     112      4  part of the request, from 0
//!     116      4  void: sequences that this entry stands for, else 0
//!     120      8  link on which the request came
//!     128      4  files of a file entry, else 0
//!     132      4  CRC of what it holds, in whatever form (digests.rs), or 0: unknown
//!     136      4  payload bytes
//!     140      4  CRC of the payload
//!     144      4  hash of a tablet's device, or 0: unknown (dedup.rs)
//!     148      8  reserved, 0
//!     156      4  CRC of bytes 0..156
//!     160      .  payload
//!       .      .  zeros to the next multiple of 8
//! ```
//!
//! - **Payload of a tablet or opaque entry**: an air-gap payload (`version i8, type i16, body`), ready to be framed: its CRC
//!   is the frame's. A tablet gets its identity appended as plan node id (`i32 56, text, i32 0`:
//!   the tail), in an entry as in a file. An opaque one has it in its header, and on the wire in a
//!   [`trailer`](crate::wire::trailer), with which the CRC goes on.
//! - **Payload of a file entry**: [`FileList`]; the bytes lie in `files/`.
//! - **Void** stands for sequences that a crash or a flaw took; readers step over it in silence.
//!
//! # Durability
//!
//! `append` writes, `sync` makes durable; what `sync` returned is never lost by a crash. A start counts only on what is on
//! the medium: what an earlier run left in the system's memory it syncs first, or forgets if that run's sync failed. A file gets its name, then
//! it and the directory are synced, and only then an entry names it. Nothing that was cut or given up gives its sequence to other data
//! once a consumer can have seen it.

mod cursor;
mod damage;
mod dedup;
mod digests;
mod dirty;
mod disk;
mod drops;
mod entry;
mod error;
mod failing;
mod fields;
mod file_check;
mod file_list;
mod files;
mod index;
mod log;
mod made;
mod opening;
mod origin;
mod owner;
mod partials;
mod quarantine;
mod quota;
mod reader;
mod real_disk;
mod recovery;
mod remaining;
mod sealing;
mod segment;
mod settings;
#[cfg(feature = "simulation")]
mod sim_disk;
#[cfg(feature = "simulation")]
mod sim_state;
mod slots;
mod snapshot;
mod stamp;
mod state;
mod upkeep;
mod write_out;

#[cfg(test)]
#[cfg(feature = "simulation")]
mod tests;

pub use crate::data::Sequence;
pub use cursor::{ConsumerId, Cursor, Start, escape, unescape};
pub use dirty::Dirty;
pub use disk::{
    Disk, DiskFile, LOCK, OpenMode, is_dir_locked, is_full, lock_dir, read_full_at, write_all_at,
};
pub use entry::{
    Arrival, ENTRY_HEADER_BYTES, EntryHeader, Kind, LinkId, NewEntry, RequestKey, Source,
};
pub use error::{AppendError, Fatal, Full, Misuse, PartialError, ReadError, SpoolError};
pub use file_check::{FileCheck, Rotten};
pub use file_list::{FileList, ListedFile};
pub use files::PartialId;
pub use made::MADE_DIR;
pub use opening::Recovery;
pub use owner::{Outcome, Spool};
pub use reader::{Entry, FileReader, Place, Reader};
pub use real_disk::RealDisk;
pub use sealing::{NewFileEntry, SealedFile};
pub use settings::{Settings, Stats, WhenFull};
#[cfg(feature = "simulation")]
pub use sim_disk::{SimDisk, SimFile};
#[cfg(feature = "simulation")]
pub use sim_state::{Calls, Denied, Fault};
pub use stamp::Stamp;
