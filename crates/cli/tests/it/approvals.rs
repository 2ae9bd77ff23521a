//! What policy wants a person to decide is held until somebody does, anywhere, and never longer than it may wait.

use bartizan_testkit::http::Response;
use bartizan_testkit::{HttpServer, Output, Running, eventually};
use serde_json::Value;

use crate::world::World;

/// Stays with `curl` as long as a person may think.
const CURL: &[&str] = &["curl", "-sS", "--max-time", "50"];

struct Asking {
    world: World,
    server: HttpServer,
}

impl Asking {
    /// A server that needs a person's word.
    fn each(test: impl Fn(Self)) {
        World::each(|world| {
            let server = HttpServer::plain();
            server.route("/", |_| Response::ok("answered\n"));
            world.dns.addresses("asked.test", &["127.0.0.1"]).addresses("second.test", &["127.0.0.1"]);
            let asking = Self { world, server };
            asking.policy("approvals: { timeout: 50s }\n");
            test(asking);
        });
    }

    fn policy(&self, more: &str) {
        let port = self.server.port();
        self.world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  ask:\n    - {{ host: asked.test, ports: {port}, private: true }}\n    - {{ host: second.test, ports: {port}, private: true }}\n{more}",
        ));
    }

    fn url(&self, host: &str) -> String {
        self.server.url(host, "/")
    }

    fn curl(&self, host: &str) -> Running {
        self.world.run(CURL.iter().copied()).arg(self.url(host)).spawn()
    }

    fn answer(&self, arguments: &[&str]) -> Output {
        self.world.bartizan(["approval"]).args(arguments).output()
    }
}

/// The questions that wait, once there are so many.
fn waiting(world: &World, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    eventually(&format!("{count} questions wait"), || {
        found = world.bartizan(["approval", "list", "--json"]).success().json().as_array().unwrap().clone();
        found.len() == count
    });
    found
}

fn number(question: &Value) -> &str {
    question["number"].as_str().unwrap()
}

#[test]
fn a_connection_waits_for_the_answer() {
    Asking::each(|asking| {
        let world = &asking.world;
        let mut running = asking.curl("asked.test");
        let question = waiting(world, 1).remove(0);
        assert_eq!(question["action"]["deed"]["host"], "asked.test", "{question:#}");
        assert_eq!(asking.server.connections(), 0, "nothing is dialled before the answer");
        assert!(running.is_running());
        let shown = world.bartizan(["approval", "show", number(&question)]).success();
        let digest = question["action_digest"].as_str().unwrap();
        assert!(shown.stdout.contains("asked.test") && shown.stdout.contains(digest), "{shown}");
        assert!(shown.stdout.contains("net.ask[0]"), "{shown}");
        let json = world.bartizan(["approval", "show", number(&question), "--json"]).success().json();
        assert_eq!(json["action_digest"], question["action_digest"]);
        let table = world.bartizan(["approval", "list"]).success();
        assert!(table.stdout.contains(number(&question)) && table.stdout.contains("net.connect"), "{table}");

        let answered = asking.answer(&["approve", &number(&question).to_lowercase()]);
        assert!(answered.status.success() && answered.stderr.contains("approved"), "{answered}");
        let ended = running.wait().expect_code(0);
        assert_eq!(ended.stdout, "answered\n", "{ended}");
        let row = world.assert_carried("asked.test");
        assert_eq!(row["record"]["approval"]["via"], "cli", "{row:#}");
        assert_eq!(row["record"]["approval"]["action_digest"], question["action_digest"], "{row:#}");
        assert!(row["record"]["verdict"]["effect"] == "ask", "{row:#}");

        let late = asking.answer(&["approve", number(&question)]);
        assert!(!late.status.success() && late.stderr.contains("approval list"), "{late}");
        let unknown = asking.answer(&["show", "ZZZZZZ"]);
        assert!(!unknown.status.success(), "{unknown}");
        world.verify();
    });
}

