//! Reading within a budget of memory: what a message becomes may be twenty times as large as its bytes.
//!
//! An empty text in a list is one byte on the wire and 24 in memory, and lists lie in lists. So elements
//! are counted before they are made, and texts as they are read; the message that goes beyond the budget is refused.

use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TSetIdentifier, TStructIdentifier,
};

use super::{TSStatus, too_large};
use crate::limits;

/// A protocol whose reader has so many bytes of memory.
pub(super) struct Bounded<'a> {
    inner: Box<dyn TInputProtocol + 'a>,
    left: usize,
}

impl<'a> Bounded<'a> {
    pub(super) const fn new(inner: Box<dyn TInputProtocol + 'a>) -> Self {
        Self { inner, left: limits::THRIFT_MEMORY_BYTES_MAX }
    }

    fn take(&mut self, bytes: usize) -> thrift::Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left =
            left.ok_or_else(|| too_large("request in memory", limits::THRIFT_MEMORY_BYTES_MAX))?;
        Ok(())
    }

    fn take_elements(&mut self, count: i32) -> thrift::Result<()> {
        self.take(usize::try_from(count).unwrap_or(0).saturating_mul(ELEMENT_BYTES))
    }
}

/// A struct: statuses are the only ones that there may be many of.
const STRUCT_BYTES: usize = size_of::<TSStatus>();
/// A text or a list as an element of a list.
const ELEMENT_BYTES: usize = size_of::<String>();

impl TInputProtocol for Bounded<'_> {
    fn read_message_begin(&mut self) -> thrift::Result<TMessageIdentifier> {
        self.inner.read_message_begin()
    }

    fn read_message_end(&mut self) -> thrift::Result<()> {
        self.inner.read_message_end()
    }

    fn read_struct_begin(&mut self) -> thrift::Result<Option<TStructIdentifier>> {
        self.take(STRUCT_BYTES)?;
        self.inner.read_struct_begin()
    }

    fn read_struct_end(&mut self) -> thrift::Result<()> {
        self.inner.read_struct_end()
    }

    fn read_field_begin(&mut self) -> thrift::Result<TFieldIdentifier> {
        self.inner.read_field_begin()
    }

    fn read_field_end(&mut self) -> thrift::Result<()> {
        self.inner.read_field_end()
    }

    fn read_bool(&mut self) -> thrift::Result<bool> {
        self.inner.read_bool()
    }

    fn read_bytes(&mut self) -> thrift::Result<Vec<u8>> {
        let bytes = self.inner.read_bytes()?;
        self.take(bytes.capacity())?;
        Ok(bytes)
    }

    fn read_i8(&mut self) -> thrift::Result<i8> {
        self.inner.read_i8()
    }

    fn read_i16(&mut self) -> thrift::Result<i16> {
        self.inner.read_i16()
    }

    fn read_i32(&mut self) -> thrift::Result<i32> {
        self.inner.read_i32()
    }

    fn read_i64(&mut self) -> thrift::Result<i64> {
        self.inner.read_i64()
    }

    fn read_double(&mut self) -> thrift::Result<f64> {
        self.inner.read_double()
    }

    fn read_uuid(&mut self) -> thrift::Result<uuid::Uuid> {
        self.inner.read_uuid()
    }

    fn read_string(&mut self) -> thrift::Result<String> {
        let text = self.inner.read_string()?;
        self.take(text.capacity())?;
        Ok(text)
    }

    fn read_list_begin(&mut self) -> thrift::Result<TListIdentifier> {
        let list = self.inner.read_list_begin()?;
        self.take_elements(list.size)?;
        Ok(list)
    }

    fn read_list_end(&mut self) -> thrift::Result<()> {
        self.inner.read_list_end()
    }

    fn read_set_begin(&mut self) -> thrift::Result<TSetIdentifier> {
        let set = self.inner.read_set_begin()?;
        self.take_elements(set.size)?;
        Ok(set)
    }

    fn read_set_end(&mut self) -> thrift::Result<()> {
        self.inner.read_set_end()
    }

    fn read_map_begin(&mut self) -> thrift::Result<TMapIdentifier> {
        let map = self.inner.read_map_begin()?;
        self.take_elements(map.size)?;
        self.take_elements(map.size)?;
        Ok(map)
    }

    fn read_map_end(&mut self) -> thrift::Result<()> {
        self.inner.read_map_end()
    }

    fn read_byte(&mut self) -> thrift::Result<u8> {
        self.inner.read_byte()
    }
}
