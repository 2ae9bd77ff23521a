//! A box that can't have one of its layers is no box: the start is refused, with the layer's name and the next step,
//! unless policy names a weaker level. The real binary is started here as if the kernel had less than it has.

use std::os::unix::fs::PermissionsExt;

use bartizan_testkit::lacking::Argument::{Has, Is};
use bartizan_testkit::lacking::Lack::{self, Call, Namespaces};
use bartizan_testkit::user::is_root;
use bartizan_testkit::{Home, Output, Run, User, eventually};
use serde_json::Value;

use crate::processes::{control_groups, names};
use crate::world::World;

/// Something that is missing, and what is said about it.
struct Case {
    lack: Lack,
    /// The layer that the refusal must name.
    layer: &'static str,
    /// A word of the next step.
    next: &'static str,
}

const fn call(number: libc::c_long, errno: i32, layer: &'static str, next: &'static str) -> Case {
    called_with(number, &[], errno, layer, next)
}

const fn called_with(
    number: libc::c_long,
    when: &'static [bartizan_testkit::lacking::Argument],
    errno: i32,
    layer: &'static str,
    next: &'static str,
) -> Case {
    Case { lack: Call { number, when, errno }, layer, next }
}

const FILTER: u32 = libc::SECCOMP_SET_MODE_FILTER;
const NEW_LISTENER: u32 = 1 << 3;

/// What the cases run under: an ordinary account may have no control groups, and root's box in a user namespace that is
/// not the first can't have idmapped mounts.
const POLICY: &str = "box: { cgroup: preferred, root: keep }";

const CASES: &[Case] = &[
    // Landlock: unknown to the kernel, or not among its active modules.
    call(libc::SYS_landlock_create_ruleset, libc::ENOSYS, "landlock", "`lsm=`"),
    call(libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP, "landlock", "`lsm=`"),
    call(libc::SYS_landlock_restrict_self, libc::EPERM, "landlock", "`lsm=`"),
    // Seccomp: no filters at all, none that ask, or somebody else asks already.
    called_with(libc::SYS_seccomp, &[Is(0, FILTER)], libc::EINVAL, "seccomp", "CONFIG_SECCOMP_FILTER"),
    call(libc::SYS_seccomp, libc::ENOSYS, "seccomp", "CONFIG_SECCOMP_FILTER"),
    called_with(libc::SYS_seccomp, &[Is(0, FILTER), Has(1, NEW_LISTENER)], libc::EINVAL, "warden", "kernel from 5.0"),
    called_with(libc::SYS_seccomp, &[Is(0, FILTER), Has(1, NEW_LISTENER)], libc::EBUSY, "warden", "outside of it"),
    // Network.
    called_with(
        libc::SYS_socket,
        &[Is(0, libc::AF_NETLINK as u32), Is(2, libc::NETLINK_NETFILTER as u32)],
        libc::EPROTONOSUPPORT,
        "nftables",
        "CONFIG_NF_TABLES",
    ),
    called_with(
        libc::SYS_socket,
        &[Is(0, libc::AF_NETLINK as u32), Is(2, libc::NETLINK_SOCK_DIAG as u32)],
        libc::EPROTONOSUPPORT,
        "network namespace",
        "kernel",
    ),
    // Namespaces: what containers do without, and each by itself.
    call(libc::SYS_clone3, libc::ENOSYS, "user namespace", "`clone3`"),
    called_with(
        libc::SYS_unshare,
        &[Has(0, libc::CLONE_NEWCGROUP as u32)],
        libc::EPERM,
        "cgroup namespace",
        "`bartizan doctor`",
    ),
    namespaces(c"/proc/sys/user/max_user_namespaces", "user namespace"),
    namespaces(c"/proc/sys/user/max_mnt_namespaces", "mount namespace"),
    namespaces(c"/proc/sys/user/max_pid_namespaces", "pid namespace"),
    namespaces(c"/proc/sys/user/max_net_namespaces", "network namespace"),
    namespaces(c"/proc/sys/user/max_ipc_namespaces", "ipc namespace"),
    namespaces(c"/proc/sys/user/max_uts_namespaces", "uts namespace"),
    call(libc::SYS_sethostname, libc::EPERM, "uts namespace", "`bartizan doctor`"),
    // Files.
    call(libc::SYS_open_tree, libc::ENOSYS, "mounts", "kernel from"),
    call(libc::SYS_move_mount, libc::ENOSYS, "mounts", "kernel from"),
    call(libc::SYS_mount_setattr, libc::ENOSYS, "mounts", "kernel from"),
    call(libc::SYS_fsopen, libc::EPERM, "mounts", "seccomp profile"),
    call(libc::SYS_pivot_root, libc::EPERM, "mounts", "seccomp profile"),
    call(libc::SYS_umount2, libc::EPERM, "mounts", "seccomp profile"),
    // Privileges.
    call(libc::SYS_capset, libc::EPERM, "capabilities", "`bartizan doctor`"),
    called_with(
        libc::SYS_prctl,
        &[Is(0, libc::PR_CAPBSET_DROP as u32)],
        libc::EPERM,
        "capabilities",
        "`bartizan doctor`",
    ),
    called_with(
        libc::SYS_prctl,
        &[Is(0, libc::PR_SET_NO_NEW_PRIVS as u32)],
        libc::EINVAL,
        "no new privileges",
        "`bartizan doctor`",
    ),
    // Bartizan's own tools.
    call(libc::SYS_memfd_create, libc::ENOSYS, "helper", "kernel from"),
    call(libc::SYS_pidfd_open, libc::ENOSYS, "helper", "kernel from"),
    call(libc::SYS_close_range, libc::ENOSYS, "helper", "kernel from"),
];

