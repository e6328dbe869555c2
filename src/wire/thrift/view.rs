//! Structs that are read where they lie: what a client writes becomes a request of a pipe without anything in between.
//!
//! ```text
//!  a list in the message    | kind, count | element | element | ...      a `ListOf` is where its elements begin, and how many
//! ```
//!
//! A row takes a few dozen bytes in a message, and several hundred as texts and lists of its own. So a list is gone through
//! once when it is read, in which every length is checked, and again by whoever wants its elements. Nothing is allocated.
//!
//! Both forms of thrift are those of [`Protocol`]; elements have one byte at least, so no count is larger than its message.

use std::fmt;
use std::marker::PhantomData;

use super::{DEPTH_MAX, Protocol, ThriftError};

/// What is left of a message from some place on.
#[derive(Clone, Copy)]
pub struct View<'a> {
    protocol: Protocol,
    rest: &'a [u8],
}

/// A kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a field in the compact form it lies in the field's head.
    Bool,
    /// One byte.
    I8,
    /// A number of 16 bits.
    I16,
    /// A number of 32 bits.
    I32,
    /// A number of 64 bits.
    I64,
    /// Eight bytes.
    Double,
    /// A text, or bytes.
    Binary,
    /// Fields.
    Struct,
    /// Pairs.
    Map,
    /// Elements.
    Set,
    /// Elements.
    List,
    /// Sixteen bytes.
    Uuid,
}

/// A field's head.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its number in the IDL.
    pub id: i16,
    kind: Kind,
    /// What it says itself.
    truth: Option<bool>,
}

/// A value that is read where it lies.
pub trait Element<'a>: Sized {
    /// What it is in a message.
    const KIND: Kind;
    /// Takes it off.
    ///
    /// # Errors
    /// [`ThriftError::Malformed`].
    fn take(view: &mut View<'a>) -> Result<Self, ThriftError>;
}

/// A list that is left where it lies.
pub struct ListOf<'a, T> {
    count: usize,
    elements: View<'a>,
    of: PhantomData<T>,
}

impl<T> Clone for ListOf<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ListOf<'_, T> {}

impl<T> fmt::Debug for ListOf<'_, T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} elements", self.count)
    }
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} bytes", self.rest.len())
    }
}

impl<'a, T: Element<'a>> ListOf<'a, T> {
    /// How many elements there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The elements. They were gone through before, so all of them are there.
    pub fn iter(self) -> impl Iterator<Item = T> + use<'a, T> {
        let mut view = self.elements;
        (0..self.count).map_while(move |_| T::take(&mut view).ok())
    }
}

impl<'a, T: Element<'a>> Element<'a> for ListOf<'a, T> {
    const KIND: Kind = Kind::List;

    fn take(view: &mut View<'a>) -> Result<Self, ThriftError> {
        let (kind, count) = view.list()?;
        if count > 0 && kind != T::KIND {
            return Err(ThriftError::Malformed("a list has other elements than it should have"));
        }
        let elements = *view;
        for _ in 0..count {
            T::take(view)?;
        }
        Ok(Self { count, elements, of: PhantomData })
    }
}

impl<'a> Element<'a> for &'a str {
    const KIND: Kind = Kind::Binary;

    fn take(view: &mut View<'a>) -> Result<Self, ThriftError> {
        std::str::from_utf8(view.binary()?)
            .map_err(|_| ThriftError::Malformed("a text is not UTF-8"))
    }
}

impl<'a> Element<'a> for &'a [u8] {
    const KIND: Kind = Kind::Binary;

    fn take(view: &mut View<'a>) -> Result<Self, ThriftError> {
        view.binary()
    }
}

impl Element<'_> for i8 {
    const KIND: Kind = Kind::I8;

    fn take(view: &mut View<'_>) -> Result<Self, ThriftError> {
        view.array().map(Self::from_be_bytes)
    }
}

impl Element<'_> for i16 {
    const KIND: Kind = Kind::I16;

    fn take(view: &mut View<'_>) -> Result<Self, ThriftError> {
        match view.protocol {
            Protocol::Binary => view.array().map(Self::from_be_bytes),
            Protocol::Compact => Self::try_from(view.zigzag()?).map_err(|_| TOO_LONG),
        }
    }
}

