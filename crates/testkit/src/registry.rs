//! Package registries, each with one tiny package, served by [`HttpServer`]. They are made here, byte for
//! byte, so that real package managers can be run against them through a box.

use std::{fs, path::Path};

use serde_json::json;

use crate::{HttpServer, Run, User, archive};

/// The package in every registry, and its version.
pub const PACKAGE: &str = "bartizan-fixture";
pub const VERSION: &str = "1.0.0";
/// The Go module.
pub const GO_MODULE: &str = "bartizan.test/fixture";
/// What the package says when it is used.
pub const GREETING: &str = "hello from the fixture";

/// Serve all of them from one server; `host` is the name clients use. Paths: `/git/fixture.git`, `/simple/`,
/// `/npm/`, `/cargo/` (index) and `/go/`.
pub fn serve(server: &HttpServer, host: &str) {
    git(server);
    pypi(server);
    npm(server, host);
    cargo(server, host);
    go(server);
}

/// A repository over "dumb" HTTP at `/git/fixture.git`: branch `main`, one commit, `README.md`.
pub fn git(server: &HttpServer) {
    let directory = tempfile::tempdir().unwrap();
    let work = directory.path().join("work");
    let bare = directory.path().join("fixture.git");
    fs::create_dir(&work).unwrap();
    fs::write(work.join("README.md"), format!("{GREETING}\n")).unwrap();
    let git = |folder: &Path, arguments: &[&str]| {
        Run::new("git", User::Current)
            .current_dir(folder)
            .args(["-c", "user.name=Fixture", "-c", "user.email=fixture@bartizan.test", "-c", "commit.gpgsign=false"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
            .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
            .success()
    };
    git(&work, &["init", "-q", "-b", "main"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "-q", "-m", "Add the greeting"]);
    git(directory.path(), &["clone", "-q", "--bare", "work", "fixture.git"]);
    git(&bare, &["update-server-info"]);
    serve_folder(server, &bare, "/git/fixture.git");
}

/// A simple index with one wheel at `/simple/`.
pub fn pypi(server: &HttpServer) {
    let info = "bartizan_fixture-1.0.0.dist-info";
    let wheel = archive::zip(&[
        ("bartizan_fixture.py", &format!("GREETING = '{GREETING}'\n")),
        (&format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: bartizan-fixture\nVersion: 1.0.0\n"),
        (
            &format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: testkit\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
        (
            &format!("{info}/RECORD"),
            &format!("bartizan_fixture.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"),
        ),
    ]);
    let file = "bartizan_fixture-1.0.0-py3-none-any.whl";
    let page = format!(
        "<!DOCTYPE html><html><body><a href=\"/wheels/{file}#sha256={}\">{file}</a></body></html>\n",
        archive::sha256(&wheel)
    );
    server.file(&format!("/simple/{PACKAGE}/"), page).file(&format!("/wheels/{file}"), wheel);
}

/// One package at `/npm/bartizan-fixture`.
pub fn npm(server: &HttpServer, host: &str) {
    let manifest = json!({ "name": PACKAGE, "version": VERSION, "main": "index.js" });
    let tarball = archive::tar_gz(&[
        ("package/package.json", &manifest.to_string()),
        ("package/index.js", &format!("module.exports = '{GREETING}';\n")),
    ]);
    let path = format!("/npm/{PACKAGE}/-/{PACKAGE}-{VERSION}.tgz");
    let mut version = manifest;
    version["dist"] = json!({ "tarball": server.url(host, &path) });
    let document = json!({
        "name": PACKAGE,
        "dist-tags": { "latest": VERSION },
        "versions": { VERSION: version },
    });
    server.file(&path, tarball).route(&format!("/npm/{PACKAGE}"), move |_| {
        crate::http::Response::ok(document.to_string()).header("Content-Type", "application/json")
    });
}

/// A sparse index at `/cargo/` (use `sparse+https://…/cargo/`) with one crate.
pub fn cargo(server: &HttpServer, host: &str) {
    let folder = format!("{PACKAGE}-{VERSION}");
    let manifest = format!("[package]\nname = \"{PACKAGE}\"\nversion = \"{VERSION}\"\nedition = \"2021\"\n");
    let source = format!("pub const GREETING: &str = \"{GREETING}\";\n");
    let package =
        archive::tar_gz(&[(&format!("{folder}/Cargo.toml"), &manifest), (&format!("{folder}/src/lib.rs"), &source)]);
    let entry = json!({
        "name": PACKAGE,
        "vers": VERSION,
        "deps": [],
        "cksum": archive::sha256(&package),
        "features": {},
        "yanked": false,
    });
    let config = json!({ "dl": server.url(host, "/crates/{crate}-{version}.crate") });
    server
        .file("/cargo/config.json", config.to_string())
        .file(&format!("/cargo/{}/{}/{PACKAGE}", &PACKAGE[..2], &PACKAGE[2..4]), format!("{entry}\n"))
        .file(&format!("/crates/{folder}.crate"), package);
}

/// A module proxy at `/go` with one module.
pub fn go(server: &HttpServer) {
    let module = format!("module {GO_MODULE}\n\ngo 1.18\n");
    let root = format!("{GO_MODULE}@v{VERSION}");
    let source = format!("package fixture\n\nconst Greeting = \"{GREETING}\"\n");
    let zip = archive::zip(&[(&format!("{root}/go.mod"), &module), (&format!("{root}/fixture.go"), &source)]);
    let base = format!("/go/{GO_MODULE}/@v");
    let info = json!({ "Version": format!("v{VERSION}"), "Time": "2026-01-01T00:00:00Z" });
    server
        .file(&format!("{base}/list"), format!("v{VERSION}\n"))
        .file(&format!("{base}/v{VERSION}.info"), info.to_string())
        .file(&format!("{base}/v{VERSION}.mod"), module)
        .file(&format!("{base}/v{VERSION}.zip"), zip)
        .file(&format!("/go/{GO_MODULE}/@latest"), info.to_string());
}

/// Serve every file below `folder` under `prefix`.
pub fn serve_folder(server: &HttpServer, folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}/{}", path.file_name().unwrap().to_string_lossy());
        if path.is_dir() {
            serve_folder(server, &path, &name);
        } else {
            server.file(&name, fs::read(&path).unwrap());
        }
    }
}
