//! Faults that wait for an answer byte, and what becomes of the byte.

use std::collections::VecDeque;
use std::time::Duration;

use crate::fault::Fault;

/// Faults that wait; more are not kept.
const WAITING_MAX: usize = 64;

/// The answer faults of one connection, in the order in which they happened.
#[derive(Debug, Default)]
pub(crate) struct AnswerFaults {
    waiting: VecDeque<(Fault, Fate)>,
}

/// What becomes of an answer byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost.
    Lost,
    /// It goes on after this time.
    Late(Duration),
    /// It goes on twice.
    Doubled,
    /// Another one goes on.
    Replaced(u8),
}

impl AnswerFaults {
    /// A fault that becomes the fate of an answer that is not spoken for yet.
    pub(crate) fn add(&mut self, fault: Fault, fate: Fate) {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back((fault, fate));
        }
    }

    /// An answer has come: the fault that it meets with, if it does.
    pub(crate) fn take(&mut self) -> Option<(Fault, Fate)> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_meets_with_one_fault_in_order() {
        let mut faults = AnswerFaults::default();
        faults.add(Fault::DropAnswer, Fate::Lost);
        faults.add(Fault::DoubleAnswer, Fate::Doubled);
        assert_eq!(faults.take(), Some((Fault::DropAnswer, Fate::Lost)));
        assert_eq!(faults.take(), Some((Fault::DoubleAnswer, Fate::Doubled)));
        assert_eq!(faults.take(), None);
    }

    #[test]
    fn no_more_wait_than_can_be_kept() {
        let mut faults = AnswerFaults::default();
        (0..=WAITING_MAX).for_each(|_| faults.add(Fault::DropAnswer, Fate::Lost));
        assert_eq!(faults.waiting.len(), WAITING_MAX);
    }
}
