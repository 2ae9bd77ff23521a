//! A person at a terminal: the program in the box has a real one of its own, and questions are asked on it without
//! spoiling what it shows.

use bartizan_testkit::http::Response;
use bartizan_testkit::{HttpServer, Terminal};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::World;

fn bash(world: &World) -> Terminal {
    // Nothing of the machine's own prompt, so that the screen is known.
    let terminal = world.run(["bash", "--norc", "--noprofile"]).terminal(24, 80);
    terminal.wait_for("a prompt", |screen| screen.contents().contains('$') || screen.contents().contains('#'));
    terminal
}

#[test]
fn a_shell_has_a_terminal_with_size_colours_and_a_status() {
    World::each(|world| {
        let mut terminal = bash(&world);
        terminal.write(
            "tty && test -t 0 -a -t 1 -a -t 2 && stty size; printf '\\033[31mred\\033[0m\\n'; echo TERM=$TERM\r",
        );
        terminal.wait_for_text("24 80");
        terminal.wait_for_text("TERM=xterm-256color");
        terminal.wait_for("red text", |screen| {
            (0..24).any(|row| {
                screen.cell(row, 0).is_some_and(|cell| cell.contents() == "r" && cell.fgcolor() == vt100::Color::Idx(1))
            })
        });
        terminal.resize(40, 100);
        terminal.write("stty size\r");
        terminal.wait_for_text("40 100");
        terminal.write("exit 5\r");
        assert_eq!(terminal.wait().code(), Some(5));
        world.verify();
    });
}

#[test]
fn job_control_works() {
    World::each(|world| {
        let mut terminal = bash(&world);
        terminal.write("sleep 600 & jobs\r");
        terminal.wait_for_text("Running");
        terminal.write("kill %1; wait; echo now; cat\r");
        // Its own line: the shell has given the terminal to the command.
        terminal.wait_for_text("\nnow");
        terminal.write("typed\r");
        // Once as it is typed, once as `cat` answers.
        terminal.wait_for("an echo", |screen| screen.contents().matches("typed").count() == 2);
        terminal.write("\x1a");
        terminal.wait_for_text("Stopped");
        terminal.write("echo between; fg\r");
        terminal.wait_for("the job again", |screen| {
            screen.contents().split("\nbetween\n").nth(1).is_some_and(|after| after.starts_with("cat"))
        });
        // The shell says so before it gives the terminal away.
        terminal.write("resumed\r");
        terminal.wait_for("another echo", |screen| screen.contents().matches("resumed").count() == 2);
        terminal.write("\x03");
        terminal.wait_for("a prompt", |screen| {
            screen.contents().split("^C").nth(1).is_some_and(|after| after.contains(['$', '#']))
        });
        terminal.write("echo status $?\r");
        terminal.wait_for_text("status 130");
        terminal.write("echo again; cat; echo after\r");
        terminal.wait_for_text("\nagain");
        terminal.write("\x04");
        terminal.wait_for("the end of input", |screen| screen.contents().contains("\nafter"));
        terminal.write("exit\r");
        assert!(terminal.wait().code().is_some());
    });
}

#[test]
fn ctrl_c_reaches_the_program_and_not_bartizan() {
    World::each(|world| {
        let mut terminal = world
            .run(["sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"])
            .terminal(24, 80);
        terminal.wait_for_text("ready");
        terminal.write("\x03");
        assert_eq!(terminal.wait().code(), Some(9));
        assert!(terminal.screen().contains("caught"), "{}", terminal.screen());
        world.assert_closed("exec.run", "caught", "done");
    });
}

