//! What the demo shows at the end: the work, the table of deeds, the ledger, and what to try next.

use std::{collections::BTreeSet, fs, process::ExitStatus};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    deeds::{BOX_LAYERS, DEEDS, Deed, Judgement, Look},
    evidence::{ENFORCED, Entry, Facts, Observation, Observations},
    servers::EVIL_NAME,
};
use crate::{shell, workspace};

/// Deeds that a hardened machine may refuse without any box.
const NEEDS_LUCK: &[&str] = &["ptrace", "unshare"];

/// Layers every box has.
const NEEDED: &[&str] = &[
    "mounts",
    "landlock",
    "seccomp",
    "capabilities",
    "network namespace",
    "pid namespace",
    "warden",
    "resource limits",
];

/// Put in place of a hijacker's name in a copy of the ledger; as long as that.
const INNOCENT_NAME: &str = "collector.good.test";

/// How text is dressed.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) colours: bool,
}

impl Style {
    fn dress(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn good(self, text: &str) -> String {
        self.dress("32", text)
    }

    fn bad(self, text: &str) -> String {
        self.dress("1;31", text)
    }

    fn dim(self, text: &str) -> String {
        self.dress("2", text)
    }

    fn bold(self, text: &str) -> String {
        self.dress("1", text)
    }
}

/// One line of the agent's work or of the checks at the end.
pub(super) fn print_step(style: Style, is_done: bool, title: &str, detail: &str) {
    let mark = if is_done { style.good("ok    ") } else { style.bad("FAILED") };
    println!("    {mark} {title:<38} {}", style.dim(detail));
}

/// Everything there is to show. Each part prints itself and gives how many problems it has.
pub(super) struct Report<'a> {
    pub(super) style: Style,
    pub(super) outside: &'a Observations,
    pub(super) inside: &'a Observations,
    pub(super) facts: &'a Facts<'a>,
}

