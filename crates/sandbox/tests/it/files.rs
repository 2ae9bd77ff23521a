//! What a box may read and write.

use std::path::Path;

use bartizan_sandbox::{Answer, BoxSpec, Demand, ExitStatus, RootMapping, prepare};

use crate::harness::{both, exists, run_to_end};
use crate::warden::run_deciding;

fn write(path: impl AsRef<Path>, text: &str) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn writes_only_where_it_may() {
    both("files::writes_only_where_it_may", |place| async move {
        write(place.work.join("open"), "1");
        write(place.work.join(".git/config"), "2");
        write(place.work.join(".git/hooks/old"), "3");
        write(place.work.join("locked/deep/file"), "4");
        let script = "
            for f in open .git/config .git/hooks/new .git/hooks/old locked/deep/file /usr/new /etc/passwd /new /proc/sys/kernel/hostname; do
                (echo x >> $f) 2>/dev/null && echo wrote $f
            done
            chmod 777 .git/config 2>/dev/null && echo chmod; truncate -s 0 .git/config 2>/dev/null && echo truncate
            mv open .git/config 2>/dev/null && echo replaced; ln .git/config linked 2>/dev/null && echo linked
            rm -f .git/config 2>/dev/null && echo removed; rm -rf .git/hooks locked 2>/dev/null && echo removed tree
            mv .git/hooks .git/h 2>/dev/null && echo moved
            echo t > /tmp/t && echo t > /var/tmp/t && echo t > $HOME/t && echo t > /dev/shm/t && echo private";
        let spec = BoxSpec {
            readonly: [".git/config", ".git/hooks", "locked", "absent"].map(|name| place.work.join(name)).to_vec(),
            ..place.spec(&["/bin/sh", "-c", script])
        };
        let (said, asked) = run_deciding(spec, |_| Answer::Deny).await;
        // The kernel refuses to move what a mount stands on: nobody is asked.
        assert_eq!(asked, [""; 0]);
        assert_eq!(said.out, "wrote open\nprivate\n", "{said:?}");
        assert!(exists(place.work.join("locked/deep/file")) && exists(place.work.join(".git/hooks/old")));
        assert!(!exists("/var/tmp/t"));
    });
}

#[test]
fn sees_nothing_of_what_is_masked() {
    both("files::sees_nothing_of_what_is_masked", |place| async move {
        write(place.work.join(".env"), "secret");
        write(place.work.join("keys/id"), "secret");
        let script = "cat .env; ls keys; cat keys/id; cat ../outside; cat out; true";
        write(place.work.join("../outside"), "secret");
        std::os::unix::fs::symlink("../outside", place.work.join("out")).unwrap();
        let spec = BoxSpec {
            mask: [".env", "keys", "absent"].map(|name| place.work.join(name)).to_vec(),
            ..place.spec(&["/bin/sh", "-c", script])
        };
        let said = run_to_end(spec).await;
        assert_eq!((said.out.as_str(), said.err.lines().count()), ("", 5), "{said:?}");
    });
}

#[test]
fn shows_trees_inside_trees_as_asked() {
    both("files::shows_trees_inside_trees_as_asked", |place| async move {
        let base = place.work.parent().unwrap().to_path_buf();
        write(base.join("shown/a"), "a");
        write(base.join("shown/inner/b"), "b");
        write(place.work.join("vendor/c"), "c");
        std::os::unix::fs::symlink("shown/inner", base.join("alias")).unwrap();
        let mut spec = place.spec(&[
            "/bin/sh",
            "-c",
            "cat ../shown/a ../alias/b vendor/c; echo x > ../shown/inner/b && echo x > ../alias/new; (echo x > vendor/c) 2>/dev/null || (echo x > ../shown/a) 2>/dev/null || echo shut",
        ]);
        spec.read.extend([base.join("shown"), place.work.join("vendor"), base.join("absent")]);
        spec.write.push(base.join("alias"));
        assert_eq!(run_to_end(spec).await.ok(), "abcshut\n");
        assert_eq!(std::fs::read_to_string(base.join("shown/inner/new")).unwrap(), "x\n");
    });
}

#[test]
fn a_missing_writable_tree_is_refused() {
    both("files::a_missing_writable_tree_is_refused", |place| async move {
        let mut spec = place.spec(&["true"]);
        spec.write.push(place.work.join("absent"));
        let error = prepare(spec).unwrap_err().to_string();
        assert!(error.contains("absent") && error.contains("make it"), "{error}");
    });
}

#[test]
fn a_dropped_root_owns_nothing_but_its_trees() {
    crate::harness::as_root(|place| async move {
        write(place.work.join("mine"), "x");
        write(place.work.join("../home/shut"), "x");
        std::fs::set_permissions(place.work.join("mine"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let said =
            run_to_end(place.spec(&["/bin/sh", "-c", "id -u; cat mine; cat /etc/shadow; stat -c %u mine /usr"])).await;
        assert_eq!(said.out, "0\nx0\n65534\n", "{said:?}");
        let kept = BoxSpec {
            root_mapping: RootMapping::Keep,
            ..place.spec(&["/bin/sh", "-c", "cat mine; cat /etc/shadow; echo x > /proc/sys/kernel/core_pattern"])
        };
        let said = run_to_end(kept).await;
        assert_eq!((said.out.as_str(), said.err.lines().count()), ("x", 2), "{said:?}");
    });
}

#[test]
fn private_directories_cover_what_the_host_has_there() {
    both("files::private_directories_cover_what_the_host_has_there", |place| async move {
        let mut spec = place.spec(&["/bin/sh", "-c", "ls -A /var/tmp /tmp; echo x > /var/tmp/x && cat /var/tmp/x"]);
        spec.read.push("/var".into());
        spec.cgroup = Demand::Off;
        spec.cwd = "/".into();
        spec.write.clear();
        let said = run_to_end(spec).await;
        assert_eq!(said.report.status, ExitStatus::Exited(0), "{said:?}");
        assert_eq!(said.out, "/tmp:\n\n/var/tmp:\nx\n", "{said:?}");
    });
}
