//! The one binary: picks the tool from the name it was called by or from the first argument.
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = kafkars::tools::run(std::env::args_os());
    ExitCode::from(exit.0)
}