#[test]
fn a_no_and_silence_both_deny() {
    Asking::each(|asking| {
        let world = &asking.world;
        let running = asking.curl("asked.test");
        let question = waiting(world, 1).remove(0);
        assert!(asking.answer(&["deny", number(&question)]).status.success());
        let ended = running.wait();
        assert!(!ended.status.success(), "{ended}");
        let row = world.assert_refused("net.connect", "asked.test");
        assert_eq!(row["record"]["refused"]["why"], "person", "{row:#}");

        asking.policy("approvals: { timeout: 300ms }\n");
        let silence = asking.curl("second.test").wait();
        assert!(!silence.status.success(), "{silence}");
        let row = world.assert_refused("net.connect", "second.test");
        assert_eq!(row["record"]["refused"]["why"], "no_answer", "{row:#}");
        assert_eq!(asking.server.connections(), 0);
        world.verify();
    });
}

#[test]
fn a_yes_for_once_is_for_once() {
    Asking::each(|asking| {
        let script = format!("curl -sS --max-time 50 {0}; curl -sS --max-time 50 {0}", asking.url("asked.test"));
        let running = asking.world.shell(&script).spawn();
        let first = waiting(&asking.world, 1).remove(0);
        assert!(asking.answer(&["approve", number(&first)]).status.success());
        let mut second = Value::Null;
        eventually("the second is asked for again", || {
            let list = asking.world.bartizan(["approval", "list", "--json"]).success().json();
            second = list[0].clone();
            second.is_object() && second["number"] != first["number"]
        });
        assert!(asking.answer(&["deny", number(&second)]).status.success());
        let ended = running.wait();
        assert_eq!(ended.stdout, "answered\n", "{ended}");
        assert_eq!(asking.server.connections(), 1);
    });
}

#[test]
fn a_yes_for_the_run_holds_for_the_same_action_alone() {
    Asking::each(|asking| {
        let script = format!(
            "for i in 1 2 3; do curl -sS --max-time 50 {0}; done; curl -sS --max-time 50 {1}",
            asking.url("asked.test"),
            asking.url("second.test")
        );
        let running = asking.world.shell(&script).spawn();
        let first = waiting(&asking.world, 1).remove(0);
        assert!(asking.answer(&["approve", "--run", number(&first)]).status.success());
        let mut other = Value::Null;
        eventually("another host is asked for", || {
            let list = asking.world.bartizan(["approval", "list", "--json"]).success().json();
            other = list[0].clone();
            other["action"]["deed"]["host"] == "second.test"
        });
        assert_eq!(asking.server.connections(), 3);
        assert!(asking.answer(&["deny", number(&other)]).status.success());
        assert_eq!(running.wait().stdout, "answered\n".repeat(3));

        // The next run asks afresh.
        let next = asking.curl("asked.test");
        let question = waiting(&asking.world, 1).remove(0);
        assert!(asking.answer(&["deny", number(&question)]).status.success());
        drop(next.wait());
        assert_eq!(asking.server.connections(), 3);
        asking.world.verify();
    });
}

