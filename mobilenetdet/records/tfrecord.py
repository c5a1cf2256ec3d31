"""TFRecord files and `tf.train.Example` messages, written and read without TensorFlow.

Importing TensorFlow takes seconds and building an Example with it copies the image several times;
conversion and inspection need neither. The two formats are small and fixed:

A record is: payload length (uint64), its checksum (uint32), payload, checksum of the payload
(uint32), all little-endian; a checksum is the masked CRC-32C. See `tf.io.TFRecordWriter`.

An Example is the protocol buffer message Example{features=1: Features{feature=1: map<string,
Feature>}} where Feature{bytes_list=1 | float_list=2 | int64_list=3} and each list has its values in
field 1. See tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import BinaryIO

import google_crc32c
import numpy as np

# What a feature holds: strings, numbers (float32 for real arrays, int64 for integer arrays).
FeatureValue = bytes | Sequence[bytes] | int | np.ndarray

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_HEADER_SIZE = _LENGTH.size + _CHECKSUM.size
# Tag bytes of length-delimited fields: (field number << 3) | 2.
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"
_BYTES_LIST, _FLOAT_LIST = 1, 2


def write_record(file: BinaryIO, parts: Sequence[bytes]) -> int:
    """Appends one record whose payload is the parts one after the other.

    Returns:
        The masked checksum of the payload.
    """
    length = _LENGTH.pack(sum(map(len, parts)))
    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    checksum = _mask(crc)
    file.write(length + _CHECKSUM.pack(_mask(google_crc32c.value(length))))
    for part in parts:
        file.write(part)
    file.write(_CHECKSUM.pack(checksum))
    return checksum


def read_records(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yields the payloads of a TFRecord file, each checked against its checksum.

    Raises:
        ValueError: a record is cut off or damaged; names the file, the record and the byte.
    """
    with open(path, "rb") as file:
        index = 0
        while header := file.read(_HEADER_SIZE):
            payload = _read_payload(file, header)
            if payload is None:
                raise ValueError(
                    f"{path}: record {index} is cut off or damaged (it ends at byte "
                    f"{file.tell()}); write the file again"
                )
            yield payload
            index += 1


def count_records(path: str | os.PathLike[str]) -> int:
    """Counts the records of a TFRecord file by their lengths, without reading them.

    Raises:
        ValueError: the file is cut off, or no TFRecord file; names it.
    """
    count = position = 0
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        while position < end:
            file.seek(position)
            header = file.read(_HEADER_SIZE)
            if header[_LENGTH.size :] != _CHECKSUM.pack(
                _mask(google_crc32c.value(header[: _LENGTH.size]))
            ):
                break
            position += _HEADER_SIZE + _LENGTH.unpack_from(header)[0] + _CHECKSUM.size
            count += 1
    if position != end:
        raise ValueError(f"{path}: record {count} is cut off or damaged; write the file again")
    return count


def encode_example(features: Mapping[str, FeatureValue]) -> list[bytes]:
    """Serialises a `tf.train.Example`.

    Args:
        features: the values by key. `bytes` and `int` are lists of one value; arrays of a real
            dtype are stored as float32, of an integer dtype as int64.

    Returns:
        Buffers whose concatenation is the message. A `bytes` value is one of them as it is, so an
        image goes into a file without being copied.

    Example:
        `b"".join(encode_example({"a": b"x"}))` has 14 bytes.
    """
    parts: list[bytes] = []
    for key, value in features.items():
        parts += _encode_entry(key, value)
    return [_FIELD_1 + _varint(sum(map(len, parts))), *parts]


def decode_example(message: bytes) -> dict[str, list[bytes] | np.ndarray]:
    """Reads a serialised `tf.train.Example`.

    Returns:
        By key: a list of byte strings, a float32 array [K] or an int64 array [K].

    Raises:
        ValueError: the message is not an Example.
    """
    features: dict[str, list[bytes] | np.ndarray] = {}
    try:
        _, position, end = _read_field(message, 0)
        while position < end:
            _, start, position = _read_field(message, position)
            _, start, stop = _read_field(message, start)
            key = message[start:stop].decode()
            features[key] = _decode_feature(message, *_read_field(message, stop)[1:])
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a tf.train.Example ({error})") from None
    return features


