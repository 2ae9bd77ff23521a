//! Real package managers against the registries, without a box.

use std::fs;

use bartizan_testkit::{Authority, HttpServer, Output, Run, User, registry, tools};
use tempfile::TempDir;

struct World {
    authority: Authority,
    server: HttpServer,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new();
        let server = HttpServer::tls(&authority, &["localhost"]);
        registry::serve(&server, "localhost");
        Self { authority, server, directory: tempfile::tempdir().unwrap() }
    }

    fn url(&self, path: &str) -> String {
        self.server.url("localhost", path)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Run::new(tools::find(program), User::Current)
            .args(arguments)
            .clear_env()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.directory.path())
            .env("HOME", self.directory.path())
            .env("GIT_SSL_CAINFO", self.authority.path())
            .env("PIP_CERT", self.authority.path())
            .env("SSL_CERT_FILE", self.authority.path())
            .env("NODE_EXTRA_CA_CERTS", self.authority.path())
            .env("NPM_CONFIG_CAFILE", self.authority.path())
            .env("CARGO_HTTP_CAINFO", self.authority.path())
            .env("PIP_CONFIG_FILE", "/dev/null")
            .env("GOPROXY", self.url("go"))
            .env("GONOSUMDB", "*")
            .env("GOSUMDB", "off")
            .env("GOFLAGS", "-mod=mod -modcacherw")
            .env("GOTOOLCHAIN", "local")
            .env("GOPATH", self.directory.path().join("go"))
            .env("PYTHONPATH", tools::python_packages(self.directory.path(), User::Current))
            .success()
    }
}

#[test]
fn git_clones() {
    let world = World::new();
    world.run("git", &["clone", "-q", &world.url("git/fixture.git"), "cloned"]);
    let readme = fs::read_to_string(world.directory.path().join("cloned/README.md")).unwrap();
    assert_eq!(readme.trim(), registry::GREETING);
}

#[test]
fn pip_installs() {
    let world = World::new();
    let index = world.url("simple");
    world.run("python3", &["-m", "pip", "install", "-q", "--index-url", &index, "--target", "out", registry::PACKAGE]);
    let module = fs::read_to_string(world.directory.path().join("out/bartizan_fixture.py")).unwrap();
    assert!(module.contains(registry::GREETING));
}

#[test]
fn npm_installs() {
    let world = World::new();
    let registry_url = world.url("npm/");
    world.run("npm", &["install", "--no-audit", "--no-fund", "--registry", &registry_url, registry::PACKAGE]);
    let output = world.run("node", &["-p", "require('bartizan-fixture')"]);
    assert_eq!(output.stdout.trim(), registry::GREETING);
}

#[test]
fn cargo_builds() {
    let world = World::new();
    let project = world.directory.path();
    fs::create_dir_all(project.join("src")).unwrap();
    fs::create_dir_all(project.join(".cargo")).unwrap();
    fs::write(project.join("src/main.rs"), "fn main() { println!(\"{}\", bartizan_fixture::GREETING) }").unwrap();
    fs::write(
        project.join("Cargo.toml"),
        "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
         [dependencies]\nbartizan-fixture = { version = \"1\", registry = \"fixture\" }\n",
    )
    .unwrap();
    fs::write(
        project.join(".cargo/config.toml"),
        format!("[registries.fixture]\nindex = \"sparse+{}\"\n", world.url("cargo/")),
    )
    .unwrap();
    let toolchain = tools::Toolchain::for_everyone();
    let output = Run::new(toolchain.bin().join("cargo"), User::Current)
        .args(["run", "-q"])
        .current_dir(project)
        .env("CARGO_HOME", project.join("cargo-home"))
        .env("CARGO_TARGET_DIR", project.join("target"))
        .env("CARGO_HTTP_CAINFO", world.authority.path())
        .env("RUSTC", toolchain.bin().join("rustc"))
        .success();
    assert_eq!(output.stdout.trim(), registry::GREETING);
}

#[test]
fn go_downloads() {
    let world = World::new();
    let project = world.directory.path();
    fs::write(
        project.join("go.mod"),
        format!("module user\n\ngo 1.18\n\nrequire {} v{}\n", registry::GO_MODULE, registry::VERSION),
    )
    .unwrap();
    world.run("go", &["mod", "download", "all"]);
    let asked = world.server.lines();
    assert!(asked.iter().any(|line| line.ends_with(".zip")), "{asked:?}");
}
