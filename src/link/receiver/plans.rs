//! Requests that are not data: the configuration says what becomes of them.

pub use crate::wire::plan::PlanKind;

/// What becomes of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanPolicy {
    /// Stored and passed on without being understood.
    Pass,
    /// Answered 0x00 and dropped.
    Ignore,
}

/// `[intake] plans`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plans {
    /// Of deletions.
    pub delete: PlanPolicy,
    /// Of schema.
    pub schema: PlanPolicy,
    /// Of users and rights.
    pub authority: PlanPolicy,
}

impl Default for Plans {
    fn default() -> Self {
        Self { delete: PlanPolicy::Pass, schema: PlanPolicy::Pass, authority: PlanPolicy::Ignore }
    }
}

impl Plans {
    /// What becomes of plans of this kind.
    pub const fn policy(&self, kind: PlanKind) -> PlanPolicy {
        match kind {
            PlanKind::Delete => self.delete,
            PlanKind::Schema => self.schema,
            PlanKind::Authority => self.authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_ignored_unless_someone_asks_for_them() {
        let plans = Plans::default();
        assert_eq!(plans.policy(PlanKind::Authority), PlanPolicy::Ignore);
        assert_eq!(plans.policy(PlanKind::Delete), PlanPolicy::Pass);
        assert_eq!(plans.policy(PlanKind::Schema), PlanPolicy::Pass);
    }
}
