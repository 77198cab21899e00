//! Pure state machines of the group coordinators, and the small runtime that persists what they return.
