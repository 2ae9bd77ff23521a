//! The escape suite inside the real box: every attack fails, and the host is as it was.

use bartizan_testkit::escapes::{self, ESCAPES};
use bartizan_testkit::probe::attempts;
use bartizan_testkit::range::Range;
use bartizan_testkit::{User, eventually};

use crate::world::{PROXY, World, probe};

/// A policy under which the range's own folder can be read and its allowed name reached; limits small enough
/// that reaching them takes no time.
fn policy(world: &World, range: &Range) -> String {
    format!(
        "files: {{ read: [\"{}/**\"] }}\n\
         net:\n  default: deny\n  resolver: \"{}\"\n  allow: [\"{}\", {{ host: rebind.test, ports: \"*\" }}, {{ host: private.test, ports: \"*\" }}]\n\
         env: {{ set: {{ https_proxy: \"{PROXY}\", http_proxy: \"{PROXY}\" }} }}\n\
         limits: {{ memory: 96MiB, pids: 48, open_files: 256 }}\n\
         approvals: {{ timeout: 500ms }}\n",
        range.readonly().display(),
        range.dns.address(),
        bartizan_testkit::range::ALLOWED_NAME,
    )
    .replace("{home}", world.home.user_home().to_str().unwrap())
}

#[test]
fn every_attack_fails_and_the_host_is_as_it_was() {
    World::each(|world| {
        let mut range = Range::new(&world.home);
        world.home.install(probe(), "probe");
        world.policy(&policy(&world, &range));
        let run = range
            .environment()
            .into_iter()
            .fold(world.run(["./probe", "--batch"]), |run, (name, value)| run.env(name, value));
        let output = run.stdin(escapes::script(&range)).success();
        let failures = escapes::judge(&output.stdout);
        assert!(failures.is_empty(), "{failures:#?}\n{output}");
        range.assert_untouched();
        world.verify();
    });
}

#[test]
fn whoever_takes_more_than_their_share_meets_a_limit() {
    World::each(|world| {
        let range = Range::new(&world.home);
        world.home.install(probe(), "probe");
        world.policy(&policy(&world, &range));
        for escape in ESCAPES.iter().filter(|escape| escape.alone) {
            if escape.id == "limit.memory" && world.user() == User::Ordinary {
                continue;
            }
            let arguments = escape.arguments(&range);
            let output = world.run(["./probe"]).args(&arguments).output();
            // A box that was ended has nothing to report, which is a failure of the attack too.
            let reported = attempts(&output.stdout);
            let ended = !output.status.success() && output.stderr.contains("ended the box");
            assert!(ended || escape.failure(&reported).is_none(), "{}\n{output}", escape.id);
            eventually("the box is gone", || world.processes(&[]).iter().all(|(_, line)| line.contains("sleep")));
        }
        world.verify();
    });
}
