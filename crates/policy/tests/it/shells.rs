//! The reader of shell text against real shells: where it lets a text start, no shell finds another command in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use bartizan_model::{Deed, Effect};

use crate::commands::set;

/// Pieces that texts are made of. Nothing calls itself, loops without end or names a file elsewhere.
const PIECES: &[&str] = &[
    "a",
    "a",
    "a",
    "b",
    "v",
    "v",
    "v",
    " ",
    " ",
    " ",
    ";",
    "; ",
    "\n",
    "\n",
    " && ",
    " || ",
    " | ",
    " |& ",
    " & ",
    "(",
    ")",
    "{ ",
    "; }",
    "'",
    "\"",
    "`",
    "$(",
    "<(",
    "\\",
    "\\\n",
    "\\`",
    " #",
    "#",
    "$x",
    "x=",
    "x+=",
    "${x:-",
    "${x",
    "}",
    "<<E\n",
    "<<-E\n",
    "<<'E'\n",
    "E\n",
    "\nE\n",
    "\tE\n",
    "<<<",
    ">f ",
    ">&",
    "&>f ",
    "2>&1",
    "<f ",
    "if ",
    "then ",
    "fi",
    "else ",
    "elif ",
    "case a in a) ",
    " a) ",
    ";; ",
    ";;& ",
    "esac",
    "for x in a v; do ",
    "do ",
    "done",
    "while false; do ",
    "until a; do ",
    "eval ",
    "exec ",
    "[[ ",
    " ]]",
    "[ ",
    " ]",
    "((",
    "))",
    "$((",
    "$[",
    "]",
    "! ",
    "time ",
    "time -p ",
    "*",
    "?",
    "~",
    "\t",
    "\r",
    "\u{b}",
    "\u{a0}",
    "export ",
    "{v,a}",
    "{",
    ",",
    "$'",
    "\\x76",
    "\\166",
    ": ",
    "1",
    "+",
    "=",
    "command ",
    "builtin ",
    "set -k; ",
    "unset x; ",
    "true ",
    "false ",
    "echo ",
    "test ",
    "$@",
    "$0",
    "$1",
    "!",
    "%",
    "in ",
    "coproc ",
    "function ",
    "trap ",
    "EXIT ",
    ". ",
    "shopt -s extglob\n",
    "@(",
    "x[",
    "$\"",
    "q() { ",
    "q() (",
    "select ",
    "PATH=. ",
    "IFS=v ",
];
const TEXTS: u64 = 1_200;
const PIECES_MAX: u64 = 14;

const POLICY: &str = "
bartizan: 1
files: { default: allow }
exec: { default: deny, unclear: deny, allow: [a, b] }
";

/// A small generator of its own, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % bound
    }

    fn text(&mut self) -> String {
        let pieces = 1 + self.below(PIECES_MAX);
        (0..pieces).map(|_| *PIECES.get(self.below(PIECES.len() as u64) as usize).unwrap()).collect()
    }
}

/// A directory in which `a` and `b` do nothing and `v` leaves a mark.
fn workshop() -> (PathBuf, PathBuf) {
    let place = std::env::temp_dir().join(format!("bartizan-shells-{}", std::process::id()));
    let programs = place.join("programs");
    fs::create_dir_all(&programs).unwrap();
    for name in ["a", "b"] {
        symlink("/bin/true", programs.join(name)).unwrap();
    }
    let mark = place.join("mark");
    let v = programs.join("v");
    fs::write(&v, format!("#!/bin/sh\necho v >> '{}'\n", mark.display())).unwrap();
    fs::set_permissions(&v, fs::Permissions::from_mode(0o755)).unwrap();
    (place, mark)
}

#[expect(clippy::disallowed_methods, reason = "the shells are what this is about; the texts start nothing else")]
fn runs_v(shell: &[&str], text: &str, place: &Path, mark: &Path) -> bool {
    let _ = fs::remove_file(mark);
    std::process::Command::new("/usr/bin/timeout")
        .arg("10")
        .args(shell)
        .args(["-c", text])
        .env_clear()
        .env("PATH", place.join("programs"))
        .current_dir(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    mark.exists()
}

#[test]
fn no_shell_starts_what_was_not_seen() {
    let shells: Vec<&[&str]> = [&["/bin/bash"] as &[&str], &["/bin/dash"], &["/bin/busybox", "sh"], &["/bin/sh"]]
        .into_iter()
        .filter(|shell| Path::new(shell[0]).exists())
        .collect();
    assert!(!shells.is_empty(), "there is no shell to compare with; install dash or bash");
    let (place, mark) = workshop();
    let set = set(POLICY);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut allowed, mut missed) = (0, Vec::new());
    for _ in 0..TEXTS {
        let text = random.text();
        for shell in &shells {
            let name = shell[0].rsplit('/').next().unwrap();
            let argv: Vec<String> =
                shell.iter().map(|word| (*word).to_owned()).chain(["-c".into(), text.clone()]).collect();
            let deed = Deed::ExecRun { program: shell[0].into(), args: argv, cwd: Some("/home/ann/work".into()) };
            if set.decide(&deed).effect() != Effect::Allow {
                continue;
            }
            allowed += 1;
            if runs_v(shell, &text, &place, &mark) {
                missed.push(format!("{name}: {text:?}"));
            }
        }
    }
    fs::remove_dir_all(&place).unwrap();
    assert!(missed.is_empty(), "{} of {allowed} texts start `v`:\n{}", missed.len(), missed.join("\n"));
    assert!(allowed > 20, "only {allowed} texts were let through: nothing is compared");
}

/// Far more texts than shells could be tried with: what is allowed is whole, so a command behind it is another one.
#[test]
fn a_command_behind_allowed_text_is_seen() {
    let set = set(POLICY);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let decide = |shell: &str, text: &str| {
        let args = vec![shell.to_owned(), "-c".to_owned(), text.to_owned()];
        set.decide(&Deed::ExecRun { program: shell.to_owned(), args, cwd: Some("/home/ann/work".into()) }).effect()
    };
    let mut allowed = 0;
    for _ in 0..30_000 {
        let text = random.text();
        for shell in ["sh", "bash"] {
            if decide(shell, &text) == Effect::Allow {
                allowed += 1;
                let longer = format!("{text}\nv");
                assert_eq!(decide(shell, &longer), Effect::Deny, "{shell}: {longer:?}");
            }
        }
    }
    assert!(allowed > 1000, "only {allowed} texts were let through");
}
