//! The programs that stand guard, in the kernel, over every socket of a control group.
//!
//! `connect` and `sendmsg` are the *door*: they run in the program that asks, before a packet exists, so they know the process and
//! give it an error at once. `egress` is the *wall*: every packet passes it, whatever made it, those of connections that were
//! open before too. `create` lets only TCP and UDP sockets be made, and remembers who made them. All four read one table of
//! addresses and ports; what is not in it goes nowhere.

use std::os::fd::AsRawFd as _;

use super::assemble::{Assembly, Label, Reg, Size, When};
use super::system::{Hook, Map, MapShape};

/// `struct bpf_lpm_trie_key` for IPv6; IPv4 stands in it in its mapped form.
pub(super) const KEY_BYTES: usize = 20;
/// Spans of ports an address may be reached at, each the first and the last.
pub(super) const SPANS_MAX: usize = 8;
pub(super) const SPANS_BYTES: usize = SPANS_MAX * 4;
/// Ranges and addresses in the table. Bounded because the kernel's memory is.
pub(super) const TABLE_MAX: u32 = 32_768;
pub(super) const SETTINGS_BYTES: usize = 24;
pub(super) const EVENT_BYTES: usize = 80;
/// Some three thousand events: a burst while the ledger is written. More are counted, not kept.
pub(super) const RING_BYTES: u32 = 256 * 1024;
/// Addresses given out by name. The table has room for more, so that names never crowd out what policy lists.
pub(super) const NAMES_MAX: u32 = 8192;
/// The longest name DNS knows is shorter.
pub(super) const NAME_BYTES: usize = 256;
/// Sockets whose makers and first destinations are remembered; the longest unused are forgotten.
const SOCKETS_MAX: u32 = 16_384;

const KIND_HASH: u32 = 1;
const KIND_HASH_RECENT: u32 = 9;
const KIND_ARRAY: u32 = 2;
const KIND_TRIE: u32 = 11;
const KIND_RING: u32 = 27;
const NO_PREALLOCATION: u32 = 1;

const fn shape(name: &'static str, kind: u32, key: u32, value: usize, entries: u32, flags: u32) -> MapShape {
    MapShape { name, kind, key_bytes: key, value_bytes: value as u32, entries_max: entries, flags }
}

pub(super) const TABLE: MapShape =
    shape("bz_table", KIND_TRIE, KEY_BYTES as u32, SPANS_BYTES, TABLE_MAX, NO_PREALLOCATION);
pub(super) const SETTINGS: MapShape = shape("bz_settings", KIND_ARRAY, 4, SETTINGS_BYTES, 1, 0);
pub(super) const EVENTS: MapShape = shape("bz_events", KIND_RING, 0, 0, RING_BYTES, 0);
pub(super) const LOST: MapShape = shape("bz_lost", KIND_ARRAY, 4, 8, 1, 0);
pub(super) const HOLDERS: MapShape = shape("bz_holders", KIND_HASH_RECENT, 8, 24, SOCKETS_MAX, 0);
pub(super) const ORIGINS: MapShape = shape("bz_origins", KIND_HASH_RECENT, 8, 20, SOCKETS_MAX, 0);
pub(super) const SEEN: MapShape = shape("bz_seen", KIND_HASH_RECENT, 16, 8, SOCKETS_MAX, 0);
/// Names by the addresses they were given out with. No program reads it; it stands here because it lasts as long as the
/// table does, so that who takes the guard over knows what the addresses are.
pub(super) const NAMES: MapShape = shape("bz_names", KIND_HASH, 16, NAME_BYTES, NAMES_MAX, NO_PREALLOCATION);

/// What the programs share with us.
pub(super) struct Maps {
    pub(super) table: Map,
    pub(super) settings: Map,
    pub(super) events: Map,
    pub(super) lost: Map,
    pub(super) holders: Map,
    pub(super) origins: Map,
    pub(super) seen: Map,
    pub(super) names: Map,
}

const ADDRESS: u32 = 18;
const SOCKET: u32 = 9;
const PACKET: u32 = 8;

