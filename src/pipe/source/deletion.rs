//! Deletions: cut to the series and times that a pipe sends.
//!
//! What both mean is said in paths ([`super::overlap`]). Paths that an exclusion covers are left out; of one that it
//! covers in part all is deleted, since nothing of what is excluded was sent. Deletions of the table model have no
//! paths, and go only where none are asked for.

use super::overlap::{self, Nodes};
use crate::data::path::unquoted;
use crate::data::{Matcher, Pattern, TimeRange};
use crate::limits::DELETE_PATHS_MAX;
use crate::wire::bytes::Writer;
use crate::wire::delete::{self, Delete, PathKind};
use crate::wire::request::{Head, RequestType};
use crate::wire::trim::Trimmed;

/// What of deletions is sent.
#[derive(Debug, Clone)]
pub(super) struct Deletions {
    include: Vec<Nodes>,
    exclude: Matcher,
    is_every_series: bool,
}

impl Deletions {
    pub(super) fn new(include: &[Pattern], exclude: &[Pattern]) -> Self {
        Self {
            include: include.iter().flat_map(overlap::paths_of).collect(),
            exclude: Matcher::new(exclude, &[]),
            is_every_series: include.iter().any(Pattern::is_everything) && exclude.is_empty(),
        }
    }

    /// Writes what is left of the deletion in `payload` to `out`, which is emptied first. One that cannot be read, or
    /// whose rest would be too long, goes nowhere but where all series go: nobody deletes what he was not asked to.
    pub(super) fn cut(&self, payload: &[u8], times: TimeRange, out: &mut Vec<u8>) -> Trimmed {
        out.clear();
        let unread = if self.is_every_series { Trimmed::Whole } else { Trimmed::Nothing };
        let Some(body) = payload.get(Head::BYTES..) else { return unread };
        let Ok(Some((deletion, _zeros))) = Delete::decode(body) else { return unread };
        let range = deletion.time_range;
        let left = TimeRange { min: range.min.max(times.min), max: range.max.min(times.max) };
        if left.is_empty() {
            return Trimmed::Nothing;
        }
        let mut kind = PathKind::Partial;
        let (mut before, mut paths) = (Vec::new(), Vec::new());
        for path in deletion.paths() {
            kind = path.kind;
            let nodes: Nodes = path.nodes().map(|node| unquoted(node).to_owned()).collect();
            self.add(&nodes, &mut paths);
            before.push(nodes);
        }
        if paths.is_empty() || paths.len() > DELETE_PATHS_MAX {
            return Trimmed::Nothing;
        }
        if paths == before && left == range {
            return Trimmed::Whole;
        }
        let texts: Vec<Vec<&str>> =
            paths.iter().map(|path| path.iter().map(String::as_str).collect()).collect();
        let texts: Vec<&[&str]> = texts.iter().map(Vec::as_slice).collect();
        let mut writer = Writer::into_vec(out, BYTES_MAX);
        Head::of(RequestType::PlanNode).write(&mut writer);
        delete::write(kind, &texts, left, deletion.plan_node_id.unwrap_or("1"), &mut writer);
        if writer.finish().is_err() { Trimmed::Nothing } else { Trimmed::Part(left) }
    }

    /// Adds what is left of a path, each once.
    fn add(&self, path: &Nodes, to: &mut Vec<Nodes>) {
        for include in &self.include {
            let found = overlap::of(path, include).unwrap_or_else(|| vec![path.clone()]);
            let mut found: Vec<Nodes> =
                found.into_iter().filter(|one| !self.is_excluded(one)).collect();
            found.retain(|one| !to.contains(one));
            to.append(&mut found);
        }
    }

    /// Whether an exclusion covers the path, whose wildcards are taken for texts.
    fn is_excluded(&self, path: &[String]) -> bool {
        let Some((measurement, device)) = path.split_last() else { return true };
        self.exclude.series(&device.join(".")).wants(measurement)
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
        let left = deletions.cut(&payload, times, &mut out);
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
        let late = TimeRange { min: 15, max: 99 };
        let left = Trimmed::Part(TimeRange { min: 15, max: 20 });
        assert_eq!(cut(&["root.**"], &[], "root.a.b", late), (left, vec!["root.a.b".into()]));
        assert_eq!(cut(&["root.**"], &[], "root.a", TimeRange::at(9)), (Trimmed::Nothing, vec![]));
    }
}
