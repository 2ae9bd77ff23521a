//! The programs that stand guard, in the kernel, over every socket of a control group.
//!
//! `connect` and `sendmsg` are the *door*: they run in the program that asks, before a packet exists, so they know the process and
//! give it an error at once. `egress` is the *wall*: every packet passes it, whatever made it, those of connections that were
//! open before too. `create` lets only TCP and UDP sockets be made, and remembers who made them. All four read one table of
//! addresses and ports; what is not in it goes nowhere.

use std::os::fd::AsRawFd as _;

use super::assemble::{Reg, Size, When};
use super::parts::{
    COOKIE_AT, CURRENT_GROUP, DATAGRAM, DNS, EVENT, EVENT_ADDRESS, EVENT_COMMAND, EVENT_OWN, EVENT_OWN_PORT, EVENT_PID,
    EVENT_PORT, EVENT_UID, HEADER, ICMPV6, KEY, KEY_ADDRESS, LAST_ONE, LOAD_BYTES, LOOPBACK4, MAPPED, ORIGIN,
    PACKET_GROUP, PACKET_PROTOCOL, Program, SOCK_ADDR_PORT, SOCK_ADDR_PROTOCOL, SOCK_PROTOCOL, SOCK_TYPE, STREAM, TCP,
    UDP, word,
};
use super::system::{Hook, Map, MapShape};
use Reg::{Frame, R0, R1, R2, R3, R4, R6, R7, R8, R9};

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