/// The hooks, in the order in which they are attached: the wall first.
pub(super) const HOOKS: [Hook; 8] = [
    Hook { name: "bz_egress", program: PACKET, attach: 1 },
    Hook { name: "bz_create", program: SOCKET, attach: 2 },
    Hook { name: "bz_connect4", program: ADDRESS, attach: 10 },
    Hook { name: "bz_connect6", program: ADDRESS, attach: 11 },
    Hook { name: "bz_sendmsg4", program: ADDRESS, attach: 14 },
    Hook { name: "bz_sendmsg6", program: ADDRESS, attach: 15 },
    Hook { name: "bz_recvmsg4", program: ADDRESS, attach: 19 },
    Hook { name: "bz_recvmsg6", program: ADDRESS, attach: 20 },
];

/// The code of this hook.
pub(super) fn code(hook: Hook, maps: &Maps) -> Option<Vec<u8>> {
    match hook.name {
        "bz_egress" => wall(maps),
        "bz_create" => creation(maps),
        "bz_connect4" => door(maps, false, true),
        "bz_connect6" => door(maps, true, true),
        "bz_sendmsg4" => door(maps, false, false),
        "bz_sendmsg6" => door(maps, true, false),
        "bz_recvmsg4" => answer(maps, false),
        "bz_recvmsg6" => answer(maps, true),
        _ => None,
    }
}

/// What an event tells.
pub(super) mod kind {
    /// A connection was refused.
    pub(in super::super) const CONNECT: i32 = 1;
    /// A datagram was refused.
    pub(in super::super) const DATAGRAM: i32 = 2;
    /// A packet was dropped.
    pub(in super::super) const PACKET: i32 = 3;
    /// A socket was refused.
    pub(in super::super) const SOCKET: i32 = 4;
    /// A connection was let through.
    pub(in super::super) const LET_THROUGH: i32 = 5;
}

/// Where the fields of the settings stand.
pub(super) mod setting {
    /// Port of our name server, 0 without one.
    pub(in super::super) const DNS_PORT: i16 = 0;
    /// See the flags.
    pub(in super::super) const FLAGS: i16 = 4;
    /// The control group that is not guarded: ours.
    pub(in super::super) const EXEMPT: i16 = 8;
    /// The policy the table was filled for, so that a restarted watch knows whether it still holds.
    pub(in super::super) const POLICY: i16 = 16;
    /// This machine's own addresses may be reached.
    pub(in super::super) const LOOPBACK: i32 = 1;
    /// The whole machine is guarded.
    pub(in super::super) const HOST: i32 = 2;
}

// Helpers, by their numbers in linux/bpf.h.
const LOOKUP: i32 = 1;
const UPDATE: i32 = 2;
const PROCESS_AND_THREAD: i32 = 14;
const USER_AND_GROUP: i32 = 15;
const COMMAND_NAME: i32 = 16;
const LOAD_BYTES: i32 = 26;
const COOKIE: i32 = 46;
const PACKET_GROUP: i32 = 79;
const CURRENT_GROUP: i32 = 80;
const RING_OUTPUT: i32 = 130;

const TCP: i32 = 6;
const UDP: i32 = 17;
const ICMPV6: i32 = 58;
const DNS: i32 = 53;
const STREAM: i32 = 1;
const DATAGRAM: i32 = 2;

// The stack, downwards from its end; everything aligned as the verifier wants it.
const KEY: i16 = -24;
const KEY_ADDRESS: i16 = KEY + 4;
const EVENT: i16 = -104;
const INDEX: i16 = -108;
const COOKIE_AT: i16 = -120;
const ORIGIN: i16 = -144;
const HEADER: i16 = -192;
const SEEN_KEY: i16 = -208;

// Fields of an event, by offset.
const EVENT_COOKIE: i16 = 0;
const EVENT_PID: i16 = 8;
const EVENT_KIND: i16 = 12;
const EVENT_ADDRESS: i16 = 16;
const EVENT_PORT: i16 = 32;
const EVENT_PROTOCOL: i16 = 36;
const EVENT_UID: i16 = 40;
const EVENT_OWN_PORT: i16 = 44;
const EVENT_COMMAND: i16 = 48;
const EVENT_OWN: i16 = 64;

