//! Bytes of the two protocols: pure functions, no I/O. The client RPC of IoTDB is in [`thrift`].
//!
//! ```text
//!  socket --> frame (and elanguage) --> payload --> request --+-- handshake
//!                                          ^                  +-- piece, seal
//!             answer <-- one byte          |                  +-- rows, plans
//!                                          +------------------+-- slice, compressed
//! ```
//!
//! Everything is read through the bounded [`bytes::Reader`] and borrows from the caller's buffer.
//!
//! ```text
//!  rows --> batch --+-- node, wal --+-- tablet, row --> split --> parts for the spool
//!                   +---------------+            +----> values (reading)    build (writing)
//! ```
//!
//! Rows may lie on disk: they are read through [`cursor::Cursor`], a window over either.

pub mod answer;
pub mod batch;
pub mod build;
pub mod bytes;
pub mod columns;
pub mod compressed;
pub mod cursor;
pub mod delete;
pub mod elanguage;
pub mod frame;
pub mod handshake;
pub mod node;
pub mod pairs;
pub mod piece;
pub mod plan;
pub mod request;
pub mod row;
#[cfg(feature = "simulation")]
pub mod sample;
pub mod seal;
pub mod slice;
pub mod split;
pub mod tablet;
pub mod thrift;
pub mod trailer;
pub mod trim;
pub mod trim_row;
pub mod values;
pub mod wal;

pub use bytes::WireError;