def _read_payload(file: BinaryIO, header: bytes) -> bytes | None:
    """Returns the payload after a header, or None where it does not fit its checksums."""
    if len(header) < _HEADER_SIZE:
        return None
    length, checksum = header[: _LENGTH.size], header[_LENGTH.size :]
    if checksum != _CHECKSUM.pack(_mask(google_crc32c.value(length))):
        return None
    payload = file.read(*_LENGTH.unpack(length))
    intact = file.read(_CHECKSUM.size) == _CHECKSUM.pack(_mask(google_crc32c.value(payload)))
    return payload if intact else None


def _mask(crc: int) -> int:
    """Rotates and shifts a checksum, so that checksums of checksums stay useful."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _encode_entry(key: str, value: FeatureValue) -> list[bytes]:
    """Encodes one entry of the feature map; a single byte string stays a buffer of its own."""
    if isinstance(value, bytes):
        head = _FIELD_1 + _varint(len(value))
        return [_entry_head(key, _FIELD_1, len(head) + len(value)) + head, value]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        packed = value.astype("<f4", copy=False).tobytes()
        return [_packed_head(key, _FIELD_2, len(packed)) + packed]
    if isinstance(value, int | np.ndarray):
        numbers = [value] if isinstance(value, int) else value.tolist()
        # Negative numbers are stored as the 64 bits of their two's complement.
        packed = b"".join([_varint(number & 0xFFFFFFFFFFFFFFFF) for number in numbers])
        return [_packed_head(key, _FIELD_3, len(packed)) + packed]
    items = b"".join([_FIELD_1 + _varint(len(item)) + item for item in value])
    return [_entry_head(key, _FIELD_1, len(items)) + items]


# The heads hang on key and size alone, and few sizes occur: looking them up halves the time.
@lru_cache(maxsize=4096)
def _packed_head(key: str, kind: bytes, size: int) -> bytes:
    """Returns what stands before packed numbers; an empty list has no field for them."""
    head = _FIELD_1 + _varint(size) if size else b""
    return _entry_head(key, kind, len(head) + size) + head


def _entry_head(key: str, kind: bytes, size: int) -> bytes:
    """Returns what stands before a list: heads of entry, key, feature and list."""
    name = key.encode()
    list_head = kind + _varint(size)
    feature_size = len(list_head) + size
    head = _FIELD_1 + _varint(len(name)) + name + _FIELD_2 + _varint(feature_size) + list_head
    return _FIELD_1 + _varint(len(head) + size) + head


def _decode_feature(message: bytes, start: int, stop: int) -> list[bytes] | np.ndarray:
    """Decodes the list in a feature; where there is none, it is empty."""
    kind, start, stop = _read_field(message, start) if start < stop else (_BYTES_LIST, start, stop)
    if kind == _BYTES_LIST:
        return list(_read_strings(message, start, stop))
    if start < stop:
        _, start, stop = _read_field(message, start)
    if kind == _FLOAT_LIST:
        return np.frombuffer(message[start:stop], "<f4").astype(np.float32)
    return np.array(list(_read_varints(message, start, stop)), np.uint64).astype(np.int64)


def _read_strings(message: bytes, position: int, end: int) -> Iterator[bytes]:
    while position < end:
        _, start, position = _read_field(message, position)
        yield message[start:position]


def _read_varints(message: bytes, position: int, end: int) -> Iterator[int]:
    while position < end:
        value, position = _read_varint(message, position)
        yield value


def _read_field(message: bytes, position: int) -> tuple[int, int, int]:
    """Returns number, start and end of a length-delimited field that begins at a position."""
    tag = message[position]
    length, start = _read_varint(message, position + 1)
    stop = start + length
    if tag & 7 != 2 or stop > len(message):
        raise ValueError(f"byte {position} begins no field of {length} bytes")
    return tag >> 3, start, stop


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    """Returns the number at a position and the position behind it."""
    value = shift = 0
    while (byte := message[position]) & 0x80:
        value |= (byte & 0x7F) << shift
        shift += 7
        position += 1
    return value | byte << shift, position + 1


def _varint(value: int) -> bytes:
    """Encodes a number in groups of seven bits, the lowest first."""
    if value < 0x80:
        return _SMALL_VARINTS[value]
    groups = []
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


_SMALL_VARINTS = [bytes([value]) for value in range(0x80)]
