//! Canaries: sockets that nothing may reach, and that say exactly what did.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Bytes kept for the failure message; counting goes on.
const KEPT_BYTES_MAX: usize = 64 * 1024;
/// How often a blocked thread looks whether its test is over.
const WAKE: Duration = Duration::from_millis(100);

/// What arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Connections or datagrams.
    pub count: usize,
    pub byte_count: u64,
    /// The first of the bytes.
    pub bytes: Vec<u8>,
}

impl Arrived {
    fn add(&mut self, bytes: &[u8]) {
        self.byte_count += bytes.len() as u64;
        let room = KEPT_BYTES_MAX.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[derive(Debug, Default)]
struct Shared {
    arrived: Mutex<Arrived>,
    stopped: AtomicBool,
}

/// A TCP canary, or an echo when asked.
#[derive(Debug)]
pub struct TcpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl TcpSink {
    /// Swallow everything, on a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::bind("127.0.0.1:0", false)
    }

    /// Send everything back, on a free port of 127.0.0.1.
    pub fn echo() -> Self {
        Self::bind("127.0.0.1:0", true)
    }

    pub fn bind(address: &str, echo: bool) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("failed to bind {address}: {error}"));
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                accepting.arrived.lock().unwrap().count += 1;
                let shared = Arc::clone(&accepting);
                thread::spawn(move || swallow(stream, echo, &shared));
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn arrived(&self) -> Arrived {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// Nothing may have connected.
    pub fn assert_untouched(&self) {
        assert_untouched(&self.arrived(), "TCP", self.address);
    }
}

impl Drop for TcpSink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn swallow(mut stream: TcpStream, echo: bool, shared: &Shared) {
    let _ = stream.set_read_timeout(Some(WAKE));
    let mut buffer = vec![0; 64 * 1024];
    while !shared.stopped.load(Ordering::SeqCst) {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => {
                shared.arrived.lock().unwrap().add(&buffer[..count]);
                if echo && stream.write_all(&buffer[..count]).is_err() {
                    return;
                }
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
    }
}

/// A UDP canary.
#[derive(Debug)]
pub struct UdpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl UdpSink {
    /// On a free port of 127.0.0.1.
    pub fn start() -> Self {
        Self::bind("127.0.0.1:0", false)
    }

    pub fn bind(address: &str, echo: bool) -> Self {
        let socket = UdpSocket::bind(address).unwrap_or_else(|error| panic!("failed to bind {address}: {error}"));
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(WAKE)).unwrap();
        let shared = Arc::new(Shared::default());
        let receiving = Arc::clone(&shared);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            while !receiving.stopped.load(Ordering::SeqCst) {
                if let Ok((count, peer)) = socket.recv_from(&mut buffer) {
                    if echo {
                        let _ = socket.send_to(&buffer[..count], peer);
                    }
                    let mut arrived = receiving.arrived.lock().unwrap();
                    arrived.count += 1;
                    arrived.add(&buffer[..count]);
                }
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn arrived(&self) -> Arrived {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// Nothing may have been received.
    pub fn assert_untouched(&self) {
        assert_untouched(&self.arrived(), "UDP", self.address);
    }
}

impl Drop for UdpSink {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }
}

fn assert_untouched(arrived: &Arrived, kind: &str, address: SocketAddr) {
    assert!(
        arrived.count == 0,
        "{} arrivals and {} bytes reached the {kind} canary at {address}: {:?}",
        arrived.count,
        arrived.byte_count,
        String::from_utf8_lossy(&arrived.bytes)
    );
}