impl Element<'_> for i32 {
    const KIND: Kind = Kind::I32;

    fn take(view: &mut View<'_>) -> Result<Self, ThriftError> {
        match view.protocol {
            Protocol::Binary => view.array().map(Self::from_be_bytes),
            Protocol::Compact => Self::try_from(view.zigzag()?).map_err(|_| TOO_LONG),
        }
    }
}

impl Element<'_> for i64 {
    const KIND: Kind = Kind::I64;

    fn take(view: &mut View<'_>) -> Result<Self, ThriftError> {
        match view.protocol {
            Protocol::Binary => view.array().map(Self::from_be_bytes),
            Protocol::Compact => view.zigzag(),
        }
    }
}

const TOO_LONG: ThriftError = ThriftError::Malformed("a number is too long");
const SHORT: ThriftError = ThriftError::Malformed("it ends too early");

impl<'a> View<'a> {
    /// The argument, a struct, of the call that `message` is: a frame without its length.
    ///
    /// # Errors
    /// [`ThriftError::Malformed`]; [`ThriftError::Missing`].
    pub fn argument(protocol: Protocol, message: &'a [u8], id: i16) -> Result<Self, ThriftError> {
        let mut view = Self { protocol, rest: message };
        view.head()?;
        let mut found = None;
        view.fields(|field, view| {
            if field.id == id && field.kind == Kind::Struct {
                found = Some(*view);
            }
            Ok(false)
        })?;
        found.ok_or(ThriftError::Missing(id))
    }

    /// Takes the head of a message off: it is read elsewhere.
    fn head(&mut self) -> Result<(), ThriftError> {
        match (self.protocol, self.rest.first()) {
            (Protocol::Binary, Some(0x80)) => {
                self.take(4)?;
                self.binary()?;
                self.take(4)?;
            }
            // Without a version the kind stands behind the name.
            (Protocol::Binary, _) => {
                self.binary()?;
                self.take(5)?;
            }
            (Protocol::Compact, _) => {
                self.take(2)?;
                self.varint()?;
                self.binary()?;
            }
        }
        Ok(())
    }

    /// Goes through the fields of a struct: `on` takes the value of a field off and says so, or it is stepped over.
    ///
    /// # Errors
    /// [`ThriftError::Malformed`], and those of `on`.
    pub fn fields(
        &mut self,
        mut on: impl FnMut(Field, &mut Self) -> Result<bool, ThriftError>,
    ) -> Result<(), ThriftError> {
        let mut last = 0;
        while let Some(field) = self.field(last)? {
            last = field.id;
            if !on(field, self)? {
                self.step_over_field(field, DEPTH_MAX)?;
            }
        }
        Ok(())
    }

    fn field(&mut self, last: i16) -> Result<Option<Field>, ThriftError> {
        let [code] = self.array()?;
        if code == 0 {
            return Ok(None);
        }
        if self.protocol == Protocol::Binary {
            let id = i16::from_be_bytes(self.array()?);
            return Ok(Some(Field { id, kind: kind_binary(code)?, truth: None }));
        }
        let id = match code >> 4 {
            0 => i16::take(self)?,
            step => last.wrapping_add(step.into()),
        };
        let (kind, truth) = match code & 0x0F {
            1 => (Kind::Bool, Some(true)),
            2 => (Kind::Bool, Some(false)),
            code => (kind_compact(code)?, None),
        };
        Ok(Some(Field { id, kind, truth }))
    }

    fn step_over_field(&mut self, field: Field, depth: usize) -> Result<(), ThriftError> {
        match field.truth {
            Some(_) => Ok(()),
            None => self.step_over(field.kind, depth),
        }
    }

    fn step_over(&mut self, kind: Kind, depth: usize) -> Result<(), ThriftError> {
        let deeper = depth
            .checked_sub(1)
            .ok_or(ThriftError::Malformed("structs lie too deep within each other"))?;
        match kind {
            Kind::Bool | Kind::I8 => drop(self.take(1)?),
            Kind::I16 => drop(i16::take(self)?),
            Kind::I32 => drop(i32::take(self)?),
            Kind::I64 => drop(i64::take(self)?),
            Kind::Double => drop(self.take(8)?),
            Kind::Uuid => drop(self.take(16)?),
            Kind::Binary => drop(self.binary()?),
            Kind::Struct => {
                let mut last = 0;
                while let Some(field) = self.field(last)? {
                    last = field.id;
                    self.step_over_field(field, deeper)?;
                }
            }
            Kind::List | Kind::Set => {
                let (kind, count) = self.list()?;
                (0..count).try_for_each(|_| self.step_over(kind, deeper))?;
            }
            Kind::Map => {
                let (key, value, count) = self.map()?;
                for _ in 0..count {
                    self.step_over(key, deeper)?;
                    self.step_over(value, deeper)?;
                }
            }
        }
        Ok(())
    }

