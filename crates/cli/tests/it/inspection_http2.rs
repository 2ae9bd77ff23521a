//! HTTP/2 inside inspected TLS: each stream is a request of its own, bodies and trailers stream through, and what is only
//! meant to exhaust the proxy ends the connection that sends it and nothing else.

use bartizan_testkit::{Authority, Http2Server, HttpServer, Output, Run, tools};

use crate::world::World;

const HOST: &str = "streams.test";

/// Says hello in HTTP/2 and then what the attack says: `abuse.py HOST PORT ATTACK`. Prints the frames that came back until
/// the connection ended, by type.
const ABUSE: &str = r#"
import socket, ssl, struct, sys
host, port, attack = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context()
context.set_alpn_protocols(["h2"])
stream = context.wrap_socket(socket.create_connection((host, port), timeout=4), server_hostname=host)
assert stream.selected_alpn_protocol() == "h2", stream.selected_alpn_protocol()

def frame(kind, flags, number, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", number) + payload

def literal(name, value):
    def text(data):
        assert len(data) < 127
        return bytes([len(data)]) + data
    return b"\x00" + text(name) + text(value)

# :method GET, :scheme https from the static table; :path and :authority in full.
head = b"\x82\x87" + literal(b":path", b"/open/x") + literal(b":authority", f"{host}:{port}".encode())
hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)

def attacks():
    yield hello
    if attack == "rapid-reset":
        for index in range(10000):
            number = 2 * index + 1
            yield frame(1, 5, number, head) + frame(3, 0, number, struct.pack(">I", 8))
    elif attack == "continuation":
        yield frame(1, 1, 1, head)
        for _ in range(20000):
            yield frame(9, 0, 1, literal(b"x", b"y" * 100) * 100)
    elif attack == "settings":
        for _ in range(2000):
            yield frame(4, 0, 0, struct.pack(">HI", 4, 65535)) * 100
    elif attack == "ping":
        for _ in range(2000):
            yield frame(6, 0, 0, b"12345678") * 100
    elif attack == "headers":
        yield frame(1, 1, 1, head) + frame(9, 4, 1, literal(b"x", b"y" * 120) * 120)
        for index in range(1, 200):
            yield frame(1, 1, 2 * index + 1, head + literal(b"x", b"y" * 120) * 100)
            for _ in range(20):
                yield frame(9, 0, 2 * index + 1, literal(b"x", b"y" * 120) * 100)
            yield frame(9, 4, 2 * index + 1, literal(b"x", b"y"))
    elif attack == "hpack":
        # One large entry in the table, then thousands of one-byte references to it.
        entry = b"\x40\x01x\x7f\x81\x1e" + b"y" * 4000
        yield frame(1, 5, 1, head + entry + b"\xbe" * 12000)
        for index in range(1, 500):
            yield frame(1, 5, 2 * index + 1, head + b"\xbe" * 15000)
    elif attack == "empty-data":
        yield frame(1, 4, 1, b"\x83\x87" + literal(b":path", b"/open/x") + literal(b":authority", f"{host}:{port}".encode()))
        for _ in range(2000):
            yield frame(0, 0, 1) * 100

try:
    for piece in attacks():
        stream.sendall(piece)
except OSError as error:
    print("sending ended:", type(error).__name__)
stream.settimeout(1)
seen = b""
try:
    while len(seen) < 1000000:
        more = stream.recv(65536)
        if not more:
            break
        seen += more
except OSError:
    pass
kinds = {}
at = 0
while at + 9 <= len(seen):
    kinds[seen[at + 3]] = kinds.get(seen[at + 3], 0) + 1
    at += 9 + int.from_bytes(seen[at:at + 3], "big")
print("kinds:", " ".join(f"{kind}={count}" for kind, count in sorted(kinds.items())))
"#;

struct Streams {
    world: World,
    authority: Authority,
    server: Http2Server,
    /// Speaks HTTP/1 only, under the same name.
    older: HttpServer,
}

impl Streams {
    fn each(test: impl Fn(&Self)) {
        World::each(|world| {
            let authority = Authority::new();
            let server = Http2Server::start(&authority, &[HOST]);
            let older = HttpServer::tls(&authority, &[HOST]);
            older.file("/open/x", "in the older way\n");
            world.dns.addresses(HOST, &["127.0.0.1"]);
            world.policy(&format!(
                "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: [{}, {}], private: true, \
                 http: [{{ method: [GET, POST], path: \"/{{open,echo,events}}/**\" }}] }}]\n",
                server.port(),
                older.port(),
            ));
            let streams = Self { world, authority, server, older };
            test(&streams);
            streams.world.verify();
        });
    }

    fn run<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Run {
        self.world.run(command).env("SSL_CERT_FILE", self.authority.path())
    }

    fn curl(&self, arguments: &[&str]) -> Output {
        self.run(["curl", "-sS", "--max-time", "20", "-w", "%{http_version} %{http_code}\n"]).args(arguments).output()
    }

    fn url(&self, path: &str) -> String {
        self.server.url(HOST, path)
    }
}

