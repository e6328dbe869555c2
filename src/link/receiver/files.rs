//! Files that arrive piece by piece on one connection, and where their next piece may begin.
//!
//! ```text
//!            0                 last          length
//!            |------- taken ----|-- last piece --|
//!            ^                  ^                ^
//!         from anew       the piece again     the next piece       anywhere else: out of place
//! ```
//!
//! A peer whose answer was lost on the way sends the piece again, or the file; a stock peer that gave
//! a piece up goes on with the next one, and that must not become a file with a hole.

use heapless::{String, Vec};

use super::store::FileKey;
use super::verdict::Case;
use crate::limits;
use crate::wire::piece::PieceHead;

/// A file that arrives.
#[derive(Debug)]
pub(super) struct File {
    pub(super) key: FileKey,
    name: String<{ limits::FILE_NAME_BYTES_MAX }>,
    /// Bytes that have been taken, whole pieces only.
    length: u64,
    /// Where the piece that was taken last began.
    last_start: u64,
}

/// The files of one connection.
#[derive(Debug, Default)]
pub(super) struct Files {
    open: Vec<File, { limits::FILES_PER_CONNECTION_MAX }>,
    /// The file that got a piece last.
    current: Option<FileKey>,
}

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) key: FileKey,
    /// The file is cut back to this first.
    pub(super) start: u64,
    /// The file that makes way: in single-file mode a new name ends the one before.
    pub(super) discard: Option<FileKey>,
}

impl Files {
    pub(super) const fn new() -> Self {
        Self { open: Vec::new(), current: None }
    }

    /// Finds the place of a piece whose name is good; `new` is the key of a file that begins with it.
    /// Nothing counts as taken before [`Files::taken`].
    pub(super) fn place(&mut self, head: &PieceHead<'_>, new: FileKey) -> Result<Placed, Case> {
        if head.end().is_none() {
            return Err(Case::Lengths);
        }
        if let Some(file) = self.open.iter_mut().find(|file| file.name == head.name) {
            if ![0, file.last_start, file.length].contains(&head.start) {
                return Err(Case::OutOfPlace);
            }
            file.length = head.start;
            file.last_start = head.start;
            self.current = Some(file.key);
            return Ok(Placed { key: file.key, start: head.start, discard: None });
        }
        if head.start != 0 {
            return Err(Case::OutOfPlace);
        }
        let single = head.request_type == crate::wire::request::RequestType::TsFilePiece;
        let discard = self.current.filter(|_| single);
        self.open.retain(|file| Some(file.key) != discard);
        let name = String::try_from(head.name).map_err(|_| Case::FileName)?;
        let file = File { key: new, name, length: 0, last_start: 0 };
        self.open.push(file).map_err(|_| Case::TooManyFiles)?;
        self.current = Some(new);
        Ok(Placed { key: new, start: 0, discard })
    }

    /// A piece of `bytes` has arrived whole and now belongs to the file.
    pub(super) fn taken(&mut self, key: FileKey, bytes: u64) {
        if let Some(file) = self.open.iter_mut().find(|file| file.key == key) {
            file.length = file.length.saturating_add(bytes);
        }
    }

    /// The file of this name, if it has this length.
    pub(super) fn complete(&self, name: &str, bytes: u64) -> Option<FileKey> {
        self.open.iter().find(|file| file.name == name && file.length == bytes).map(|file| file.key)
    }

    /// The file that got a piece last, and its length.
    pub(super) fn current(&self) -> Option<(&str, u64)> {
        let file = self.open.iter().find(|file| Some(file.key) == self.current)?;
        Some((&file.name, file.length))
    }

    /// Forgets all files, and names them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = FileKey> {
        self.current = None;
        std::mem::take(&mut self.open).into_iter().map(|file| file.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::LinkId;
    use crate::wire::request::RequestType;

    fn key(number: u32) -> FileKey {
        FileKey { link: LinkId(1), number }
    }

    fn piece(name: &str, start: u64) -> PieceHead<'_> {
        PieceHead::new(RequestType::TsFilePiece, name, start, 10)
    }