    fn list(&mut self) -> Result<(Kind, usize), ThriftError> {
        let [code] = self.array()?;
        if self.protocol == Protocol::Binary {
            let kind = kind_binary(code);
            let count = self.count()?;
            // Of an empty list it does not matter.
            return Ok((if count == 0 { Kind::Bool } else { kind? }, count));
        }
        let count = match code >> 4 {
            15 => self.count()?,
            few => few.into(),
        };
        let kind = kind_compact(code & 0x0F);
        Ok((if count == 0 { Kind::Bool } else { kind? }, count))
    }

    fn map(&mut self) -> Result<(Kind, Kind, usize), ThriftError> {
        if self.protocol == Protocol::Binary {
            let [key, value] = self.array()?;
            let count = self.count()?;
            if count == 0 {
                return Ok((Kind::Bool, Kind::Bool, 0));
            }
            return Ok((kind_binary(key)?, kind_binary(value)?, count));
        }
        let count = self.count()?;
        if count == 0 {
            return Ok((Kind::Bool, Kind::Bool, 0));
        }
        let [kinds] = self.array()?;
        Ok((kind_compact(kinds >> 4)?, kind_compact(kinds & 0x0F)?, count))
    }

    fn binary(&mut self) -> Result<&'a [u8], ThriftError> {
        let count = self.count()?;
        self.take(count)
    }

    /// A length, or a number of elements: no more than there are bytes left.
    fn count(&mut self) -> Result<usize, ThriftError> {
        let stated = match self.protocol {
            Protocol::Binary => u64::from(u32::from_be_bytes(self.array()?)),
            Protocol::Compact => self.varint()?,
        };
        let count = usize::try_from(stated).ok();
        count.filter(|count| *count <= self.rest.len()).ok_or(SHORT)
    }

    fn zigzag(&mut self) -> Result<i64, ThriftError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Seven bits a byte, the lowest first; at most ten bytes.
    fn varint(&mut self) -> Result<u64, ThriftError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(TOO_LONG)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ThriftError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ThriftError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(SHORT)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl Field {
    /// Takes the field's value off.
    ///
    /// # Errors
    /// [`ThriftError::Malformed`]: also if it is of another kind.
    pub fn value<'a, T: Element<'a>>(self, view: &mut View<'a>) -> Result<Option<T>, ThriftError> {
        if self.kind != T::KIND {
            return Err(ThriftError::Malformed("a field has another type than it should have"));
        }
        T::take(view).map(Some)
    }

    /// The same for one that is true or false.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub fn truth(self, view: &mut View<'_>) -> Result<bool, ThriftError> {
        match (self.kind, self.truth) {
            (Kind::Bool, Some(truth)) => Ok(truth),
            (Kind::Bool, None) => view.array().map(|[byte]| byte != 0),
            _ => Err(ThriftError::Malformed("a field has another type than it should have")),
        }
    }
}

const NO_KIND: ThriftError = ThriftError::Malformed("a type of a value is not known");

const fn kind_binary(code: u8) -> Result<Kind, ThriftError> {
    Ok(match code {
        2 => Kind::Bool,
        3 => Kind::I8,
        4 => Kind::Double,
        6 => Kind::I16,
        8 => Kind::I32,
        10 => Kind::I64,
        11 => Kind::Binary,
        12 => Kind::Struct,
        13 => Kind::Map,
        14 => Kind::Set,
        15 => Kind::List,
        16 => Kind::Uuid,
        _ => return Err(NO_KIND),
    })
}

const fn kind_compact(code: u8) -> Result<Kind, ThriftError> {
    Ok(match code {
        1 | 2 => Kind::Bool,
        3 => Kind::I8,
        4 => Kind::I16,
        5 => Kind::I32,
        6 => Kind::I64,
        7 => Kind::Double,
        8 => Kind::Binary,
        9 => Kind::List,
        10 => Kind::Set,
        11 => Kind::Map,
        12 => Kind::Struct,
        13 => Kind::Uuid,
        _ => return Err(NO_KIND),
    })
}
