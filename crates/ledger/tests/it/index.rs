//! The index: answers what people ask, follows the ledger, and is made again when it doesn't fit.

use std::fs;
use std::time::Duration;

use bartizan_ledger::{Follow, Index, Query, close_unknown};
use bartizan_model::verdict::Effect;
use bartizan_model::{ActionKind, Deed, OutcomeStatus, Record, Refused, RunId};
use jiff::Timestamp;

use crate::support::{Home, action, connect, deed, note, refuse};

fn targets(index: &mut Index, query: Query) -> Vec<String> {
    let rows = index.query(&query).unwrap();
    let target = |record: &Record| match record {
        Record::Noted { message, .. } => message.clone(),
        record => record.action().unwrap().deed.target(),
    };
    rows.iter()
        .map(|row| format!("{}{}", target(&row.entry.record), if row.closed.is_some() { "+" } else { "" }))
        .collect()
}

#[test]
fn answers_by_run_agent_kind_verdict_time_and_text() {
    let home = Home::with_segments(3000);
    let ledger = home.open();
    let (one, two) = (RunId::generate(), RunId::generate());
    deed(&home, &ledger, &action(Some(&one), "coder", connect("a.example")), true);
    deed(&home, &ledger, &action(Some(&two), "tester", connect("b_example")), false);
    let read = Deed::FileRead { path: "/etc/100%".into() };
    refuse(&home, &ledger, &action(Some(&two), "tester", read), Effect::Deny, Refused::Policy);
    let middle = Timestamp::now();
    let by = Refused::Person { by: "alice".into() };
    refuse(&home, &ledger, &action(Some(&one), "coder", connect("C.example")), Effect::Ask, by);
    ledger.append_blocking(Timestamp::now(), &note("hello")).unwrap();
    let mut index = home.index();
    let mut ask = |query| targets(&mut index, query);
    let all = ["a.example:443+", "b_example:443", "/etc/100%", "C.example:443", "hello"];
    assert_eq!(ask(Query::default()), all);
    assert_eq!(ask(Query { run: Some(one), ..Query::default() }), [all[0], all[3]]);
    assert_eq!(ask(Query { agent: Some("tester".into()), ..Query::default() }), [all[1], all[2]]);
    assert_eq!(ask(Query { agent: Some("coding_assistant".into()), ..Query::default() }).len(), 4);
    assert_eq!(ask(Query { kinds: vec![ActionKind::FileRead], ..Query::default() }), [all[2]]);
    assert_eq!(ask(Query { kinds: ActionKind::ALL.to_vec(), ..Query::default() }), all[..4]);
    assert_eq!(ask(Query { verdict: Some(Effect::Allow), ..Query::default() }), [all[0], all[1]]);
    assert_eq!(ask(Query { verdict: Some(Effect::Ask), ..Query::default() }), [all[3]]);
    assert_eq!(ask(Query { verdict: Some(Effect::Deny), ..Query::default() }), [all[2], all[3]]);
    assert_eq!(ask(Query { since: Some(middle), ..Query::default() }), all[3..]);
    assert_eq!(ask(Query { until: Some(middle), ..Query::default() }), all[..3]);
    assert_eq!(ask(Query { text: Some("c.EX".into()), ..Query::default() }), [all[3]]);
    assert_eq!(ask(Query { text: Some("0%".into()), ..Query::default() }), [all[2]]);
    assert_eq!(ask(Query { text: Some("_ex".into()), ..Query::default() }), [all[1]]);
    assert_eq!(ask(Query { text: Some("'; DROP TABLE ledger_entry; --".into()), ..Query::default() }), [""; 0]);
    assert_eq!(ask(Query { limit: 2, ..Query::default() }), all[3..]);
}

