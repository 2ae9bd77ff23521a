//! Connections through the gate: what is allowed works and is recorded, what isn't leaves nothing behind.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown};

use bartizan_model::{Deed, Effect, Obligation, OutcomeStatus, Record};
use bartizan_net::NetLimits;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

use crate::netns::UDP;
use crate::world::{Journal, World, all_here, echo, name_server, read_all, server};

fn only(host: &'static str) -> impl Fn(&Deed) -> (Effect, Vec<Obligation>) + Send + Sync {
    move |deed| match deed {
        Deed::NetConnect { host: other, .. } | Deed::DnsQuery { name: other, .. } if other == host => all_here(deed),
        _ => (Effect::Deny, vec![]),
    }
}

#[test]
fn an_allowed_name_is_reached_and_recorded() {
    let world = World::new(only("api.test"));
    let port = server(&world.journal, echo);
    let mut stream = world.connect("api.test", port);
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "hello");

    let target = format!("api.test:{port}");
    let outcome = world.journal.outcome(&target);
    assert_eq!(outcome.status, OutcomeStatus::Done);
    assert_eq!(outcome.figures["sent_bytes"], 5);
    assert_eq!(outcome.figures["received_bytes"], 5);
    assert!(outcome.detail.unwrap().contains(&format!("127.0.0.1:{port}")));
    assert!(world.journal.position("closed api.test A") < world.journal.position(&format!("opened {target}")));
    // The intent is durable before anything is dialled.
    assert!(world.journal.position(&format!("opened {target}")) < world.journal.position("accepted"));

    let executable = std::fs::read_link("/proc/self/exe").unwrap().to_string_lossy().into_owned();
    for record in world.journal.records() {
        if let Record::Opened { action, .. } = record {
            let process = action.process.expect("no process found");
            assert_eq!(process.pid, std::process::id(), "{:?}", action.deed);
            assert_eq!(process.executable.as_deref(), Some(executable.as_str()));
        }
    }
}

#[test]
fn a_denied_name_does_not_resolve_and_is_recorded_once() {
    let world = World::new(only("api.test"));
    for _ in 0..3 {
        assert_eq!(world.resolve("evil.test"), Err(ResponseCode::NXDomain));
        assert_eq!(world.resolve("evilapi.test"), Err(ResponseCode::NXDomain));
        assert_eq!(world.resolve("api.test.evil.net"), Err(ResponseCode::NXDomain));
    }
    assert_eq!(world.journal.count("refused evil.test A"), 1);
    assert_eq!(world.journal.lines().len(), 3);
}

#[test]
fn only_addresses_are_answered() {
    let world = World::new(only("api.test"));
    for kind in [RecordType::AAAA, RecordType::HTTPS, RecordType::SVCB] {
        let answer = world.ask("api.test", kind);
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (ResponseCode::NoError, 0), "{kind}");
    }
    for kind in [RecordType::TXT, RecordType::MX, RecordType::ANY] {
        assert_eq!(world.ask("api.test", kind).metadata.response_code, ResponseCode::Refused, "{kind}");
    }
    assert_eq!(world.ask("secret-data.evil.test", RecordType::TXT).metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(world.resolve("localhost"), Ok(Ipv4Addr::LOCALHOST));
    let [_, b, c, d] = world.resolve("api.test").unwrap().octets();
    let reverse = world.ask(&format!("{d}.{c}.{b}.198.in-addr.arpa"), RecordType::PTR);
    assert_eq!(reverse.answers.first().unwrap().data.to_string(), "api.test.");
}

#[test]
fn odd_names_and_broken_messages_go_nowhere() {
    let world = World::new(all_here);
    for name in ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"] {
        assert_eq!(world.resolve(name), Err(ResponseCode::NXDomain), "{name}");
    }
    let answer = Message::from_vec(&world.ask_bytes(&[0, 7, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0]).unwrap()).unwrap();
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (7, ResponseCode::FormErr));
    // Still alive.
    assert!(world.resolve("api.test").is_ok());
}

