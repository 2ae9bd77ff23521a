//! No allocation where a deed is allowed: counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bartizan_model::{Deed, Effect};
use bartizan_policy::parse_case;

use crate::support::{narrowed, set};

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "a counting allocator can't be written without")]
// SAFETY: every call goes to the system allocator unchanged; counting touches a thread-local `Cell` that
// needs no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

const ALLOWED: [&str; 9] = [
    "file.read /usr/lib/x86_64-linux-gnu/libc.so.6",
    "file.write ./src/deep/down/in/the/tree/main.rs",
    "exec git push origin main",
    "connect api.github.com:443",
    "connect a.b.c.example.com:443",
    "dns api.github.com",
    "http GET http://plain.example.net/repos/me/x",
    "tool github/list_issues",
    "secret GITHUB_TOKEN",
];

const POLICY: &str = "
files: { read: [/usr/**], write: [./**], ask: ['**/.git/config'], protect: ['**/.git/hooks/**'], deny: ['**/.env', '**/.env.*', '!**/.env.example'] }
exec: { allow: [git, 'npm run *'], ask: ['git ** --force **'] }
net: { allow: [api.github.com, '*.example.com', { host: plain.example.net, http: [{ method: GET, path: '/repos/**' }] }], deny: ['*.evil.com'] }
tools: { allow: [{ server: github, name: 'list_*' }] }
secrets: { allow: ['GITHUB_*'] }
";

#[test]
fn counts_at_all() {
    assert!(count(|| drop(std::hint::black_box(String::from("x").repeat(3)))) > 0);
}

#[test]
fn allowing_allocates_nothing() {
    for set in [set(POLICY), narrowed(POLICY, POLICY)] {
        for action in ALLOWED {
            let deed: Deed = parse_case(action, set.context()).unwrap();
            assert_eq!(set.decide(&deed).effect(), Effect::Allow, "{action}");
            let allocations = count(|| {
                std::hint::black_box(set.decide(&deed));
            });
            assert_eq!(allocations, 0, "{action}");
        }
    }
}