const fn namespaces(setting: &'static std::ffi::CStr, layer: &'static str) -> Case {
    Case { lack: Namespaces(setting), layer, next: "_namespaces" }
}

/// Refused in one message that names the layer and closes with what to do.
fn assert_refused(output: &Output, layer: &str, next: &str) {
    assert_eq!(output.code(), 125, "wants `{layer}`: {output}");
    let said = output.stderr.trim_end();
    assert!(said.starts_with("bartizan:") && !said.contains("panicked") && said.lines().count() == 1, "{output}");
    assert!(said.contains(&format!("layer `{layer}`")), "wants `{layer}`: {output}");
    let (_, step) = said.rsplit_once("); ").unwrap_or_else(|| panic!("no next step: {output}"));
    assert!(step.contains(next), "wants `{next}`: {output}");
}

/// The program never ran, its entry is closed as failed and says why, and nothing remains.
fn assert_nothing_remains(world: &World, layer: &str) {
    assert!(!world.home.workspace().join("ran").exists(), "the program ran without `{layer}`");
    let row = world.assert_closed("exec.run", "touch", "failed");
    let detail = row["closed"]["record"]["outcome"]["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(layer), "{row:#}");
    let runs: Vec<String> = world.deeds("exec.run").iter().filter_map(run_of).collect();
    let groups: Vec<String> = runs.iter().map(|run| run.replace('_', "-")).collect();
    assert!(!groups.is_empty());
    for directory in ["run", "open"] {
        let directory = world.home.bartizan_home().join(directory);
        eventually("the run's files are gone", || !names(&directory).iter().any(|name| name.contains("run_")));
    }
    eventually("the run's control groups are gone", || control_groups(&groups).is_empty());
    eventually("the run's processes are gone", || world.processes(&[]).is_empty());
    world.verify();
}

fn run_of(row: &Value) -> Option<String> {
    row["record"]["action"]["run"].as_str().map(str::to_owned)
}

fn layers_of_last_run(world: &World) -> String {
    let rows = world.rows();
    let noted = rows.iter().rfind(|row| row["record"].to_string().contains("box.layers"));
    noted.unwrap_or_else(|| panic!("no layers in the ledger: {rows:#?}"))["record"].to_string()
}

/// The world's policy with this section instead of its own.
fn with_box(world: &World, section: &str) {
    world.home.write_home(
        "policy.yaml",
        format!("bartizan: 1\nname: test\nextends: standard\n{section}\nnet: {{ default: deny }}\n"),
    );
}

#[test]
fn no_box_starts_without_a_layer() {
    World::each(|world| {
        with_box(&world, POLICY);
        for case in CASES {
            eprintln!("without {}, by {:?}", case.layer, case.lack);
            let refused = world.run(["touch", "ran"]).lacking(case.lack, world.user()).output();
            assert_refused(&refused, case.layer, case.next);
            assert_nothing_remains(&world, case.layer);
        }
        // It was not the way in which things were taken away: without what no box needs, the same command runs.
        let unneeded = [
            Call { number: libc::SYS_kexec_load, when: &[Is(0, 0)], errno: libc::ENOSYS },
            Namespaces(c"/proc/sys/user/max_time_namespaces"),
        ];
        for lack in unneeded {
            // Root can't drop its groups in a user namespace that was made without leave to.
            if world.user().id() != 0 || matches!(lack, Call { .. }) {
                world.run(["touch", "ran"]).lacking(lack, world.user()).success();
            }
        }
        assert!(world.home.workspace().join("ran").exists());
        world.verify();
    });
}

#[test]
fn a_lost_resource_limit_is_a_refusal_too() {
    World::each(|world| {
        with_box(&world, POLICY);
        // The last thing but one before the program, set in its own process.
        let lack = Call { number: libc::SYS_prlimit64, when: &[Is(1, libc::RLIMIT_NPROC)], errno: libc::EPERM };
        let refused = world.run(["touch", "ran"]).lacking(lack, world.user()).output();
        assert_refused(&refused, "resource limits", "`bartizan doctor`");
        assert_nothing_remains(&world, "resource limits");
    });
}

/// The command as root, in a mount namespace where `setup` has been done.
fn in_own_mounts(world: &World, setup: &str) -> Output {
    Run::new("unshare", User::Current)
        .args(["--mount", "--propagation", "private", "sh", "-eu", "-c"])
        .arg(format!("{setup}\ncd \"$W\"; exec \"$B\" run --policy ../policy.yaml -- touch ran"))
        .clear_env()
        .env("W", world.home.workspace())
        .env("B", world.home.binary())
        .env("HOME", world.home.user_home())
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("BARTIZAN_HOME", world.home.bartizan_home())
        .output()
}

/// A filesystem that knows no idmapped mounts can't be shown to root's box under another user.
#[test]
fn root_without_idmapped_mounts_is_told_of_the_weaker_level() {
    if !is_root() {
        return bartizan_testkit::skipped("root_without_idmapped_mounts_is_told_of_the_weaker_level", "needs root");
    }
    let world = World::new(User::Current);
    let on_ramfs = || in_own_mounts(&world, "mount -t ramfs ramfs \"$W\"");
    with_box(&world, "box: { cgroup: preferred }");
    assert_refused(&on_ramfs(), "identity", "`keep`");
    assert_nothing_remains(&world, "identity");
    with_box(&world, POLICY);
    let _ = on_ramfs().expect_code(0);
}

#[test]
fn doctor_names_the_missing_layer_and_its_remedy() {
    World::each(|world| {
        for case in CASES {
            eprintln!("without {}, by {:?}", case.layer, case.lack);
            let doctor = world.bartizan(["doctor", "--json"]).lacking(case.lack, world.user()).output().expect_code(1);
            let report = doctor.json();
            assert_eq!(report["healthy"], false, "{doctor}");
            let checks = report["checks"].as_array().unwrap();
            let failing: Vec<&Value> =
                checks.iter().filter(|check| check["ok"] == false && check["required"] == true).collect();
            // Doctor tries root's box with its files under another user, which needs the same call first.
            let meant = |name: &Value| name == case.layer || (case.layer == "mounts" && name == "identity");
            assert!(failing.iter().any(|check| meant(&check["name"])), "wants `{}`: {failing:#?}", case.layer);
            for check in failing {
                assert!(check["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{check:#}");
                assert!(check["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{check:#}");
            }
            let remedies: String = checks.iter().filter_map(|check| check["remedy"].as_str()).collect();
            // Here doctor itself is no next step.
            let next = if case.next == "`bartizan doctor`" { "kernel" } else { case.next };
            assert!(remedies.contains(next) || case.next == "_namespaces", "wants `{next}`: {doctor}");
            let table = world.bartizan(["doctor"]).lacking(case.lack, world.user()).output().expect_code(1);
            assert!(table.stdout.contains("FAIL") && table.stdout.contains('→'), "{table}");
        }
        assert!(control_groups(&["bartizan-probe-".to_owned()]).is_empty());
        eventually("the trial is cleared away", || world.processes(&[]).is_empty());
    });
}

#[test]
fn doctor_tries_a_box_before_there_is_a_home() {
    for user in User::all() {
        let home = Home::of(user);
        let report = home.bartizan(["doctor", "--json"]).output().expect_code(1).json();
        let checks = report["checks"].as_array().unwrap();
        let of = |name: &str| checks.iter().find(|check| check["name"] == name).unwrap_or(&Value::Null)["ok"].clone();
        assert_eq!((of("seccomp"), of("home")), (true.into(), false.into()), "{report:#}");
        assert!(names(&home.temporary()).is_empty() && !home.bartizan_home().exists());
    }
}

#[test]
fn without_control_groups_only_a_policy_that_says_so_starts() {
    if !is_root() {
        // Whether the account has any is unknown.
        return bartizan_testkit::skipped("without_control_groups_only_a_policy_that_says_so_starts", "needs root");
    }
    let world = World::new(User::Ordinary);
    with_box(&world, "box: { cgroup: required }");
    let refused = world.run(["touch", "ran"]).output();
    assert_refused(&refused, "cgroup", "`preferred`");
    assert_nothing_remains(&world, "cgroup");
    with_box(&world, "box: { cgroup: preferred }");
    world.run(["touch", "ran"]).success();
    // Each run says what it went without.
    assert!(layers_of_last_run(&world).contains("cgroup Weaker none to be had"), "{}", layers_of_last_run(&world));
    world.verify();

    // Root's, where the groups are there but can't be made, and where there are none at all.
    let world = World::new(User::Current);
    let shut = "for at in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,ro \"$at\" 2>&- || :; done";
    for setup in [shut, "umount -R /sys/fs/cgroup"] {
        with_box(&world, "box: { cgroup: required }");
        assert_refused(&in_own_mounts(&world, setup), "cgroup", "`preferred`");
        assert_nothing_remains(&world, "cgroup");
        with_box(&world, "box: { cgroup: preferred }");
        let _ = in_own_mounts(&world, setup).expect_code(0);
        assert!(layers_of_last_run(&world).contains("cgroup Weaker"), "{}", layers_of_last_run(&world));
        std::fs::remove_file(world.home.workspace().join("ran")).unwrap();
    }
    world.verify();
}

#[test]
fn a_layer_left_out_by_name_is_in_the_ledger() {
    World::each(|world| {
        with_box(&world, "box: { cgroup: off }");
        world.run(["true"]).success();
        assert!(layers_of_last_run(&world).contains("cgroup Off left out by name"), "{}", layers_of_last_run(&world));
        if world.user().id() == 0 {
            with_box(&world, "box: { root: keep }");
            let identity = world.run(["cat", "/proc/self/uid_map"]).success();
            assert_eq!(identity.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "0", "1"], "{identity}");
            let layers = layers_of_last_run(&world);
            assert!(layers.contains("user namespace Weaker user 0 inside is 0 outside"), "{layers}");
            assert!(layers.contains("cgroup Enforced"), "{layers}");
            with_box(&world, "");
            world.run(["true"]).success();
            assert!(layers_of_last_run(&world).contains("user namespace Enforced"), "{}", layers_of_last_run(&world));
        }
        world.verify();
    });
}

/// What the home must hold is as needed as any layer: nothing is made anew in its place by a run.
#[test]
fn without_key_ledger_or_policy_nothing_starts() {
    World::each(|world| {
        world.run(["true"]).success();
        let place = world.home.bartizan_home();
        for (name, next) in [
            ("keys", "bartizan init"),
            ("keys/ledger.pem", "bartizan init"),
            ("ledger", "bartizan init"),
            ("config.yaml", "bartizan init"),
        ] {
            let (path, aside) = (place.join(name), world.home.root().join("user/aside"));
            std::fs::rename(&path, &aside).unwrap();
            let refused = world.run(["touch", "ran"]).output().expect_code(125);
            assert!(refused.stderr.contains(name) && refused.stderr.contains(next), "wants `{name}`: {refused}");
            assert!(!path.exists(), "`{name}` was made anew");
            let doctor = world.bartizan(["doctor"]).output().expect_code(1);
            assert!(doctor.stdout.contains("FAIL") && doctor.stdout.contains(next), "{doctor}");
            std::fs::rename(&aside, &path).unwrap();
        }
        // Root may read what nobody may.
        if world.user().id() != 0 {
            for path in
                [place.join("keys/ledger.pem"), place.join("ledger"), world.home.user_home().join("policy.yaml")]
            {
                let right = std::fs::metadata(&path).unwrap().permissions();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
                let refused = world.run(["touch", "ran"]).output().expect_code(125);
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(refused.stderr.contains(name) && refused.stderr.contains("denied"), "{refused}");
                std::fs::set_permissions(&path, right).unwrap();
            }
        }
        assert!(!world.home.workspace().join("ran").exists());
        world.run(["true"]).success();
        world.verify();
    });
}
