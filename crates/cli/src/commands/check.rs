//! `bartizan check`: decisions for anything that wants one, over pipes.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use bartizan_api::check::{CheckAnswer, CheckRequest, LINE_BYTES_MAX};
use bartizan_gate::Judged;
use bartizan_model::{Action, ActionId, Principal, PrincipalKind};
use bartizan_scan::Redactor;
use clap::Args;

use crate::account::Account;
use crate::home::Home;
use crate::output;
use crate::policies::{Choice, Policies};
use crate::reload::{Change, Reloader};
use crate::wiring::{Trust, wire};

/// Decide actions read from standard input, one JSON object a line
///
/// Reads lines like {"kind":"net.connect","host":"example.com","port":443}, or
/// {"id":1,"session":"s","action":{…}}, and answers each with one line: effect (allow, ask, deny), risk, rule,
/// reason and the policy's digest, or an error. Whoever gets no verdict must deny. Every decision is
/// recorded in the ledger. Lines of one `session` share what they read, did and used up. With "redact":true the
/// asker promises to carry out `redacted` of the answer, where it has one, instead of the action; without it
/// what policy wants taken out of content is denied.
#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    choice: Choice,
    /// The name of whoever acts, as it stands in the ledger
    #[arg(long, value_name = "NAME", default_value = "check")]
    agent: String,
}

impl Check {
    pub fn run(self, home: Option<&Path>) -> anyhow::Result<ExitCode> {
        let home = Home::open(home)?;
        let policies = Policies::load(&home, &self.choice, &std::env::current_dir()?)?;
        let trust = Trust::open(&home)?;
        let wired = wire(&home, &trust, policies.set.clone(), Vec::new())?;
        let principal = Principal {
            kind: PrincipalKind::Agent,
            name: self.agent,
            persona: policies.persona.clone(),
            account: Some(Account::current().name),
            proof: "stdin".into(),
        };
        let mut reloader = Reloader::new(home.clone(), self.choice, policies);
        let redactor = Redactor::standard();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let mut input = BufReader::new(io::stdin().lock());
        let mut failed = false;
        while let Some(line) = next_line(&mut input)? {
            if let Some(change) = reloader.look_if_due() {
                let message = match change {
                    Change::Better(loaded) => {
                        wired.decider.swap(loaded.set.clone());
                        format!("the policy is now {}", loaded.describe())
                    }
                    Change::Broken(problem) => problem,
                };
                eprintln!("bartizan: {}", output::short(&message, 1000));
                let _ = runtime.block_on(wired.gate.note(None, "policy.reload", &message, BTreeMap::new()));
            }
            let answer = match line.and_then(|line| CheckRequest::parse(&line)) {
                Ok(CheckRequest { id, session, instructions, trusted, redact, deed }) => {
                    let action = Action {
                        id: ActionId::generate(),
                        deed,
                        principal: principal.clone(),
                        run: None,
                        session,
                        process: None,
                    };
                    let memory = wired.decider.session_of(&action);
                    instructions.iter().for_each(|text| memory.instruct(text));
                    trusted.iter().for_each(|value| memory.trust(value));
                    let judged = runtime.block_on(async {
                        if redact {
                            return wired.gate.judge_redactable(action).await;
                        }
                        let verdict = wired.gate.judge(action).await?;
                        Ok(Judged { verdict, redacted: None })
                    });
                    match judged {
                        Ok(Judged { verdict, redacted }) => {
                            CheckAnswer { id, verdict: Some(verdict), redacted, error: None }
                        }
                        Err(refusal) => {
                            CheckAnswer { id, verdict: None, redacted: None, error: Some(refusal.to_string()) }
                        }
                    }
                }
                Err(error) => {
                    let error = Some(redactor.redact(&error).into_owned());
                    CheckAnswer { id: None, verdict: None, redacted: None, error }
                }
            };
            failed |= answer.error.is_some();
            output::print_json_line(&answer)?;
            io::stdout().flush()?;
        }
        wired.ledger.close();
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

/// The next line that isn't empty, or what is wrong with it; `None` at the end.
fn next_line(input: &mut impl BufRead) -> anyhow::Result<Option<Result<Vec<u8>, String>>> {
    loop {
        let mut line = Vec::new();
        let read = input
            .by_ref()
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line)
            .context("failed to read standard input")?;
        if read == 0 {
            return Ok(None);
        }
        let whole = line.last() == Some(&b'\n');
        if line.len() > LINE_BYTES_MAX && !whole {
            skip_line(input)?;
            return Ok(Some(Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"))));
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            return Ok(Some(Ok(text.to_vec())));
        }
    }
}

fn skip_line(input: &mut impl BufRead) -> anyhow::Result<()> {
    loop {
        let buffer = input.fill_buf().context("failed to read standard input")?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let consumed = end.map_or(buffer.len(), |end| end + 1);
        input.consume(consumed);
        if end.is_some() {
            return Ok(());
        }
    }
}