const MAPPED: [u8; 4] = [0, 0, 0xff, 0xff];
const LAST_ONE: [u8; 4] = [0, 0, 0, 1];
const LOOPBACK4: [u8; 4] = [127, 0, 0, 1];
const LOOPBACK_NET4: i32 = 127;

/// Four bytes as the register that loads them holds them.
fn word(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}

/// A program of the guard while it is put together. `R6` is its context, `R7` the settings, `R8` the port, `R9` the
/// protocol.
struct Program<'a> {
    code: Assembly,
    maps: &'a Maps,
}

use Reg::{Frame, R0, R1, R2, R3, R4, R6, R7, R8, R9};

impl<'a> Program<'a> {
    fn begin(maps: &'a Maps) -> Self {
        let mut program = Self { code: Assembly::default(), maps };
        program.code.copy(R6, R1);
        program
    }

    fn address_of(&mut self, to: Reg, at: i16) {
        self.code.copy(to, Frame);
        self.code.add(to, i32::from(at));
    }

    /// `R0` is where `map` holds the value of the key at `key`, or null.
    fn look_up(&mut self, map: i32, key: i16) {
        self.code.map(R1, map);
        self.address_of(R2, key);
        self.code.call(LOOKUP);
    }

    fn update(&mut self, map: i32, key: i16, value: i16) {
        self.code.map(R1, map);
        self.address_of(R2, key);
        self.address_of(R3, value);
        self.code.set(R4, 0);
        self.code.call(UPDATE);
    }

    /// `R7` is the settings; nothing is let through without.
    fn settings(&mut self) {
        self.code.store_value(Size::Word, Frame, INDEX, 0);
        self.look_up(self.maps.settings.fd.as_raw_fd(), INDEX);
        let there = self.code.label();
        let absent = self.code.label();
        self.code.jump_if_null(R0, absent);
        self.code.jump(there);
        self.code.place(absent);
        self.code.give(0);
        self.code.place(there);
        self.code.copy(R7, R0);
    }

    /// Leaves for `through` if it is ourselves who ask. Only where the whole machine is guarded.
    fn exempt(&mut self, helper: i32, through: Label) {
        let guarded = self.code.label();
        self.code.load(Size::Word, R1, R7, setting::FLAGS);
        self.code.and(R1, setting::HOST);
        self.code.jump_if(When::Equal, R1, 0, guarded);
        self.code.copy(R1, R6);
        self.code.call(helper);
        self.code.load(Size::Double, R1, R7, setting::EXEMPT);
        self.code.jump_if_same(R0, R1, through);
        self.code.place(guarded);
    }

    fn cookie(&mut self) {
        self.code.copy(R1, R6);
        self.code.call(COOKIE);
        self.code.store(Size::Double, Frame, COOKIE_AT, R0);
    }

    /// Clears the event, so that nothing of the stack is told.
    fn clear_event(&mut self) {
        for offset in (0..EVENT_BYTES as i16).step_by(8) {
            self.code.store_value(Size::Double, Frame, EVENT + offset, 0);
        }
    }

    /// Copies the address of the key to `at`.
    fn copy_address(&mut self, at: i16) {
        for offset in [0, 4, 8, 12] {
            self.code.load(Size::Word, R1, Frame, KEY_ADDRESS + offset);
            self.code.store(Size::Word, Frame, at + offset, R1);
        }
    }

    /// Fills `at` with the process that is running: its number, its user, its name.
    fn current(&mut self, pid: i16, uid: i16, command: i16) {
        self.code.call(PROCESS_AND_THREAD);
        self.code.shift_right(R0, 32);
        self.code.store(Size::Word, Frame, pid, R0);
        self.code.call(USER_AND_GROUP);
        self.code.store(Size::Word, Frame, uid, R0);
        self.address_of(R1, command);
        self.code.set(R2, 16);
        self.code.call(COMMAND_NAME);
    }

