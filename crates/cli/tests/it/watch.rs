//! `bartizan watch`: what leaves a guarded program, control group or machine, seen from where it would arrive.

use std::path::PathBuf;

use bartizan_testkit::user::is_root;
use bartizan_testkit::{Run, TcpSink, UdpSink, User, eventually};
use rustix::process::Signal;

use crate::world::World;

/// What is tried from inside: `how` is `tcp`, `udp` or `raw`; the answer is the error's name, or `through`.
const REACH: &str = r#"
import errno, socket, sys
def reach(how, host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        if how == "raw":
            socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        elif how == "udp":
            socket.socket(family, socket.SOCK_DGRAM).sendto(b"secret", (host, int(port)))
        elif how == "connected-udp":
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.connect((host, int(port)))
            udp.send(b"secret")
        else:
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.settimeout(20)
            tcp.connect((host, int(port)))
            tcp.sendall(b"secret")
            tcp.close()
        return "through"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
"#;

/// The watch needs root; the tests of an ordinary account show what it says without.
fn rooted(test: &str) -> Option<World> {
    let lacking = match (is_root(), tree()) {
        (false, _) => "needs root",
        (_, None) => "needs cgroup version 2",
        _ => return Some(World::new(User::Current)),
    };
    bartizan_testkit::skipped(test, lacking);
    None
}

fn script(world: &World, name: &str, body: &str) -> String {
    let path = world.home.write_home(name, format!("{REACH}\n{body}\n"));
    path.to_str().unwrap().to_owned()
}

/// Tries each of its arguments, `how,host,port`, and prints what came of it.
fn tries(world: &World) -> String {
    script(world, "tries.py", "for one in sys.argv[1:]:\n    print(one, reach(*one.split(',')), flush=True)")
}

fn groups_left(world_pid: u32) -> Vec<PathBuf> {
    crate::processes::control_groups(&[format!("bartizan-watch-python3-{world_pid}")])
}

fn tree() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(point))
    })
}

/// A control group of the test's own, gone with it.
struct Group(PathBuf);

impl Group {
    fn make(name: &str) -> Self {
        let group = tree().unwrap().join(format!("bartizan-test-{name}-{}", std::process::id()));
        std::fs::create_dir(&group).unwrap();
        Self(group)
    }

    /// A program in it.
    fn run(&self, world: &World, script: &str, arguments: &[&str]) -> Run {
        let line = format!("echo $$ > {}/cgroup.procs && exec python3 \"$@\"", self.0.display());
        world.home.run("sh").args(["-c", &line, "sh", script]).args(arguments)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = std::time::Instant::now() + bartizan_testkit::DEADLINE;
        while std::fs::remove_dir(&self.0).is_err_and(|error| error.kind() != std::io::ErrorKind::NotFound) {
            assert!(std::time::Instant::now() < deadline, "the group is not empty");
            std::thread::yield_now();
        }
    }
}

fn assert_told(world: &World, host: &str, port: u16, program: &str) {
    let row =
        world.assert_refused("net.connect", &format!("\"host\":\"{host}\",\"kind\":\"net.connect\",\"port\":{port}"));
    let process = &row["record"]["action"]["process"];
    assert!(process["executable"].as_str().unwrap().contains(program), "{row:#}");
    assert!(process["pid"].as_u64().is_some(), "{row:#}");
    assert!(!row["record"]["verdict"]["reason"].as_str().unwrap().is_empty(), "{row:#}");
}

#[test]
fn without_privilege_it_says_what_to_do() {
    let world = World::new(*User::all().last().unwrap());
    if world.user().id() == 0 {
        return;
    }
    let refused = world.bartizan(["watch", "--air-gap", "--", "true"]).output().expect_code(125);
    assert!(refused.stderr.contains("layer `") && refused.stderr.contains("sudo bartizan watch"), "{refused}");
    let nothing = world.bartizan(["watch", "--", "true"]).output().expect_code(125);
    assert!(nothing.stderr.contains("--air-gap"), "{nothing}");
}

