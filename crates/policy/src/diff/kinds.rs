//! What sort of file a path is, as far as a reviewer would treat a change to it differently.

use super::Line;

/// A sort of file whose change deserves another look than ordinary source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sort {
    /// Runs by itself on a developer's machine: git hooks, editors' and agents' settings, environment loaders.
    Hook,
    /// Runs by itself on a build server.
    Ci,
    /// Pins what other people's code is fetched.
    Lock,
    /// Made by a tool; nobody reads it.
    Generated,
    /// Other people's code, kept here.
    Vendored,
    /// A test.
    Test,
}

/// Directories and names, in lower case. A name may hold one `*`.
struct Table {
    sort: Sort,
    /// Any directory on the way, as one or more steps.
    directories: &'static [&'static str],
    names: &'static [&'static str],
}

const TABLES: &[Table] = &[
    Table {
        sort: Sort::Hook,
        directories: &[
            ".git",
            ".githooks",
            ".husky",
            ".vscode",
            ".idea",
            ".devcontainer",
            ".cursor",
            ".claude",
            ".codex",
            ".gemini",
            ".continue",
            ".windsurf",
            ".direnv",
        ],
        names: &[
            ".pre-commit-config.yaml",
            "lefthook.yml",
            ".lefthook.yml",
            ".envrc",
            ".mcp.json",
            ".gitmodules",
            ".gitattributes",
            ".gitconfig",
            "claude.md",
            "agents.md",
            "gemini.md",
            ".cursorrules",
            ".windsurfrules",
            "bartizan.yaml",
            ".npmrc",
            ".yarnrc",
            ".yarnrc.yml",
            ".pnpmfile.cjs",
            "sitecustomize.py",
            "usercustomize.py",
            "*.pth",
            ".bashrc",
            ".zshrc",
            ".profile",
            ".bash_profile",
            ".zshenv",
        ],
    },
    Table {
        sort: Sort::Ci,
        directories: &[
            ".github/workflows",
            ".github/actions",
            ".circleci",
            ".buildkite",
            ".gitlab",
            ".teamcity",
            ".azure-pipelines",
            ".woodpecker",
            ".tekton",
            ".drone",
        ],
        names: &[
            ".gitlab-ci.yml",
            ".travis.yml",
            "azure-pipelines.yml",
            "jenkinsfile",
            "jenkinsfile.*",
            "bitbucket-pipelines.yml",
            ".drone.yml",
            ".woodpecker.yml",
            "appveyor.yml",
            ".appveyor.yml",
            "cloudbuild.yaml",
            "codeowners",
            "dependabot.yml",
            "renovate.json",
            ".cirrus.yml",
        ],
    },
    Table {
        sort: Sort::Lock,
        directories: &[],
        names: &[
            "cargo.lock",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "poetry.lock",
            "uv.lock",
            "pdm.lock",
            "pipfile.lock",
            "go.sum",
            "gemfile.lock",
            "composer.lock",
            "mix.lock",
            "pubspec.lock",
            "flake.lock",
            "packages.lock.json",
            "gradle.lockfile",
            "podfile.lock",
            "deno.lock",
            ".terraform.lock.hcl",
            "cargo.sum",
            "requirements.lock",
        ],
    },
    Table {
        sort: Sort::Vendored,
        directories: &[
            "vendor",
            "vendored",
            "third_party",
            "third-party",
            "node_modules",
            "bower_components",
            "site-packages",
        ],
        names: &[],
    },
    Table {
        sort: Sort::Generated,
        directories: &["generated", "__generated__", "dist", "target/debug", "target/release"],
        names: &[
            "*.min.js",
            "*.min.css",
            "*.bundle.js",
            "*.map",
            "*.pb.go",
            "*_pb2.py",
            "*_pb2_grpc.py",
            "*.pb.rs",
            "*.g.dart",
            "*.designer.cs",
            "*.generated.*",
            "*_generated.*",
            "*.snap",
        ],
    },
    Table {
        sort: Sort::Test,
        directories: &["test", "tests", "__tests__", "spec", "specs", "testdata", "e2e"],
        names: &[
            "*_test.*",
            "test_*",
            "*.test.*",
            "*.spec.*",
            "*_spec.*",
            "*test.java",
            "*tests.java",
            "*test.kt",
            "*tests.cs",
            "conftest.py",
        ],
    },
];

/// Whether the path belongs to this sort.
pub(crate) fn is(path: &str, sort: Sort) -> bool {
    TABLES.iter().any(|table| table.sort == sort && table.holds(path))
}

