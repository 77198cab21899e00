//! Listeners, connections and framing; sending file ranges.
