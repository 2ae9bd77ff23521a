//! What going through the gate costs: throughput and latency beside a direct loopback connection in the same run, and
//! the memory of idle tunnels. `cargo bench -p bartizan-net --bench proxy`
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a measurement that can't go on must say where; it shares the tests' world and uses part of it"
)]

#[path = "../tests/it/netns.rs"]
mod netns;
#[path = "../tests/it/world.rs"]
mod world;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use world::{World, all_here};

const TRANSFER_BYTES: usize = 1 << 30;
const TRANSFER_ROUNDS: usize = 7;
const CONNECTIONS: usize = 1000;
const TUNNELS: usize = 2000;

fn main() {
    // `cargo test --benches` only wants to know that it starts.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let world = World::on_disk(file.reopen().unwrap(), all_here);
    throughput(&world);
    latency(&world, &file.reopen().unwrap());
    idle(&world);
}

/// A server that answers with what the client's first byte asks for: `u` takes everything, `d` gives, `p` is one byte.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut order = [0];
            if stream.read_exact(&mut order).is_err() {
                continue;
            }
            match order[0] {
                0 => take(&mut stream),
                1 => give(&mut stream),
                _ => stream.write_all(&order).unwrap(),
            }
        }
    });
    port
}

fn take(stream: &mut TcpStream) {
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(1..) = stream.read(&mut buffer) {}
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

fn give(stream: &mut TcpStream) {
    let buffer = vec![7; 256 * 1024];
    for _ in 0..TRANSFER_BYTES / buffer.len() {
        if stream.write_all(&buffer).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Write);
    take(stream);
}

fn transfer(mut stream: TcpStream, order: u8) -> f64 {
    let started = Instant::now();
    stream.write_all(&[order]).unwrap();
    if order == 0 {
        give(&mut stream);
    } else {
        let mut buffer = vec![0; 256 * 1024];
        let mut total = 0;
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            total += length;
        }
        assert_eq!(total, TRANSFER_BYTES);
    }
    TRANSFER_BYTES as f64 / started.elapsed().as_secs_f64() / 1e9
}

fn direct(port: u16) -> TcpStream {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
}

fn spread(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2], values[values.len() / 10], values[values.len() * 9 / 10])
}

fn throughput(world: &World) {
    let port = server();
    let address = SocketAddr::new(world.resolve("bench.test").unwrap().into(), port);
    for (order, name) in [(0, "upload"), (1, "download")] {
        let (mut ratios, mut speeds) = (Vec::new(), Vec::new());
        for _ in 0..TRANSFER_ROUNDS {
            let straight = transfer(direct(port), order);
            let through = transfer(world.inside.connect(address).unwrap(), order);
            ratios.push(through / straight);
            speeds.push(through);
        }
        let (ratio, low, high) = spread(ratios);
        let (speed, ..) = spread(speeds);
        println!("{name}: {ratio:.2} of direct (p10 {low:.2}, p90 {high:.2}), {speed:.2} GB/s; wanted at least 0.70");
    }
}

fn latency(world: &World, file: &std::fs::File) {
    let port = server();
    let address = SocketAddr::new(world.resolve("bench.test").unwrap().into(), port);
    let round = |connect: &dyn Fn() -> TcpStream| {
        let started = Instant::now();
        let mut stream = connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"\xff").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        started.elapsed().as_secs_f64() * 1e6
    };
    let (mut straight, mut through, mut sync) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        straight.push(round(&|| direct(port)));
        // The socket is made beforehand: in a box that is no request to another process.
        let socket = world.inside.socket(libc::AF_INET, libc::SOCK_STREAM, netns::TCP).unwrap();
        let socket = TcpStream::from(socket);
        through.push(round(&|| {
            rustix::net::connect(&socket, &address).unwrap();
            socket.try_clone().unwrap()
        }));
        let started = Instant::now();
        let mut writer = file;
        writer.write_all(&[b'x'; 1000]).unwrap();
        file.sync_data().unwrap();
        sync.push(started.elapsed().as_secs_f64() * 1e6);
        // The closing entry is not part of the next connection.
        std::thread::sleep(Duration::from_millis(2));
    }
    let (direct, ..) = spread(straight);
    let (through, low, high) = spread(through);
    let (sync, ..) = spread(sync);
    println!(
        "connection to first byte: {through:.0} µs (p10 {low:.0}, p90 {high:.0}), direct {direct:.0} µs: {:.0} µs added, {sync:.0} µs of them one durable entry; wanted under 300",
        through - direct
    );
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

fn idle(world: &World) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = SocketAddr::new(world.resolve("bench.test").unwrap().into(), port);
    let before = resident_bytes();
    let mut kept = Vec::with_capacity(2 * TUNNELS);
    for _ in 0..TUNNELS {
        let mut client = world.inside.connect(address).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // Something has passed both ways; then nothing more.
        client.write_all(b"\xffhello").unwrap();
        server.read_exact(&mut [0; 6]).unwrap();
        server.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 5]).unwrap();
        kept.extend([client, server]);
    }
    let used = resident_bytes().saturating_sub(before);
    println!(
        "{TUNNELS} idle tunnels: {:.1} MiB, {:.1} KiB each; wanted under 64 MiB",
        used as f64 / 1_048_576.0,
        used as f64 / TUNNELS as f64 / 1024.0
    );
}
