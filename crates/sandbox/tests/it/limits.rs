//! Bounds hold, and a box that passes one is ended while the machine goes on.

use std::time::Duration;

use bartizan_sandbox::{BoxSpec, Demand, ExitStatus, Limits, StopReason};

use crate::harness::{both, run_to_end};

#[test]
fn processes_are_bounded() {
    both("limits::processes_are_bounded", |place| async move {
        // The shell gives up at the first that cannot be started.
        let script = "n=0; while [ $n -lt 200 ]; do sleep 1000 & n=$((n+1)); echo $n; done";
        for cgroup in [Demand::Preferred, Demand::Off] {
            let mut spec = place.spec(&["/bin/sh", "-c", script]);
            spec.cgroup = cgroup;
            spec.limits.pids = Some(40);
            let said = run_to_end(spec).await;
            let started = said.out.lines().count();
            assert!((30..40).contains(&started), "{said:?}");
        }
    });
}

#[test]
fn a_fork_bomb_harms_nobody() {
    both("limits::a_fork_bomb_harms_nobody", |place| async move {
        let mut spec = place.spec(&["/bin/bash", "-c", "f() { f | f & }; f; sleep 1000"]);
        spec.limits.pids = Some(64);
        spec.limits.wall = Some(Duration::from_millis(500));
        let said = run_to_end(spec).await;
        assert_eq!(said.report.stopped, Some(StopReason::WallTime), "{said:?}");
    });
}

#[test]
fn memory_is_bounded() {
    both("limits::memory_is_bounded", |place| async move {
        for cgroup in [Demand::Preferred, Demand::Off] {
            // `tail` keeps what it reads.
            let mut spec = place.spec(&["/bin/sh", "-c", "head -c 400M /dev/zero | tail; sleep 1000"]);
            spec.cgroup = cgroup;
            spec.limits.memory = Some(128 << 20);
            let said = run_to_end(spec).await;
            assert_eq!(said.report.stopped, Some(StopReason::Memory), "{cgroup:?} {:?}", said.report);
        }
    });
}

#[test]
fn wall_time_is_bounded() {
    both("limits::wall_time_is_bounded", |place| async move {
        let mut spec = place.spec(&["sleep", "1000"]);
        spec.limits.wall = Some(Duration::from_millis(100));
        let report = run_to_end(spec).await.report;
        assert_eq!((report.status, report.stopped), (ExitStatus::Ended, Some(StopReason::WallTime)));
    });
}

#[test]
fn files_and_disks_are_bounded() {
    both("limits::files_and_disks_are_bounded", |place| async move {
        let mut spec = place.spec(&["/bin/sh", "-c", "truncate -s 1M small && echo small; truncate -s 20G giant"]);
        spec.limits.file_bytes = Some(8 << 20);
        let said = run_to_end(spec).await;
        assert_eq!(said.out, "small\n", "{said:?}");
        assert_ne!(said.report.status, ExitStatus::Exited(0));

        let script = "i=0; while :; do head -c 8M /dev/zero > $i; i=$((i+1)); done";
        let mut spec = place.spec(&["/bin/sh", "-c", script]);
        spec.limits.disk_bytes = Some(64 << 20);
        let said = run_to_end(spec).await;
        assert_eq!(said.report.stopped, Some(StopReason::Disk), "{:?}", said.report);
    });
}

#[test]
fn private_directories_are_bounded() {
    both("limits::private_directories_are_bounded", |place| async move {
        let script = "
            head -c 30M /dev/zero > /tmp/big || echo full; rm /tmp/big
            i=0; while [ $i -lt 3000 ] && : > /dev/shm/$i; do i=$((i+1)); done; [ $i -lt 2000 ] && echo no more files";
        let limits = Limits { scratch_bytes: 16 << 20, scratch_inodes: 1500, ..Limits::default() };
        let spec = BoxSpec { limits, ..place.spec(&["/bin/bash", "-c", script]) };
        assert_eq!(run_to_end(spec).await.out, "full\nno more files\n");
    });
}

#[test]
fn open_files_are_bounded() {
    both("limits::open_files_are_bounded", |place| async move {
        let mut spec =
            place.spec(&["/bin/bash", "-c", "ulimit -n; ulimit -c; ulimit -n 5000 2>/dev/null || echo held"]);
        spec.limits.open_files = Some(100);
        assert_eq!(run_to_end(spec).await.out, "100\n0\nheld\n");
    });
}
