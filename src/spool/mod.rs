//! The durable, ordered log of everything taken in.