#[test]
fn a_terminal_that_goes_away_ends_the_box() {
    World::each(|world| {
        let terminal = world.run(["sh", "-c", "trap '' HUP; echo ready; sleep 600"]).terminal(24, 80);
        terminal.wait_for_text("ready");
        let inside = crate::processes::descendants(terminal.id());
        assert!(!inside.is_empty());
        let pid = Pid::from_raw(i32::try_from(terminal.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        bartizan_testkit::eventually("the box is gone", || inside.iter().all(|process| !process.is_alive()));
        drop(terminal);
        world.verify();
    });
}

/// A server that needs a person's word, and a program that draws a screen of its own and then asks for it.
fn asking(test: impl Fn(&World, &HttpServer, Terminal)) {
    World::each(|world| {
        let server = HttpServer::plain();
        server.route("/", |_| Response::ok("answered\n"));
        world.dns.addresses("asked.test", &["127.0.0.1"]);
        world.policy(&format!(
            "net:\n  default: deny\n  resolver: \"{{resolver}}\"\n  ask: [{{ host: asked.test, ports: {}, private: true }}]\napprovals: {{ timeout: 50s }}\n",
            server.port()
        ));
        let url = server.url("asked.test", "/");
        let script = format!(
            "clear; echo the first line; echo the second line; read go; curl -s --max-time 50 {url} || echo refused; read more; echo typed:$more; read end"
        );
        let terminal = world.run(["bash", "-c", &script]).terminal(24, 80);
        terminal.wait_for_text("the second line");
        terminal.write("go\r");
        test(&world, &server, terminal);
    });
}

/// Waits for the panel, and until it takes keys.
fn panel(terminal: &Terminal) {
    terminal.wait_for_text("bartizan asks");
    terminal.wait_for_text("asked.test");
    // A person needs this long too: what is typed before counts as meant for the program.
    std::thread::sleep(std::time::Duration::from_millis(450));
}

/// The panel is gone and what was there before is back.
fn restored(terminal: &Terminal) {
    terminal.wait_for("the program's own screen", |screen| {
        let text = screen.contents();
        text.starts_with("the first line\nthe second line") && !text.contains("bartizan asks")
    });
}

fn finish(mut terminal: Terminal) {
    terminal.write("word\r");
    terminal.wait_for_text("typed:word");
    terminal.write("\r");
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn the_panel_approves_and_leaves_the_screen_as_it_was() {
    asking(|world, server, terminal| {
        panel(&terminal);
        let screen = terminal.screen();
        for shown in ["net.connect", "net.ask[0]", "[a] approve once", "[d] deny", "denied in 0:"] {
            assert!(screen.contains(shown), "`{shown}` isn't shown:\n{screen}");
        }
        assert_eq!(server.connections(), 0);
        terminal.write("a");
        restored(&terminal);
        terminal.wait_for_text("answered");
        finish(terminal);
        let row = world.assert_carried("asked.test");
        assert_eq!(row["record"]["approval"]["via"], "terminal", "{row:#}");
    });
}

#[test]
fn the_panel_denies() {
    asking(|world, server, terminal| {
        panel(&terminal);
        terminal.write("d");
        restored(&terminal);
        terminal.wait_for_text("refused");
        finish(terminal);
        assert_eq!(server.connections(), 0);
        let row = world.assert_refused("net.connect", "asked.test");
        assert_eq!(row["record"]["refused"]["why"], "person", "{row:#}");
    });
}

#[test]
fn what_is_typed_ahead_or_pasted_answers_nothing() {
    asking(|world, server, terminal| {
        // Typed while the question comes up, and a word that begins with the letter.
        terminal.wait_for_text("bartizan asks");
        terminal.write("a");
        terminal.write("apple");
        std::thread::sleep(std::time::Duration::from_millis(450));
        terminal.write("a\r");
        std::thread::sleep(std::time::Duration::from_millis(450));
        assert_eq!(server.connections(), 0);
        assert!(terminal.screen().contains("bartizan asks"), "{}", terminal.screen());
        terminal.write("d");
        restored(&terminal);
        terminal.wait_for_text("refused");
        finish(terminal);
        world.assert_refused("net.connect", "asked.test");
    });
}

#[test]
fn an_answer_from_elsewhere_takes_the_panel_away() {
    asking(|world, _, terminal| {
        panel(&terminal);
        let waiting = world.bartizan(["approval", "list", "--json"]).success().json();
        world.bartizan(["approval", "approve", waiting[0]["number"].as_str().unwrap()]).success();
        restored(&terminal);
        terminal.wait_for_text("answered");
        finish(terminal);
        let row = world.assert_carried("asked.test");
        assert_eq!(row["record"]["approval"]["via"], "cli", "{row:#}");
    });
}

#[test]
fn a_program_in_pipes_is_asked_about_on_the_terminal() {
    World::each(|world| {
        world.policy("exec: { ask: [\"uname **\"] }\napprovals: { timeout: 50s }");
        let script = "\"$0\" run --policy ../policy.yaml -- sh -c 'uname -s' </dev/null | sed s/^/piped:/; read end";
        let mut terminal = world.home.run("/bin/sh").args(["-c", script]).arg(world.home.binary()).terminal(24, 100);
        terminal.wait_for_text("uname");
        std::thread::sleep(std::time::Duration::from_millis(450));
        terminal.write("a\r");
        terminal.wait_for_text("piped:Linux");
        terminal.write("\r");
        assert!(terminal.wait().success());
    });
}

#[test]
fn init_asks_on_a_terminal_and_takes_no_for_an_answer() {
    for user in bartizan_testkit::User::all() {
        let home = bartizan_testkit::Home::of(user);
        let mut terminal = home.bartizan(["init"]).terminal(24, 100);
        terminal.wait_for_text("[1]:");
        terminal.write("nonsense\r");
        terminal.wait_for_text("none of them");
        terminal.write("3\r");
        assert!(terminal.wait().success(), "{}", terminal.screen());
        let policy = std::fs::read_to_string(home.bartizan_home().join("policies/default.yaml")).unwrap();
        assert!(policy.contains("extends: strict\n"), "{policy}");
        let again = home.bartizan(["init", "--yes"]).success();
        assert!(again.stdout.contains("kept") && !again.stdout.contains("made"), "{again}");

        let home = bartizan_testkit::Home::of(user);
        let mut terminal = home.bartizan(["init"]).terminal(24, 100);
        terminal.wait_for_text("[1]:");
        terminal.write("\x04");
        assert!(!terminal.wait().success());
        assert!(!home.bartizan_home().exists());
    }
}