#[test]
fn every_stream_is_decided() {
    Streams::each(|streams| {
        let [open, more, closed] = ["/open/a?q=1", "/open/b", "/closed"].map(|path| streams.url(path));
        // All on one connection.
        let output = streams.curl(&[&open, &closed, &more, "-o", "-", "-o", "/dev/null", "-o", "-"]);
        assert_eq!(output.stdout, "some answer\n2 200\n2 403\nsome answer\n2 200\n", "{output}");
        assert_eq!(streams.server.lines(), ["GET /open/a?q=1", "GET /open/b"]);
        assert_eq!(streams.server.connections(), 1);
        assert_eq!(streams.server.journal()[0].server_name.as_deref(), Some(HOST));
        let refused = streams.curl(&[&closed]);
        assert!(refused.stdout.contains("bartizan policy explain 'http GET https://streams.test"), "{refused}");
        let dots = streams.curl(&["--path-as-is", &streams.url("/open/../closed")]);
        assert!(dots.stdout.ends_with("2 400\n"), "{dots}");
        let fronted = streams.curl(&["-H", "Host: other.test", &open]);
        assert!(fronted.stdout.ends_with("2 400\n"), "{fronted}");
        assert_eq!(streams.server.journal().len(), 2);
        let row = streams.world.assert_closed("http.request", "q=1", "done");
        assert_eq!(row["closed"]["record"]["outcome"]["figures"]["status"], 200, "{row:#}");
        streams.world.assert_refused("http.request", "/closed");
        // Who speaks HTTP/1 alone is spoken to in HTTP/1, on either side.
        let older = streams.curl(&[&streams.older.url(HOST, "/open/x")]);
        assert_eq!(older.stdout, "in the older way\n1.1 200\n", "{older}");
    });
}

#[test]
fn bodies_and_trailers_stream_through() {
    Streams::each(|streams| {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        streams.world.home.write("upload", &bytes);
        let output = streams.curl(&["--data-binary", "@upload", "-o", "download", &streams.url("/echo/x")]);
        assert_eq!(output.stdout, "2 200\n", "{output}");
        assert!(std::fs::read(streams.world.home.workspace().join("download")).unwrap() == bytes, "the echo differs");
        let row = streams.world.assert_closed("http.request", "/echo/x", "done");
        let figures = &row["closed"]["record"]["outcome"]["figures"];
        assert!(figures["sent_bytes"].as_i64() > Some(3_000_000), "{row:#}");
        assert!(figures["received_bytes"].as_i64() >= Some(3_000_000), "{row:#}");

        // The first event is there before the second exists.
        let mut running = streams.run(["curl", "-sSN", "--max-time", "60", &streams.url("/events/x")]).spawn();
        running.wait_for_stdout("data: one");
        assert!(!running.stdout().contains("data: two"));
        streams.server.release();
        assert_eq!(running.wait().expect_code(0).stdout, "data: one\n\ndata: two\n\n");

        // A call as gRPC makes it: a message each way on an open stream, and the status in the trailers.
        let script = "const http2=require('http2'); const c=http2.connect(process.argv[1]);\n\
            const r=c.request({':method':'POST',':path':'/echo/p.Service/Call','content-type':'application/grpc',te:'trailers'});\n\
            let turns=0; r.on('data',d=>{console.log('got '+d); if(++turns==3) r.end(); else r.write('turn '+turns)});\n\
            r.on('trailers',t=>console.log('status '+t['grpc-status'])); r.on('end',()=>c.close()); r.write('turn 0');\n";
        let node = tools::find("node");
        let output = streams.run([node.to_str().unwrap(), "-e", script, &streams.url("/")]).success();
        assert_eq!(output.stdout, "got turn 0\ngot turn 1\ngot turn 2\nstatus 0\n", "{output}");
        assert_eq!(streams.server.journal().last().unwrap().header("te"), Some("trailers"));
    });
}

#[test]
fn floods_end_their_own_connection_and_nothing_else() {
    Streams::each(|streams| {
        streams.world.home.write("abuse.py", ABUSE);
        let port = streams.server.port().to_string();
        for attack in ["rapid-reset", "continuation", "settings", "ping", "headers", "hpack", "empty-data"] {
            let before = streams.world.deeds("http.request").len();
            // The attack beside an honest client, in one box and so through one proxy.
            let script =
                format!("python3 abuse.py {HOST} {port} {attack}; curl -sS --max-time 20 {}", streams.url("/open/x"));
            let output = streams.run(["sh", "-c", &script]).success();
            assert!(output.stdout.ends_with("some answer\n"), "{attack}: {output}");
            let requests = streams.world.deeds("http.request").len() - before;
            assert!(requests < 1000, "{attack} made {requests} entries");
        }
        let asked = streams.server.journal().len();
        assert!(asked < 3000, "{asked} requests came through");
        assert!(streams.server.journal().iter().all(|request| request.headers.len() < 700));
    });
}

#[test]
fn a_server_that_cannot_be_verified_is_named_in_http2_too() {
    Streams::each(|streams| {
        let strange = Http2Server::start(&Authority::new(), &[HOST]);
        streams.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  allow: [{{ host: {HOST}, ports: {}, private: true, http: [{{ method: GET }}] }}]\n",
            strange.port()
        ));
        for only in [&[][..], &["--http2-prior-knowledge"]] {
            let output = streams.curl(&[only, &[&strange.url(HOST, "/secret")]].concat());
            assert!(output.stdout.contains("no root of this host vouches for"), "{output}");
            assert!(output.stdout.ends_with(" 502\n"), "{output}");
        }
        assert!(strange.journal().is_empty());
    });
}