#[test]
fn a_standing_yes_is_bound_to_action_and_policy() {
    Asking::each(|asking| {
        let world = &asking.world;
        let running = asking.curl("asked.test");
        let question = waiting(world, 1).remove(0);
        for wrong in ["yesterday", "2020-01-01", "-1h"] {
            let refused = asking.answer(&["approve", &format!("--until={wrong}"), number(&question)]);
            assert!(!refused.status.success(), "{refused}");
        }
        assert!(asking.answer(&["approve", "--until", "1h", number(&question)]).status.success());
        assert_eq!(running.wait().stdout, "answered\n");

        // Held for the second run, and said so.
        let again = asking.curl("asked.test").wait();
        assert_eq!(again.stdout, "answered\n", "{again}");
        let row = world.deed("net.connect", "asked.test");
        assert_eq!(row["record"]["approval"]["via"], "standing", "{row:#}");

        let denies = |what: &str, host: &str| {
            let running = asking.curl(host);
            let question = waiting(world, 1).remove(0);
            assert!(asking.answer(&["deny", number(&question)]).status.success(), "{what}");
            assert!(!running.wait().status.success(), "{what}");
        };
        denies("another action", "second.test");
        asking.policy("approvals: { timeout: 49s }\n");
        denies("another policy", "asked.test");

        // The same policy again, but the file edited: what doesn't verify is no approval.
        asking.policy("approvals: { timeout: 50s }\n");
        let again = asking.curl("asked.test").wait();
        assert_eq!(again.stdout, "answered\n", "{again}");
        let folder = world.home.bartizan_home().join("approvals");
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let text = std::fs::read_to_string(&files[0]).unwrap();
        let mut envelope: Value = serde_json::from_str(&text).unwrap();
        let payload = envelope["payload"].as_str().unwrap().to_owned();
        let flipped = format!("{}{}", if payload.starts_with('e') { 'f' } else { 'e' }, &payload[1..]);
        envelope["payload"] = flipped.into();
        std::fs::write(&files[0], envelope.to_string()).unwrap();
        denies("an edited approval", "asked.test");
        world.verify();
    });
}

#[test]
fn of_two_answers_exactly_one_wins() {
    Asking::each(|asking| {
        let world = &asking.world;
        for _ in 0..4 {
            let running = asking.curl("asked.test");
            let question = waiting(world, 1).remove(0);
            let answers: Vec<Running> = ["approve", "deny", "approve", "deny"]
                .map(|word| world.bartizan(["approval", word, number(&question)]).spawn())
                .into();
            let won: Vec<String> = answers
                .into_iter()
                .map(Running::wait)
                .filter(|one| one.status.success())
                .map(|one| one.stderr)
                .collect();
            assert_eq!(won.len(), 1, "{won:?}");
            let ended = running.wait();
            assert_eq!(ended.status.success(), won[0].contains("approved"), "{won:?} but {ended}");
        }
        world.verify();
    });
}

#[test]
fn many_questions_are_answered_one_by_one() {
    Asking::each(|asking| {
        let world = &asking.world;
        let script = format!(
            "curl -sS --max-time 50 {} >one & curl -sS --max-time 50 {} >two & wait",
            asking.url("asked.test"),
            asking.url("second.test")
        );
        let running = world.shell(&script).spawn();
        for question in waiting(world, 2) {
            let word = if question["action"]["deed"]["host"] == "asked.test" { "approve" } else { "deny" };
            assert!(asking.answer(&[word, number(&question)]).status.success());
        }
        drop(running.wait());
        assert_eq!((world.home.read("one").as_str(), world.home.read("two").as_str()), ("answered\n", ""));
    });
}

#[test]
fn watch_prints_questions_as_they_come() {
    Asking::each(|asking| {
        let world = &asking.world;
        let mut watch = world.bartizan(["approval", "watch", "--json"]).spawn();
        for host in ["asked.test", "second.test"] {
            let running = asking.curl(host);
            watch.wait_for_stdout(host);
            let question = waiting(world, 1).remove(0);
            assert!(asking.answer(&["deny", number(&question)]).status.success());
            drop(running.wait());
        }
        let lines: Vec<Value> = watch.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
    });
}

#[test]
fn a_question_ends_with_its_program() {
    Asking::each(|asking| {
        let world = &asking.world;
        let script = format!("curl -sS --max-time 1 {}; echo gave up; sleep 50", asking.url("asked.test"));
        let mut running = world.shell(&script).spawn();
        let question = waiting(world, 1).remove(0);
        running.wait_for_stdout("gave up");
        waiting(world, 0);
        let late = asking.answer(&["approve", number(&question)]);
        assert!(!late.status.success(), "{late}");
        assert_eq!(asking.server.connections(), 0);
        running.signal(rustix::process::Signal::TERM);
        drop(running.wait());
        world.verify();
    });
}

