//! Protocol state machines: no I/O, `now` is an argument.

pub mod backoff;
pub mod piece_size;
pub mod rate;
pub mod receiver;
pub mod sender;
