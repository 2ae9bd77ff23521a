//! Held calls: programs are asked, guarded names are asked, everything else works as without.

use bartizan_sandbox::{Answer, BoxSpec, ExitStatus, Operation, WardenRequest};

use crate::harness::{Place, Said, both, exists, run_with};

/// Runs a box and answers every request with `decide`; gives what was asked.
pub(crate) async fn run_deciding(
    spec: BoxSpec,
    mut decide: impl FnMut(&WardenRequest) -> Answer + Send + 'static,
) -> (Said, Vec<String>) {
    let (told, asked) = tokio::sync::oneshot::channel();
    let said = run_with(spec, |running| {
        let answers = running.answers();
        let (_, empty) = tokio::sync::mpsc::channel(1);
        let mut requests = std::mem::replace(running.requests(), empty);
        tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(request) = requests.recv().await {
                let (id, text) = match &request {
                    WardenRequest::Exec { id, program, argv, .. } => {
                        let argv: Vec<_> = argv.iter().map(|one| one.to_string_lossy()).collect();
                        (*id, format!("exec {} {}", program.display(), argv.join(" ")))
                    }
                    WardenRequest::Write { id, operation, path, .. } => {
                        (*id, format!("{operation:?} {}", path.display()))
                    }
                    _ => continue,
                };
                all.push(text);
                answers.answer(id, decide(&request));
            }
            told.send(all).unwrap();
        });
    })
    .await;
    (said, asked.await.unwrap())
}

fn guarded(place: &Place, script: &str) -> BoxSpec {
    let names = [".envrc", ".git", ".git/hooks/**", ".vscode/tasks.json", "*.plist"];
    BoxSpec { guard_names: names.map(str::to_owned).to_vec(), ..place.spec(&["/bin/sh", "-c", script]) }
}

#[test]
fn asks_for_each_program() {
    both("warden::asks_for_each_program", |place| async move {
        let mut spec = place.spec(&["/bin/sh", "-c", "cat /dev/null; date >/dev/null || echo denied $?"]);
        spec.gate_exec = true;
        let (said, asked) = run_deciding(spec, |request| match request {
            WardenRequest::Exec { program, .. } if program.ends_with("date") => Answer::Deny,
            _ => Answer::Allow,
        })
        .await;
        assert_eq!(said.out, "denied 126\n", "{said:?}");
        // Refused in one directory of PATH, the shell tries the next.
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert!(asked[1].ends_with("/cat cat /dev/null"), "{asked:?}");
    });
}

#[test]
fn a_denied_command_never_starts() {
    both("warden::a_denied_command_never_starts", |place| async move {
        let mut spec = place.spec(&["touch", "made"]);
        spec.gate_exec = true;
        let (said, _) = run_deciding(spec, |_| Answer::Deny).await;
        assert!(matches!(said.report.status, ExitStatus::NotStarted { errno: libc::EACCES, .. }), "{said:?}");
        assert!(!exists(place.work.join("made")));
    });
}

#[test]
fn guarded_names_are_not_made_unasked() {
    both("warden::guarded_names_are_not_made_unasked", |place| async move {
        let script = "
            echo x > .envrc; mkdir .git; mkdir sub; echo x > sub/.ENVRC; ln -s /tmp sub/.git
            mkdir d; mv d .git; ln -s d .vscode; mkdir .vscode; mv d .vscode/tasks.json
            echo y > plain; ln plain .envrc; mv plain .envrc; cp plain a.plist; mknod sub/.envrc p
            mkdir w; echo t > w/tasks.json; mv w .vscode2; mv .vscode2 x/.vscode
            mkdir y; mv y .vscode; exit 0";
        let (said, asked) = run_deciding(guarded(&place, script), |_| Answer::Deny).await;
        assert_eq!(said.report.status, ExitStatus::Exited(0), "{said:?}");
        let mut found: Vec<_> = walk(&place.work);
        found.sort();
        // `mv` into an existing directory moves inside it.
        assert_eq!(
            found,
            [".vscode", ".vscode/y", ".vscode2", ".vscode2/tasks.json", "d", "plain", "sub"],
            "{said:?}\n{asked:#?}"
        );
    });
}

