//! Requests that are not data: schema, deletions, users. Which of them one is.
//!
//! ```text
//!  type 100 body:  | i16 plan node type | ...   44, 2003: a deletion; else schema
//!  type 200 body:  | i16 plan type | ...        600 to 699: users and rights; else schema
//!  type 202:       parameter fileType           1, 2, 3: users and rights; else schema
//! ```
//!
//! Defined by `PlanNodeType`, `ConfigPhysicalPlanType` and `CNSnapshotFileType`. What cannot be told
//! counts as schema.

use super::bytes::Reader;
use super::request::RequestType;
use super::seal::Seal;

/// Deletion of points, tree model and table model.
const DELETIONS: [i16; 2] = [44, 2003];
/// Plans that create, change or drop users and roles, of all releases; some carry clear passwords.
const AUTHORITY: std::ops::RangeInclusive<i16> = 600..=699;
/// Snapshots of users, roles, and a user's roles.
const AUTHORITY_FILES: [&str; 3] = ["1", "2", "3"];

/// What a plan is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PlanKind {
    /// Deletion of points.
    Delete,
    /// Series, databases, templates and the like.
    Schema,
    /// Users and rights.
    Authority,
}

impl PlanKind {
    /// The kind of a plan by the first bytes of its payload; `None` for a request that is no plan.
    pub fn of_request(request_type: RequestType, payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::at(payload.get(3..).unwrap_or_default(), 3);
        let code = reader.i16("plan type").unwrap_or_default();
        let (special, kind) = if request_type == RequestType::PlanNode {
            (DELETIONS.contains(&code), Self::Delete)
        } else if request_type == RequestType::ConfigPlan {
            (AUTHORITY.contains(&code), Self::Authority)
        } else {
            return None;
        };
        Some(if special { kind } else { Self::Schema })
    }

    /// The kind of a snapshot by its seal; `None` for a `TsFile`.
    pub fn of_seal(seal: &Seal<'_>) -> Option<Self> {
        if seal.request_type == RequestType::SchemaSnapshotSeal {
            return Some(Self::Schema);
        }
        if seal.request_type != RequestType::ConfigSnapshotSeal {
            return None;
        }
        Some(Self::of_snapshot(seal.parameters.and_then(|parameters| parameters.value("fileType"))))
    }

    /// The kind of a configuration's snapshot by the parameter `fileType` of its seal.
    pub fn of_snapshot(file_type: Option<&str>) -> Self {
        let authority = file_type.is_some_and(|kind| AUTHORITY_FILES.contains(&kind));
        if authority { Self::Authority } else { Self::Schema }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_told_by_their_first_word() {
        let kind = |request_type, code: i16| {
            let [high, low] = code.to_be_bytes();
            PlanKind::of_request(request_type, &[1, 0, 0, high, low, 9])
        };
        assert_eq!(kind(RequestType::PlanNode, 44), Some(PlanKind::Delete));
        assert_eq!(kind(RequestType::PlanNode, 2003), Some(PlanKind::Delete));
        assert_eq!(kind(RequestType::PlanNode, 19), Some(PlanKind::Schema));
        assert_eq!(kind(RequestType::ConfigPlan, 621), Some(PlanKind::Authority));
        assert_eq!(kind(RequestType::ConfigPlan, 44), Some(PlanKind::Schema));
        assert_eq!(kind(RequestType::ConfigPlan, 700), Some(PlanKind::Schema));
        assert_eq!(kind(RequestType::TabletRaw, 44), None);
        assert_eq!(PlanKind::of_request(RequestType::PlanNode, &[1]), Some(PlanKind::Schema));
    }
}