#[test]
fn programs_and_guarded_files_wait_too() {
    World::each(|world| {
        world.policy("exec: { ask: [\"uname **\"] }\napprovals: { timeout: 50s }");
        let running = world
            .shell("uname -s; mkdir -p .github/workflows && echo steps >.github/workflows/ci.yml && echo wrote")
            .spawn();
        let question = waiting(&world, 1).remove(0);
        assert_eq!(question["action"]["deed"]["kind"], "exec.run", "{question:#}");
        assert_eq!(question["action"]["deed"]["args"], serde_json::json!(["uname", "-s"]), "{question:#}");
        assert!(running.stdout().is_empty());
        world.bartizan(["approval", "approve", number(&question)]).success();
        let mut guarded = Value::Null;
        eventually("the file is asked for", || {
            guarded = world.bartizan(["approval", "list", "--json"]).success().json()[0].clone();
            guarded["action"]["deed"]["kind"] == "file.write"
        });
        assert!(!world.home.workspace().join(".github/workflows/ci.yml").exists());
        // Everything on the way may be asked for; say yes until it is done.
        let mut running = running;
        eventually("the file is written", || {
            for question in world.bartizan(["approval", "list", "--json"]).success().json().as_array().unwrap() {
                let _ = world.bartizan(["approval", "approve", number(question)]).output();
            }
            !running.is_running()
        });
        let ended = running.wait().expect_code(0);
        assert_eq!(ended.stdout, "Linux\nwrote\n", "{ended}");
        assert_eq!(world.home.read(".github/workflows/ci.yml"), "steps\n");
        world.verify();
    });
}

#[test]
fn the_command_itself_is_asked_for_before_there_is_a_box() {
    World::each(|world| {
        world.policy("exec: { ask: [\"uname **\"] }\napprovals: { timeout: 50s }");
        let mut running = world.run_with(["--name", "asker"], ["uname", "-s"]).spawn();
        running.wait_for_stderr("bartizan approval approve");
        let question = waiting(&world, 1).remove(0);
        let listed = world.bartizan(["box", "show", "asker", "--json"]).success().json();
        assert_eq!(listed["processes"], serde_json::json!([]), "{listed:#}");
        world.bartizan(["approval", "approve", number(&question)]).success();
        let ended = running.wait().expect_code(0);
        assert_eq!(ended.stdout, "Linux\n", "{ended}");

        for refuse in ["deny", "stop"] {
            let running = world.run_with(["--name", "asker"], ["uname", "-s"]).spawn();
            let question = waiting(&world, 1).remove(0);
            match refuse {
                "deny" => world.bartizan(["approval", "deny", number(&question)]).success(),
                _ => world.bartizan(["box", "stop", "asker"]).success(),
            };
            let ended = running.wait().expect_code(125);
            assert_eq!(ended.stdout, "", "{ended}");
            world.assert_refused("exec.run", "uname");
        }
        world.verify();
    });
}

#[test]
fn only_the_account_itself_may_answer() {
    if !bartizan_testkit::user::is_root() {
        return bartizan_testkit::skipped("only_the_account_itself_may_answer", "needs root");
    }
    let world = World::new(bartizan_testkit::User::Current);
    world.policy("exec: { ask: [\"uname **\"] }\napprovals: { timeout: 50s }");
    let running = world.shell("uname").spawn();
    let question = waiting(&world, 1).remove(0);
    // A stranger is let in by the folders here, and still not by the socket or the home.
    let stranger = bartizan_testkit::Run::new(world.home.binary(), bartizan_testkit::User::Ordinary)
        .env("BARTIZAN_HOME", world.home.bartizan_home())
        .args(["approval", "approve", number(&question)])
        .output();
    assert!(!stranger.status.success(), "{stranger}");
    assert_eq!(waiting(&world, 1)[0]["number"], question["number"]);
    world.bartizan(["approval", "approve", number(&question)]).success();
    assert_eq!(running.wait().stdout, "Linux\n");
}
