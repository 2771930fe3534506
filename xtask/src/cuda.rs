//! `cargo xtask cuda-check`: proves that the CUDA build compiles and links, and measures it where a GPU is at
//! hand.

use anyhow::Result;

use crate::downloads;
use crate::process::{self, command, root};

pub(crate) fn run() -> Result<()> {
    let toolchain = downloads::folder().join("cuda");
    // The script leaves `env`, which names the compiler and the stubs to the build.
    process::run(command("deploy/cuda/toolchain.sh").arg(&toolchain))?;
    let build = "nice cargo build --release --features cuda --package toolweaver-embedding --example embed_speed \
                 --target-dir target/cuda";
    process::run(command("bash").args(["-c", &format!(". \"$0\" && {build}")]).arg(toolchain.join("env")))?;

    let program = root().join("target/cuda/release/examples/embed_speed");
    if !has_gpu() {
        println!("{} is built and linked; no GPU here (nvidia-smi), so it was not run", program.display());
        return Ok(());
    }
    process::run(command(&program).envs(downloads::runtime()?.environment()))
}

fn has_gpu() -> bool {
    process::output(&mut command("nvidia-smi")).is_ok()
}
