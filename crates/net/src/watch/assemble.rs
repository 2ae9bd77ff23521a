//! A small assembler for the kernel's virtual machine (RFC 9669): registers, jumps to labels, calls of helpers. The
//! programs of [`super::programs`] are a few hundred instructions; with an assembler of our own they need no compiler
//! where Bartizan is built, and what is loaded is what stands in the source.

use std::collections::HashMap;

/// A register. `R0` holds results, `R1`–`R5` arguments, `R6`–`R9` survive calls.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R6,
    R7,
    R8,
    R9,
    /// The end of the stack.
    Frame,
}

impl Reg {
    fn number(self) -> u8 {
        match self {
            Self::R0 => 0,
            Self::R1 => 1,
            Self::R2 => 2,
            Self::R3 => 3,
            Self::R4 => 4,
            Self::R6 => 6,
            Self::R7 => 7,
            Self::R8 => 8,
            Self::R9 => 9,
            Self::Frame => 10,
        }
    }
}

/// How many bytes a load or store moves.
#[derive(Clone, Copy)]
pub(super) enum Size {
    Byte,
    Half,
    Word,
    Double,
}

impl Size {
    fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
            Self::Double => 0x18,
        }
    }
}

/// When a jump is taken; all compare 32 bits without sign.
#[derive(Clone, Copy)]
pub(super) enum When {
    Equal,
    NotEqual,
    Greater,
    Less,
    AnyBit,
}

impl When {
    fn bits(self) -> u8 {
        match self {
            Self::Equal => 0x10,
            Self::Greater => 0x20,
            Self::AnyBit => 0x40,
            Self::NotEqual => 0x50,
            Self::Less => 0xa0,
        }
    }
}

/// A place to jump to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Label(u32);

/// A program under construction.
#[derive(Default)]
pub(super) struct Assembly {
    code: Vec<u8>,
    labels: HashMap<Label, usize>,
    jumps: Vec<(usize, Label)>,
    next: u32,
}

const INSTRUCTION_BYTES: usize = 8;

impl Assembly {
    fn instruction(&mut self, operation: u8, to: Reg, from: u8, offset: i16, value: i32) {
        self.code.push(operation);
        self.code.push(if cfg!(target_endian = "little") { from << 4 | to.number() } else { to.number() << 4 | from });
        self.code.extend_from_slice(&offset.to_ne_bytes());
        self.code.extend_from_slice(&value.to_ne_bytes());
    }

    pub(super) fn label(&mut self) -> Label {
        self.next += 1;
        Label(self.next)
    }

    /// The label stands here.
    pub(super) fn place(&mut self, label: Label) {
        self.labels.insert(label, self.code.len() / INSTRUCTION_BYTES);
    }

    pub(super) fn set(&mut self, to: Reg, value: i32) {
        self.instruction(0xb7, to, 0, 0, value);
    }

    pub(super) fn copy(&mut self, to: Reg, from: Reg) {
        self.instruction(0xbf, to, from.number(), 0, 0);
    }

    pub(super) fn add(&mut self, to: Reg, value: i32) {
        self.instruction(0x07, to, 0, 0, value);
    }

    pub(super) fn and(&mut self, to: Reg, value: i32) {
        self.instruction(0x57, to, 0, 0, value);
    }

    pub(super) fn or(&mut self, to: Reg, from: Reg) {
        self.instruction(0x4f, to, from.number(), 0, 0);
    }

    pub(super) fn shift_left(&mut self, to: Reg, bits: i32) {
        self.instruction(0x67, to, 0, 0, bits);
    }

    pub(super) fn shift_right(&mut self, to: Reg, bits: i32) {
        self.instruction(0x77, to, 0, 0, bits);
    }

    /// Turns the low 16 bits from or to network order and clears the rest.
    pub(super) fn network_order16(&mut self, to: Reg) {
        self.instruction(0xdc, to, 0, 0, 16);
    }

    /// `to = *(from + offset)`
    pub(super) fn load(&mut self, size: Size, to: Reg, from: Reg, offset: i16) {
        self.instruction(0x61 | size.bits(), to, from.number(), offset, 0);
    }

    /// `*(to + offset) = from`
    pub(super) fn store(&mut self, size: Size, to: Reg, offset: i16, from: Reg) {
        self.instruction(0x63 | size.bits(), to, from.number(), offset, 0);
    }

    /// `*(to + offset) = value`
    pub(super) fn store_value(&mut self, size: Size, to: Reg, offset: i16, value: i32) {
        self.instruction(0x62 | size.bits(), to, 0, offset, value);
    }

    /// `*(to + offset) += from`, atomically.
    pub(super) fn count(&mut self, to: Reg, offset: i16, from: Reg) {
        self.instruction(0xdb, to, from.number(), offset, 0);
    }

    /// Puts a map, known by its descriptor, into a register.
    pub(super) fn map(&mut self, to: Reg, descriptor: i32) {
        const MAP_DESCRIPTOR: u8 = 1;
        self.instruction(0x18, to, MAP_DESCRIPTOR, 0, descriptor);
        self.instruction(0, Reg::R0, 0, 0, 0);
    }

    pub(super) fn call(&mut self, helper: i32) {
        self.instruction(0x85, Reg::R0, 0, 0, helper);
    }

    pub(super) fn jump(&mut self, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.instruction(0x05, Reg::R0, 0, 0, 0);
    }

    pub(super) fn jump_if(&mut self, when: When, left: Reg, right: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.instruction(0x06 | when.bits(), left, 0, 0, right);
    }

    pub(super) fn jump_if_register(&mut self, when: When, left: Reg, right: Reg, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.instruction(0x0e | when.bits(), left, right.number(), 0, 0);
    }

    /// For pointers, which the verifier compares only whole.
    pub(super) fn jump_if_null(&mut self, pointer: Reg, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.instruction(0x15, pointer, 0, 0, 0);
    }

    /// For numbers of 64 bits.
    pub(super) fn jump_if_same(&mut self, left: Reg, right: Reg, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.instruction(0x1d, left, right.number(), 0, 0);
    }

    pub(super) fn give(&mut self, value: i32) {
        self.set(Reg::R0, value);
        self.instruction(0x95, Reg::R0, 0, 0, 0);
    }

    /// The instructions; `None` if a jump leads nowhere or too far.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        for (at, label) in &self.jumps {
            let target = i64::try_from(*self.labels.get(label)?).ok()?;
            let from = i64::try_from(at / INSTRUCTION_BYTES).ok()?;
            let offset = i16::try_from(target - from - 1).ok()?;
            self.code.get_mut(at + 2..at + 4)?.copy_from_slice(&offset.to_ne_bytes());
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_count_from_the_next_instruction() {
        let mut code = Assembly::default();
        let end = code.label();
        code.jump(end);
        code.map(Reg::R1, 3);
        code.place(end);
        code.give(1);
        let bytes = code.finish().unwrap();
        assert_eq!(bytes.len() / INSTRUCTION_BYTES, 5);
        assert_eq!(i16::from_ne_bytes([bytes[2], bytes[3]]), 2);
        let mut code = Assembly::default();
        let nowhere = code.label();
        code.jump(nowhere);
        assert!(code.finish().is_none());
    }
}