#[test]
fn literal_addresses_are_decided_as_such() {
    let world = World::new(only("api.test"));
    for (address, target) in [
        ("203.0.113.9:443", "203.0.113.9:443"),
        ("[2001:db8::9]:443", "[2001:db8::9]:443"),
        ("9.9.9.9:853", "9.9.9.9:853"),
        ("198.18.99.99:80", "198.18.99.99:80"),
    ] {
        let mut stream = world.connect_to(address.parse().unwrap());
        assert_eq!(read_all(&mut stream), "reset", "{address}");
        world.journal.wait(&format!("refused {target}"));
    }
    assert!(!world.journal.has("opened"));
}

#[test]
fn an_allowed_literal_is_still_checked() {
    let world = World::new(|_| (Effect::Allow, vec![]));
    for address in
        ["169.254.169.254:80", "10.1.2.3:80", "[fd00:ec2::254]:80", "[::ffff:0:7f00:1]:80", "198.18.99.99:80"]
    {
        let mut stream = world.connect_to(address.parse().unwrap());
        assert_eq!(read_all(&mut stream), "reset", "{address}");
    }
    world.journal.wait("closed 169.254.169.254:80 Failed");
    world.journal.wait("closed 198.18.99.99:80 Failed");
}

#[test]
fn names_that_lead_inside_are_refused() {
    for (answer, private, reached) in [
        ("127.0.0.1", false, false),
        ("127.0.0.1", true, true),
        ("169.254.169.254", true, false),
        ("10.0.0.1", false, false),
    ] {
        let journal = Journal::default();
        let resolver = name_server(&journal, &[answer]);
        let world = World::with(NetLimits::default(), Some(resolver), move |_| {
            (Effect::Allow, if private { vec![Obligation::AllowPrivate] } else { vec![] })
        });
        let port = server(&world.journal, echo);
        let mut stream = world.connect("inside.test", port);
        // Nothing is asked upstream for a question, only for a connection.
        stream.write_all(b"x").ok();
        let _ = stream.shutdown(Shutdown::Write);
        assert_eq!(read_all(&mut stream) == "x", reached, "{answer} {private}");
        world.journal.wait(&format!("closed inside.test:{port}"));
        assert_eq!(world.journal.has("accepted"), reached);
        assert_eq!(journal.count("upstream inside.test. A"), 1 + journal.count("AAAA"), "{:?}", journal.lines());
    }
}

#[test]
fn nothing_is_asked_upstream_for_a_question_and_the_checked_address_is_dialled() {
    let journal = Journal::default();
    // The second answer would be another host.
    let resolver = name_server(&journal, &["127.0.0.1", "127.0.0.2"]);
    let world = World::with(NetLimits::default(), Some(resolver), |_| (Effect::Allow, vec![Obligation::AllowPrivate]));
    let port = server(&world.journal, echo);
    let address = world.resolve("rebind.test").unwrap();
    assert_eq!(world.resolve("rebind.test"), Ok(address));
    assert!(journal.lines().is_empty(), "{:?}", journal.lines());
    let mut stream = world.connect_to((address, port).into());
    stream.write_all(b"x").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "x");
    assert_eq!(journal.lines().iter().filter(|line| line.ends_with(" A")).count(), 1, "{:?}", journal.lines());
}

#[test]
fn no_ledger_no_connection() {
    let world = World::new(all_here);
    let port = server(&world.journal, echo);
    let address = world.resolve("api.test").unwrap();
    world.break_ledger();
    let mut stream = world.connect_to((address, port).into());
    assert_eq!(read_all(&mut stream), "reset");
    assert!(!world.journal.has("accepted"));
    assert_eq!(world.resolve("other.test"), Err(ResponseCode::NXDomain));
}

fn asks(deed: &Deed) -> (Effect, Vec<Obligation>) {
    let (_, obligations) = all_here(deed);
    match deed {
        Deed::NetConnect { .. } => (Effect::Ask, obligations),
        _ => (Effect::Allow, obligations),
    }
}

