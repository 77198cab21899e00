//! The record batch format: a borrowed view, a builder, codecs, control records.
