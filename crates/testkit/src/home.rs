//! A scratch world for the real binary: a Bartizan home, a user's home, a workspace, and the binary itself in
//! a place that any user can reach.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{Run, User, env as variables, user::link_or_copy};

/// A scratch world; everything in it is removed when it is dropped.
#[derive(Debug)]
pub struct Home {
    directory: TempDir,
    user: User,
    binary: PathBuf,
}

impl Home {
    /// A world for the user who runs the tests.
    pub fn new() -> Self {
        Self::of(User::Current)
    }

    /// A world for this user. The folders and everything written through the helpers belong to it.
    pub fn of(user: User) -> Self {
        Self::with_binary(&bartizan(), user)
    }

    /// A world around another program than `bartizan`.
    pub fn with_binary(program: &Path, user: User) -> Self {
        let directory = tempfile::Builder::new().prefix("bartizan-").tempdir().unwrap();
        for folder in ["bin", "user", "user/workspace", "tmp"] {
            fs::create_dir(directory.path().join(folder)).unwrap();
        }
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["user", "tmp"] {
            let path = directory.path().join(folder);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
            user.own(&path);
        }
        let binary = directory.path().join("bin/bartizan");
        link_or_copy(program, &binary).unwrap();
        Self { directory, user, binary }
    }

    /// Whose world this is.
    pub fn user(&self) -> User {
        self.user
    }

    /// The root of the world: mode 0755, holds the rest.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// `BARTIZAN_HOME`; it doesn't exist until `bartizan init` or a test makes it.
    pub fn bartizan_home(&self) -> PathBuf {
        self.user_home().join(".bartizan")
    }

    /// `HOME`.
    pub fn user_home(&self) -> PathBuf {
        self.root().join("user")
    }

    /// Where commands run.
    pub fn workspace(&self) -> PathBuf {
        self.user_home().join("workspace")
    }

    /// `TMPDIR`.
    pub fn temporary(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// The binary as this user reaches it.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Write a file of the workspace, with its folders; it belongs to the user.
    pub fn write(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        self.put(&self.workspace().join(path), contents.as_ref())
    }

    /// Write a file of the user's home, with its folders; it belongs to the user.
    pub fn write_home(&self, path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        self.put(&self.user_home().join(path), contents.as_ref())
    }

    /// Put an executable into the workspace, for example the probe.
    pub fn install(&self, program: &Path, name: &str) -> PathBuf {
        let path = self.workspace().join(name);
        fs::copy(program, &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.user.own(&path);
        path
    }

    /// Read a file of the workspace.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.workspace().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("failed to read `{}`: {error}", path.display()))
    }

    /// `bartizan ARGUMENTS…`, ready to be adjusted and run.
    pub fn bartizan<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        self.run(&self.binary).args(arguments)
    }

    /// Any other program as this world's user, outside every box: same folder and environment.
    pub fn run(&self, program: impl AsRef<Path>) -> Run {
        Run::new(program.as_ref(), self.user)
            .clear_env()
            .current_dir(&self.workspace())
            .env("HOME", self.user_home())
            .env("TMPDIR", self.temporary())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("TERM", "xterm-256color")
            .env("USER", "tester")
            .env("BARTIZAN_HOME", self.bartizan_home())
    }

    fn put(&self, path: &Path, contents: &[u8]) -> PathBuf {
        let parent = path.parent().unwrap();
        fs::create_dir_all(parent).unwrap();
        fs::write(path, contents).unwrap();
        // Every folder that was made on the way belongs to the user too.
        let mut at = path;
        while at != self.root() && at != self.user_home() {
            if self.user == User::Ordinary {
                let id = Some(self.user.id());
                std::os::unix::fs::lchown(at, id, id).unwrap();
            }
            at = at.parent().unwrap();
        }
        path.to_path_buf()
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

/// The binary under test: from the environment, else beside the running test binary.
pub fn bartizan() -> PathBuf {
    if let Some(path) = env::var_os(variables::BARTIZAN_BIN) {
        return path.into();
    }
    let binary = target_profile().join("bartizan");
    assert!(
        binary.exists(),
        "`{}` is missing; build it with `cargo build -p bartizan-cli` or name another in BARTIZAN_BIN",
        binary.display()
    );
    binary
}

/// `target/debug` or its like: the folder above the one that holds the running test binary.
pub(crate) fn target_profile() -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_path_buf() } else { folder.to_path_buf() }
}
