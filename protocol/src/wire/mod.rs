//! Kafka's primitive types on the wire: [`Reader`], [`Writer`], and the traits that generated
//! structs have.

mod error;
mod reader;
mod writer;

pub use error::{DecodeError, EncodeError};
pub use reader::{Reader, UnknownTag, null_if};
pub use writer::{Encoded, INSERT_FROM, Insert, Insertion, TagStart, Writer, absent, not_null};

use crate::{Str, Uuid};

/// Kafka refuses longer strings in every encoding.
pub const MAX_STRING_LENGTH: usize = 0x7fff;

/// A struct with fields: a message or a part of one. The version is not checked here; use
/// [`Message`](crate::Message) for that.
pub trait Struct: Sized {
    fn read(r: &mut Reader, version: i16) -> Result<Self, DecodeError>;
    fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// What an array can hold.
pub trait Item: Sized {
    fn read(r: &mut Reader, version: i16, flexible: bool) -> Result<Self, DecodeError>;
    fn write(&self, w: &mut Writer, version: i16, flexible: bool) -> Result<(), EncodeError>;
}

impl<T: Struct> Item for T {
    fn read(r: &mut Reader, version: i16, _flexible: bool) -> Result<T, DecodeError> {
        <T as Struct>::read(r, version)
    }

    fn write(&self, w: &mut Writer, version: i16, _flexible: bool) -> Result<(), EncodeError> {
        Struct::write(self, w, version)
    }
}

/// The two kinds of string: [`String`] is copied, [`Str`] borrows from the frame.
pub trait Text: Sized {
    fn read(r: &mut Reader, length: usize) -> Result<Self, DecodeError>;
}

impl Text for String {
    fn read(r: &mut Reader, length: usize) -> Result<String, DecodeError> {
        r.utf8(length).map(str::to_owned)
    }
}

impl Text for Str {
    fn read(r: &mut Reader, length: usize) -> Result<Str, DecodeError> {
        Str::from_utf8(r.slice(length)?).map_err(|_| DecodeError::InvalidUtf8)
    }
}

macro_rules! string_item {
    ($($text:ty),*) => {$(
        impl Item for $text {
            fn read(r: &mut Reader, _: i16, flexible: bool) -> Result<Self, DecodeError> {
                r.string(flexible)
            }

            fn write(&self, w: &mut Writer, _: i16, flexible: bool) -> Result<(), EncodeError> {
                w.string(self, flexible)
            }
        }
    )*};
}

macro_rules! number_item {
    ($($number:ty => $name:ident),*) => {$(
        impl Item for $number {
            fn read(r: &mut Reader, _: i16, _: bool) -> Result<Self, DecodeError> {
                r.$name()
            }

            fn write(&self, w: &mut Writer, _: i16, _: bool) -> Result<(), EncodeError> {
                w.$name(*self);
                Ok(())
            }
        }
    )*};
}

string_item!(String, Str);
number_item!(i8 => i8, i16 => i16, i32 => i32, i64 => i64, Uuid => uuid);
