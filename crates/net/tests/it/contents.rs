//! What programs say through a connection: TLS and HTTP must be meant for the host that was admitted.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use bartizan_model::{Deed, Effect, Obligation, OutcomeStatus};

use crate::world::{World, all_here, echo, http, read_all, server};

/// A minimal ClientHello for this name.
fn hello(name: Option<&str>) -> Vec<u8> {
    let sized = |length_bytes: usize, body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[4 - length_bytes..], body].concat()
    };
    let extension = name.map(|name| {
        let list = sized(2, &[vec![0], sized(2, name.as_bytes())].concat());
        [vec![0, 0], sized(2, &list)].concat()
    });
    let extensions = sized(2, &extension.unwrap_or_default());
    let body = [vec![3, 3], vec![7; 32], sized(1, &[]), sized(2, &[0x13, 1]), sized(1, &[0]), extensions].concat();
    let handshake = [vec![1], sized(3, &body)].concat();
    [vec![22, 3, 1], sized(2, &handshake)].concat()
}

fn exchange(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    read_all(stream)
}

fn allow_unpinned(_: &Deed) -> (Effect, Vec<Obligation>) {
    (Effect::Allow, vec![Obligation::AllowPrivate])
}

#[test]
fn tls_must_name_the_admitted_host() {
    let world = World::new(all_here);
    let port = server(&world.journal, echo);
    let good = hello(Some("api.test"));
    let mut stream = world.connect("api.test", port);
    stream.write_all(&good).unwrap();
    let mut back = vec![0; good.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, good);
    drop(stream);

    for name in ["evil.test", "api.test.evil.net", "evilapi.test"] {
        let mut stream = world.connect("front.test", port);
        assert_eq!(exchange(&mut stream, &hello(Some(name))), "reset");
    }
    let line = world.journal.wait("TLS names `evil.test`");
    assert!(line.contains("Stopped"), "{line}");
    assert_eq!(world.journal.outcome(&format!("front.test:{port}")).figures["sent_bytes"], 0);
}

#[test]
fn tls_without_a_name_needs_a_pinned_address() {
    let world = World::new(all_here);
    let port = server(&world.journal, echo);
    assert_ne!(exchange(&mut world.connect("pinned.test", port), &hello(None)), "reset");

    let journal = crate::world::Journal::default();
    let resolver = crate::world::name_server(&journal, &["127.0.0.1"]);
    let world = World::with(Default::default(), Some(resolver), allow_unpinned);
    let port = server(&world.journal, echo);
    assert_eq!(exchange(&mut world.connect("api.test", port), &hello(None)), "reset");
    world.journal.wait("TLS names no host");
}

#[test]
fn the_server_may_speak_first_and_the_answer_is_still_checked() {
    let world = World::new(all_here);
    let port = server(&world.journal, |mut stream, journal| {
        stream.write_all(b"220 ready\r\n").unwrap();
        echo(stream, journal);
    });
    let mut stream = world.connect("mail.test", port);
    let mut greeting = [0; 11];
    stream.read_exact(&mut greeting).unwrap();
    stream.write_all(b"EHLO me\r\n").unwrap();
    stream.read_exact(&mut [0; 9]).unwrap();

    // However late: what it says is not passed on unseen.
    let mut stream = world.connect("mail.test", port);
    stream.read_exact(&mut greeting).unwrap();
    stream.write_all(&hello(Some("evil.test"))).unwrap();
    assert_eq!(read_all(&mut stream), "reset");
}

