//! Changes of inputs: what a damaged disk, a clumsy hand or an attacker makes of a good one.

use std::ops::Range;

/// The longest input that is made.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes that mean something to somebody.
const BYTES: &[u8] =
    b"\x00\x01\x7f\x80\xff\xc3\xed\n\r\t \"'\\{}[]()<>:;,./*+-=%$#&?@!|~09aAeEfFnNuUxX";

/// Numbers at the edges of what can be held.
const NUMBERS: [&str; 12] = [
    "0",
    "-1",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e999",
    "0.30000000000000004",
];

/// Cheap random numbers from a seed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `sides`; 0 where there are none.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % sides.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let at = self.roll(all.len());
        all.get(at).copied()
    }

    /// A part of so many bytes, mostly a short one.
    fn part(&mut self, length: usize) -> Range<usize> {
        let start = self.roll(length);
        let most = if self.roll(4) == 0 { length } else { 16 };
        start..length.min(start + 1 + self.roll(most))
    }
}

/// One of the seeds, changed in one to four ways.
pub(crate) fn changed(seeds: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.one_of(seeds).unwrap_or_default().to_vec();
    for _ in 0..=dice.roll(4) {
        let other = dice.one_of(seeds).unwrap_or_default();
        change(&mut input, other, dice);
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], dice: &mut Dice) {
    let at = dice.roll(input.len());
    let part = dice.part(input.len());
    match dice.roll(9) {
        0 => flip(input, at, dice),
        1 => {
            let byte = dice.one_of(BYTES);
            input
                .get_mut(at)
                .zip(byte)
                .iter_mut()
                .for_each(|(own, new)| **own = *new);
        }
        2 => input.insert(at, dice.one_of(BYTES).unwrap_or_default()),
        3 => input.truncate(at),
        4 => drop(input.drain(part)),
        5 => repeat(input, part, dice),
        6 => {
            let taken = other.get(dice.part(other.len())).unwrap_or_default();
            drop(input.splice(at..at, taken.iter().copied()));
        }
        7 => {
            let (taken, place) = (dice.part(other.len()), dice.part(input.len()));
            let taken = other.get(taken).unwrap_or_default();
            drop(input.splice(place, taken.iter().copied()));
        }
        _ => renumber(input, at, dice),
    }
}

fn flip(input: &mut [u8], at: usize, dice: &mut Dice) {
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << dice.roll(8);
    }
}

/// Puts a part once or many times behind itself, as nesting and long lists do.
fn repeat(input: &mut Vec<u8>, part: Range<usize>, dice: &mut Dice) {
    let times = if dice.roll(8) == 0 { 200 } else { 1 };
    let taken = input.get(part.clone()).unwrap_or_default().repeat(times);
    drop(input.splice(part.end..part.end, taken));
}

/// Puts another number in the place of the next one: of digits, or of four or eight bytes.
fn renumber(input: &mut Vec<u8>, at: usize, dice: &mut Dice) {
    let digits = |byte: &u8| byte.is_ascii_digit();
    let start = input.iter().skip(at).position(digits);
    let Some(start) = start.filter(|_| dice.roll(3) > 0) else {
        let width = if dice.roll(2) == 0 { 4 } else { 8 };
        let byte = dice.one_of(&[0x00, 0xff, 0x7f]).unwrap_or_default();
        input
            .iter_mut()
            .skip(at)
            .take(width)
            .for_each(|own| *own = byte);
        return;
    };
    let start = at + start;
    let length = input
        .iter()
        .skip(start)
        .take_while(|byte| digits(byte))
        .count();
    let number = dice.one_of(&NUMBERS).unwrap_or_default();
    drop(input.splice(start..start + length, number.bytes()));
}
