"""Bytes that were whole, changed as disks, networks, editors and attackers change them."""

from collections.abc import Callable, Sequence

from hypothesis import strategies as st

# Numbers that break sums, as they stand in headers.
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)
# Words that parsers of text stumble over.
_WORDS = (
    b"nan",
    b"-inf",
    b"1e308",
    b"1e999",
    b"\0",
    b"\xff",
    b"\n",
    b"\r",
    b"\t",
    b" ",
    b"9" * 5000,
)
_WORDS += (b"[" * 2000, b"{", b"}", b'"', b"../", b"\x1b[2J", "\u202e".encode(), b"-1", b"None")

Change = Callable[[bytes, int, int, bytes], bytes]


def _flip(data: bytes, place: int, number: int, other: bytes) -> bytes:
    if not data:
        return data
    changed = bytearray(data)
    changed[place % len(data)] ^= 1 << number % 8
    return bytes(changed)


def _cut(data: bytes, place: int, number: int, other: bytes) -> bytes:
    return data[: place % (len(data) + 1)]


def _insert(data: bytes, place: int, number: int, other: bytes) -> bytes:
    place %= len(data) + 1
    return data[:place] + _WORDS[number % len(_WORDS)] + data[place:]


def _remove(data: bytes, place: int, number: int, other: bytes) -> bytes:
    place %= len(data) + 1
    return data[:place] + data[place + 1 + number % 64 :]


def _repeat(data: bytes, place: int, number: int, other: bytes) -> bytes:
    place %= len(data) + 1
    part = data[place : place + 1 + number % 256]
    return data[:place] + part * (1 + number % 9) + data[place:]


def _splice(data: bytes, place: int, number: int, other: bytes) -> bytes:
    """The start of one and the end of another."""
    return data[: place % (len(data) + 1)] + other[number % (len(other) + 1) :]


def _set_number(data: bytes, place: int, number: int, other: bytes) -> bytes:
    """Writes a number that is far too large, or 0, over some bytes."""
    size = (1, 2, 4, 8)[number % 4]
    value = _NUMBERS[number // 4 % len(_NUMBERS)] % 256**size
    order = "little" if number % 2 else "big"
    place %= max(1, len(data) - size)
    return data[:place] + value.to_bytes(size, order) + data[place + size :]


_CHANGES: tuple[Change, ...] = (_flip, _cut, _insert, _remove, _repeat, _splice, _set_number)


# Bytes that say a change: its kind, whether it is at the start, place, number, other seed.
_SIZE = 8


def mutated(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Draws one of the seeds with up to four changes, or bytes that are none of them.

    One draw says all: drawing is what takes the time, and what is drawn can still be shrunk.
    """
    return st.binary(min_size=1, max_size=1 + 4 * _SIZE).map(lambda recipe: _follow(recipe, seeds))


def _follow(recipe: bytes, seeds: Sequence[bytes]) -> bytes:
    first, rest = recipe[0], recipe[1:]
    if first >= 250:
        return rest
    data = seeds[first % len(seeds)]
    for start in range(0, len(rest) - _SIZE + 1, _SIZE):
        kind, near, *place, high, low, other = rest[start : start + _SIZE]
        # Headers stand at the start: half of the changes are there.
        where = int.from_bytes(place, "big") % (64 if near % 2 else 2**24)
        change, number = _CHANGES[kind % len(_CHANGES)], 256 * high + low
        data = change(data, where, number, seeds[other % len(seeds)])
    return data
