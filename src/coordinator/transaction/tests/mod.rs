//! The transaction machine by itself.
mod context;
mod ends;
mod init;
mod life;
mod random;
mod records;
