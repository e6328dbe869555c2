//! Deletions: cut to the series and times that a pipe sends.
//!
//! What both mean is said in paths ([`super::overlap`]). Paths that an exclusion covers are left out; of one that it
//! covers in part all is deleted, since nothing of what is excluded was sent. Deletions of the table model have no
//! paths, and go only where none are asked for.
//!
//! Of a deletion that cannot be cut, neither all nor nothing would be right: the far side would lose what this pipe
//! never sent, or keep what is gone here. So it is put aside for a person ([`Uncut`]).

use std::collections::HashSet;
use std::iter::{repeat, zip};

use super::overlap::{self, Budget, Common, Exhausted, Nodes};
use crate::data::path::unquoted;
use crate::data::{Pattern, TimeRange};
use crate::limits::DELETE_PATHS_MAX;
use crate::wire::bytes::Writer;
use crate::wire::delete::{self, Delete, PathKind};
use crate::wire::request::{Head, RequestType};
use crate::wire::trim::Trimmed;

/// What of deletions is sent.
#[derive(Debug, Clone)]
pub(super) struct Deletions {
    include: Vec<Nodes>,
    exclude: Vec<Nodes>,
    is_every_series: bool,
}

/// Why a deletion cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Uncut {
    /// Its paths and the pipe's mean too much together.
    #[error("its paths and those of the pipe's source are too many to be compared")]
    Exhausted,
    /// More paths, or a longer request, than a deletion has.
    #[error(
        "what the pipe's source leaves of it has more than {DELETE_PATHS_MAX} paths or {BYTES_MAX} bytes"
    )]
    Long,
    /// It cannot be read.
    #[error("its paths cannot be read")]
    Unread,
}

impl From<Exhausted> for Uncut {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

impl Deletions {
    pub(super) fn new(include: &[Pattern], exclude: &[Pattern]) -> Self {
        let paths = |of: &[Pattern]| of.iter().flat_map(overlap::paths_of).collect();
        Self {
            include: paths(include),
            exclude: paths(exclude),
            is_every_series: include.iter().any(Pattern::is_everything) && exclude.is_empty(),
        }
    }

    /// Writes what is left of the deletion in `payload` to `out`, which is emptied first. Takes some tens of
    /// milliseconds at most.
    ///
    /// # Errors
    /// If there is no telling what is left, or it would be too long.
    pub(super) fn cut(
        &self,
        payload: &[u8],
        times: TimeRange,
        out: &mut Vec<u8>,
    ) -> Result<Trimmed, Uncut> {
        out.clear();
        let decoded = payload.get(Head::BYTES..).map(Delete::decode);
        let deletion = match decoded {
            Some(Ok(Some((deletion, _zeros)))) => deletion,
            // Of the table model.
            Some(Ok(None)) if self.is_every_series => return Ok(Trimmed::Whole),
            Some(Ok(None)) => return Ok(Trimmed::Nothing),
            Some(Err(_)) | None => return Err(Uncut::Unread),
        };
        let range = deletion.time_range;
        let left = TimeRange { min: range.min.max(times.min), max: range.max.min(times.max) };
        if left.is_empty() {
            return Ok(Trimmed::Nothing);
        }
        let mut kind = PathKind::Partial;
        let mut before: Vec<Vec<&str>> = Vec::new();
        for path in deletion.paths() {
            kind = path.kind;
            before.push(path.nodes().map(unquoted).collect());
        }
        let paths = self.left_of(&before)?;
        if paths.is_empty() {
            return Ok(Trimmed::Nothing);
        }
        if paths == before && left == range {
            return Ok(Trimmed::Whole);
        }
        let paths: Vec<Vec<&str>> =
            paths.iter().map(|path| path.iter().map(AsRef::as_ref).collect()).collect();
        let paths: Vec<&[&str]> = paths.iter().map(Vec::as_slice).collect();
        let mut writer = Writer::into_vec(out, BYTES_MAX);
        Head::of(RequestType::PlanNode).write(&mut writer);
        delete::write(kind, &paths, left, deletion.plan_node_id.unwrap_or("1"), &mut writer);
        writer.finish().map_err(|_| Uncut::Long)?;
        Ok(Trimmed::Part(left))
    }