#[test]
fn catches_up_and_is_made_again_when_it_does_not_fit() {
    let home = Home::with_segments(1500);
    let ledger = home.open();
    let append = |message: &str| ledger.append_blocking(Timestamp::now(), &note(message)).unwrap();
    for number in 0..10 {
        append(&number.to_string());
        assert_eq!(home.index().catch_up().unwrap(), number + 1);
    }
    drop(ledger);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(home.directory.path().join("state.db")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    // Another ledger in its place, longer than what was indexed.
    let other = Home::new();
    let ledger = other.open();
    for number in 0..20 {
        ledger.append_blocking(Timestamp::now(), &note(&format!("new {number}"))).unwrap();
    }
    drop(ledger);
    fs::remove_dir_all(home.ledger()).unwrap();
    fs::rename(other.ledger(), home.ledger()).unwrap();
    let mut index = home.index();
    let answers = targets(&mut index, Query::default());
    assert_eq!((answers.len(), answers[0].as_str()), (20, "new 0"));
    // Not even a database.
    drop(index);
    fs::write(home.directory.path().join("state.db"), "nonsense".repeat(1000)).unwrap();
    assert_eq!(targets(&mut home.index(), Query::default()).len(), 20);
    assert!(home.directory.path().join("state.damaged").exists());
}

#[test]
fn closes_what_dead_runs_left_open_and_only_that() {
    let home = Home::new();
    let ledger = home.open();
    let (dead, alive) = (RunId::generate(), RunId::generate());
    let lost = action(Some(&dead), "coder", connect("a.example"));
    let lost_seq = deed(&home, &ledger, &lost, false);
    deed(&home, &ledger, &action(Some(&dead), "coder", connect("b.example")), true);
    deed(&home, &ledger, &action(Some(&alive), "coder", connect("c.example")), false);
    deed(&home, &ledger, &action(None, "coder", connect("d.example")), false);
    let mut index = home.index();
    assert_eq!(index.open_actions().unwrap().len(), 3);
    let is_alive = |run: &RunId| *run == alive;
    let closed = close_unknown(&ledger, &mut index, &is_alive, Timestamp::now()).unwrap();
    assert_eq!(closed.len(), 1);
    assert!(close_unknown(&ledger, &mut index, &is_alive, Timestamp::now()).unwrap().is_empty(), "once only");
    let rows = index.query(&Query { action: Some(lost.id), ..Query::default() }).unwrap();
    let Record::Closed { opened, outcome, receipt, .. } = &rows[0].closed.as_ref().unwrap().record else { panic!() };
    assert_eq!((*opened, outcome.status, receipt), (lost_seq, OutcomeStatus::Unknown, &None));
    drop(ledger);
    assert!(home.verify().is_good());
}

#[test]
fn what_ends_while_it_is_looked_at_is_not_closed_twice() {
    let home = Home::new();
    let ledger = home.open();
    let ending = RunId::generate();
    let action = action(Some(&ending), "coder", connect("a.example"));
    let opened = deed(&home, &ledger, &action, false);
    let ends_now = |run: &RunId| {
        let outcome = bartizan_model::Outcome::new(OutcomeStatus::Done);
        let (action_id, run) = (action.id.clone(), Some(run.clone()));
        let record = Record::Closed { action_id, run, opened, outcome, receipt: None };
        ledger.append_blocking(Timestamp::now(), &record).unwrap();
        false
    };
    assert!(close_unknown(&ledger, &mut home.index(), &ends_now, Timestamp::now()).unwrap().is_empty());
}

#[test]
fn follows_what_comes() {
    let home = Home::with_segments(1000);
    let ledger = home.open();
    let append = |ledger: &bartizan_ledger::FileLedger, message: &str| {
        ledger.append_blocking(Timestamp::now(), &note(message)).unwrap();
    };
    (0..10).for_each(|number| append(&ledger, &number.to_string()));
    let mut follow = Follow::start(&mut home.index(), 3).unwrap();
    let seqs = |follow: &mut Follow, count: usize| -> Vec<u64> {
        (0..count).map(|_| follow.next(Some(Duration::from_secs(20))).unwrap().unwrap().seq).collect()
    };
    assert_eq!(seqs(&mut follow, 3), [7, 8, 9]);
    assert_eq!(follow.next(None).unwrap(), None);
    let writer = std::thread::spawn(move || (10..30).for_each(|number| append(&ledger, &number.to_string())));
    assert_eq!(seqs(&mut follow, 20), (10..30).collect::<Vec<_>>());
    writer.join().unwrap();
    assert_eq!(follow.next(None).unwrap(), None);
}
