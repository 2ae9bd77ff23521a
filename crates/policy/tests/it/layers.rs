//! What the box is told.

use std::path::Path;

use bartizan_policy::{PathAccess, PolicySet};
use expect_test::{Expect, expect};

use crate::support::{narrowed, set};

const POLICY: &str = "
files:
  read: [/usr/**, '~/.cargo/{bin,registry}/**', /etc/hosts, ./vendor/**, ~/.gitconfig]
  write: [./**, /var/scratch/**]
  ask: ['**/.git/config']
  protect: ['**/.git/hooks/**', ~/work/locked]
  deny: ['**/.env', '**/.env.*', '!**/.env.example', ~/.ssh/**, '*.pem', '/etc/shadow']
env: { pass: [HOME, 'LC_*'], set: { CI: '1' } }
limits: { memory: 4GiB, time: 2h, cpu: 1.5 }
approvals: { timeout: 30s }
box: { cgroup: preferred }
";

fn show(set: &PolicySet, expect: Expect) {
    expect.assert_eq(&format!("{:#?}", set.layers()));
}

#[test]
fn layers_follow_the_policy() {
    show(
        &set(POLICY),
        expect![[r#"
            Layers {
                files: FileLayer {
                    read: [
                        "/home/me/.cargo/bin",
                        "/home/me/.cargo/registry",
                        "/usr",
                    ],
                    programs: [],
                    read_files: [
                        "/etc/hosts",
                        "/home/me/.gitconfig",
                    ],
                    write: [
                        "/home/me/work",
                        "/var/scratch",
                    ],
                    write_files: [],
                    hide: [
                        "**/.env",
                        "**/.env.*",
                        "!**/.env.example",
                        "/home/me/.ssh/**",
                        "**/*.pem",
                        "/etc/shadow",
                        "/home/me/.bartizan",
                    ],
                    readonly: [
                        "**/.git/hooks/**",
                        "/home/me/work/locked",
                        "**/bartizan.yaml",
                        "**/bartizan.yml",
                    ],
                    ask: [
                        "**/.git/config",
                    ],
                    guard_names: [
                        "*.pem",
                        ".env",
                        ".env.*",
                        ".git",
                        ".git/config",
                        ".git/hooks/**",
                        "bartizan.yaml",
                        "bartizan.yml",
                        "locked",
                    ],
                },
                env: EnvLayer {
                    pass: [
                        "HOME",
                        "LC_*",
                    ],
                    set: {
                        "CI": "1",
                    },
                    narrowed: [],
                },
                secrets: [],
                limits: LimitsLayer {
                    memory_bytes: Some(
                        4294967296,
                    ),
                    pids: None,
                    cpu_thousandths: Some(
                        1500,
                    ),
                    time: Some(
                        7200s,
                    ),
                    disk_bytes: None,
                    open_files: None,
                    file_size_bytes: None,
                    output_bytes: None,
                    egress_bytes: None,
                    connections: None,
                },
                box: BoxLevel {
                    cgroup: Preferred,
                    root: Drop,
                },
                net: NetLayer {
                    resolver: None,
                    inspects_http: false,
                    reaches_something: false,
                },
            }"#]],
    );
}

#[test]
fn a_project_narrows_the_layers() {
    let project = "
files: { read: [/usr/lib/**, ./**], write: [./src/**, /usr/**], deny: [./src/gen/**] }
env: { pass: ['*'], set: { EVIL: '1' } }
limits: { memory: 1GiB, time: 5h, pids: 10 }
approvals: { timeout: 1h }
box: { cgroup: off, root: keep }
net: { resolver: 6.6.6.6 }
";
    show(
        &narrowed(POLICY, project),
        expect![[r#"
            Layers {
                files: FileLayer {
                    read: [
                        "/home/me/work",
                        "/usr",
                    ],
                    programs: [],
                    read_files: [],
                    write: [
                        "/home/me/work/src",
                    ],
                    write_files: [],
                    hide: [
                        "**/.env",
                        "**/.env.*",
                        "!**/.env.example",
                        "/home/me/.ssh/**",
                        "**/*.pem",
                        "/etc/shadow",
                        "/home/me/.bartizan",
                        "/home/me/work/src/gen/**",
                    ],
                    readonly: [
                        "**/.git/hooks/**",
                        "/home/me/work/locked",
                        "**/bartizan.yaml",
                        "**/bartizan.yml",
                    ],
                    ask: [
                        "**/.git/config",
                    ],
                    guard_names: [
                        "*.pem",
                        ".env",
                        ".env.*",
                        ".git",
                        ".git/config",
                        ".git/hooks/**",
                        "bartizan.yaml",
                        "bartizan.yml",
                        "gen/**",
                    ],
                },
                env: EnvLayer {
                    pass: [
                        "HOME",
                        "LC_*",
                    ],
                    set: {
                        "CI": "1",
                    },
                    narrowed: [
                        [
                            "*",
                        ],
                    ],
                },
                secrets: [],
                limits: LimitsLayer {
                    memory_bytes: Some(
                        1073741824,
                    ),
                    pids: Some(
                        10,
                    ),
                    cpu_thousandths: Some(
                        1500,
                    ),
                    time: Some(
                        7200s,
                    ),
                    disk_bytes: None,
                    open_files: None,
                    file_size_bytes: None,
                    output_bytes: None,
                    egress_bytes: None,
                    connections: None,
                },
                box: BoxLevel {
                    cgroup: Preferred,
                    root: Drop,
                },
                net: NetLayer {
                    resolver: None,
                    inspects_http: false,
                    reaches_something: false,
                },
            }"#]],
    );
    let set = narrowed(POLICY, project);
    assert_eq!(set.approval_timeout().as_secs(), 30);
    assert!(set.layers().env.passes("LC_ALL") && !set.layers().env.passes("AWS_SECRET_ACCESS_KEY"));
    let narrow = narrowed(POLICY, "env: { pass: [HOME] }").layers().env;
    assert!(narrow.passes("HOME") && !narrow.passes("LC_ALL"));
}

#[test]
fn every_path_has_its_access() {
    use bartizan_policy::Hold::{Ask, Protect};
    let set = set(POLICY);
    for (path, access) in [
        ("/usr/bin/env", PathAccess::Read),
        ("/etc/hosts", PathAccess::Read),
        ("/etc/passwd", PathAccess::Absent),
        ("/etc/shadow", PathAccess::Hidden),
        ("/home/me/work/x", PathAccess::Write),
        ("/home/me/work/vendor/x", PathAccess::Write),
        ("/home/me/work/.env", PathAccess::Hidden),
        ("/home/me/work/.ENV/x", PathAccess::Hidden),
        ("/home/me/work/.env.example", PathAccess::Write),
        ("/home/me/work/sub/.git/config", PathAccess::ReadOnly(Ask)),
        ("/home/me/work/sub/.git/hooks", PathAccess::ReadOnly(Protect)),
        ("/home/me/work/sub/.git/hooks/pre-commit", PathAccess::ReadOnly(Protect)),
        ("/home/me/work/locked/x", PathAccess::ReadOnly(Protect)),
        ("/home/me/work/bartizan.yaml", PathAccess::ReadOnly(Protect)),
        ("/usr/share/.git/config", PathAccess::Read),
        ("/usr/ssl/key.pem", PathAccess::Hidden),
        ("/home/me/.bartizan/keys", PathAccess::Hidden),
        ("/home/me", PathAccess::Absent),
        ("relative", PathAccess::Absent),
    ] {
        assert_eq!(set.classify(Path::new(path)), access, "{path}");
    }
}