impl Table {
    fn holds(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or_default();
        self.names.iter().any(|pattern| fits(pattern, name)) || {
            let starts = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at + 1);
            std::iter::once(0).chain(starts).any(|at| {
                let rest = path.as_bytes().get(at..).unwrap_or_default();
                self.directories.iter().any(|wanted| {
                    rest.get(wanted.len()) == Some(&b'/')
                        && rest.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted.as_bytes()))
                })
            })
        }
    }
}

/// A name with one `*`, or `*_generated.*` whose second one stands for an extension.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let Some(star) = pattern.iter().position(|byte| *byte == b'*') else {
        return name.eq_ignore_ascii_case(pattern);
    };
    let (start, end) = (pattern.get(..star).unwrap_or_default(), pattern.get(star + 1..).unwrap_or_default());
    let Some(rest) = name
        .get(start.len()..)
        .filter(|_| name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start)))
    else {
        return false;
    };
    match end.strip_suffix(b"*") {
        Some(middle) if !middle.is_empty() => rest.windows(middle.len()).any(|part| part.eq_ignore_ascii_case(middle)),
        Some(_) => true,
        None => rest
            .len()
            .checked_sub(end.len())
            .and_then(|at| rest.get(at..))
            .is_some_and(|tail| tail.eq_ignore_ascii_case(end)),
    }
}

/// Starts of lines that define a test.
const DEFINES: &[&str] = &[
    "#[test]",
    "#[tokio::test",
    "#[rstest",
    "def test_",
    "async def test_",
    "func Test",
    "func Benchmark",
    "it(",
    "it.each",
    "test(",
    "test.each",
    "describe(",
    "@Test",
    "[Test]",
    "[Fact]",
    "[Theory]",
    "scenario(",
    "Scenario:",
    "TEST(",
    "TEST_F(",
];
/// Starts of lines that switch a test off.
const SKIPS: &[&str] = &[
    "#[\u{69}gnore",
    "@pytest.mark.skip",
    "@unittest.skip",
    "pytest.skip(",
    "t.Skip(",
    "t.Skipf(",
    "t.SkipNow(",
    "it.skip(",
    "test.skip(",
    "describe.skip(",
    "xit(",
    "xdescribe(",
    "xtest(",
    "@Disabled",
    "@Ignore",
    "[Ignore",
    "@pytest.mark.xfail",
];

/// How many of these lines define a test.
pub(crate) fn tests_defined(lines: &[Line<'_>]) -> usize {
    count(lines, DEFINES)
}

/// How many of these lines switch a test off.
pub(crate) fn tests_skipped(lines: &[Line<'_>]) -> usize {
    count(lines, SKIPS)
}

fn count(lines: &[Line<'_>], starts: &[&str]) -> usize {
    let begins = |line: &&Line<'_>| {
        let text = line.text.trim_ascii_start();
        starts.iter().any(|start| text.starts_with(start.as_bytes()))
    };
    lines.iter().filter(begins).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_of_files() {
        const ALL: [Sort; 6] = [Sort::Hook, Sort::Ci, Sort::Lock, Sort::Generated, Sort::Vendored, Sort::Test];
        let of = |path: &str| ALL.into_iter().filter(|sort| is(path, *sort)).collect::<Vec<_>>();
        assert_eq!(of("src/main.rs"), []);
        assert_eq!(of("Cargo.lock"), [Sort::Lock]);
        assert_eq!(of("web/package-lock.json"), [Sort::Lock]);
        assert_eq!(of(".git/hooks/pre-commit"), [Sort::Hook]);
        assert_eq!(of("sub/.Husky/pre-push"), [Sort::Hook]);
        assert_eq!(of(".github/workflows/ci.yml"), [Sort::Ci]);
        assert_eq!(of(".github/ISSUE_TEMPLATE.md"), []);
        assert_eq!(of("vendor/x/y.go"), [Sort::Vendored]);
        assert_eq!(of("vendors.rs"), []);
        assert_eq!(of("a/api.pb.go"), [Sort::Generated]);
        assert_eq!(of("src/schema.generated.ts"), [Sort::Generated]);
        assert_eq!(of("app.min.js"), [Sort::Generated]);
        assert_eq!(of("tests/it/main.rs"), [Sort::Test]);
        assert_eq!(of("src/contest.rs"), []);
        assert_eq!(of("pkg/x_test.go"), [Sort::Test]);
    }

    #[test]
    fn sees_tests_come_and_go() {
        let lines = |text: &'static str| -> Vec<Line<'static>> {
            text.lines().map(|text| Line { number: 1, text: text.as_bytes() }).collect()
        };
        assert_eq!(tests_defined(&lines("    #[test]\n    fn x() {}\ndef test_y():\n")), 2);
        assert_eq!(tests_defined(&lines("let it = 1;\n// test\n")), 0);
        assert_eq!(tests_skipped(&lines("  #[\u{69}gnore]\n  it.skip('x')\n")), 2);
    }
}
