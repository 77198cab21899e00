//! The log behind the metadata image: today a single voter that commits locally.
