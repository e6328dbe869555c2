//! Penstock carries Apache IoTDB data through one-way network gates.
//!
//! ```text
//!  inner side: penstock-sender                gate             outer side: penstock-receiver
//!
//!  stock IoTDB --+                                                        +- TsFiles in a directory
//!  TsFile inbox -+ intake - spool - pipe == 9780 ==> intake - spool - pipe +- the next gate
//!                                <- one byte --
//! ```
//!
//! A file imports from its own layer or from one above it in this list, never downwards:
//!
//! | layer | modules | may do I/O, read clocks, spawn |
//! |---|---|---|
//! | formats | [`limits`], then [`data`], then [`wire`], [`tsfile`], then [`statement`], then [`config`] | no |
//! | storage | [`spool`] | only through its `Disk` trait |
//! | | [`twin`] | only through the spool's `Disk` trait |
//! | machines | [`link`], [`pipe`] | no: `now` is an argument; the files of pipes go through the spool's `Disk` trait |
//! | shell | [`ops`], then [`keep`], then [`intake`], [`sink`], then [`node`], then [`cli`] | yes |

pub mod cli;
pub mod config;
pub mod data;
pub mod intake;
pub mod keep;
pub mod limits;
pub mod link;
pub mod node;
pub mod ops;
pub mod pipe;
pub mod sink;
pub mod spool;
pub mod statement;
pub mod tsfile;
pub mod twin;
pub mod wire;
