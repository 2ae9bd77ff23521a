//! `cargo xtask demo`: set up, build the release binary, and run the product's main job on real input.
//!
//! A hijacked agent works in a clone of this checkout, first without a box, on a scratch home, to prove that each of
//! its hostile deeds would work; then in a box. Three independent witnesses say what became of each deed: the agent,
//! the servers and files, and the ledger. If they don't show which layer stopped it, the demo fails.

mod deeds;
mod evidence;
mod person;
mod report;
mod servers;
mod world;

use std::{
    fs,
    io::{BufRead, BufReader, IsTerminal},
    path::PathBuf,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail};

use self::{
    evidence::{Facts, Observations},
    person::Person,
    report::{Report, Style},
    servers::Servers,
    world::World,
};
use crate::{setup, shell, workspace};

const USAGE: &str = "usage: cargo xtask demo [--keep] [--binary PATH]

  --keep         leave the scratch directory for a look around
  --binary PATH  run this `bartizan` instead of building one";

/// The agent's and the plan's place in a project.
const AGENT: &str = ".agent/agent.py";
const PLAN: &str = ".agent/plan.json";

struct Options {
    keep: bool,
    binary: Option<PathBuf>,
}

pub(crate) fn demo(arguments: &[&str]) -> Result<()> {
    let options = parse(arguments)?;
    setup::setup(setup::Purpose::DEMO)?;
    let binary = match options.binary {
        Some(binary) => binary,
        None => build()?,
    };
    let style = Style { colours: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() };
    let world = World::create(&binary, options.keep)?;
    println!("demo: a scratch home with secrets and projects in {}", world.root.display());
    world.clone_projects()?;
    shell::run(world.bartizan().args(["init", "--yes"]))?;
    let abstract_name = format!("bartizan-demo-{}", world::random_hex(4)?);
    let servers = Servers::start(&world.docker_socket(), &abstract_name)?;
    world.write_policy(&servers)?;
    world.write_plans(&servers)?;
    check_machine(&world)?;

    println!("\ndemo: the agent without a box: which of its deeds would work here?");
    let outside = run_outside(&world)?;
    servers.arrivals()?;
    world.restore_other_project()?;

    println!("\ndemo: the same agent in a box");
    let policy_before = fs::read_to_string(world.policy_file())?;
    let person = Person::arrive(&world)?;
    let (observations, status) = run_inside(&world, style)?;
    let answers = person.leave();
    let run = run_identifier(&world)?;
    let listed = shell::capture(world.bartizan().args(["log", "list", "--run", &run, "--limit", "1000", "--json"]))?;
    let facts = Facts {
        arrivals: servers.arrivals()?,
        entries: evidence::read_entries(&listed)?,
        world: &world,
        servers: &servers,
        answers,
        policy_before,
    };
    let report = Report { style, outside: &outside, inside: &observations, facts: &facts };
    let mut problems = report.print_work(status);
    problems += report.print_deeds();
    problems += report.print_ledger(&run);
    report.print_next(&run, options.keep);
    if problems > 0 {
        bail!("{problems} of the above went wrong; see the lines marked FAILED");
    }
    Ok(())
}

fn parse(arguments: &[&str]) -> Result<Options> {
    let mut options = Options { keep: false, binary: None };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match *argument {
            "--keep" => options.keep = true,
            "--binary" => {
                let path = rest.next().with_context(|| format!("`--binary` wants a path\n{USAGE}"))?;
                options.binary = Some(fs::canonicalize(path).with_context(|| format!("there is no `{path}`"))?);
            }
            other => bail!("`{other}` is not understood\n{USAGE}"),
        }
    }
    Ok(options)
}

fn build() -> Result<PathBuf> {
    println!("demo: building the release binary");
    shell::run(shell::cargo().args(["build", "--release", "--locked", "--package", "bartizan-cli"]))?;
    Ok(workspace::target().join("release/bartizan"))
}

/// Where this machine can't hold a box, `doctor` says how to mend it, and there is nothing to show.
fn check_machine(world: &World) -> Result<()> {
    let shown = world.bartizan().arg("doctor").output().context("failed to start `bartizan doctor`")?;
    if !shown.status.success() {
        print!("{}", String::from_utf8_lossy(&shown.stdout));
        eprint!("{}", String::from_utf8_lossy(&shown.stderr));
        bail!("this machine can't hold a box yet; mend what `bartizan doctor` shows above, then run this again");
    }
    Ok(())
}

/// The system's Python rather than one of a version manager in somebody's home, which no box shows.
fn python() -> &'static str {
    let system = "/usr/bin/python3";
    if shell::is_executable(system.as_ref()) { system } else { "python3" }
}

fn run_outside(world: &World) -> Result<Observations> {
    let mut command = shell::command(python());
    world.dress(&mut command);
    let output = shell::capture(command.current_dir(&world.outside).args([AGENT, PLAN, "outside"]))?;
    let observations = Observations::parse(&output);
    let worked = observations.deeds.values().filter(|seen| seen.succeeded).count();
    println!("    {worked} of {} deeds worked", observations.deeds.len());
    Ok(observations)
}

fn run_inside(world: &World, style: Style) -> Result<(Observations, ExitStatus)> {
    println!("    $ bartizan run --policy demo.yaml --json-events 3 -- python3 {AGENT} {PLAN}   3>events.jsonl");
    let complaints = fs::File::create(world.root.join("run.stderr"))?;
    // A shell opens the descriptor of the events.
    let mut command = shell::command("sh");
    world.dress(&mut command);
    command.current_dir(&world.workspace).args(["-c", "exec \"$@\" 3>\"$0\""]).arg(world.root.join("events.jsonl"));
    command.arg(&world.binary).args(["run", "--name", "hijacked-agent", "--json-events", "3", "--policy"]);
    command.arg(world.policy_file()).args(["--", python(), AGENT, PLAN]);
    let mut child = command.stdout(Stdio::piped()).stderr(complaints).spawn().context("failed to start `sh`")?;
    let output = child.stdout.take().context("the agent has no output")?;
    let mut observations = Observations::default();
    let mut shown = 0;
    for line in BufReader::new(output).lines() {
        observations.read(&line?);
        if let Some((title, is_done, detail)) = observations.work.get(shown) {
            shown += 1;
            report::print_step(style, *is_done, title, detail);
        }
    }
    Ok((observations, child.wait()?))
}

/// The run's identifier, from the stream of its events.
fn run_identifier(world: &World) -> Result<String> {
    let events = fs::read_to_string(world.root.join("events.jsonl"))?;
    let said = || fs::read_to_string(world.root.join("run.stderr")).unwrap_or_default();
    events
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|event| event.pointer("/record/action/run")?.as_str().map(str::to_owned))
        .with_context(|| format!("the box did not start:\n{}", said().trim()))
}