    fn mod_piece(name: &str) -> PieceHead<'_> {
        PieceHead::new(RequestType::TsFilePieceWithMod, name, 0, 10)
    }

    fn take(files: &mut Files, head: &PieceHead<'_>, number: u32) -> Result<Placed, Case> {
        let placed = files.place(head, key(number))?;
        files.taken(placed.key, u64::from(head.piece_bytes));
        Ok(placed)
    }

    fn at(number: u32, start: u64) -> Placed {
        Placed { key: key(number), start, discard: None }
    }

    #[test]
    fn a_piece_continues_repeats_or_begins_anew_and_nothing_else() {
        let mut files = Files::new();
        assert_eq!(take(&mut files, &piece("a", 10), 1), Err(Case::OutOfPlace));
        assert_eq!(take(&mut files, &piece("a", 0), 1), Ok(at(1, 0)));
        assert_eq!(take(&mut files, &piece("a", 10), 2), Ok(at(1, 10)));
        assert_eq!(take(&mut files, &piece("a", 10), 2), Ok(at(1, 10)), "the piece again");
        assert_eq!(take(&mut files, &piece("a", 20), 2), Ok(at(1, 20)));
        assert_eq!(take(&mut files, &piece("a", 10), 2), Err(Case::OutOfPlace));
        assert_eq!(take(&mut files, &piece("a", 31), 2), Err(Case::OutOfPlace));
        assert_eq!(take(&mut files, &piece("a", 0), 2), Ok(at(1, 0)), "the file again");
        assert_eq!(take(&mut files, &piece("a", 20), 2), Err(Case::OutOfPlace));
        assert_eq!(files.complete("a", 10), Some(key(1)));
        assert_eq!(files.complete("a", 11), None);
        assert_eq!(files.complete("b", 10), None);
    }

    #[test]
    fn a_piece_counts_only_when_it_was_taken() {
        let mut files = Files::new();
        files.place(&piece("a", 0), key(1)).unwrap();
        assert_eq!(files.complete("a", 0), Some(key(1)));
        files.taken(key(1), 10);
        files.place(&piece("a", 10), key(2)).unwrap();
        assert_eq!(files.complete("a", 10), Some(key(1)));
    }

    #[test]
    fn a_new_name_ends_the_file_before_in_single_file_mode_only() {
        let mut files = Files::new();
        take(&mut files, &mod_piece("a.mods"), 1).unwrap();
        assert_eq!(take(&mut files, &mod_piece("a"), 2), Ok(at(2, 0)));
        let placed = take(&mut files, &piece("b", 0), 3).unwrap();
        assert_eq!(placed.discard, Some(key(2)));
        assert_eq!(files.complete("a", 10), None);
        assert_eq!(files.complete("a.mods", 10), Some(key(1)));
    }

    #[test]
    fn one_file_too_many_is_refused_and_drained_files_are_gone() {
        let mut files = Files::new();
        let names = ["a", "b", "c", "d", "e"];
        for (name, number) in names.iter().zip(0..).take(limits::FILES_PER_CONNECTION_MAX) {
            take(&mut files, &mod_piece(name), number).unwrap();
        }
        assert_eq!(take(&mut files, &mod_piece("e"), 9), Err(Case::TooManyFiles));
        assert_eq!(files.drain().count(), limits::FILES_PER_CONNECTION_MAX);
        assert!(files.open.is_empty());
        assert_eq!(take(&mut files, &mod_piece("e"), 9), Ok(at(9, 0)));
    }

    #[test]
    fn an_end_beyond_all_numbers_is_refused() {
        let head = PieceHead::new(RequestType::TsFilePiece, "a", u64::MAX, 10);
        assert_eq!(Files::new().place(&head, key(1)), Err(Case::Lengths));
    }
}