#[test]
fn a_held_connection_goes_on_when_approved() {
    let world = World::new(asks);
    let port = server(&world.journal, echo);
    let mut stream = world.connect("held.test", port);
    // A half-closed program is still there and waits.
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    world.journal.wait("asked held.test");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(!world.journal.has("accepted") && !world.journal.has("withdrawn"));
    world.answer(true);
    assert_eq!(read_all(&mut stream), "hello");
}

#[test]
fn a_held_connection_is_withdrawn_when_its_program_is_gone() {
    let world = World::new(asks);
    let port = server(&world.journal, echo);
    let stream = world.connect("held.test", port);
    world.journal.wait("asked held.test");
    drop(stream);
    world.journal.wait("withdrawn held.test");
    world.journal.wait("noted net.withdrawn");
    assert!(!world.journal.has("accepted") && !world.journal.has(&format!("opened held.test:{port}")));
}

#[test]
fn a_person_says_no() {
    let world = World::new(asks);
    let port = server(&world.journal, echo);
    let mut stream = world.connect("held.test", port);
    world.journal.wait("asked held.test");
    world.answer(false);
    assert_eq!(read_all(&mut stream), "reset");
    world.journal.wait(&format!("refused held.test:{port}"));
}

#[test]
fn exactly_the_budget_passes() {
    const BUDGET: usize = 300_000;
    let limits = NetLimits { egress_bytes_max: Some(BUDGET as u64), ..NetLimits::default() };
    let world = World::with(limits, None, all_here);
    let total = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let seen = total.clone();
    let port = server(&world.journal, move |mut stream, journal| {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            seen.fetch_add(length, std::sync::atomic::Ordering::SeqCst);
        }
        journal.write("server done");
    });
    let address = world.resolve("api.test").unwrap();
    let streams = [0, 1].map(|_| world.connect_to((address, port).into()));
    std::thread::scope(|scope| {
        for mut stream in streams {
            scope.spawn(move || {
                let chunk = [0; 1000];
                while stream.write_all(&chunk).is_ok() {}
            });
        }
    });
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while world.journal.count("closed api.test:") < 2 {
        assert!(std::time::Instant::now() < deadline, "{:?}", world.journal.lines());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(world.journal.count("budget of 300000 bytes"), 2, "{:?}", world.journal.lines());
    let sent: i64 = world
        .journal
        .records()
        .iter()
        .filter_map(|record| match record {
            Record::Closed { outcome, .. } => outcome.figures.get("sent_bytes").copied(),
            _ => None,
        })
        .sum();
    assert_eq!(sent, BUDGET as i64);
    assert!(total.load(std::sync::atomic::Ordering::SeqCst) <= BUDGET);
}

#[test]
fn more_connections_than_allowed_are_reset() {
    let limits = NetLimits { connections_max: 2, ..NetLimits::default() };
    let mut world = World::with(limits, None, all_here);
    let port = server(&world.journal, echo);
    let address = world.resolve("api.test").unwrap();
    let mut open = [0, 1].map(|_| {
        let mut stream = world.connect_to((address, port).into());
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream
    });
    assert_eq!(read_all(&mut world.connect_to((address, port).into())), "reset");
    open[0].write_all(b"y").unwrap();
    open[0].read_exact(&mut [0]).unwrap();
    let summary = world.shutdown();
    assert_eq!(summary.figures["connections_over_limit"], 1);
    assert_eq!(summary.unfinished, 0);
}