    /// Tells of what happened; an event too many is counted.
    fn tell(&mut self, kind: i32) {
        self.code.store_value(Size::Word, Frame, EVENT + EVENT_KIND, kind);
        self.code.load(Size::Double, R1, Frame, COOKIE_AT);
        self.code.store(Size::Double, Frame, EVENT + EVENT_COOKIE, R1);
        self.code.store(Size::Word, Frame, EVENT + EVENT_PORT, R8);
        self.code.store(Size::Word, Frame, EVENT + EVENT_PROTOCOL, R9);
        let told = self.code.label();
        self.code.map(R1, self.maps.events.fd.as_raw_fd());
        self.address_of(R2, EVENT);
        self.code.set(R3, EVENT_BYTES as i32);
        self.code.set(R4, 0);
        self.code.call(RING_OUTPUT);
        self.code.jump_if(When::Equal, R0, 0, told);
        self.code.store_value(Size::Word, Frame, INDEX, 0);
        self.look_up(self.maps.lost.fd.as_raw_fd(), INDEX);
        self.code.jump_if_null(R0, told);
        self.code.set(R1, 1);
        self.code.count(R0, 0, R1);
        self.code.place(told);
    }

    /// Leaves for `yes` if the address at `at` is this machine itself.
    fn if_loopback(&mut self, at: i16, yes: Label) {
        let no = self.code.label();
        let six = self.code.label();
        for offset in [0, 4] {
            self.code.load(Size::Word, R1, Frame, at + offset);
            self.code.jump_if(When::NotEqual, R1, 0, no);
        }
        self.code.load(Size::Word, R1, Frame, at + 8);
        self.code.jump_if(When::NotEqual, R1, word(MAPPED), six);
        self.code.load(Size::Byte, R1, Frame, at + 12);
        self.code.jump_if(When::Equal, R1, LOOPBACK_NET4, yes);
        self.code.jump(no);
        self.code.place(six);
        self.code.jump_if(When::NotEqual, R1, 0, no);
        self.code.load(Size::Word, R1, Frame, at + 12);
        self.code.jump_if(When::Equal, R1, word(LAST_ONE), yes);
        self.code.place(no);
    }

    /// Leaves for `yes` if the table's value in `R0` holds the port in `R8`.
    fn if_listed(&mut self, yes: Label) {
        for span in 0..SPANS_MAX as i16 {
            let next = self.code.label();
            self.code.load(Size::Half, R1, R0, span * 4);
            self.code.load(Size::Half, R2, R0, span * 4 + 2);
            self.code.jump_if_register(When::Less, R8, R1, next);
            self.code.jump_if_register(When::Greater, R8, R2, next);
            self.code.jump(yes);
            self.code.place(next);
        }
    }

    /// The key of an address that stands in the context: one word of IPv4, or four of IPv6.
    fn key_from_context(&mut self, six: bool) {
        self.code.store_value(Size::Word, Frame, KEY, 128);
        if six {
            for offset in [0, 4, 8, 12] {
                self.code.load(Size::Word, R1, R6, SOCK_ADDR_IP6 + offset);
                self.code.store(Size::Word, Frame, KEY_ADDRESS + offset, R1);
            }
        } else {
            self.mapped(KEY_ADDRESS);
            self.code.load(Size::Word, R1, R6, SOCK_ADDR_IP4);
            self.code.store(Size::Word, Frame, KEY_ADDRESS + 12, R1);
        }
    }

    /// The first twelve bytes of an IPv4 address in its IPv6 form.
    fn mapped(&mut self, at: i16) {
        for (offset, value) in [(0, 0), (4, 0), (8, word(MAPPED))] {
            self.code.store_value(Size::Word, Frame, at + offset, value);
        }
    }

    /// Writes an address of four words, held at `at` of `from`, into the context.
    fn address_to_context(&mut self, six: bool, from: Reg, at: i16) {
        if six {
            for offset in [0, 4, 8, 12] {
                self.code.load(Size::Word, R1, from, at + offset);
                self.code.store(Size::Word, R6, SOCK_ADDR_IP6 + offset, R1);
            }
        } else {
            self.code.load(Size::Word, R1, from, at + 12);
            self.code.store(Size::Word, R6, SOCK_ADDR_IP4, R1);
        }
    }
}

// `struct bpf_sock_addr`
const SOCK_ADDR_IP4: i16 = 4;
const SOCK_ADDR_IP6: i16 = 8;
const SOCK_ADDR_PORT: i16 = 24;
const SOCK_ADDR_PROTOCOL: i16 = 36;
// `struct bpf_sock`
const SOCK_TYPE: i16 = 8;
const SOCK_PROTOCOL: i16 = 12;
// `struct __sk_buff`
const PACKET_PROTOCOL: i16 = 16;

