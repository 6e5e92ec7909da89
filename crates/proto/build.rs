//! Compiles the contracts in `proto/`, with nothing installed on the machine.

use std::{env, fs, path::PathBuf};

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let files = [
        "common/v1/common",
        "store/v1/store",
        "store/v1/admin",
        "store/v1/privacy",
        "store/v1/config",
        "store/v1/keys",
        "store/v1/usage",
        "ai/v1/ai",
        "tool/v1/tool",
    ]
    .map(|name| format!("ery/{name}.proto"));
    let descriptors = protox::compile(files, [&root])?;
    let out: PathBuf = env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?.into();
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Its own way of being shown stands in `lib.rs`, and leaves the key out.
        .skip_debug([".ery.common.v1.ProviderKey"])
        .compile_fds(descriptors)?;
    Ok(())
}
