//! Ordinary tools work unchanged. A tool that the machine does not have is named and passed over.

use std::path::{Path, PathBuf};

use bartizan_sandbox::{Answer, BoxSpec, LayerState, Stdio, prepare, probe};

use crate::harness::{Place, both, exists, run_to_end};
use crate::warden::run_deciding;

fn spec(place: &Place, script: &str) -> BoxSpec {
    BoxSpec {
        gate_exec: true,
        guard_names: vec![".envrc".to_owned(), ".vscode/**".to_owned()],
        ..place.spec(&["/bin/bash", "-c", script])
    }
}

fn has(program: &str) -> bool {
    let there =
        ["/usr/bin", "/usr/local/bin", "/bin"].iter().any(|directory| exists(Path::new(directory).join(program)));
    if !there {
        println!("skipped: no {program} here");
    }
    there
}

async fn works(place: &Place, script: &str, expected: &str) {
    let (said, _) = run_deciding(spec(place, script), |_| Answer::Allow).await;
    assert_eq!(said.out, expected, "{said:?}");
}

#[test]
fn git_and_a_shell() {
    both("tools::git_and_a_shell", |place| async move {
        if has("git") {
            let script = "set -e; export GIT_CONFIG_NOSYSTEM=1; git init -q repo; cd repo; git config user.email a@b; git config user.name a
                echo hello > file; git add file; git commit -q -m one; git log --format=%s; git status --short
                cd ..; git clone -q repo copy; cat copy/file; git -C copy gc -q; cd copy; git checkout -q -b other; ls .git/hooks | grep -c sample";
            let samples = if exists("/usr/share/git-core/templates/hooks") {
                std::fs::read_dir("/usr/share/git-core/templates/hooks").unwrap().count()
            } else {
                0
            };
            works(&place, script, &format!("one\nhello\n{samples}\n")).await;
        }
    });
}

#[test]
fn interpreters_and_compilers() {
    both("tools::interpreters_and_compilers", |place| async move {
        if exists("/usr/bin/python3") {
            let script = "/usr/bin/python3 -c 'import os,subprocess,threading,socket,multiprocessing,tempfile
t=threading.Thread(target=lambda: print(\"thread\", flush=True)); t.start(); t.join()
print(subprocess.run([\"echo\",\"child\"],capture_output=True,text=True).stdout, end=\"\", flush=True)
tempfile.NamedTemporaryFile().close(); socket.socketpair()'; /usr/bin/python3 -m venv --without-pip v && echo venv";
            works(&place, script, "thread\nchild\nvenv\n").await;
        }
        if exists("/usr/bin/node") {
            let script = "/usr/bin/node -e 'require(\"fs\").writeFileSync(\"n\",\"x\"); require(\"child_process\").execSync(\"echo node\",{stdio:\"inherit\"})'";
            works(&place, script, "node\n").await;
        }
        if has("gcc") {
            let script = "echo 'int main(void){return 3;}' > a.c && gcc a.c -o a && ./a; echo $?";
            works(&place, script, "3\n").await;
        }
    });
}

#[test]
fn go_and_cargo() {
    both("tools::go_and_cargo", |place| async move {
        if exists("/usr/local/go/bin/go") {
            let script = "export PATH=$PATH:/usr/local/go/bin GOFLAGS=-mod=mod GOTOOLCHAIN=local; mkdir g && cd g && go mod init x >/dev/null 2>&1
                printf 'package main\\nimport \"fmt\"\\nfunc main(){fmt.Println(\"go\")}\\n' > main.go && go run main.go";
            works(&place, script, "go\n").await;
        }
        let Some(home) = std::env::var_os("HOME").map(PathBuf::from) else { return };
        let (cargo, rustup) = (home.join(".cargo"), home.join(".rustup"));
        // An ordinary user cannot look into root's home.
        if std::fs::read_dir(&rustup).is_err() {
            println!("skipped: no toolchain of this user's");
            return;
        }
        let script = format!(
            "export RUSTUP_HOME={} CARGO_HOME=$HOME/c PATH={}/bin:$PATH; cargo new -q --vcs none hello && cd hello && cargo run -q --offline",
            rustup.display(),
            cargo.display()
        );
        let mut spec = spec(&place, &script);
        spec.read.extend([cargo, rustup]);
        let (said, _) = run_deciding(spec, |_| Answer::Allow).await;
        assert_eq!(said.out, "Hello, world!\n", "{said:?}");
    });
}

#[test]
fn a_terminal_of_the_box_s_own() {
    both("tools::a_terminal_of_the_box_s_own", |place| async move {
        use std::io::{Read, Write};
        let script =
            "tty; stty size; echo again > /dev/tty; echo err > /dev/stderr; read line; echo got $line; sleep 1000";
        let mut spec = spec(&place, script);
        spec.gate_exec = false;
        spec.stdio = Stdio::Terminal { rows: 33, columns: 44 };
        let mut prepared = prepare(spec).unwrap();
        let terminal = prepared.terminal().unwrap().unwrap();
        let running = prepared.start(&bartizan_testkit::gate::admitted("test").await).await.unwrap();
        let mut terminal = std::fs::File::from(terminal);
        let ended = tokio::task::spawn_blocking(move || {
            let mut seen = Vec::new();
            let mut read_until = |terminal: &mut std::fs::File, end: &str| {
                let mut buffer = [0; 1024];
                while !String::from_utf8_lossy(&seen).contains(end) {
                    let read = terminal.read(&mut buffer).unwrap();
                    seen.extend_from_slice(&buffer[..read]);
                }
            };
            read_until(&mut terminal, "err");
            terminal.write_all(b"input\r").unwrap();
            read_until(&mut terminal, "got input");
            // The terminal turns it into a signal for the foreground.
            terminal.write_all(b"\x03").unwrap();
            let mut rest = Vec::new();
            let _ = terminal.read_to_end(&mut rest);
            String::from_utf8_lossy(&seen).into_owned()
        });
        let report = running.wait().await;
        let seen = ended.await.unwrap();
        assert!(seen.starts_with("/dev/pts/0\r\n33 44\r\nagain\r\nerr\r\n"), "{seen:?}");
        assert!(matches!(report.status, bartizan_sandbox::ExitStatus::Signaled(2)), "{report:?}");
    });
}

#[test]
fn every_layer_is_named_and_the_probe_agrees() {
    both("tools::every_layer_is_named_and_the_probe_agrees", |place| async move {
        let mut prepared = prepare(spec(&place, "true")).unwrap();
        let layers = prepared.layers().unwrap();
        let off: Vec<_> = layers.iter().filter(|status| status.state == LayerState::Off).collect();
        assert!(layers.len() >= 15 && off.is_empty(), "{layers:#?}");
        drop(prepared);
        let bad: Vec<_> = probe(&place.work).into_iter().filter(|one| one.required && !one.ok).collect();
        assert!(bad.is_empty(), "{bad:#?}");
        assert_eq!(std::fs::read_dir(&place.work).unwrap().count(), 0);
    });
}

#[test]
fn a_filesystem_without_idmapped_mounts_is_refused() {
    crate::harness::as_root(|place| async move {
        let tree = PathBuf::from("/proc/self/attr");
        let other = if exists("/sys/kernel/mm") { PathBuf::from("/sys/kernel/mm") } else { tree };
        let mut spec = place.spec(&["true"]);
        spec.write.push(other);
        let error = prepare(spec).unwrap_err().to_string();
        assert!(error.contains("identity") && error.contains("idmapped"), "{error}");
        assert_eq!(run_to_end(place.spec(&["true"])).await.ok(), "");
    });
}