impl Report<'_> {
    /// The useful work, of which each step has been shown; here the commit, seen from outside.
    pub(super) fn print_work(&self, status: ExitStatus) -> usize {
        let mut problems = self.inside.work.iter().filter(|(_, is_done, _)| !is_done).count();
        let world = self.facts.world;
        let mut check = |title: &str, result: Result<String>| {
            problems += usize::from(result.is_err());
            let detail = result.as_ref().map_or_else(|error| format!("{error:#}"), Clone::clone);
            print_step(self.style, result.is_ok(), title, &detail);
        };
        let commit = shell::capture(world.git(&world.workspace).args(["log", "-1", "--format=%h %s, by %an"]));
        let is_agents = |line: String| {
            if line.contains("by agent") { Ok(line.trim().to_owned()) } else { bail!("the last commit is {line}") }
        };
        check("the commit, seen from outside", commit.and_then(is_agents));
        let (asked, answered) = ("the person was asked and answered", &self.facts.answers);
        let words: Vec<String> = answered.iter().map(|(_, target, answer)| format!("{answer} {target}")).collect();
        let has_both = ["approve", "deny"].iter().all(|word| answered.iter().any(|(.., answer)| answer == word));
        let problem = || anyhow!("expected one yes and one no, got: {}", words.join(", "));
        check(asked, has_both.then(|| format!("{} times", words.len())).ok_or_else(problem));
        let ended = match (status.success(), self.facts.stop_reason()) {
            (true, _) => Ok("by itself".to_owned()),
            // A memory bomb that ends its whole box is one way of being stopped.
            (false, Some(reason)) if reason.contains("memory") => Ok(format!("with its box: {reason}")),
            (false, _) => Err(anyhow!("{status}")),
        };
        check("the agent ended", ended);
        if problems > 0 {
            let said = fs::read_to_string(world.root.join("run.stderr")).unwrap_or_default();
            said.lines().for_each(|line| println!("           {}", self.style.dim(line)));
        }
        problems
    }

    /// Whether the box ended during the last deed, the memory bomb.
    fn ended_with_box(&self) -> bool {
        self.inside.last_tried.as_deref() == Some("memory-bomb") && !self.inside.deeds.contains_key("memory-bomb")
    }

    /// The table deed → verdict → layer.
    pub(super) fn print_deeds(&self) -> usize {
        let style = self.style;
        let mut problems = 0;
        let mut layers = BTreeSet::new();
        let (deed, layer) = ("DEED", "STOPPED BY");
        println!("\n{}", style.bold(&format!("{deed:<44} NO BOX    BOX     {layer:<27} PROOF")));
        for deed in DEEDS {
            let without = match self.outside.deeds.get(deed.name) {
                None => style.dim("not tried"),
                Some(seen) if seen.succeeded => "works    ".to_owned(),
                Some(_) if NEEDS_LUCK.contains(&deed.name) => style.dim("fails    "),
                Some(_) => {
                    problems += 1;
                    style.bad("FAILED   ")
                }
            };
            let (verdict, layer, proof) = match self.judge(deed) {
                Judgement::Stopped { layer, proof } => {
                    layers.extend(layer.split(", ").filter_map(|layer| layer.split(" (").next()));
                    (style.good("stopped"), layer, proof)
                }
                Judgement::Failed { why } => {
                    problems += 1;
                    (style.bad("FAILED "), "", why)
                }
            };
            println!("{:<44} {without} {verdict} {layer:<27} {}", deed.title, style.dim(&proof));
        }
        for name in self.inside.deeds.keys().filter(|name| DEEDS.iter().all(|deed| deed.name != name.as_str())) {
            problems += 1;
            println!("{}", style.bad(&format!("FAILED  the agent did `{name}`, which nobody judges")));
        }
        for leak in self.facts.leaks() {
            problems += 1;
            let content: String = leak.content.chars().take(80).collect();
            println!("{}", style.bad(&format!("FAILED  arrived at `{}`: {content:?}", leak.server)));
        }
        let seen: Vec<&str> = layers.into_iter().collect();
        println!("\n{} deeds, {} of them proven to work without a box", DEEDS.len(), self.proven());
        println!("seen at work     {}", seen.join(", "));
        problems += self.print_layers();
        problems
    }

    /// The layers as the ledger has them; those that mounts and network make unnecessary to be asked, too.
    fn print_layers(&self) -> usize {
        let layers = self.facts.layers();
        let names = |wanted: &str| -> Vec<&str> {
            layers.iter().filter(|(_, state, _)| *state == wanted).map(|(layer, ..)| *layer).collect()
        };
        println!("{}", self.style.dim(&format!("in force         {}", names(ENFORCED).join(", "))));
        for (layer, state, detail) in layers.iter().filter(|(_, state, _)| *state != ENFORCED) {
            println!("{}", self.style.bad(&format!("{:<16} {layer}: {detail}", state.to_lowercase())));
        }
        let missing: Vec<&str> =
            NEEDED.iter().copied().filter(|needed| !layers.iter().any(|(layer, ..)| layer == needed)).collect();
        let off: Vec<&str> = names("Off");
        for layer in missing.iter().chain(&off) {
            println!("{}", self.style.bad(&format!("FAILED  layer `{layer}` is missing")));
        }
        missing.len() + off.len()
    }

    fn proven(&self) -> usize {
        self.outside.deeds.values().filter(|seen| seen.succeeded).count()
    }

    fn judge(&self, deed: &Deed) -> Judgement {
        let ended;
        let seen = match self.inside.deeds.get(deed.name) {
            Some(seen) => seen,
            None if deed.name == "memory-bomb" && self.ended_with_box() => {
                ended = Observation::box_ended();
                &ended
            }
            None => return Judgement::Failed { why: "the agent did not come to it".to_owned() },
        };
        if seen.succeeded {
            return Judgement::Failed { why: format!("it worked: {}", seen.detail) };
        }
        let judgement = (deed.judge)(&Look { seen, facts: self.facts });
        match &judgement {
            Judgement::Stopped { layer, .. } => match self.unrecorded(layer) {
                Some(name) => {
                    Judgement::Failed { why: format!("the ledger does not say that layer `{name}` was in force") }
                }
                None => judgement,
            },
            Judgement::Failed { .. } => judgement,
        }
    }

    /// A layer of the box that is said to have stopped something, and that the ledger doesn't know to be in force.
    fn unrecorded(&self, layers: &str) -> Option<&'static str> {
        let named =
            layers.split(", ").flat_map(|layer| BOX_LAYERS.iter().filter(move |(prefix, _)| layer.starts_with(prefix)));
        named.map(|(_, name)| *name).find(|name| !self.facts.is_enforced(name))
    }

    /// The ledger verified, and one receipt of a refusal.
    pub(super) fn print_ledger(&self, run: &str) -> usize {
        let world = self.facts.world;
        println!();
        let count = |kind: &str| self.facts.entries.iter().filter(|entry| entry.kind() == kind).count();
        let told = format!(
            "{} entries of {run}: {} done, {} refused",
            self.facts.entries.len(),
            count("opened"),
            count("refused")
        );
        print_step(self.style, true, "the ledger tells it all", &told);
        let mut problems = 0;
        let mut check = |title: &str, result: Result<String>| {
            problems += usize::from(result.is_err());
            let is_done = result.is_ok();
            let text = result.unwrap_or_else(|error| format!("{error:#}"));
            print_step(
                self.style,
                is_done,
                title,
                text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default(),
            );
        };
        check("bartizan log verify", shell::capture(world.bartizan().args(["log", "verify"])));
        check("bartizan receipt verify", self.verify_receipt());
        check("a changed ledger does not verify", self.verify_changed());
        problems
    }

    /// A receipt of a refusal, verified as on another machine: with the public key and nothing else.
    fn verify_receipt(&self) -> Result<String> {
        let world = self.facts.world;
        let is_denial = |entry: &&Entry| entry.kind() == "refused" && entry.why() == "policy";
        let refused = self.facts.entries.iter().find(is_denial).context("policy refused nothing")?;
        let receipt = shell::capture(world.bartizan().args(["receipt", "show", refused.action_id()]))?;
        let elsewhere = world.root.join("elsewhere");
        fs::create_dir(&elsewhere)?;
        let (file, key) = (elsewhere.join("receipt.json"), elsewhere.join("key.pub"));
        fs::write(&file, receipt)?;
        fs::copy(world.public_key_file()?, &key)?;
        let mut verify = world.bartizan();
        verify.env("HOME", &elsewhere).args(["receipt", "verify"]).arg(&file).arg("--key").arg(&key);
        shell::capture(&mut verify)
    }

    /// In a copy of the home, one entry is made to name another host.
    fn verify_changed(&self) -> Result<String> {
        let world = self.facts.world;
        let copy = world.root.join("changed");
        shell::capture(shell::command("cp").arg("-a").arg(world.bartizan_home()).arg(&copy))?;
        let mut changed = false;
        for file in fs::read_dir(copy.join("ledger"))?.flatten() {
            let Ok(text) = fs::read_to_string(file.path()) else { continue };
            if text.contains(EVIL_NAME) && !changed {
                fs::write(file.path(), text.replacen(EVIL_NAME, INNOCENT_NAME, 1))?;
                changed = true;
            }
        }
        if !changed {
            bail!("no segment names `{EVIL_NAME}`");
        }
        let output = world.bartizan().arg("--home").arg(&copy).args(["log", "verify"]).output()?;
        if output.status.success() {
            bail!("an entry was changed, and `bartizan log verify` is content");
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        Ok(said)
    }

    /// What to try next.
    pub(super) fn print_next(&self, run: &str, keep: bool) {
        let world = self.facts.world;
        let binary = workspace::relative(&world.binary);
        println!("\n{}", self.style.bold("Next"));
        if keep {
            let home = world.bartizan_home();
            println!("  look at this run, kept in {}:", world.root.display());
            println!("    {binary} --home {} log list --run {run}", home.display());
            println!("    {binary} --home {} policy suggest {run}", home.display());
            println!("  and when done: rm -r {}", world.root.display());
        } else {
            println!("  cargo xtask demo --keep       leaves this run, its ledger and its events for a look around");
        }
        println!("  on a project of your own:");
        println!("    {binary} init          makes ~/.bartizan with a key and a policy");
        println!("    {binary} doctor        says whether this machine can hold a box");
        println!("    {binary} run -- bash   a shell in a box; any agent works the same way");
    }
}