/// `connect` and `sendmsg`.
fn door(maps: &Maps, six: bool, connects: bool) -> Option<Vec<u8>> {
    let mut program = Program::begin(maps);
    let through = program.code.label();
    let (not_dns, refused, known) = (program.code.label(), program.code.label(), program.code.label());
    let (own, not_own) = (program.code.label(), program.code.label());
    program.settings();
    program.exempt(CURRENT_GROUP, through);
    program.code.load(Size::Word, R9, R6, SOCK_ADDR_PROTOCOL);
    program.code.load(Size::Word, R8, R6, SOCK_ADDR_PORT);
    program.code.network_order16(R8);
    program.key_from_context(six);
    program.cookie();

    // Questions for names go to our name server, whichever was meant.
    program.code.jump_if(When::NotEqual, R8, DNS, not_dns);
    program.code.load(Size::Word, R1, R7, setting::DNS_PORT);
    program.code.jump_if(When::Equal, R1, 0, not_dns);
    program.copy_address(ORIGIN);
    program.code.load(Size::Word, R1, R6, SOCK_ADDR_PORT);
    program.code.store(Size::Word, Frame, ORIGIN + 16, R1);
    program.update(maps.origins.fd.as_raw_fd(), COOKIE_AT, ORIGIN);
    if six {
        let (plain, set) = (program.code.label(), program.code.label());
        program.code.load(Size::Word, R1, Frame, KEY_ADDRESS + 8);
        program.code.jump_if(When::NotEqual, R1, word(MAPPED), plain);
        program.mapped(ORIGIN);
        program.code.store_value(Size::Word, Frame, ORIGIN + 12, word(LOOPBACK4));
        program.code.jump(set);
        program.code.place(plain);
        for (offset, value) in [(0, 0), (4, 0), (8, 0), (12, word(LAST_ONE))] {
            program.code.store_value(Size::Word, Frame, ORIGIN + offset, value);
        }
        program.code.place(set);
    } else {
        program.code.store_value(Size::Word, Frame, ORIGIN + 12, word(LOOPBACK4));
    }
    program.address_to_context(six, Frame, ORIGIN);
    program.code.load(Size::Word, R1, R7, setting::DNS_PORT);
    program.code.network_order16(R1);
    program.code.store(Size::Word, R6, SOCK_ADDR_PORT, R1);
    program.code.jump(through);
    program.code.place(not_dns);

    program.if_loopback(KEY_ADDRESS, own);
    program.code.jump(not_own);
    program.code.place(own);
    program.code.load(Size::Word, R1, R7, setting::FLAGS);
    program.code.jump_if(When::AnyBit, R1, setting::LOOPBACK, through);
    program.code.load(Size::Word, R1, R7, setting::DNS_PORT);
    program.code.jump_if_register(When::Equal, R1, R8, through);
    program.code.place(not_own);

    program.look_up(maps.table.fd.as_raw_fd(), KEY);
    program.code.jump_if_null(R0, refused);
    if connects {
        // A UDP socket's `connect` sends nothing, and libraries use it to find their own address. What is sent on it meets
        // the wall.
        program.code.jump_if(When::Equal, R9, UDP, through);
    }
    program.code.jump_if(When::NotEqual, R9, TCP, refused);
    program.if_listed(known);
    program.code.place(refused);
    program.clear_event();
    program.copy_address(EVENT + EVENT_ADDRESS);
    program.current(EVENT + EVENT_PID, EVENT + EVENT_UID, EVENT + EVENT_COMMAND);
    program.tell(if connects { kind::CONNECT } else { kind::DATAGRAM });
    program.code.give(0);

    program.code.place(known);
    if connects {
        program.clear_event();
        program.copy_address(EVENT + EVENT_ADDRESS);
        program.current(EVENT + EVENT_PID, EVENT + EVENT_UID, EVENT + EVENT_COMMAND);
        program.tell(kind::LET_THROUGH);
    }
    program.code.place(through);
    program.code.give(1);
    program.code.finish()
}

