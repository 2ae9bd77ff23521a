//! What every program of the guard is put together from: its stack, its events, its look at the table.

use std::os::fd::AsRawFd as _;

use super::assemble::{Assembly, Label, Reg, Size, When};
use super::programs::{EVENT_BYTES, Maps, SPANS_MAX, kind, setting};
use Reg::{Frame, R0, R1, R2, R3, R4, R6, R7, R8, R9};

// Helpers, by their numbers in linux/bpf.h.
pub(super) const LOOKUP: i32 = 1;
pub(super) const UPDATE: i32 = 2;
pub(super) const PROCESS_AND_THREAD: i32 = 14;
pub(super) const USER_AND_GROUP: i32 = 15;
pub(super) const COMMAND_NAME: i32 = 16;
pub(super) const LOAD_BYTES: i32 = 26;
pub(super) const COOKIE: i32 = 46;
pub(super) const PACKET_GROUP: i32 = 79;
pub(super) const CURRENT_GROUP: i32 = 80;
pub(super) const RING_OUTPUT: i32 = 130;

pub(super) const TCP: i32 = 6;
pub(super) const UDP: i32 = 17;
pub(super) const ICMPV6: i32 = 58;
pub(super) const DNS: i32 = 53;
pub(super) const STREAM: i32 = 1;
pub(super) const DATAGRAM: i32 = 2;

// The stack, downwards from its end; everything aligned as the verifier wants it.
pub(super) const KEY: i16 = -24;
pub(super) const KEY_ADDRESS: i16 = KEY + 4;
pub(super) const EVENT: i16 = -104;
pub(super) const INDEX: i16 = -108;
pub(super) const COOKIE_AT: i16 = -120;
pub(super) const ORIGIN: i16 = -144;
pub(super) const HEADER: i16 = -192;
pub(super) const SEEN_KEY: i16 = -208;

// Fields of an event, by offset.
pub(super) const EVENT_COOKIE: i16 = 0;
pub(super) const EVENT_PID: i16 = 8;
pub(super) const EVENT_KIND: i16 = 12;
pub(super) const EVENT_ADDRESS: i16 = 16;
pub(super) const EVENT_PORT: i16 = 32;
pub(super) const EVENT_PROTOCOL: i16 = 36;
pub(super) const EVENT_UID: i16 = 40;
pub(super) const EVENT_OWN_PORT: i16 = 44;
pub(super) const EVENT_COMMAND: i16 = 48;
pub(super) const EVENT_OWN: i16 = 64;

pub(super) const MAPPED: [u8; 4] = [0, 0, 0xff, 0xff];
pub(super) const LAST_ONE: [u8; 4] = [0, 0, 0, 1];
pub(super) const LOOPBACK4: [u8; 4] = [127, 0, 0, 1];
pub(super) const LOOPBACK_NET4: i32 = 127;

/// Four bytes as the register that loads them holds them.
pub(super) fn word(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}

/// A program of the guard while it is put together. `R6` is its context, `R7` the settings, `R8` the port, `R9` the
/// protocol.
pub(super) struct Program<'a> {
    pub(super) code: Assembly,
    pub(super) maps: &'a Maps,
}

impl<'a> Program<'a> {
    pub(super) fn begin(maps: &'a Maps) -> Self {
        let mut program = Self { code: Assembly::default(), maps };
        program.code.copy(R6, R1);
        program
    }

    pub(super) fn address_of(&mut self, to: Reg, at: i16) {
        self.code.copy(to, Frame);
        self.code.add(to, i32::from(at));
    }

    /// `R0` is where `map` holds the value of the key at `key`, or null.
    pub(super) fn look_up(&mut self, map: i32, key: i16) {
        self.code.map(R1, map);
        self.address_of(R2, key);
        self.code.call(LOOKUP);
    }

    pub(super) fn update(&mut self, map: i32, key: i16, value: i16) {
        self.code.map(R1, map);
        self.address_of(R2, key);
        self.address_of(R3, value);
        self.code.set(R4, 0);
        self.code.call(UPDATE);
    }

    /// `R7` is the settings; nothing is let through without.
    pub(super) fn settings(&mut self) {
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
    pub(super) fn exempt(&mut self, helper: i32, through: Label) {
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

    pub(super) fn cookie(&mut self) {
        self.code.copy(R1, R6);
        self.code.call(COOKIE);
        self.code.store(Size::Double, Frame, COOKIE_AT, R0);
    }

    /// Clears the event, so that nothing of the stack is told.
    pub(super) fn clear_event(&mut self) {
        for offset in (0..EVENT_BYTES as i16).step_by(8) {
            self.code.store_value(Size::Double, Frame, EVENT + offset, 0);
        }
    }

    /// Copies the address of the key to `at`.
    pub(super) fn copy_address(&mut self, at: i16) {
        for offset in [0, 4, 8, 12] {
            self.code.load(Size::Word, R1, Frame, KEY_ADDRESS + offset);
            self.code.store(Size::Word, Frame, at + offset, R1);
        }
    }

    /// Fills `at` with the process that is running: its number, its user, its name.
    pub(super) fn current(&mut self, pid: i16, uid: i16, command: i16) {
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
    pub(super) fn tell(&mut self, kind: i32) {
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
    pub(super) fn if_loopback(&mut self, at: i16, yes: Label) {
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
    pub(super) fn if_listed(&mut self, yes: Label) {
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
    pub(super) fn key_from_context(&mut self, six: bool) {
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
    pub(super) fn mapped(&mut self, at: i16) {
        for (offset, value) in [(0, 0), (4, 0), (8, word(MAPPED))] {
            self.code.store_value(Size::Word, Frame, at + offset, value);
        }
    }

    /// Writes an address of four words, held at `at` of `from`, into the context.
    pub(super) fn address_to_context(&mut self, six: bool, from: Reg, at: i16) {
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
pub(super) const SOCK_ADDR_IP4: i16 = 4;
pub(super) const SOCK_ADDR_IP6: i16 = 8;
pub(super) const SOCK_ADDR_PORT: i16 = 24;
pub(super) const SOCK_ADDR_PROTOCOL: i16 = 36;
// `struct bpf_sock`
pub(super) const SOCK_TYPE: i16 = 8;
pub(super) const SOCK_PROTOCOL: i16 = 12;
// `struct __sk_buff`
pub(super) const PACKET_PROTOCOL: i16 = 16;

impl Program<'_> {
    pub(super) fn refuse_packet(mut self, through: Label) -> Option<Vec<u8>> {
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
