//! The servers answer real clients and their journals tell what arrived.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    time::Duration,
};

use bartizan_testkit::{
    Authority, HttpServer, Run, TcpSink, UdpSink, User,
    dns::{Answer, DnsServer},
    eventually,
    http::Response,
    tools,
};

#[test]
fn http_serves_files_routes_and_keeps_a_journal() {
    let server = HttpServer::plain();
    server.file("/a.txt", "A").route("/echo", |request| Response::ok(request.body.clone()));
    let curl =
        |arguments: &[&str]| Run::new(tools::find("curl"), User::Current).args(["-sS"]).args(arguments).success();
    assert_eq!(curl(&[&server.url("127.0.0.1", "a.txt")]).stdout, "A");
    assert_eq!(curl(&["--data", "hello", &server.url("127.0.0.1", "echo?x=1")]).stdout, "hello");
    let large = "x".repeat(2_000_000);
    let echoed = Run::new(tools::find("curl"), User::Current)
        .args(["-sS", "-H", "Transfer-Encoding: chunked", "--data-binary", "@-", &server.url("127.0.0.1", "echo")])
        .stdin(large.clone())
        .success();
    assert_eq!(echoed.stdout.len(), large.len());
    assert_eq!(server.lines(), ["GET /a.txt", "POST /echo?x=1", "POST /echo"]);
}

#[test]
fn tls_is_trusted_by_its_authority_alone() {
    let authority = Authority::new();
    let server = HttpServer::tls(&authority, &["localhost"]);
    server.file("/a", "A");
    let url = server.url("localhost", "a");
    let curl = tools::find("curl");
    Run::new(&curl, User::Current).arg("-sS").arg("--cacert").arg(authority.path()).arg(&url).success();
    let refused = Run::new(&curl, User::Current).args(["-sS", &url]).output();
    assert_eq!(refused.code(), 60, "{refused}");
    assert_eq!(server.journal()[0].server_name.as_deref(), Some("localhost"));
}

#[test]
fn canaries_count_what_reaches_them() {
    let (tcp, udp) = (TcpSink::start(), UdpSink::start());
    tcp.assert_untouched();
    udp.assert_untouched();
    TcpStream::connect(tcp.address()).unwrap().write_all(b"secret").unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"secret", udp.address()).unwrap();
    eventually("both arrived", || tcp.arrived().byte_count == 6 && udp.arrived().byte_count == 6);
    assert!(std::panic::catch_unwind(|| tcp.assert_untouched()).is_err());
}

#[test]
fn echo_sends_everything_back() {
    let echo = TcpSink::echo();
    let mut stream = TcpStream::connect(echo.address()).unwrap();
    stream.write_all(b"ping").unwrap();
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"ping");
}

/// Ask for an A record over UDP; the last byte group of each answer that came.
fn ask(server: &DnsServer, name: &str) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    socket.send_to(&message, server.address()).unwrap();
    let mut buffer = [0; 2048];
    let count = socket.recv(&mut buffer).ok()?;
    Some(buffer[..count].to_vec())
}

#[test]
fn dns_follows_its_script() {
    let server = DnsServer::start();
    let first = vec!["93.184.216.34".parse().unwrap()];
    let second = vec!["127.0.0.1".parse().unwrap()];
    server.answer("rebind.test", Answer::Sequence(vec![first.clone(), second]));
    server.answer("huge.test", Answer::Huge(first, 4000));
    server.answer("silent.test", Answer::Silence);
    assert!(ask(&server, "rebind.test").unwrap().ends_with(&[93, 184, 216, 34]));
    assert!(ask(&server, "Rebind.TEST").unwrap().ends_with(&[127, 0, 0, 1]));
    assert_eq!(ask(&server, "huge.test").unwrap()[2] & 0b10, 0b10, "truncated over UDP");
    assert_eq!(ask(&server, "nowhere.test").unwrap()[3] & 0x0f, 3, "names out of the script don't exist");
    assert_eq!(ask(&server, "silent.test"), None);
    assert_eq!(server.journal().len(), 5);
    server.assert_never_asked("secret");
}

#[test]
fn dns_answers_over_tcp_too() {
    let server = DnsServer::start();
    server.addresses("real.test", &["192.0.2.7"]);
    let script = "import socket,struct,sys\n\
        s=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n\
        q=bytes.fromhex('000101000001000000000000')+b'\\x04real\\x04test\\x00\\x00\\x01\\x00\\x01'\n\
        s.sendall(struct.pack('>H',len(q))+q)\n\
        print(s.recv(512)[-4:].hex())\n";
    let output =
        Run::new(tools::python(), User::Current).args(["-c", script, &server.address().port().to_string()]).success();
    assert_eq!(output.stdout.trim(), "c0000207");
    assert!(server.journal()[0].tcp);
}
