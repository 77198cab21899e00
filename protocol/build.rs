//! Turns the definitions under `messages/` into Rust.

#[path = "generator/definition.rs"]
mod definition;
#[path = "generator/emit.rs"]
mod emit;
#[path = "generator/names.rs"]
mod names;
#[path = "generator/output.rs"]
mod output;
#[path = "generator/types.rs"]
mod types;

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=messages");
    println!("cargo:rerun-if-changed=generator");
    let target = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    if let Err(why) = output::generate(Path::new("messages"), Path::new(&target)) {
        println!("cargo:error={why}");
        std::process::exit(1);
    }
}
