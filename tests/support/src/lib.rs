//! What the tests of the whole need: real programs, real `TsFile`s, real frames.
//!
//! | module | gives |
//! |---|---|
//! | [`programs`] | the release binaries, built once a process |
//! | [`node`] | a running half: settings, listeners, status, memory, signals |
//! | [`wait`] | conditions with deadlines |
//! | [`watched`] | commands with their time and memory |
//! | [`tsfile`] | a writer of `TsFile`s v3, independent of the library's |
//! | [`frames`] | air-gap frames, byte for byte, independent of the library's |
//! | [`peer`] | a blocking air-gap sender |
//! | [`ports`] | ports that stay a test's own while nobody listens there |
//! | [`parallel`] | the same work several times at once |
//! | [`chance`] | seeded numbers |
//! | [`files`] | hashes and trees of files |
//!
//! Nothing here imports the library that is tested.

pub mod chance;
pub mod clock;
pub mod files;
pub mod frames;
pub mod memory;
pub mod node;
pub mod parallel;
pub mod peer;
pub mod ports;
pub mod programs;
pub mod statements;
pub mod tsfile;
pub mod wait;
pub mod watched;