#[test]
fn nothing_leaves_an_air_gap() {
    let Some(world) = rooted("nothing_leaves_an_air_gap") else { return };
    let (four, six) = (TcpSink::start(), TcpSink::bind("[::1]:0", false));
    let (udp, udp6) = (UdpSink::start(), UdpSink::bind("[::1]:0", false));
    let tries = tries(&world);
    let ways = [
        format!("tcp,127.0.0.1,{}", four.port()),
        format!("tcp,::1,{}", six.port()),
        format!("tcp,::ffff:127.0.0.1,{}", four.port()),
        format!("udp,127.0.0.1,{}", udp.port()),
        format!("connected-udp,127.0.0.1,{}", udp.port()),
        format!("udp,::1,{}", udp6.port()),
        // QUIC, DNS, DNS over TLS.
        "udp,203.0.113.7,443".to_owned(),
        "udp,203.0.113.7,53".to_owned(),
        "tcp,203.0.113.7,853".to_owned(),
        "raw,203.0.113.7,0".to_owned(),
    ];
    let running = world.bartizan(["watch", "--air-gap", "--", "python3", &tries]).args(&ways).spawn();
    let pid = running.id();
    let output = running.wait().expect_code(0);
    for way in &ways {
        assert!(output.stdout.contains(&format!("{way} EPERM")), "{way}: {output}");
    }
    four.assert_untouched();
    six.assert_untouched();
    udp.assert_untouched();
    udp6.assert_untouched();
    assert_told(&world, "127.0.0.1", four.port(), "python3");
    assert_told(&world, "::1", six.port(), "python3");
    assert_told(&world, "127.0.0.1", udp.port(), "python3");
    assert_told(&world, "203.0.113.7", 443, "python3");
    assert_eq!(groups_left(pid), Vec::<PathBuf>::new());
    world.verify();
}

#[test]
fn whoever_the_program_starts_is_guarded_too() {
    let Some(world) = rooted("whoever_the_program_starts_is_guarded_too") else { return };
    let sink = TcpSink::start();
    let body = "
import os, time
host, port, out = sys.argv[1:]
def child(name):
    answer = reach('tcp', host, port)
    with open(out, 'a') as file: file.write(name + ' ' + answer + '\\n')
    os._exit(0)
if os.fork() == 0: child('fork')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: child('daemon')
    os._exit(0)
try:
    with open('/sys/fs/cgroup/unified/cgroup.procs', 'w') as file: file.write(str(os.getpid()))
    left = 'left'
except OSError: left = 'stays'
with open(out, 'a') as file: file.write('leaving ' + left + '\\n')
while open(out).read().count('\\n') < 3: time.sleep(0.01)
";
    let script = script(&world, "forks.py", body);
    let out = world.home.write_home("out.txt", "");
    std::fs::set_permissions(&out, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let port = sink.port().to_string();
    let output = world
        .bartizan(["watch", "--air-gap", "--", "python3", &script, "127.0.0.1", &port])
        .arg(&out)
        .output()
        .expect_code(0);
    let told = std::fs::read_to_string(&out).unwrap();
    for line in ["fork EPERM", "daemon EPERM", "leaving stays"] {
        assert!(told.contains(line), "{told}: {output}");
    }
    sink.assert_untouched();
}

#[test]
fn policy_lets_addresses_and_names_be_reached() {
    let Some(world) = rooted("policy_lets_addresses_and_names_be_reached") else { return };
    let (allowed, other, named) = (TcpSink::start(), TcpSink::start(), TcpSink::bind("127.0.0.3:0", false));
    world.dns.addresses("ok.test", &["127.0.0.3"]).addresses("other.test", &["127.0.0.1"]);
    let policy = world.policy(&format!(
        "net: {{ default: deny, resolver: \"{{resolver}}\", allow: [\"127.0.0.1:{}\", {{ host: ok.test, ports: [{}], private: true }}] }}\n",
        allowed.port(),
        named.port()
    ));
    let body = "
import time
for one in sys.argv[1:]:
    host, port = one.split(',')
    try: address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4][0]
    except socket.gaierror: address = None
    print(one, 'unknown' if address is None else reach('tcp', address, port), flush=True)
";
    let script = script(&world, "names.py", body);
    let ways = [
        (format!("127.0.0.1,{}", allowed.port()), "through"),
        (format!("127.0.0.1,{}", other.port()), "EPERM"),
        (format!("ok.test,{}", named.port()), "through"),
        (format!("ok.test,{}", other.port()), "EPERM"),
        (format!("other.test,{}", allowed.port()), "unknown"),
    ];
    let output = world
        .bartizan(["watch", "--policy"])
        .arg(&policy)
        .args(["--", "python3", &script])
        .args(ways.iter().map(|(way, _)| way))
        .output()
        .expect_code(0);
    for (way, expected) in &ways {
        assert!(output.stdout.contains(&format!("{way} {expected}")), "{way} {expected}: {output}");
    }
    eventually("what was let through arrives", || allowed.arrived().count == 1 && named.arrived().count == 1);
    other.assert_untouched();
    world.dns.assert_never_asked("other.test");
    world.assert_refused("dns.query", "other.test");
    assert_told(&world, "127.0.0.1", other.port(), "python3");
    assert_told(&world, "ok.test", other.port(), "python3");
    let through = world.deed("net.connect", &format!("\"port\":{}", named.port()));
    assert_eq!(through["record"]["verdict"]["effect"], "allow", "{through:#}");
    assert!(through.to_string().contains("ok.test"), "{through:#}");
}