/// `recvmsg`: the answer of our name server is given the address that was asked, for clients that compare.
fn answer(maps: &Maps, six: bool) -> Option<Vec<u8>> {
    let mut program = Program::begin(maps);
    let (through, ours) = (program.code.label(), program.code.label());
    program.settings();
    program.code.load(Size::Word, R8, R6, SOCK_ADDR_PORT);
    program.code.network_order16(R8);
    program.code.load(Size::Word, R1, R7, setting::DNS_PORT);
    program.code.jump_if_register(When::NotEqual, R1, R8, through);
    program.key_from_context(six);
    program.if_loopback(KEY_ADDRESS, ours);
    program.code.jump(through);
    program.code.place(ours);
    program.cookie();
    program.look_up(maps.origins.fd.as_raw_fd(), COOKIE_AT);
    program.code.jump_if_null(R0, through);
    program.code.copy(R8, R0);
    program.address_to_context(six, R8, 0);
    program.code.load(Size::Word, R1, R8, 16);
    program.code.store(Size::Word, R6, SOCK_ADDR_PORT, R1);
    program.code.place(through);
    program.code.give(1);
    program.code.finish()
}

/// `socket`: TCP and UDP only, and who made it.
fn creation(maps: &Maps) -> Option<Vec<u8>> {
    let mut program = Program::begin(maps);
    let (through, made, refused, not_stream) =
        (program.code.label(), program.code.label(), program.code.label(), program.code.label());
    // Named only so that it stays while the guard stands.
    program.code.map(R1, maps.names.fd.as_raw_fd());
    program.settings();
    program.exempt(CURRENT_GROUP, through);
    program.cookie();
    program.clear_event();
    program.current(EVENT + EVENT_PID, EVENT + EVENT_UID, EVENT + EVENT_COMMAND);
    program.code.load(Size::Word, R8, R6, SOCK_TYPE);
    program.code.load(Size::Word, R9, R6, SOCK_PROTOCOL);
    program.code.jump_if(When::NotEqual, R8, STREAM, not_stream);
    program.code.jump_if(When::Equal, R9, TCP, made);
    program.code.jump(refused);
    program.code.place(not_stream);
    program.code.jump_if(When::NotEqual, R8, DATAGRAM, refused);
    program.code.jump_if(When::Equal, R9, UDP, made);
    program.code.place(refused);
    program.tell(kind::SOCKET);
    program.code.give(0);
    program.code.place(made);
    // Number, user and name stand in one row where the event has them apart.
    for (from, to) in [(EVENT_PID, 0), (EVENT_UID, 4)] {
        program.code.load(Size::Word, R1, Frame, EVENT + from);
        program.code.store(Size::Word, Frame, ORIGIN + to, R1);
    }
    for offset in [0, 8] {
        program.code.load(Size::Double, R1, Frame, EVENT + EVENT_COMMAND + offset);
        program.code.store(Size::Double, Frame, ORIGIN + 8 + offset, R1);
    }
    program.update(maps.holders.fd.as_raw_fd(), COOKIE_AT, ORIGIN);
    program.code.place(through);
    program.code.give(1);
    program.code.finish()
}

