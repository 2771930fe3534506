//! Agreement of the Dockerfiles with the rest of the repository.

use serde_json::Value;

/// Checks that the compiler of an image is the one that everyone else builds with.
pub fn toolchain_faults(file: &str, dockerfile: &str, toolchain: &str) -> Vec<String> {
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = "));
    let Some(channel) = channel.map(|channel| channel.trim_matches('"')) else {
        return vec!["rust-toolchain.toml names no channel".to_owned()];
    };
    let mut faults = Vec::new();
    for word in dockerfile.split([' ', '=', '\n']).collect::<Vec<_>>().windows(2) {
        let named = match word {
            ["RUSTUP_TOOLCHAIN", version] => version,
            [_, image] if image.starts_with("rust:") => {
                image["rust:".len()..].split('-').next().unwrap_or_default()
            }
            _ => continue,
        };
        if named != channel {
            faults.push(format!("{file} builds with Rust {named}, rust-toolchain.toml says {channel}"));
        }
    }
    faults
}

/// Checks that each program of the compose file is one that the Dockerfile makes, in this workspace's
/// version.
pub fn program_faults(services: &Value, dockerfile: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, service) in services.as_object().into_iter().flatten() {
        let Some(program) = service["build"]["args"]["SERVICE"].as_str() else { continue };
        let is_stage = dockerfile.lines().any(|line| line.ends_with(&format!(" AS {program}")));
        // Once for the dependencies, once for the program.
        let selected = dockerfile.split_ascii_whitespace().filter(|word| *word == program).count();
        let installed = dockerfile.contains(&format!("target/release/{program}"));
        if !is_stage || selected < 3 || !installed {
            faults.push(format!("{name}: deploy/Dockerfile does not make {program}"));
        }
        let version = env!("CARGO_PKG_VERSION");
        if !service["image"].as_str().is_some_and(|image| image.ends_with(&format!(":{version}"))) {
            faults.push(format!("{name}: {} is not of version {version}", service["image"]));
        }
    }
    faults
}

/// Checks that each path that is let into the build exists.
pub fn context_faults(dockerignore: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let allowed = dockerignore.lines().filter_map(|line| line.strip_prefix('!'));
    allowed
        .filter(|path| !exists(path))
        .map(|path| format!(".dockerignore names {path}, which does not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TOOLCHAIN: &str = "[toolchain]\nchannel = \"1.95.0\"\n";

    #[test]
    fn the_compiler_is_the_one_of_the_repository() {
        let dockerfile = "FROM rust:1.95.0-slim AS a\nENV RUSTUP_TOOLCHAIN=1.95.0\n";
        assert_eq!(toolchain_faults("f", dockerfile, TOOLCHAIN), Vec::<String>::new());
        for old in [
            "FROM rust:1.94.0-slim AS a\n",
            "ENV A=b RUSTUP_TOOLCHAIN=1.94.0\n",
            "COPY --from=rust:1.94.0-slim /a /a\n",
        ] {
            assert_eq!(toolchain_faults("f", old, TOOLCHAIN).len(), 1, "{old}");
        }
    }

    #[test]
    fn a_program_has_a_stage_and_is_compiled() {
        let dockerfile = "RUN cook --package one \\\n  --package two\nRUN build --package one && install target/release/one\n\
                          FROM worker AS one\nFROM worker AS two\n";
        let services = |program: &str, version: &str| json!({ "s": { "build": { "args": { "SERVICE": program } }, "image": format!("i:{version}") } });
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(program_faults(&services("one", version), dockerfile), Vec::<String>::new());
        assert_eq!(program_faults(&services("two", version), dockerfile).len(), 1);
        assert_eq!(program_faults(&services("one", "9.9.9"), dockerfile).len(), 1);
    }

    #[test]
    fn what_is_let_in_exists() {
        let found = context_faults("# a\n*\n!there\n!gone\n", |path| path == "there");
        assert_eq!(found, [".dockerignore names gone, which does not exist"]);
    }
}
