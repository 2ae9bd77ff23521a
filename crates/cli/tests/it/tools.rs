//! Ordinary tools in a box, unchanged: none of them is told of a proxy, each reaches the one host that policy allows, over
//! TLS with the test's authority.

use std::path::PathBuf;

use bartizan_testkit::{Authority, HttpServer, Output, eventually, registry, tools};

use crate::world::{World, was_carried};

const HOST: &str = "registry.test";

struct Registry {
    world: World,
    secure: HttpServer,
    plain: HttpServer,
}

impl Registry {
    /// Run a test as everyone, with the registries served and their host allowed; `paths` may be read besides.
    fn each(paths: &[PathBuf], test: impl Fn(&Self)) {
        World::each(|world| {
            let authority = Authority::new();
            let secure = HttpServer::tls(&authority, &[HOST]);
            let plain = HttpServer::plain();
            registry::serve(&secure, HOST);
            registry::git(&plain);
            for server in [&secure, &plain] {
                server.file("/hello.txt", "hello from the server\n");
            }
            world.dns.addresses(HOST, &["127.0.0.1"]);
            let ca = authority.write_to(&world.home.workspace());
            let read: Vec<String> = paths.iter().map(|path| format!("\"{}/**\"", path.display())).collect();
            world.policy(&format!(
                "files: {{ read: [{}] }}\n\
                 net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: [{}, {}], private: true }}]\n\
                 env: {{ set: {{ GIT_SSL_CAINFO: \"{ca}\", PIP_CERT: \"{ca}\", SSL_CERT_FILE: \"{ca}\", REQUESTS_CA_BUNDLE: \"{ca}\", \
                 NODE_EXTRA_CA_CERTS: \"{ca}\", NPM_CONFIG_CAFILE: \"{ca}\", CARGO_HTTP_CAINFO: \"{ca}\", PIP_CONFIG_FILE: /dev/null }} }}\n",
                read.join(", "),
                secure.port(),
                plain.port(),
                ca = ca.display(),
            ));
            let registry = Self { world, secure, plain };
            test(&registry);
            registry.assert_recorded();
        });
    }

    fn url(&self, path: &str) -> String {
        self.secure.url(HOST, path)
    }

    /// A tool in the box, which must succeed.
    fn tool(&self, program: &str, arguments: &[&str]) -> Output {
        let program = tools::find(program);
        self.world.run([program.to_str().unwrap()]).args(arguments).success()
    }

    /// Whatever the tool did went by the gate.
    fn assert_recorded(&self) {
        let rows = self.world.deeds("net.connect");
        assert!(!rows.is_empty() && rows.iter().all(|row| row["record"]["type"] == "opened"), "{rows:#?}");
        assert!(rows.iter().all(was_carried), "{rows:#?}");
        self.world.verify();
    }
}

#[test]
fn git_clones_over_https_and_http() {
    Registry::each(&[], |registry| {
        for (server, folder) in [(&registry.secure, "secure"), (&registry.plain, "plain")] {
            let url = server.url(HOST, "/git/fixture.git");
            let heads = registry.tool("git", &["ls-remote", &url]);
            assert!(heads.stdout.contains("refs/heads/main"), "{heads}");

            // A repository's configuration can name programs, so a person says yes to it.
            let mut clone = registry.world.run(["git", "clone", "-q", &url, folder]).spawn();
            let mut asked = std::collections::BTreeSet::new();
            eventually("git is done", || {
                for question in
                    registry.world.bartizan(["approval", "list", "--json"]).success().json().as_array().unwrap()
                {
                    let deed = &question["action"]["deed"];
                    assert!(deed["path"].as_str().unwrap().ends_with(&format!("{folder}/.git/config")), "{deed:#}");
                    asked.insert(deed.to_string());
                    let number = question["number"].as_str().unwrap();
                    // Git may have given up or asked again meanwhile.
                    drop(registry.world.bartizan(["approval", "approve", "--run", number]).output());
                }
                !clone.is_running()
            });
            let cloned = clone.wait().expect_code(0);
            assert!(!asked.is_empty() && asked.len() <= 2, "asked for {asked:?}: {cloned}");
            assert_eq!(registry.world.home.read(format!("{folder}/README.md")).trim(), registry::GREETING);
        }
        let log = registry.tool("git", &["-C", "secure", "log", "--format=%s"]);
        assert_eq!(log.stdout.trim(), "Add the greeting");
    });
}

#[test]
fn curl_and_wget_fetch() {
    Registry::each(&[], |registry| {
        for server in [&registry.secure, &registry.plain] {
            let url = server.url(HOST, "/hello.txt");
            assert_eq!(registry.tool("curl", &["-sSf", "--cacert", "ca.pem", &url]).stdout, "hello from the server\n");
            let wget = registry.tool("wget", &["-q", "-O", "-", "--ca-certificate=ca.pem", &url]);
            assert_eq!(wget.stdout, "hello from the server\n");
        }
    });
}