    /// What is left of these paths, each once.
    fn left_of<'a>(&'a self, paths: &'a [Vec<&'a str>]) -> Result<Vec<Common<'a>>, Uncut> {
        let mut budget = Budget::new();
        let (mut left, mut known) = (Vec::new(), HashSet::new());
        for (path, include) in paths.iter().flat_map(|path| zip(repeat(path), &self.include)) {
            let mut found = overlap::of(path, include, &mut budget)?;
            found.retain(|one| known.insert(one.clone()));
            left.append(&mut self.not_excluded(found, &mut budget)?);
            if left.len() > DELETE_PATHS_MAX {
                return Err(Uncut::Long);
            }
        }
        Ok(left)
    }

    fn not_excluded<'a>(
        &self,
        paths: Vec<Common<'a>>,
        budget: &mut Budget,
    ) -> Result<Vec<Common<'a>>, Exhausted> {
        let mut left = Vec::new();
        for path in paths {
            if !self.is_excluded(&path, budget)? {
                left.push(path);
            }
        }
        Ok(left)
    }

    fn is_excluded(&self, path: &Common<'_>, budget: &mut Budget) -> Result<bool, Exhausted> {
        for exclude in &self.exclude {
            if overlap::covers(exclude, path, budget)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a deletion has at most: an entry's payload.
const BYTES_MAX: usize = crate::limits::ENTRY_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(
        include: &[&str],
        exclude: &[&str],
        path: &str,
        times: TimeRange,
    ) -> (Trimmed, Vec<String>) {
        let patterns = |texts: &[&str]| -> Vec<Pattern> {
            texts.iter().map(|text| Pattern::Path((*text).to_owned())).collect()
        };
        let deletions = Deletions::new(&patterns(include), &patterns(exclude));
        let nodes: Vec<&str> = path.split('.').collect();
        let mut payload = Vec::new();
        let mut writer = Writer::into_vec(&mut payload, 4096);
        Head::of(RequestType::PlanNode).write(&mut writer);
        let range = TimeRange { min: 10, max: 20 };
        delete::write(PathKind::Partial, &[&nodes], range, "1", &mut writer);
        writer.finish().unwrap();
        let mut out = Vec::new();
        let left = deletions.cut(&payload, times, &mut out).unwrap();
        let paths = out.get(3..).map_or(Vec::new(), |body| {
            let (deletion, _) = Delete::decode(body).unwrap().unwrap();
            assert_eq!(left, Trimmed::Part(deletion.time_range));
            deletion.paths().map(|path| path.nodes().collect::<Vec<_>>().join(".")).collect()
        });
        (left, paths)
    }

    #[test]
    fn a_deletion_is_cut_to_what_both_mean() {
        let all = TimeRange::ALL;
        let part = Trimmed::Part(TimeRange { min: 10, max: 20 });
        assert_eq!(cut(&["root.a.**"], &[], "root.a.b.*", all), (Trimmed::Whole, vec![]));
        assert_eq!(cut(&["root.a.**"], &[], "root.b.**", all), (Trimmed::Nothing, vec![]));
        assert_eq!(cut(&["root.a.**"], &[], "root.**", all), (part, vec!["root.a.**".into()]));
        let two = vec!["root.a.*".to_owned(), "root.b.*".to_owned()];
        assert_eq!(cut(&["root.a.*", "root.b.*"], &[], "root.*.*", all), (part, two));
        assert_eq!(cut(&["root.**"], &["root.b.**"], "root.b.x", all), (Trimmed::Nothing, vec![]));
        assert_eq!(cut(&["root.**"], &["root.b.**"], "root.**", all), (Trimmed::Whole, vec![]));
        // One node may be excluded where more of them are meant.
        assert_eq!(cut(&["root.**"], &["root.a.*"], "root.a.**", all), (Trimmed::Whole, vec![]));
        assert_eq!(cut(&["root.**"], &["root.*.b"], "root.**.b", all), (Trimmed::Whole, vec![]));
        let late = TimeRange { min: 15, max: 99 };
        let left = Trimmed::Part(TimeRange { min: 15, max: 20 });
        assert_eq!(cut(&["root.**"], &[], "root.a.b", late), (left, vec!["root.a.b".into()]));
        assert_eq!(cut(&["root.**"], &[], "root.a", TimeRange::at(9)), (Trimmed::Nothing, vec![]));
    }

    #[test]
    fn a_deletion_that_would_take_too_long_or_become_too_long_is_not_cut() {
        let paths: Vec<Pattern> =
            (0..80).map(|at| Pattern::Path(format!("root.d{at}.**"))).collect();
        let cut = |paths: &[Pattern], of: &[Vec<String>]| {
            let of: Vec<Vec<&str>> =
                of.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
            let of: Vec<&[&str]> = of.iter().map(Vec::as_slice).collect();
            let mut payload = Vec::new();
            let mut writer = Writer::into_vec(&mut payload, 1 << 20);
            Head::of(RequestType::PlanNode).write(&mut writer);
            let range = TimeRange { min: 10, max: 20 };
            delete::write(PathKind::Partial, &of, range, "1", &mut writer);
            writer.finish().unwrap();
            Deletions::new(paths, &[]).cut(&payload, TimeRange::ALL, &mut Vec::new())
        };
        let many: Vec<Vec<String>> =
            (0..4000).map(|at| overlap::split(&format!("root.*.s{at}"))).collect();
        assert_eq!(cut(&paths, &many), Err(Uncut::Long));
        let wild = Pattern::Path(format!("root{}", ".**.a".repeat(16)));
        let wilder = overlap::split(&format!("root{}", ".a.**".repeat(16)));
        assert_eq!(cut(&[wild], &[wilder]), Err(Uncut::Exhausted));
    }
}
