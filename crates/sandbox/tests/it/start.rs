//! A box starts, is what it should be, and ends without a trace.

use bartizan_sandbox::ExitStatus;

use crate::harness::{both, exists, run_to_end};

#[test]
fn returns_the_exit_status() {
    both("start::returns_the_exit_status", |place| async move {
        assert_eq!(run_to_end(place.spec(&["true"])).await.report.status, ExitStatus::Exited(0));
        assert_eq!(place.shell("exit 7").await.report.status, ExitStatus::Exited(7));
        assert_eq!(place.shell("kill -TERM $$").await.report.status, ExitStatus::Signaled(15));
        let missing = run_to_end(place.spec(&["no-such-program"])).await.report.status;
        assert!(matches!(missing, ExitStatus::NotStarted { errno: libc::ENOENT, .. }), "{missing:?}");
    });
}

#[test]
fn shows_only_what_was_given() {
    both("start::shows_only_what_was_given", |place| async move {
        let out = place
            .shell("ls -1 /; echo; env | sort; echo; ls /proc/self/fd | wc -l; ls /proc > /tmp/list; grep -c '^[0-9]*$' /tmp/list")
            .await
            .ok();
        let (root, rest) = out.split_once("\n\n").unwrap();
        let (env, numbers) = rest.split_once("\n\n").unwrap();
        assert!(!root.lines().any(|name| ["root", "sys", "boot", ".bartizan", "mnt"].contains(&name)), "{root}");
        let names: Vec<_> = env.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert_eq!(names, ["HOME", "PATH", "PWD"]);
        // 0, 1, 2 and the directory being listed; init, the shell and ls.
        assert_eq!(numbers, "4\n3\n");
    });
}

#[test]
fn files_made_in_the_workspace_belong_to_the_user() {
    both("start::files_made_in_the_workspace_belong_to_the_user", |place| async move {
        std::fs::write(place.work.join("old"), "x").unwrap();
        place.shell("echo y >> old; mkdir d; echo hello > d/new; id -u; stat -c %u old").await.ok();
        let uid = rustix::process::getuid().as_raw();
        for name in ["old", "d", "d/new"] {
            let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(place.work.join(name)).unwrap());
            assert_eq!(owner, uid, "{name}");
        }
    });
}

#[test]
fn signals_are_as_at_login() {
    both("start::signals_are_as_at_login", |place| async move {
        let out =
            place.shell("cat /proc/self/status > /tmp/status; grep -E '^Sig(Blk|Ign|Cgt)' /tmp/status").await.ok();
        let zero = "0000000000000000";
        assert_eq!(out, format!("SigBlk:\t{zero}\nSigIgn:\t{zero}\nSigCgt:\t{zero}\n"));
    });
}

#[test]
fn leaves_nothing_behind() {
    both("start::leaves_nothing_behind", |place| async move {
        let mut spec = place.spec(&["/bin/sh", "-c", "sleep 1000 & sleep 1000 & echo started"]);
        let (out, _err) = crate::harness::capture(&mut spec);
        let running = bartizan_sandbox::prepare(spec)
            .unwrap()
            .start(&bartizan_testkit::gate::admitted("test").await)
            .await
            .unwrap();
        let groups = running.cgroups().to_vec();
        assert!(groups.iter().all(exists));
        running.wait().await;
        assert_eq!(out.await.unwrap(), "started\n");
        assert!(!groups.iter().any(exists));
    });
}
