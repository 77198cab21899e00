//! `.properties` files and the definition tables of everything that can be configured.