#[test]
fn connections_that_were_open_are_cut_off() {
    let Some(world) = rooted("connections_that_were_open_are_cut_off") else { return };
    let sink = TcpSink::start();
    let group = Group::make("open");
    let body = "
import os, time
open_one = socket.create_connection((sys.argv[1], int(sys.argv[2])))
open_one.sendall(b'before')
print('open', flush=True)
while not os.path.exists(sys.argv[3]): time.sleep(0.01)
try: open_one.sendall(b'after')
except OSError: pass
print('sent', flush=True)
time.sleep(1000)
";
    let script = script(&world, "open.py", body);
    let go = world.home.user_home().join("go");
    let port = sink.port().to_string();
    let mut inside = group.run(&world, &script, &["127.0.0.1", &port, go.to_str().unwrap()]).spawn();
    inside.wait_for_stdout("open");
    eventually("the first bytes arrive", || sink.arrived().byte_count == "before".len() as u64);
    let mut watch = world.bartizan(["watch", "--air-gap", "--cgroup"]).arg(&group.0).spawn();
    watch.wait_for_stderr("guards");
    std::fs::write(&go, "").unwrap();
    inside.wait_for_stdout("sent");
    watch.wait_for_stderr("blocked");
    assert_eq!(sink.arrived().byte_count, "before".len() as u64);
    drop(inside);
    watch.signal(Signal::TERM);
    let _ = watch.wait().expect_code(0);
    assert_told(&world, "127.0.0.1", sink.port(), "python3");
}

#[test]
fn a_killed_watch_leaves_its_guard_and_another_takes_it_over() {
    let Some(world) = rooted("a_killed_watch_leaves_its_guard_and_another_takes_it_over") else { return };
    let (sink, allowed) = (TcpSink::start(), TcpSink::start());
    let group = Group::make("killed");
    let policy = world.policy(&format!("net: {{ default: deny, allow: [\"127.0.0.1:{}\"] }}\n", allowed.port()));
    let tries = tries(&world);
    let (blocked, through) = (format!("tcp,127.0.0.1,{}", sink.port()), format!("tcp,127.0.0.1,{}", allowed.port()));
    let start = || {
        let mut watch = world.bartizan(["watch", "--cgroup"]).arg(&group.0).arg("--policy").arg(&policy).spawn();
        watch.wait_for_stderr("the watch");
        watch
    };
    let check = || {
        let output = group.run(&world, &tries, &[&blocked, &through]).success();
        assert!(output.stdout.contains(&format!("{blocked} EPERM")), "{output}");
        assert!(output.stdout.contains(&format!("{through} through")), "{output}");
    };
    let watch = start();
    let second = world.bartizan(["watch", "--air-gap", "--cgroup"]).arg(&group.0).output().expect_code(125);
    assert!(second.stderr.contains("another `bartizan watch` guards"), "{second}");
    watch.signal(Signal::KILL);
    watch.wait();
    check();
    // What was tried while nobody looked is on the record once somebody does.
    let watch = start();
    assert!(watch.stderr().contains("takes over the guard"), "{}", watch.stderr());
    eventually("the attempt is told", || watch.stderr().contains("blocked"));
    check();
    watch.signal(Signal::TERM);
    let _ = watch.wait().expect_code(0);
    sink.assert_untouched();
    assert_told(&world, "127.0.0.1", sink.port(), "python3");
    // Ended in order it takes the guard with it.
    let output = group.run(&world, &tries, &[&blocked]).success();
    assert!(output.stdout.contains("through"), "{output}");
}