#[test]
fn an_allowed_name_is_made_once_and_only_it() {
    both("warden::an_allowed_name_is_made_once_and_only_it", |place| async move {
        let envrc = place.work.join(".envrc");
        let expected = envrc.clone();
        let (said, asked) = run_deciding(
            guarded(&place, "umask 027; echo x > .envrc; echo y >> .envrc; stat -c %a .envrc"),
            move |request| match request {
                WardenRequest::Write { path, operation: Operation::Create, .. } if *path == expected => Answer::Allow,
                _ => Answer::Deny,
            },
        )
        .await;
        assert_eq!(said.out, "640\n", "{said:?}");
        assert_eq!(asked, [format!("Create {}", envrc.display())]);
        assert_eq!(std::fs::read_to_string(envrc).unwrap(), "x\ny\n");
    });
}

#[test]
fn making_names_works_as_without_a_warden() {
    both("warden::making_names_works_as_without_a_warden", |place| async move {
        let script = r#"
            set -e
            echo a > f; echo b >> f; cat f
            (set -C; ! echo c > f) 2>/dev/null
            mkdir -p a/b/c; mkdir a/d/; mv a/b a/e; ls a
            ln -s ../f a/link; echo d >> a/link; tail -1 f
            ln -s nowhere a/dangling; echo made > a/dangling; cat a/nowhere
            ln f hard; ln -P a/link a/link2; readlink a/link2
            mkfifo p; (cat p > q) & echo through > p; wait; cat q
            echo null > /dev/null; echo out > /dev/stdout; echo fd > /proc/self/fd/1; echo three 3>&1 >/dev/fd/3
            cd a; echo rel > ../rel; cat ../rel; cd ..
            echo 500 > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj
            (umask 077; echo m > masked; mkdir maskdir); stat -c %a masked maskdir
            ! echo x > a/ 2>/dev/null; ! echo x > /usr/x 2>/dev/null; ! echo x > nodir/x 2>/dev/null; ! mkdir a 2>/dev/null
            mv -T a a2; mv f f2 && cat f2 | wc -l
            mktemp -d /tmp/tXXXX >/dev/null
            ! true > /proc/1/mem 2>/dev/null
            rm -r a2; echo end"#;
        let (said, asked) = run_deciding(guarded(&place, script), |_| Answer::Deny).await;
        let expected = "a\nb\nd\ne\nd\nmade\n../f\nthrough\nout\nfd\nthree\nrel\n500\n600\n700\n3\nend\n";
        assert_eq!(said.out, expected, "{said:?}");
        assert_eq!(asked, [""; 0]);
    });
}

#[test]
fn what_stands_above_a_shut_path_is_not_moved_unasked() {
    both("warden::what_stands_above_a_shut_path_is_not_moved_unasked", |place| async move {
        std::fs::create_dir_all(place.work.join("sub/deep")).unwrap();
        std::fs::write(place.work.join("sub/deep/settings"), "x").unwrap();
        let script = "mv sub other; mv sub/deep sub/d; mkdir other; mv other sub/o; mkdir -p sub/deep; echo y > sub/deep/settings; true";
        let mut spec = place.spec(&["/bin/sh", "-c", script]);
        spec.readonly = vec![place.work.join("sub/deep/settings")];
        let (said, asked) = run_deciding(spec, |_| Answer::Deny).await;
        let path = |name: &str| format!("Rename {}", place.work.join(name).display());
        assert_eq!(asked, [path("sub"), path("sub/deep")], "{said:?}");
        assert_eq!(std::fs::read_to_string(place.work.join("sub/deep/settings")).unwrap(), "x");
    });
}

fn walk(base: &std::path::Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut todo = vec![base.to_path_buf()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            all.push(entry.path().strip_prefix(base).unwrap().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            }
        }
    }
    all
}
