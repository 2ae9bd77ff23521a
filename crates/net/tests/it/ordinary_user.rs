//! The whole suite once more without root: what a box may do must not depend on who started it.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

const NOBODY: u32 = 65534;

#[test]
fn everything_holds_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        // Then every other test has just run as one.
        return;
    }
    // The target directory may be closed to others; a copy of the test itself in an open one is not.
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("suite");
    std::fs::copy("/proc/self/exe", &copy).unwrap();
    for path in [directory.path(), &copy] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "the test runs itself as somebody else")]
    let output = std::process::Command::new(&copy)
        .args(["--skip", "everything_holds_for_an_ordinary_user"])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("0 failed") && !text.contains("running 0 tests"), "{text}");
}
