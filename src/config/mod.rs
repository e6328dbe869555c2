//! TOML to one validated configuration.

/// Which of the two programs runs; they differ in their defaults only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The inner half.
    Sender,
    /// The outer half.
    Receiver,
}
