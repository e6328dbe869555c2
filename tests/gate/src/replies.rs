//! What the gate lets pass towards the inner side.

use std::fmt;

/// Values that a reply may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplyValues {
    /// All zeros or all ones: 0x00 or 0xFF.
    #[default]
    Both,
    /// 0x00 only.
    Zeros,
    /// 0xFF only.
    Ones,
    /// Any byte.
    Any,
}

/// What is done with a byte that may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnViolation {
    /// It is reported and passed on.
    Report,
    /// It is reported and dropped.
    #[default]
    Drop,
    /// It is reported, and the connection is reset at both ends.
    Cut,
}

/// The policy for the back direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyPolicy {
    /// Values that may pass.
    pub values: ReplyValues,
    /// No more than one byte for a frame.
    pub one_byte: bool,
    /// No byte unless a whole frame has crossed that was not replied to.
    pub direction_lock: bool,
    /// What happens to the rest.
    pub on_violation: OnViolation,
}

impl Default for ReplyPolicy {
    fn default() -> Self {
        Self {
            values: ReplyValues::default(),
            one_byte: true,
            direction_lock: false,
            on_violation: OnViolation::default(),
        }
    }
}

/// Why a byte may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// Its value is not allowed.
    Value,
    /// It is the second byte of a reply.
    SecondByte,
    /// No frame waits for a reply.
    Unasked,
    /// What came from the inner side is not in E-language form.
    NotELanguage,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::SecondByte => "second-byte",
            Self::Unasked => "unasked",
            Self::NotELanguage => "not-e-language",
        })
    }
}

/// Judges the back direction of one connection.
#[derive(Debug)]
pub(crate) struct ReplyGuard {
    policy: ReplyPolicy,
    frames_unanswered: u64,
    replied_since_forward: bool,
}

impl ReplyGuard {
    /// A guard for a new connection.
    pub(crate) fn new(policy: ReplyPolicy) -> Self {
        Self { policy, frames_unanswered: 0, replied_since_forward: false }
    }

    /// Something came from the inner side.
    pub(crate) fn handle_forward(&mut self) {
        self.replied_since_forward = false;
    }

    /// A whole frame came from the inner side.
    pub(crate) fn handle_frame(&mut self) {
        self.frames_unanswered += 1;
    }

    /// Judges one byte from the target.
    ///
    /// # Errors
    /// Why it may not pass. It counts as a reply all the same.
    pub(crate) fn handle_reply(&mut self, byte: u8) -> Result<(), Violation> {
        let asked = self.frames_unanswered > 0;
        let second = self.replied_since_forward && !asked;
        self.frames_unanswered = self.frames_unanswered.saturating_sub(1);
        self.replied_since_forward = true;
        if !self.allows(byte) {
            return Err(Violation::Value);
        }
        if second && self.policy.one_byte {
            return Err(Violation::SecondByte);
        }
        if !asked && self.policy.direction_lock {
            return Err(Violation::Unasked);
        }
        Ok(())
    }

    /// What happens to bytes that may not pass.
    pub(crate) fn on_violation(&self) -> OnViolation {
        self.policy.on_violation
    }

    fn allows(&self, byte: u8) -> bool {
        match self.policy.values {
            ReplyValues::Both => byte == 0x00 || byte == 0xff,
            ReplyValues::Zeros => byte == 0x00,
            ReplyValues::Ones => byte == 0xff,
            ReplyValues::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(change: impl FnOnce(&mut ReplyPolicy)) -> ReplyGuard {
        let mut policy = ReplyPolicy::default();
        change(&mut policy);
        ReplyGuard::new(policy)
    }

    #[test]
    fn only_all_zeros_and_all_ones_pass() {
        let mut guard = guard(|_| {});
        for byte in 0..=0xff_u8 {
            guard.handle_frame();
            let passes = byte == 0 || byte == 0xff;
            assert_eq!(
                guard.handle_reply(byte),
                if passes { Ok(()) } else { Err(Violation::Value) }
            );
        }
    }

    #[test]
    fn values_can_be_narrowed_and_widened() {
        let mut zeros = guard(|policy| policy.values = ReplyValues::Zeros);
        zeros.handle_frame();
        assert_eq!(zeros.handle_reply(0xff), Err(Violation::Value));
        let mut any = guard(|policy| policy.values = ReplyValues::Any);
        any.handle_frame();
        assert_eq!(any.handle_reply(0x41), Ok(()));
    }

    #[test]
    fn a_second_byte_for_one_frame_is_a_violation() {
        let mut guard = guard(|_| {});
        guard.handle_forward();
        guard.handle_frame();
        assert_eq!(guard.handle_reply(0), Ok(()));
        assert_eq!(guard.handle_reply(0), Err(Violation::SecondByte));
        guard.handle_forward();
        assert_eq!(guard.handle_reply(0), Ok(()));
    }

    #[test]
    fn each_of_several_unanswered_frames_may_be_replied_to() {
        let mut guard = guard(|policy| policy.direction_lock = true);
        guard.handle_frame();
        guard.handle_frame();
        assert_eq!(guard.handle_reply(0), Ok(()));
        assert_eq!(guard.handle_reply(0xff), Ok(()));
        assert_eq!(guard.handle_reply(0), Err(Violation::SecondByte));
    }

    #[test]
    fn the_lock_opens_for_whole_frames_only() {
        let mut locked = guard(|policy| policy.direction_lock = true);
        locked.handle_forward();
        assert_eq!(locked.handle_reply(0xff), Err(Violation::Unasked));
        let mut open = guard(|_| {});
        open.handle_forward();
        assert_eq!(open.handle_reply(0xff), Ok(()));
    }
}
