//! Texts in statistics. They can be as long as a page, so each is held once, however often it is said.

use std::sync::Arc;

use super::window::{TsFileError, Window};
use crate::data::ReadAt;

/// A text that several may hold.
pub type Text = Arc<Vec<u8>>;

/// A text; one that is known already is shared.
pub(super) fn shared(text: Option<&[u8]>, known: &[&Text]) -> Text {
    let text = text.unwrap_or_default();
    let known = known.iter().find(|known| known.as_slice() == text);
    known.map_or_else(|| Arc::new(text.to_vec()), |known| Arc::clone(known))
}

/// Reads a text behind its length as an i32; one that is known already is compared where it stands, and shared.
pub(super) fn read<R: ReadAt + ?Sized>(
    window: &mut Window<'_, R>,
    known: &[&Text],
) -> Result<Text, TsFileError> {
    for known in known {
        if window.passes(known)? {
            return Ok(Arc::clone(known));
        }
    }
    let mut text = Vec::new();
    window.binary(WHAT, &mut text)?;
    Ok(Arc::new(text))
}

/// Gives a text away in parts, its length in front.
pub(super) fn put<E>(text: &[u8], mut out: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    out(&i32::try_from(text.len()).unwrap_or(i32::MAX).to_be_bytes())?;
    out(text)
}

/// What a text is part of.
pub(super) const WHAT: &str = "statistics";
