//! Small WebAssembly guards for tests: a few instructions in text form become a component after `spec/wit/guard.wit`.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The interface guards are written for.
const WIT: &str = include_str!("../../../spec/wit/guard.wit");

/// What every guard has: memory, a place for its input, and functions that lay out an answer.
const PRELUDE: &str = r#"
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func $take (export "cabi_realloc") (param $old i32) (param i32) (param i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next
      (i32.and (i32.add (i32.add (local.get $at) (local.get $size)) (i32.const 7)) (i32.const -8)))
    (if (i32.gt_u (global.get $next) (i32.shl (memory.size) (i32.const 16)))
      (then (drop (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16)))))))
    (local.get $at))
  ;; nothing against it
  (func $none (result i32)
    (i32.store (i32.const 0) (i32.const 0))
    (i32.store (i32.const 4) (i32.const 0))
    (i32.store (i32.const 8) (i32.const 0))
    (i32.const 0))
  ;; an error with this text
  (func $error (param $text i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1))
    (i32.store (i32.const 4) (local.get $text))
    (i32.store (i32.const 8) (local.get $length))
    (i32.const 0))
  ;; one finding: 0 asks and 1 denies; its rule, its message
  (func $one (param $effect i32) (param $rule i32) (param $rule_length i32) (param $text i32) (param $length i32)
    (result i32)
    (i32.store (i32.const 0) (i32.const 0))
    (i32.store (i32.const 4) (i32.const 16))
    (i32.store (i32.const 8) (i32.const 1))
    (i32.store (i32.const 16) (local.get $effect))
    (i32.store (i32.const 20) (local.get $rule))
    (i32.store (i32.const 24) (local.get $rule_length))
    (i32.store (i32.const 28) (local.get $text))
    (i32.store (i32.const 32) (local.get $length))
    (i32.store (i32.const 36) (i32.const 0))
    (i32.const 0))
  ;; whether the input has this text in it
  (func $contains (param $input i32) (param $length i32) (param $text i32) (param $text_length i32) (result i32)
    (local $end i32) (local $at i32)
    (local.set $end (i32.sub (i32.add (local.get $input) (local.get $length)) (local.get $text_length)))
    (loop $place
      (if (i32.gt_s (local.get $input) (local.get $end)) (then (return (i32.const 0))))
      (local.set $at (i32.const 0))
      (block $differs
        (loop $letter
          (if (i32.eq (local.get $at) (local.get $text_length)) (then (return (i32.const 1))))
          (br_if $differs (i32.ne
            (i32.load8_u (i32.add (local.get $input) (local.get $at)))
            (i32.load8_u (i32.add (local.get $text) (local.get $at)))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $letter)))
      (local.set $input (i32.add (local.get $input) (i32.const 1)))
      (br $place))
    (i32.const 0))
"#;

/// A guard whose `check` is these instructions, with the input in `$input` and `$length`; `more` are fields of its
/// module. Below 64 KiB memory is free from 1024 on.
#[must_use]
pub fn guard(check: &str, more: &str) -> Vec<u8> {
    let head =
        r#"(func (export "bartizan:guard/checker@1.0.0#check") (param $input i32) (param $length i32) (result i32)"#;
    let text = format!("(module {PRELUDE} {more} {head} {check}))");
    let mut module = text_form(&text);
    let mut resolve = Resolve::default();
    let package = resolve.push_str("guard.wit", WIT).unwrap();
    let world = resolve.select_world(&[package], Some("guard")).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// A guard that has something against every action with this text in its document: a `finding` of `ask` or `deny`,
/// under the rule `found`.
#[must_use]
pub fn finds(text: &str, effect: &str) -> Vec<u8> {
    let (effect, length, escaped) = (i32::from(effect == "deny"), text.len(), text.replace('"', "\\22"));
    guard(
        &format!(
            "(if (result i32) (call $contains (local.get $input) (local.get $length) (i32.const 2048) (i32.const {length}))
               (then (call $one (i32.const {effect}) (i32.const 1024) (i32.const 5) (i32.const 1032) (i32.const 10)))
               (else (call $none)))"
        ),
        &format!("(data (i32.const 1024) \"found\") (data (i32.const 1032) \"it has the\") (data (i32.const 2048) \"{escaped}\")"),
    )
}

/// Bytes of WebAssembly in text form, whatever it is.
#[must_use]
pub fn text_form(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}
