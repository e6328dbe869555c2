//! Bytes of the two protocols: pure functions, no I/O.
