//! Bytes of the two protocols: pure functions, no I/O.
//!
//! ```text
//!  socket --> frame (and elanguage) --> payload --> request --+-- handshake
//!                                          ^                  +-- piece, seal
//!             answer <-- one byte          |                  +-- rows, plans
//!                                          +------------------+-- slice, compressed
//! ```
//!
//! Everything is read through the bounded [`bytes::Reader`] and borrows from the caller's buffer.

pub mod answer;
pub mod bytes;
pub mod compressed;
pub mod elanguage;
pub mod frame;
pub mod handshake;
pub mod pairs;
pub mod piece;
pub mod request;
pub mod seal;
pub mod slice;

pub use bytes::WireError;
