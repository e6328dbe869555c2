//! Status codes: what a call came to.
//!
//! Defined by IoTDB's `TSStatusCode` and `common.thrift`'s `TSStatus`.

use super::TSStatus;

/// A code of `TSStatusCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(pub i32);

impl Code {
    /// All went well.
    pub const SUCCESS: Self = Self(200);
    /// The client's protocol is not version 3.
    pub const INCOMPATIBLE_VERSION: Self = Self(201);
    /// A dialect other than the tree model's.
    pub const UNSUPPORTED_SQL_DIALECT: Self = Self(205);
    /// A method or statement that is not for this program.
    pub const UNSUPPORTED_OPERATION: Self = Self(300);
    /// A statement failed.
    pub const EXECUTE_STATEMENT_ERROR: Self = Self(301);
    /// Some of several failed: one status each lies within.
    pub const MULTIPLE_ERROR: Self = Self(302);
    /// The content of a request is not what it should be.
    pub const ILLEGAL_PARAMETER: Self = Self(303);
    /// The program's own fault.
    pub const INTERNAL_SERVER_ERROR: Self = Self(305);
    /// Taken, and another node would be nearer.
    pub const REDIRECTION_RECOMMEND: Self = Self(400);
    /// A path that IoTDB does not take.
    pub const ILLEGAL_PATH: Self = Self(509);
    /// Nothing can be stored.
    pub const SYSTEM_READ_ONLY: Self = Self(600);
    /// Too much at once.
    pub const WRITE_PROCESS_REJECT: Self = Self(606);
    /// The disk is full.
    pub const DISK_SPACE_INSUFFICIENT: Self = Self(611);
    /// The statement is none.
    pub const SQL_PARSE_ERROR: Self = Self(700);
    /// The statement cannot be.
    pub const SEMANTIC_ERROR: Self = Self(701);
    /// The password is wrong.
    pub const WRONG_LOGIN_PASSWORD: Self = Self(801);
    /// A call before the login.
    pub const NOT_LOGIN: Self = Self(802);
    /// What this connection may not do.
    pub const NO_PERMISSION: Self = Self(803);
    /// There is no such user.
    pub const USER_NOT_EXIST: Self = Self(804);
    /// Too many failed logins.
    pub const USER_LOGIN_LOCKED: Self = Self(822);
    /// A pipe's request came to nothing, for reasons that the message has.
    pub const PIPE_ERROR: Self = Self(1107);
    /// A request of a pipe in a version that this side does not know.
    pub const PIPE_VERSION_ERROR: Self = Self(1800);
    /// A request of a pipe that this side does not know.
    pub const PIPE_TYPE_ERROR: Self = Self(1801);
    /// A pipe's handshake that is refused.
    pub const PIPE_HANDSHAKE_ERROR: Self = Self(1802);
    /// A piece that does not fit behind what came of its file.
    pub const PIPE_TRANSFER_FILE_OFFSET_RESET: Self = Self(1803);
    /// A file that cannot be taken.
    pub const PIPE_TRANSFER_FILE_ERROR: Self = Self(1804);
    /// Try again.
    pub const PIPE_RECEIVER_TEMPORARY_UNAVAILABLE: Self = Self(1808);
    /// The data is there already, or can never be: a stock sender takes it for an acceptance.
    pub const PIPE_RECEIVER_IDEMPOTENT_CONFLICT: Self = Self(1809);
    /// The data does not go with the schema.
    pub const PIPE_RECEIVER_USER_CONFLICT: Self = Self(1810);
    /// A `ConfigNode` that has not seen a handshake.
    pub const PIPE_CONFIG_RECEIVER_HANDSHAKE_NEEDED: Self = Self(1811);
    /// A slice of a request that is not the next one.
    pub const PIPE_TRANSFER_SLICE_OUT_OF_ORDER: Self = Self(1812);
    /// The same, or something that another request has to do first.
    pub const PIPE_RECEIVER_PARALLEL_OR_USER_CONFLICT: Self = Self(1815);

    /// A status with this code. Clients join code and message, so there is always one.
    pub fn status(self, message: impl Into<String>) -> TSStatus {
        TSStatus::new(self.0, message.into(), None, None, None)
    }
}

impl TSStatus {
    /// Whether the data was taken: a hint to another node is no error.
    pub const fn is_success(&self) -> bool {
        matches!(Code(self.code), Code::SUCCESS | Code::REDIRECTION_RECOMMEND)
    }
}