#[test]
fn offenders_are_ended_or_frozen() {
    let Some(world) = rooted("offenders_are_ended_or_frozen") else { return };
    let sink = TcpSink::start();
    let body = "
print(reach('tcp', sys.argv[1], sys.argv[2]), flush=True)
import time
while True: time.sleep(0.01)
";
    let script = script(&world, "stay.py", body);
    let port = sink.port().to_string();
    let ended = world
        .bartizan(["watch", "--air-gap", "--offender", "stop", "--", "python3", &script, "127.0.0.1", &port])
        .output()
        .expect_code(128 + 9);
    assert!(world.rows().iter().any(|row| row["record"]["message"].to_string().contains("was ended")), "{ended}");

    let group = Group::make("frozen");
    let mut watch = world.bartizan(["watch", "--air-gap", "--offender", "freeze", "--cgroup"]).arg(&group.0).spawn();
    watch.wait_for_stderr("guards");
    let inside = group.run(&world, &script, &["127.0.0.1", &port]).spawn();
    eventually("the group is frozen", || {
        std::fs::read_to_string(group.0.join("cgroup.events")).unwrap().contains("frozen 1")
    });
    watch.wait_for_stderr("blocked");
    watch.signal(Signal::TERM);
    let _ = watch.wait().expect_code(0);
    assert!(world.rows().iter().any(|row| row["record"]["message"].to_string().contains("was frozen")));
    drop(inside);
    sink.assert_untouched();
}

#[test]
fn a_machine_is_guarded_whole() {
    let Some(world) = rooted("a_machine_is_guarded_whole") else { return };
    // A machine within the machine: control groups, mounts and network of its own.
    let group = Group::make("host");
    let tries = tries(&world);
    world.policy("net: { default: deny, resolver: \"203.0.113.53\", allow: [\"203.0.113.9:443\"] }\n");
    let lines = format!(
        "set -e
echo $$ > {group}/cgroup.procs
exec unshare --cgroup --net --mount sh -ec '
umount {tree}
mount -t cgroup2 none {tree}
test -e {tree}/cgroup.freeze
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
ip link set lo up
ip link add out type veth peer name away
ip link set away up
ip address add 203.0.113.1/24 dev out
ip link set out up
\"$0\" watch --host --policy policy.yaml 2> watch.txt &
watch=$!
until grep -q guards watch.txt; do kill -0 $watch; sleep 0.01; done
arrived() {{ grep away: /proc/net/dev | tr -s \" \" | cut -d \" \" -f 3; }}
before=$(arrived)
python3 {tries} tcp,203.0.113.7,443 udp,203.0.113.7,443 tcp,127.0.0.1,1 udp,203.0.113.7,123 raw,203.0.113.7,0
echo arrived $(( $(arrived) - before ))
kill $watch
wait $watch
' \"$0\"",
        group = group.0.display(),
        tree = tree().unwrap().display(),
    );
    let binary = world.home.binary().to_str().unwrap().to_owned();
    let output = world.home.run("sh").args(["-c", &lines, &binary]).current_dir(&world.home.user_home()).output();
    let told = std::fs::read_to_string(world.home.user_home().join("watch.txt")).unwrap_or_default();
    assert!(output.status.success(), "{output}\n{told}");
    for line in [
        "tcp,203.0.113.7,443 EPERM",
        "udp,203.0.113.7,443 EPERM",
        "tcp,127.0.0.1,1 ECONNREFUSED",
        "udp,203.0.113.7,123 EPERM",
        "raw,203.0.113.7,0 EPERM",
        "arrived 0",
    ] {
        assert!(output.stdout.contains(line), "{line}: {output}\n{told}");
    }
    assert!(told.contains("203.0.113.7:443"), "{told}");
    assert_told(&world, "203.0.113.7", 443, "python3");
    let rows = world.rows();
    let raw = |row: &serde_json::Value| row["record"]["message"].as_str().is_some_and(|text| text.contains("ICMP"));
    assert!(rows.iter().any(raw), "{rows:#?}");
}
