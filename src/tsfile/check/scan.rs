//! The data zone, front to back: every marker, every length.

use super::{Checker, Place, Saved, What};
use crate::data::ReadAt;
use crate::tsfile::bloom::text_hash;
use crate::tsfile::device::DeviceId;
use crate::tsfile::read::{ChunkHeader, TsFile, read_segments};
use crate::tsfile::tail::HEAD_BYTES;
use crate::tsfile::window::{TsFileError, Window};

const GROUP: u8 = 0;
const SEPARATOR: u8 = 2;
const PLAN_RANGE: u8 = 4;
/// Two plan indexes.
const PLAN_RANGE_BYTES: u64 = 16;

/// The chunk group in hand.
struct Group {
    /// Hash of its device.
    device: u64,
    chunks: u64,
}

/// How a walk over the data zone ended.
enum End {
    /// At the separator.
    Separator(u64),
    /// At something else; everything before is whole.
    Flaw(u64, What),
}

impl Checker<'_> {
    pub(super) fn scan<R: ReadAt>(&mut self, file: &TsFile<R>) -> Result<(), TsFileError> {
        let summary = file.summary();
        let end = summary.separator + 1;
        match self.walk(file.file(), summary.version, end)? {
            End::Separator(at) if at == summary.separator => {}
            End::Separator(at) => {
                self.flaw(&Place::default().flaw(at, What::Marker(SEPARATOR), Saved::Before));
            }
            End::Flaw(at, what) => self.flaw(&Place::default().flaw(at, what, Saved::Others)),
        }
        Ok(())
    }

    /// Walks over a file whose end is not known; says up to where chunks are whole.
    pub(super) fn scan_without_end<R: ReadAt>(&mut self, file: &R) -> Result<u64, TsFileError> {
        let version = match Window::new(file, 0, file.len()).array(MAGIC_FIELD) {
            Ok([b'T', b's', b'F', b'i', b'l', b'e', version @ 3..=4]) => version,
            Err(error @ TsFileError::Read { .. }) => return Err(error),
            _ => return Ok(0),
        };
        Ok(match self.walk(file, version, file.len())? {
            End::Separator(at) | End::Flaw(at, _) => at,
        })
    }

    fn walk<R: ReadAt + ?Sized>(
        &mut self,
        file: &R,
        version: u8,
        end: u64,
    ) -> Result<End, TsFileError> {
        let mut window = Window::new(file, HEAD_BYTES, end);
        let mut group = None;
        loop {
            let at = window.offset();
            match self.record(&mut window, version, &mut group) {
                Ok(None) => {}
                Ok(Some(end)) => return Ok(end),
                Err(error @ TsFileError::Read { .. }) => return Err(error),
                Err(error) => return Ok(End::Flaw(at, What::Unreadable(error))),
            }
        }
    }

    fn record<R: ReadAt + ?Sized>(
        &mut self,
        window: &mut Window<'_, R>,
        version: u8,
        group: &mut Option<Group>,
    ) -> Result<Option<End>, TsFileError> {
        let at = window.offset();
        let limit = window.end();
        let marker = window.u8("marker")?;
        let ends_group = matches!(marker, GROUP | SEPARATOR | PLAN_RANGE);
        if ends_group && group.as_ref().is_some_and(|group| group.chunks == 0) {
            return Ok(Some(End::Flaw(at, What::Group)));
        }
        match marker {
            SEPARATOR => return Ok(Some(End::Separator(at))),
            PLAN_RANGE => {
                window.skip(PLAN_RANGE_BYTES, "plan range")?;
                *group = None;
            }
            GROUP => {
                let device = if version == 3 {
                    DeviceId::of_path(window.text("device")?.unwrap_or_default())
                } else {
                    read_segments(window)?
                };
                *group = Some(Group { device: text_hash(&device.path()), chunks: 0 });
            }
            marker if ChunkHeader::is_marker(marker) => {
                let Some(group) = group else { return Ok(Some(End::Flaw(at, What::Group))) };
                group.chunks += 1;
                window.seek(at, limit);
                ChunkHeader::read(window)?;
                self.scanned.add(at, group.device);
                self.checked.chunks += 1;
            }
            other => return Ok(Some(End::Flaw(at, What::Marker(other)))),
        }
        Ok(None)
    }
}

const MAGIC_FIELD: &str = "magic and version";
