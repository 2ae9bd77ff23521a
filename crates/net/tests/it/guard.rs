//! The guard's programs in the kernel, on a control group of the test's own.
#![expect(clippy::disallowed_methods, reason = "programs of the test, to be guarded")]

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use bartizan_net::watch::{Guard, Happened, Reach, Stance};

/// A group below the version 2 tree; `None` without root or without the tree.
fn group(name: &str) -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let mount = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(point))
    })?;
    let group = mount.join(format!("bartizan-test-{name}-{}", std::process::id()));
    std::fs::create_dir(&group).ok()?;
    Some(group)
}

#[test]
fn the_kernel_takes_every_program_and_the_table_decides() {
    let Some(group) = group("guard") else {
        eprintln!("skipped: no control group can be made here; run it as root");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guard = Guard::stand(&group, Stance { policy: 7, ..Stance::default() }, &[]).unwrap();
    let inside = |script: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("echo $$ > {}/cgroup.procs; exec bash -c '{script}'", group.display())]);
        command.process_group(0).output().unwrap()
    };
    let connect = format!("echo hello > /dev/tcp/127.0.0.1/{port}");
    let refused = inside(&connect);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not permitted"), "{refused:?}");
    let events = guard.events();
    let event = events.iter().find(|event| event.happened == Happened::ConnectionRefused).unwrap();
    assert_eq!((event.to.port(), event.command.as_str(), event.protocol), (port, "bash", 6), "{events:?}");
    assert!(event.pid.is_some());

    let loopback = "127.0.0.0".parse().unwrap();
    guard.let_through(&Reach { address: loopback, prefix: 8, ports: vec![(port, port)] }).unwrap();
    assert!(inside(&connect).status.success());
    assert!(guard.events().iter().any(|event| event.happened == Happened::LetThrough));

    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let datagram = format!("echo hello > /dev/udp/127.0.0.1/{}", receiver.local_addr().unwrap().port());
    assert!(!inside(&datagram).status.success());
    assert!(receiver.recv(&mut [0; 8]).is_err());
    let dropped = guard.events();
    assert!(
        dropped.iter().any(|event| event.happened == Happened::PacketDropped && event.pid.is_some()),
        "{dropped:?}"
    );

    // Gone without a word: what stood still stands, and the next one takes it over with its table.
    drop(guard);
    assert!(inside(&connect).status.success());
    assert!(!inside(&connect.replace("127.0.0.1", "127.0.0.2").replace(&port.to_string(), "9")).status.success());
    let mut guard = Guard::stand(&group, Stance { policy: 7, ..Stance::default() }, &[]).unwrap();
    assert!(guard.is_taken_over());
    assert!(guard.events().iter().any(|event| event.to.port() == 9));
    assert!(inside(&connect).status.success());
    drop(guard);
    // For another policy it begins empty.
    let guard = Guard::stand(&group, Stance { policy: 8, ..Stance::default() }, &[]).unwrap();
    assert!(!inside(&connect).status.success());
    guard.leave();
    assert!(inside(&connect).status.success());
    let _ = TcpStream::connect(listener.local_addr().unwrap()).unwrap().write(b"x");
    std::fs::remove_dir(&group).unwrap();
}