#[test]
fn short_words_pass_and_slow_requests_do_not() {
    let world = World::new(all_here);
    let port = server(&world.journal, echo);
    let mut stream = world.connect("api.test", port);
    let mut byte = [0];
    for word in [b"a", b"b"] {
        stream.write_all(word).unwrap();
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, word);
    }
    let mut stream = world.connect("api.test", port);
    stream.write_all(b"GET /").unwrap();
    stream.read_exact(&mut [0; 5]).unwrap();
    stream.write_all(b" HTTP/1.1\r\nHost: evil.test\r\n\r\n").unwrap();
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[test]
fn http_must_be_meant_for_the_admitted_host() {
    let world = World::new(all_here);
    let port = server(&world.journal, http);
    let get = |host: &str, target: &str| {
        let mut stream = world.connect("api.test", port);
        exchange(&mut stream, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
    };
    assert!(get("api.test", "/x//y/../z?q").starts_with("HTTP/1.1 200"));
    assert!(get(&format!("API.test:{port}"), "/").starts_with("HTTP/1.1 200"));
    assert_eq!(world.journal.count("request GET"), 2);
    assert!(world.journal.has("request GET /x//y/../z?q HTTP/1.1|Host: api.test|Connection: close||"));
    for host in ["evil.test", "api.test:1", "api.test.evil.net", "127.0.0.1", "0x7f.1"] {
        assert!(get(host, "/").starts_with("HTTP/1.1 400"), "{host}");
    }
    assert!(get("api.test", "http://api.test/").starts_with("HTTP/1.1 400"));
    assert_eq!(world.journal.count("request GET"), 2);
    world.journal.wait("`Host` is `evil.test`");
}

#[test]
fn nothing_passes_behind_one_request() {
    let world = World::new(all_here);
    let port = server(&world.journal, http);
    for request in [
        "GET /a HTTP/1.1\r\nHost: api.test\r\n\r\nGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: api.test\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n",
        "POST /a HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
        "GET /a HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    ] {
        let mut stream = world.connect("api.test", port);
        stream.write_all(request.as_bytes()).unwrap();
        assert!(read_all(&mut stream).starts_with("HTTP/1.1 200"), "{request}");
    }
    assert_eq!(world.journal.count("request GET") + world.journal.count("request POST"), 4);
    assert!(!world.journal.has("/b"), "{:?}", world.journal.lines());
}

#[test]
fn an_upgrade_passes_when_the_server_agrees() {
    let world = World::new(all_here);
    let port = server(&world.journal, |mut stream, journal| {
        let mut head = [0; 1024];
        let length = stream.read(&mut head).unwrap();
        journal.write(format!("head {}", String::from_utf8_lossy(&head[..length])));
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").unwrap();
        echo(stream, journal);
    });
    let mut stream = world.connect("ws.test", port);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 36]).unwrap();
    stream.write_all(b"frame").unwrap();
    let mut frame = [0; 5];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"frame");
    assert!(world.journal.wait("head GET").contains("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
}

fn inspected(deed: &Deed) -> (Effect, Vec<Obligation>) {
    let (_, mut obligations) = all_here(deed);
    match deed {
        Deed::HttpRequest { method, path, .. } if method != "GET" && !path.starts_with("/me/") => {
            (Effect::Deny, vec![])
        }
        Deed::HttpRequest { path, .. } if path.starts_with("/secret") => (Effect::Deny, vec![]),
        Deed::NetConnect { .. } => {
            obligations.push(Obligation::InspectHttp);
            (Effect::Allow, obligations)
        }
        _ => (Effect::Allow, obligations),
    }
}

#[test]
fn inspected_requests_are_decided_one_by_one() {
    let world = World::new(inspected);
    let port = server(&world.journal, http);
    let request = |method: &str, path: &str, extra: &str| {
        let mut stream = world.connect("api.test", port);
        let text = format!("{method} {path} HTTP/1.1\r\nHost: api.test\r\n{extra}\r\n");
        exchange(&mut stream, text.as_bytes())
    };
    assert!(request("GET", "/%41?q=1", "").starts_with("HTTP/1.1 200"));
    assert!(world.journal.has("request GET /A?q=1 HTTP/1.1|"), "{:?}", world.journal.lines());
    let target = format!("GET http://api.test:{port}/A?q=1");
    assert!(world.journal.position(&format!("opened {target}")) < world.journal.position("accepted"));
    assert_eq!(world.journal.outcome(&target).status, OutcomeStatus::Done);
    assert!(request("POST", "/me/x", "Content-Length: 0\r\n").starts_with("HTTP/1.1 200"));
    assert_eq!(world.journal.count("accepted"), 2);

    let refused = request("POST", "/you/x", "Content-Length: 0\r\n");
    assert!(refused.starts_with("HTTP/1.1 403"), "{refused}");
    assert!(refused.contains("net.test") && refused.contains("bartizan policy explain 'http POST http://api.test"));
    assert!(request("GET", "/secret", "").starts_with("HTTP/1.1 403"));
    for path in
        ["/a/../secret", "/%2e%2e/secret", "//secret", "/a/..;/secret", "/a%2f..%2fsecret", "/a\\..\\secret", "/%252e/"]
    {
        assert!(request("GET", path, "").starts_with("HTTP/1.1 400"), "{path}");
    }
    for extra in [
        "Host: evil.test\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "X: y\n",
        "X: y\r\n folded\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    ] {
        assert!(request("GET", "/", extra).starts_with("HTTP/1.1 400"), "{extra:?}");
    }
    // Only what was decided was ever dialled.
    assert_eq!(world.journal.count("accepted"), 2, "{:#?}", world.journal.lines());
    assert!(
        request("GET", "/", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n")
            .starts_with("HTTP/1.1 200")
    );
    assert!(!world.journal.has("h2c"));
}

#[test]
fn what_cannot_be_inspected_is_refused() {
    let world = World::new(inspected);
    let port = server(&world.journal, echo);
    for bytes in [hello(Some("api.test")), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), b"SSH-2.0-x\r\n".to_vec()] {
        assert_eq!(exchange(&mut world.connect("api.test", port), &bytes), "reset");
    }
    world.journal.wait("started without TLS inspection");
    assert!(!world.journal.has("accepted"));
}

#[test]
fn the_proxy_takes_tunnels_and_urls() {
    let world = World::new(|deed| match deed {
        Deed::NetConnect { host, .. } if host == "evil.test" => (Effect::Deny, vec![]),
        _ => all_here(deed),
    });
    let port = server(&world.journal, echo);
    let mut stream = world.proxy();
    stream.write_all(format!("CONNECT api.test:{port} HTTP/1.0\r\n\r\n").as_bytes()).unwrap();
    let mut answer = [0; 39];
    stream.read_exact(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    stream.write_all(b"{data}").unwrap();
    stream.read_exact(&mut [0; 6]).unwrap();

    // The tunnel's contents are checked like any other's.
    let mut stream = world.proxy();
    stream.write_all(format!("CONNECT api.test:{port} HTTP/1.1\r\nHost: api.test:{port}\r\n\r\n").as_bytes()).unwrap();
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(&hello(Some("evil.test"))).unwrap();
    assert_eq!(read_all(&mut stream), "reset");

    let web = server(&world.journal, http);
    let text = format!(
        "GET http://api.test:{web}/x?y HTTP/1.1\r\nHost: api.test:{web}\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: secret\r\n\r\n"
    );
    assert!(exchange(&mut world.proxy(), text.as_bytes()).starts_with("HTTP/1.1 200"));
    assert!(world.journal.has(&format!("request GET /x?y HTTP/1.1|Host: api.test:{web}|Connection: close||")));

    for (text, status) in [
        ("CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(), 403),
        ("GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(), 403),
        ("GET http://api.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(), 400),
        ("CONNECT api.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n".to_owned(), 400),
        ("CONNECT 2130706433:80 HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("CONNECT 0177.0.0.1:80 HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n".to_owned(), 400),
        ("SSH-2.0-x\r\n".to_owned(), 400),
        ("CONNECT api.test:1 HTTP/1.1\r\n\r\n".to_owned(), 502),
    ] {
        let answer = exchange(&mut world.proxy(), text.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{text}: {answer}");
    }
    world.journal.wait("refused evil.test:443");
}

#[test]
fn a_whole_url_to_an_inspected_host_is_decided() {
    let world = World::new(inspected);
    let web = server(&world.journal, http);
    let get = |path: &str| {
        let text = format!("GET http://api.test:{web}{path} HTTP/1.1\r\nHost: api.test:{web}\r\n\r\n");
        exchange(&mut world.proxy(), text.as_bytes())
    };
    assert!(get("/x").starts_with("HTTP/1.1 200"));
    assert!(get("/secret").starts_with("HTTP/1.1 403"));
    assert!(get("/a/../secret").starts_with("HTTP/1.1 400"));
    assert_eq!(world.journal.count("accepted"), 1);
}

#[test]
fn a_tunnel_to_an_inspected_host_carries_plain_http_only() {
    let world = World::new(inspected);
    let web = server(&world.journal, http);
    let tunnel = || {
        let mut stream = world.proxy();
        stream.write_all(format!("CONNECT api.test:{web} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        let mut answer = [0; 39];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"));
        stream
    };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: api.test:{web}\r\n\r\n").into_bytes();
    assert!(exchange(&mut tunnel(), &get("/x")).starts_with("HTTP/1.1 200"));
    assert!(exchange(&mut tunnel(), &get("/secret")).starts_with("HTTP/1.1 403"));
    assert_eq!(exchange(&mut tunnel(), &hello(Some("api.test"))), "reset");
    assert_eq!(world.journal.count("accepted"), 1);
}