/// Every packet on its way out.
fn wall(maps: &Maps) -> Option<Vec<u8>> {
    let mut program = Program::begin(maps);
    let through = program.code.label();
    let (dropped, six, parsed, ported) =
        (program.code.label(), program.code.label(), program.code.label(), program.code.label());
    program.settings();
    program.exempt(PACKET_GROUP, through);
    program.clear_event();
    program.code.set(R8, 0);
    program.code.set(R9, 0);
    program.code.store_value(Size::Word, Frame, KEY, 128);
    for offset in [0, 4, 8, 12] {
        program.code.store_value(Size::Word, Frame, KEY_ADDRESS + offset, 0);
    }
    program.code.load(Size::Word, R1, R6, PACKET_PROTOCOL);
    program.code.network_order16(R1);
    program.code.jump_if(When::Equal, R1, 0x86dd, six);
    program.code.jump_if(When::NotEqual, R1, 0x0800, dropped);

    let load = |program: &mut Program<'_>, length: i32| {
        program.code.copy(R1, R6);
        program.code.set(R2, 0);
        program.address_of(R3, HEADER);
        program.code.set(R4, length);
        program.code.call(LOAD_BYTES);
        program.code.jump_if(When::NotEqual, R0, 0, dropped);
    };
    load(&mut program, 20);
    // A later fragment has no ports; the kernel itself cuts packets up only behind this hook.
    program.code.load(Size::Half, R1, Frame, HEADER + 6);
    program.code.network_order16(R1);
    program.code.and(R1, 0x1fff);
    program.code.jump_if(When::NotEqual, R1, 0, dropped);
    program.code.load(Size::Byte, R9, Frame, HEADER + 9);
    program.mapped(KEY_ADDRESS);
    program.mapped(EVENT + EVENT_OWN);
    for (from, to) in [(16, KEY_ADDRESS + 12), (12, EVENT + EVENT_OWN + 12)] {
        program.code.load(Size::Word, R1, Frame, HEADER + from);
        program.code.store(Size::Word, Frame, to, R1);
    }
    program.code.load(Size::Byte, R2, Frame, HEADER);
    program.code.and(R2, 0x0f);
    program.code.shift_left(R2, 2);
    program.code.jump(parsed);

    program.code.place(six);
    load(&mut program, 40);
    program.code.load(Size::Byte, R9, Frame, HEADER + 6);
    for offset in [0, 4, 8, 12] {
        program.code.load(Size::Word, R1, Frame, HEADER + 24 + offset);
        program.code.store(Size::Word, Frame, KEY_ADDRESS + offset, R1);
        program.code.load(Size::Word, R1, Frame, HEADER + 8 + offset);
        program.code.store(Size::Word, Frame, EVENT + EVENT_OWN + offset, R1);
    }
    program.code.set(R2, 40);

    // The first four bytes behind the header: both ports, or the type of an ICMP message.
    program.code.place(parsed);
    program.code.copy(R1, R6);
    program.address_of(R3, HEADER);
    program.code.set(R4, 4);
    program.code.call(LOAD_BYTES);
    program.code.jump_if(When::NotEqual, R0, 0, dropped);
    let (transport, not_neighbour) = (program.code.label(), program.code.label());
    program.code.jump_if(When::Equal, R9, TCP, transport);
    program.code.jump_if(When::Equal, R9, UDP, transport);
    // Without neighbour discovery a whole machine has no IPv6; it never leaves the cable.
    program.code.jump_if(When::NotEqual, R9, ICMPV6, dropped);
    program.code.load(Size::Word, R1, R7, setting::FLAGS);
    program.code.and(R1, setting::HOST);
    program.code.jump_if(When::Equal, R1, 0, not_neighbour);
    program.code.load(Size::Byte, R1, Frame, HEADER);
    program.code.jump_if(When::Less, R1, 133, not_neighbour);
    program.code.jump_if(When::Less, R1, 138, through);
    program.code.place(not_neighbour);
    program.code.jump(dropped);

    program.code.place(transport);
    program.code.load(Size::Half, R8, Frame, HEADER + 2);
    program.code.network_order16(R8);
    program.code.load(Size::Half, R1, Frame, HEADER);
    program.code.network_order16(R1);
    program.code.store(Size::Word, Frame, EVENT + EVENT_OWN_PORT, R1);

    // This machine itself.
    let (own, not_own, reply) = (program.code.label(), program.code.label(), program.code.label());
    program.if_loopback(KEY_ADDRESS, own);
    program.code.jump(not_own);
    program.code.place(own);
    program.code.load(Size::Word, R1, R7, setting::FLAGS);
    program.code.jump_if(When::AnyBit, R1, setting::LOOPBACK, through);
    program.code.load(Size::Word, R1, R7, setting::DNS_PORT);
    program.code.jump_if_register(When::Equal, R1, R8, through);
    program.code.place(not_own);
    program.code.jump_if(When::Equal, R9, TCP, ported);

    // What a machine keeps its address by: from one privileged port to the other.
    program.code.load(Size::Word, R1, R7, setting::FLAGS);
    program.code.and(R1, setting::HOST);
    program.code.jump_if(When::Equal, R1, 0, dropped);
    program.code.load(Size::Word, R1, Frame, EVENT + EVENT_OWN_PORT);
    let not_lease = program.code.label();
    program.code.jump_if(When::NotEqual, R1, 68, not_lease);
    program.code.jump_if(When::Equal, R8, 67, through);
    program.code.place(not_lease);
    program.code.jump_if(When::NotEqual, R1, 546, dropped);
    program.code.jump_if(When::Equal, R8, 547, through);
    program.code.jump(dropped);

    program.code.place(ported);
    program.look_up(maps.table.fd.as_raw_fd(), KEY);
    program.code.jump_if_null(R0, reply);
    program.if_listed(through);

    // The answers of a server that policy lets be reached on this machine itself.
    program.code.place(reply);
    let (answers, really) = (program.code.label(), program.code.label());
    program.if_loopback(KEY_ADDRESS, answers);
    program.code.jump(dropped);
    program.code.place(answers);
    program.if_loopback(EVENT + EVENT_OWN, really);
    program.code.jump(dropped);
    program.code.place(really);
    program.copy_address(EVENT + EVENT_ADDRESS);
    for offset in [0, 4, 8, 12] {
        program.code.load(Size::Word, R1, Frame, EVENT + EVENT_OWN + offset);
        program.code.store(Size::Word, Frame, KEY_ADDRESS + offset, R1);
    }
    program.code.store(Size::Word, Frame, EVENT + EVENT_PORT, R8);
    program.code.load(Size::Word, R8, Frame, EVENT + EVENT_OWN_PORT);
    program.look_up(maps.table.fd.as_raw_fd(), KEY);
    let unlisted = program.code.label();
    program.code.jump_if_null(R0, unlisted);
    program.if_listed(through);
    program.code.place(unlisted);
    for offset in [0, 4, 8, 12] {
        program.code.load(Size::Word, R1, Frame, EVENT + EVENT_ADDRESS + offset);
        program.code.store(Size::Word, Frame, KEY_ADDRESS + offset, R1);
    }
    program.code.load(Size::Word, R8, Frame, EVENT + EVENT_PORT);

    // Told once for each socket and destination: a connection repeats itself until it gives up.
    program.code.place(dropped);
    program.refuse_packet(through)
}

