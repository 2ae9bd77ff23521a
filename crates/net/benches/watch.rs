//! What the guard of `bartizan watch` costs: throughput over loopback with and without it, in turns, and how long a
//! connection that is refused takes. Needs root and cgroup version 2.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a bench that can't go on must say where"
)]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bartizan_net::watch::{Guard, Reach, Stance};

/// Pairs of transfers, one guarded and one not; their medians are compared.
const ROUNDS: usize = 20;
const TRANSFER_BYTES: u64 = 512 * 1024 * 1024;
const WRITE_BYTES: usize = 64 * 1024;
const CONNECTIONS: usize = 5_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["send", group, port] => send(Path::new(group), port.parse().unwrap()),
        ["refused", group] => refused(Path::new(group)),
        _ => measure(),
    }
}

fn measure() {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
    let tree = mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(point))
    });
    let group = |name: &str| {
        let group = tree.as_ref()?.join(format!("bartizan-bench-{name}-{}", std::process::id()));
        std::fs::create_dir(&group).ok().map(|()| group)
    };
    let (Some(guarded), Some(free)) = (group("guarded"), group("free")) else {
        println!("watch: skipped: needs root and cgroup version 2");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guard = Guard::stand(
        &guarded,
        Stance::default(),
        &[Reach { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 32, ports: vec![(port, port)] }],
    )
    .unwrap();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    // The first of each is thrown away; after that whoever goes first takes turns.
    for round in 0..=ROUNDS {
        let one = |group: &Path, figures: &mut Vec<f64>| {
            let figure = transfer(&listener, group, port);
            if round > 0 {
                figures.push(figure);
            }
        };
        if round % 2 == 0 {
            one(&guarded, &mut with);
            one(&free, &mut without);
        } else {
            one(&free, &mut without);
            one(&guarded, &mut with);
        }
        guard.events();
    }
    let mut ratios: Vec<f64> = with.iter().zip(&without).map(|(with, without)| with / without).collect();
    println!(
        "watch: loopback throughput {:.2} GiB/s guarded, {:.2} GiB/s free; ratio {:.3} (p10 {:.3}, p90 {:.3}), goal ≥ 0.95",
        at(&mut with, 0.5),
        at(&mut without, 0.5),
        at(&mut ratios, 0.5),
        at(&mut ratios, 0.1),
        at(&mut ratios, 0.9)
    );
    let output = own(&["refused", guarded.to_str().unwrap()]).output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    guard.leave();
    std::fs::remove_dir(&guarded).unwrap();
    std::fs::remove_dir(&free).unwrap();
}

fn at(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let index = ((figures.len() - 1) as f64 * share) as usize;
    figures[index]
}

fn own(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).stdin(Stdio::null());
    command
}

/// One transfer out of this group, in GiB a second as the receiver sees it.
fn transfer(listener: &TcpListener, group: &Path, port: u16) -> f64 {
    let mut child = own(&["send", group.to_str().unwrap(), &port.to_string()]).spawn().unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut buffer = vec![0; WRITE_BYTES];
    let started = Instant::now();
    let mut bytes = 0_u64;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            count => bytes += count as u64,
        }
    }
    let elapsed = started.elapsed();
    assert!(child.wait().unwrap().success());
    assert_eq!(bytes, TRANSFER_BYTES);
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let rate = bytes as f64 / elapsed.as_secs_f64() / f64::from(1 << 30);
    rate
}

fn enter(group: &Path) {
    std::fs::write(group.join("cgroup.procs"), "0").unwrap();
}

fn send(group: &Path, port: u16) {
    enter(group);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let buffer = vec![0; WRITE_BYTES];
    let mut left = TRANSFER_BYTES;
    while left > 0 {
        stream.write_all(&buffer).unwrap();
        left -= buffer.len() as u64;
    }
}

fn refused(group: &Path) {
    enter(group);
    let address = SocketAddr::from(([203, 0, 113, 7], 443));
    let mut figures: Vec<f64> = (0..CONNECTIONS)
        .map(|_| {
            let started = Instant::now();
            let refused = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let elapsed = started.elapsed();
            assert!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied));
            elapsed.as_secs_f64() * 1e6
        })
        .collect();
    println!(
        "watch: from connect to refusal p50 {:.1} µs, p99 {:.1} µs, longest {:.0} µs of {CONNECTIONS}; goal < 1,000 µs",
        at(&mut figures, 0.5),
        at(&mut figures, 0.99),
        at(&mut figures, 1.0)
    );
}