#[test]
fn a_static_program_that_knows_no_proxy_fetches() {
    Registry::each(&[], |registry| {
        let url = registry.plain.url(HOST, "/hello.txt");
        let variables = ["env", "http_proxy=http://192.0.2.1:9", "https_proxy=http://192.0.2.1:9"];
        let busybox = tools::find("busybox");
        let fetched = registry
            .world
            .run(variables)
            .arg(busybox)
            // Told to ignore what it would otherwise obey.
            .args(["wget", "-q", "-Y", "off", "-O", "-", &url])
            .success();
        assert_eq!(fetched.stdout, "hello from the server\n");
    });
}

#[test]
fn pip_installs_and_requests_fetches() {
    Registry::each(&[], |registry| {
        let world = &registry.world;
        let packages = tools::python_packages(&world.home.workspace(), world.user());
        let index = registry.url("/simple");
        let python = tools::python();
        let run = |arguments: &[&str]| {
            world
                .run(["env", &format!("PYTHONPATH={}:out", packages.display()), python.to_str().unwrap()])
                .args(arguments)
                .success()
        };
        python_installs_and_fetches(run, &index, &registry.url("/hello.txt"));
    });
}

/// pip takes the registry's package, and `requests` a file. `run` runs Python with `out` among its packages.
pub fn python_installs_and_fetches(run: impl Fn(&[&str]) -> Output, index: &str, hello: &str) {
    let install = ["-m", "pip", "install", "-q", "--no-cache-dir", "--index-url", index, "--target", "out"];
    run(&[&install[..], &[registry::PACKAGE]].concat());
    let greeting = run(&["-c", "import bartizan_fixture; print(bartizan_fixture.GREETING)"]);
    assert_eq!(greeting.stdout.trim(), registry::GREETING);
    let script = "import requests,sys; r=requests.get(sys.argv[1]); r.raise_for_status(); print(r.text, end='')";
    assert_eq!(run(&["-c", script, hello]).stdout, "hello from the server\n");
}

#[test]
fn npm_installs_and_node_fetches() {
    Registry::each(&[], |registry| {
        let url = registry.url("/npm/");
        registry.tool("npm", &["install", "--no-audit", "--no-fund", "--registry", &url, registry::PACKAGE]);
        let greeting = registry.tool("node", &["-p", "require('bartizan-fixture')"]);
        assert_eq!(greeting.stdout.trim(), registry::GREETING);
        let script = "fetch(process.argv[1]).then(r => r.text()).then(t => process.stdout.write(t))";
        let fetched = registry.tool("node", &["-e", script, &registry.url("/hello.txt")]);
        assert_eq!(fetched.stdout, "hello from the server\n");
    });
}

#[test]
fn cargo_fetches_and_builds() {
    let toolchain = tools::Toolchain::for_everyone();
    Registry::each(&[toolchain.path().to_path_buf()], |registry| {
        let home = &registry.world.home;
        home.write(
            "user/Cargo.toml",
            "[package]\nname = \"user\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
             [dependencies]\nbartizan-fixture = { version = \"1\", registry = \"fixture\" }\n",
        );
        home.write("user/src/main.rs", "fn main() { println!(\"{}\", bartizan_fixture::GREETING) }");
        home.write(
            "user/.cargo/config.toml",
            format!("[registries.fixture]\nindex = \"sparse+{}\"\n", registry.url("/cargo/")),
        );
        let bin = toolchain.bin();
        let script = format!(
            "cd user && export PATH={}:$PATH CARGO_HOME=$PWD/cargo-home && cargo fetch -q && cargo run -q --offline",
            bin.display()
        );
        let output = registry.world.shell(&script).success();
        assert_eq!(output.stdout.trim(), registry::GREETING, "{output}");
    });
}

#[test]
fn go_downloads() {
    Registry::each(&[], |registry| {
        let world = &registry.world;
        let module = format!("module user\n\ngo 1.18\n\nrequire {} v{}\n", registry::GO_MODULE, registry::VERSION);
        world.home.write("go.mod", module);
        let go = tools::find("go");
        let variables = format!(
            "export GOPROXY={} GONOSUMDB='*' GOSUMDB=off GOFLAGS='-mod=mod -modcacherw' GOTOOLCHAIN=local GOPATH=$PWD/gopath; ",
            registry.url("/go")
        );
        world.shell(&format!("{variables} exec {} mod download all", go.display())).success();
        let asked = registry.secure.lines();
        assert!(asked.iter().any(|line| line.ends_with(".zip")), "{asked:?}");
    });
}

/// What the tools above are good for is only shown if the same tools are stopped elsewhere.
#[test]
fn the_same_tools_reach_nothing_else() {
    World::each(|world| {
        let server = HttpServer::plain();
        registry::git(&server);
        world.dns.addresses("other.test", &["127.0.0.1"]);
        world.policy("net: { default: deny, resolver: \"{resolver}\" }");
        let url = server.url("other.test", "/git/fixture.git");
        let heads = world.run(["git", "ls-remote", &url]).output();
        assert!(!heads.status.success(), "{heads}");
        let wget = world.run(["wget", "-q", "-T", "20", "-t", "1", "-O", "-", &url]).output();
        assert!(!wget.status.success(), "{wget}");
        assert_eq!(server.connections(), 0);
    });
}
