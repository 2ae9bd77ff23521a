//! The escape suite inside the real box: every attack fails, is recorded, and leaves the host as it was.

use std::time::Duration;

use bartizan_testkit::escapes::{self, CONTROL, ESCAPES};
use bartizan_testkit::probe::attempts;
use bartizan_testkit::range::{ALLOWED_NAME, Range, SECRET, host_address};
use bartizan_testkit::{Run, eventually};

use crate::world::{PROXY, World, probe};

/// What an attack could lean on is allowed as far as it is ordinary: names on every port, a folder to read, a server for
/// some requests, and a proxy for those that ask for one. Questions that nobody answers are denied soon.
fn policy(range: &Range) -> String {
    format!(
        "files: {{ read: [\"{}/**\"] }}\n\
         net:\n  default: deny\n  resolver: \"{}\"\n  allow:\n\
         \x20   - {{ host: {ALLOWED_NAME}, ports: \"*\" }}\n\
         \x20   - {{ host: rebind.test, ports: \"*\" }}\n\
         \x20   - {{ host: private.test, ports: \"*\" }}\n\
         \x20   - {{ host: open.test, ports: {}, private: true, http: [{{ method: GET, path: \"/public/**\" }}] }}\n\
         env: {{ set: {{ https_proxy: \"{PROXY}\", http_proxy: \"{PROXY}\" }} }}\n\
         limits: {{ memory: 192MiB, pids: 64, open_files: 256, file_size: 256MiB }}\n\
         approvals: {{ timeout: 500ms }}\n",
        range.readonly().display(),
        range.dns.address(),
        range.http.port(),
    )
}

/// A range around a world, under that policy, with the probe in the workspace.
fn set_up(world: &World) -> Range {
    let range = Range::new(&world.home);
    world.home.install(probe(), "probe");
    world.policy(&policy(&range));
    range
}

/// The probe in a box, started by somebody whose environment holds a secret and ways to the host.
fn attack(world: &World, range: &Range, arguments: &[String]) -> Run {
    let run = world.run(["./probe"]).args(arguments);
    range.environment().into_iter().fold(run, |run, (name, value)| run.env(name, value))
}

#[test]
fn every_attack_fails_and_the_host_is_as_it_was() {
    World::each(|world| {
        let mut range = set_up(&world);
        // Without this the network's cases could fail for a dull reason.
        let control = attack(&world, &range, &CONTROL.arguments(&range)).success();
        assert_eq!(CONTROL.failure(&attempts(&control.stdout)), None, "{control}");

        let output = attack(&world, &range, &["--batch".to_owned()]).stdin(escapes::script(&range)).success();
        let failures = escapes::judge(&output.stdout);
        assert!(failures.is_empty(), "{failures:#?}\n{output}");
        assert!(!output.stdout.contains(SECRET), "the secret was seen inside: {output}");
        range.assert_untouched();

        let refused: String = world
            .rows()
            .iter()
            .filter(|row| row["record"]["type"] == "refused")
            .map(|row| row["record"]["action"]["deed"].to_string())
            .collect();
        for tried in
            ["169.254.169.254", "exfil.test", &host_address().to_string(), "evilallowed.test", "/private", ".envrc"]
        {
            assert!(refused.contains(tried), "`{tried}` isn't recorded as refused: {refused}");
        }
        world.verify();
    });
}

#[test]
fn whoever_takes_more_than_their_share_meets_a_limit() {
    World::each(|world| {
        let range = set_up(&world);
        for escape in ESCAPES.iter().filter(|escape| escape.alone) {
            // A million files take their time where the machine is busy.
            let attack = attack(&world, &range, &escape.arguments(&range)).deadline(Duration::from_secs(240));
            let output = attack.output();
            // A box that was ended has nothing to report, which is a failure of the attack too.
            let ended = !output.status.success() && output.stderr.contains("ended the box");
            let failure = escape.failure(&attempts(&output.stdout));
            assert!(ended || failure.is_none(), "{failure:?}\n{output}");
            eventually("the box is gone", || world.processes(&[]).iter().all(|(_, line)| line.contains("sleep")));
        }
        // Whatever it was, the next one starts as if nothing had been.
        world.run(["true"]).success();
        world.verify();
    });
}
