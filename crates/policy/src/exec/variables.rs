//! Variables a command line sets. Many programs start other programs, load code or send data where a variable
//! tells them to, so a rule over a command doesn't cover it with any variable set.

/// What setting a variable means for a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Language, terminal, logging: nothing a rule would have to know.
    Harmless,
    /// Not known. A rule covers the command only if it lists the variable.
    Unlisted,
    /// It changes which program or code runs, or whose settings hold.
    Decisive,
}

const HARMLESS: &[&str] = &[
    "LANG",
    "LANGUAGE",
    "TZ",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "LINES",
    "CI",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "SOURCE_DATE_EPOCH",
    "DEBIAN_FRONTEND",
    "GIT_TERMINAL_PROMPT",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    "OLDPWD",
    "PWD",
    "_",
];
const HARMLESS_BEGINNINGS: &[&str] = &["LC_", "CARGO_TERM_"];

const DECISIVE: &[&str] = &[
    "PATH",
    "IFS",
    "ENV",
    "BASH_ENV",
    "SHELL",
    "SHELLOPTS",
    "BASHOPTS",
    "BASH_XTRACEFD",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "PROMPT_COMMAND",
    "CDPATH",
    "GLOBIGNORE",
    "HOME",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "LESS",
    "MORE",
    "MANPAGER",
    "CLASSPATH",
    "AWKPATH",
    "AWKLIBPATH",
    "GCONV_PATH",
    "CC",
    "CXX",
    "LD",
    "AR",
    "AS",
    "CPP",
    "RUSTC",
    "RUSTFLAGS",
    "RUSTDOC",
    "MAKEFLAGS",
    "MAKEFILES",
    "GOFLAGS",
    "GOPROXY",
    "GONOSUMDB",
    "TAR_OPTIONS",
    "GREP_OPTIONS",
    "RSYNC_RSH",
    "CVS_RSH",
    "KUBECONFIG",
    "KUBE_EDITOR",
    "DOCKER_HOST",
    "HELM_PLUGINS",
    "PSQLRC",
    "SQLITE_HISTORY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "TERMINFO",
    "TERMCAP",
    "HOSTALIASES",
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];
const DECISIVE_BEGINNINGS: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_",
    "SSH_",
    "SUDO_",
    "XDG_",
    "PYTHON",
    "PERL",
    "RUBY",
    "GEM_",
    "BUNDLE_",
    "NODE_",
    "NPM_",
    "npm_config_",
    "YARN_",
    "PNPM_",
    "PIP_",
    "UV_",
    "JAVA_",
    "_JAVA_",
    "JDK_",
    "MAVEN_",
    "GRADLE_",
    "LUA_",
    "CARGO_",
    "RUSTUP_",
    "PHP",
    "COMPOSER_",
    "DBT_",
    "DUCKDB_",
    "PG",
    "MYSQL_",
    "AWS_",
    "GOOGLE_",
    "AZURE_",
    "TF_",
    "VAULT_",
    "ANSIBLE_",
    "DOCKER_",
    "MALLOC_",
    "GLIBC_",
];
const DECISIVE_ENDINGS: &[&str] = &["_COMMAND", "_WRAPPER", "_EDITOR", "_PAGER", "_PRELOAD", "_EXEC", "_SHELL"];

/// What setting the variable means.
pub(crate) fn meaning(name: &str) -> Meaning {
    let among = |list: &[&str]| list.contains(&name);
    let begins = |list: &[&str]| list.iter().any(|beginning| name.starts_with(beginning));
    if among(HARMLESS) || begins(HARMLESS_BEGINNINGS) {
        Meaning::Harmless
    } else if among(DECISIVE) || begins(DECISIVE_BEGINNINGS) || DECISIVE_ENDINGS.iter().any(|end| name.ends_with(end)) {
        Meaning::Decisive
    } else {
        Meaning::Unlisted
    }
}

/// The same for a variable that is set without being exported: it reaches programs only if it was exported
/// before, which by custom are those in capitals.
pub(crate) fn meaning_unexported(name: &str) -> Meaning {
    match meaning(name) {
        Meaning::Unlisted if !name.bytes().any(|byte| byte.is_ascii_uppercase()) => Meaning::Harmless,
        meaning => meaning,
    }
}