impl Program<'_> {
    fn refuse_packet(mut self, through: Label) -> Option<Vec<u8>> {
        let (silent, unknown) = (self.code.label(), self.code.label());
        self.cookie();
        self.code.load(Size::Double, R1, Frame, COOKIE_AT);
        self.code.store(Size::Double, Frame, SEEN_KEY, R1);
        self.code.copy(R1, R9);
        self.code.shift_left(R1, 16);
        self.code.or(R1, R8);
        self.code.shift_left(R1, 32);
        self.code.load(Size::Word, R2, Frame, KEY_ADDRESS + 12);
        self.code.or(R1, R2);
        self.code.store(Size::Double, Frame, SEEN_KEY + 8, R1);
        self.look_up(self.maps.seen.fd.as_raw_fd(), SEEN_KEY);
        let fresh = self.code.label();
        self.code.jump_if_null(R0, fresh);
        self.code.jump(silent);
        self.code.place(fresh);
        self.update(self.maps.seen.fd.as_raw_fd(), SEEN_KEY, COOKIE_AT);
        self.copy_address(EVENT + EVENT_ADDRESS);
        self.look_up(self.maps.holders.fd.as_raw_fd(), COOKIE_AT);
        self.code.jump_if_null(R0, unknown);
        for (from, to) in [(0, EVENT_PID), (4, EVENT_UID)] {
            self.code.load(Size::Word, R1, R0, from);
            self.code.store(Size::Word, Frame, EVENT + to, R1);
        }
        for offset in [0, 8] {
            self.code.load(Size::Double, R1, R0, 8 + offset);
            self.code.store(Size::Double, Frame, EVENT + EVENT_COMMAND + offset, R1);
        }
        self.code.place(unknown);
        self.tell(kind::PACKET);
        self.code.place(silent);
        self.code.give(0);
        self.code.place(through);
        self.code.give(1);
        self.code.finish()
    }
}