#[test]
fn a_tunnel_ends_when_policy_is_tightened() {
    let tight = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now_tight = tight.clone();
    let world = World::new(move |deed| match deed {
        Deed::NetConnect { host, .. } if host == "api.test" && now_tight.load(std::sync::atomic::Ordering::SeqCst) => {
            (Effect::Deny, vec![])
        }
        _ => all_here(deed),
    });
    let port = server(&world.journal, echo);
    let mut api = world.connect("api.test", port);
    let mut other = world.connect("other.test", port);
    for stream in [&mut api, &mut other] {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    tight.store(true, std::sync::atomic::Ordering::SeqCst);
    world.network().redecide();
    assert_eq!(read_all(&mut api), "reset");
    assert_eq!(world.journal.outcome(&format!("api.test:{port}")).status, OutcomeStatus::Stopped);
    other.write_all(b"x").unwrap();
    other.read_exact(&mut [0]).unwrap();
}

#[test]
fn the_end_closes_every_entry() {
    let mut world = World::new(all_here);
    let port = server(&world.journal, echo);
    let mut stream = world.connect("api.test", port);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    let summary = world.shutdown();
    assert_eq!(world.journal.outcome(&format!("api.test:{port}")).status, OutcomeStatus::Stopped);
    assert_eq!(summary.figures["sent_bytes"], 1);
    assert!(summary.dropped.unwrap().contains_key("udp"));
    assert_eq!(world.journal.count("opened"), world.journal.count("closed"));
}

#[test]
fn a_dead_server_is_a_failure() {
    let world = World::new(all_here);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let mut stream = world.connect("api.test", port);
    assert_eq!(read_all(&mut stream), "reset");
    assert_eq!(world.journal.outcome(&format!("api.test:{port}")).status, OutcomeStatus::Failed);
}

#[test]
fn large_transfers_arrive_whole_both_ways() {
    const BYTES: usize = 20_000_000;
    let world = World::new(all_here);
    let port = server(&world.journal, echo);
    let stream = world.connect("api.test", port);
    let mut reader = stream.try_clone().unwrap();
    let data: Vec<u8> = (0..BYTES).map(|index| (index % 251) as u8).collect();
    let expected = data.clone();
    let writer = std::thread::spawn(move || {
        let mut stream = stream;
        stream.write_all(&data).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::with_capacity(BYTES);
    reader.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received == expected, "{} bytes", received.len());
    let outcome = world.journal.outcome(&format!("api.test:{port}"));
    assert_eq!(outcome.figures["received_bytes"], BYTES as i64);
}

#[test]
fn dns_over_tcp_is_answered_and_bounded() {
    let world = World::new(only("api.test"));
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii("api.test.").unwrap(), RecordType::A));
    let bytes = message.to_vec().unwrap();
    let mut stream = world.connect_to("9.9.9.9:53".parse().unwrap());
    for _ in 0..2 {
        stream.write_all(&u16::try_from(bytes.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 1);
    }
    let Some(Record::Opened { action, .. }) = world.journal.records().into_iter().next() else { panic!() };
    assert_eq!(action.process.unwrap().pid, std::process::id());
    // More than any question has: the connection ends.
    stream.write_all(&[0xff; 1000]).unwrap();
    assert!(stream.read(&mut [0; 1]).map_or(true, |length| length == 0));
}

#[test]
fn a_process_that_cannot_be_found_is_absent() {
    // The test's own process holds the sockets and is no candidate.
    let world = World::with_candidates(vec![1], all_here);
    let port = server(&world.journal, echo);
    let mut stream = world.connect("api.test", port);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "");
    for record in world.journal.records() {
        if let Record::Opened { action, .. } = record {
            assert_eq!(action.process, None, "{:?}", action.deed);
        }
    }
}

#[test]
fn a_flood_leaves_nothing_open() {
    let mut world = World::new(all_here);
    let port = server(&world.journal, echo);
    let address = world.resolve("api.test").unwrap();
    for _ in 0..300 {
        drop(world.connect_to((address, port).into()));
    }
    // Most of these get no answer, so none is waited for.
    let resolver = std::net::UdpSocket::from(world.inside.socket(libc::AF_INET, libc::SOCK_DGRAM, UDP).unwrap());
    for number in 0..=255 {
        resolver.send_to(&[number; 40], "192.0.2.53:53").unwrap();
    }
    let mut stream = world.connect("other.test", port);
    stream.write_all(b"hello\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "hello\n");
    let summary = world.shutdown();
    assert_eq!(summary.unfinished, 0);
    assert_eq!(world.journal.count("opened "), world.journal.count("closed "));
}
