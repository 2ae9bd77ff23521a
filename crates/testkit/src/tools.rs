//! Where the ordinary tools are that tests run inside a box, in a form every user can reach.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    env as variables,
    user::{User, link_or_copy},
};

/// The first program of this name on the search path whose folders any user may enter.
pub fn find(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file() && reachable(file))
        .unwrap_or_else(|| panic!("`{name}` is missing; run `cargo xtask setup`"))
}

/// The system's Python: a version manager's in somebody's home can't be reached by other users.
pub fn python() -> PathBuf {
    let system = PathBuf::from("/usr/bin/python3");
    if system.exists() { system } else { find("python3") }
}

/// Copy (not link: tests own what they get) the pinned packages (`requests`, `securesystemslib`, `pip`) into `folder`, owned by `user`; name it in
/// `PYTHONPATH`.
pub fn python_packages(folder: &Path, user: User) -> PathBuf {
    let venv = env::var_os(variables::BARTIZAN_VENV)
        .map_or_else(|| crate::home::target_profile().with_file_name("venv"), PathBuf::from);
    let library = fs::read_dir(venv.join("lib"))
        .unwrap_or_else(|error| panic!("`{}`: {error}; run `cargo xtask setup`", venv.display()))
        .map(|entry| entry.unwrap().path())
        .find(|path| path.join("site-packages").is_dir())
        .expect("a virtual environment has site-packages");
    let copy = folder.join("python-packages");
    if copy.exists() {
        return copy;
    }
    copy_tree(&library.join("site-packages"), &copy, |from, to| fs::copy(from, to).map(drop));
    user.own(&copy);
    copy
}

/// Where the SDKs of models are installed, apart from the other packages: they are large.
pub fn model_sdks() -> PathBuf {
    let venv = env::var_os(variables::BARTIZAN_VENV)
        .map_or_else(|| crate::home::target_profile().with_file_name("venv"), PathBuf::from);
    let sdks = venv.join("model-sdks");
    assert!(sdks.join("openai").is_dir(), "`{}` has no SDKs; run `cargo xtask setup`", sdks.display());
    sdks
}

/// Copy them into `folder`, owned by `user`; name it in `PYTHONPATH`.
pub fn model_sdks_in(folder: &Path, user: User) -> PathBuf {
    let copy = folder.join("model-sdks");
    copy_tree(&model_sdks(), &copy, |from, to| fs::copy(from, to).map(drop));
    user.own(&copy);
    copy
}

/// A Rust toolchain in a place every user can reach.
#[derive(Debug)]
pub struct Toolchain {
    path: PathBuf,
    _directory: Option<TempDir>,
}

impl Toolchain {
    /// The one the tests were built with; hard links of it where its own place is closed to others.
    pub fn for_everyone() -> Self {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc).args(["--print", "sysroot"]).output().unwrap();
        let sysroot = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        if reachable(&sysroot.join("bin/cargo")) {
            return Self { path: sysroot, _directory: None };
        }
        let directory = tempfile::Builder::new().prefix("bartizan-rust-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["bin", "lib"] {
            copy_tree(&sysroot.join(folder), &directory.path().join(folder), link_or_copy);
        }
        Self { path: directory.path().to_path_buf(), _directory: Some(directory) }
    }

    /// The folder of `cargo` and `rustc`.
    pub fn bin(&self) -> PathBuf {
        self.path.join("bin")
    }

    /// The whole toolchain, for a policy's readable files.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether any user may enter every folder on the way to `path`.
fn reachable(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else { return false };
    path.ancestors().all(|part| fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}

fn copy_tree(from: &Path, to: &Path, file: fn(&Path, &Path) -> io::Result<()>) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("`{}`: {error}", from.display())) {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, file);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            file(&entry.path(), &target).unwrap_or_else(|error| panic!("`{}`: {error}", target.display()));
        }
    }
}
