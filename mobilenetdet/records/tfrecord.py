"""TFRecord files and `tf.train.Example` messages without TensorFlow.

Importing TensorFlow would take the conversion of 860 frames from 3 to 17 s and from 69 to 755 MB.

A record is: payload length (uint64), its checksum (uint32), payload, checksum of the payload
(uint32), all little-endian; a checksum is the masked CRC-32C. See `tf.io.TFRecordWriter`. The
message is described to Google's protobuf as in tensorflow/core/example/{example,feature}.proto.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Literal

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from mobilenetdet.records.remote_path import num_bytes, open_binary

# What a feature holds: strings, numbers (float32 for real arrays, int64 for integer arrays).
FeatureValue = bytes | Sequence[bytes] | int | np.ndarray
# What is read of it.
Features = Mapping[str, list[bytes] | np.ndarray]

_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")
_HEADER_SIZE = _LENGTH.size + _CHECKSUM.size
_GZIP = b"\x1f\x8b\x08"
# A single string of this size or more is not copied into the message: protobuf would take 1.3 ms
# for an image of 800 kB, ten times as long as all else in the record.
_MIN_BUFFER = 4096

_TYPE = descriptor_pb2.FieldDescriptorProto
_MESSAGES = ("BytesList", "FloatList", "Int64List", "Feature", "Features", "Example")
# Message, field, number, type (the name of a message, else a scalar type), repeated.
_FIELDS: tuple[tuple[str, str, int, str | int, bool], ...] = (
    ("BytesList", "value", 1, _TYPE.TYPE_BYTES, True),
    ("FloatList", "value", 1, _TYPE.TYPE_FLOAT, True),
    ("Int64List", "value", 1, _TYPE.TYPE_INT64, True),
    ("Feature", "bytes_list", 1, "BytesList", False),
    ("Feature", "float_list", 2, "FloatList", False),
    ("Feature", "int64_list", 3, "Int64List", False),
    ("Entry", "key", 1, _TYPE.TYPE_STRING, False),
    ("Entry", "value", 2, "Feature", False),
    ("Features", "feature", 1, "Features.Entry", True),
    ("Example", "features", 1, "Features", False),
)


def write_record(file: BinaryIO, parts: Sequence[bytes]) -> int:
    """Appends one record whose payload is the concatenated parts.

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
    with open_binary(path) as file:
        index, end = 0, num_bytes(path)
        while header := file.read(_HEADER_SIZE):
            payload = _read_payload(file, header, end)
            if payload is None:
                where = f"(it ends at byte {file.tell()})"
                fault = f"record {index} is cut off or damaged {where}; write the file again"
                if header.startswith(_GZIP):
                    fault = "the file is packed by gzip; unpack it (gunzip)"
                raise ValueError(f"{path}: {fault}")
            yield payload
            index += 1


def payload_checksum(payload: bytes) -> int:
    """Returns the masked checksum that follows a payload in a file."""
    return _mask(google_crc32c.value(payload))


def record_lengths(path: str | os.PathLike[str]) -> list[int]:
    """Returns the sizes of the records of a TFRecord file, bytes, without reading them.

    Raises:
        ValueError: the file is cut off, or no TFRecord file; names it.
    """
    lengths, position = [], 0
    # Without a buffer: it would read the start of each image, too.
    with open_binary(path, buffering=0) as file:
        end = num_bytes(path)
        while position < end:
            file.seek(position)
            length = _read_length(file.read(_HEADER_SIZE))
            if length is None or length > end - position - _HEADER_SIZE - _CHECKSUM.size:
                break
            position += _HEADER_SIZE + length + _CHECKSUM.size
            lengths.append(length)
    if position != end:
        raise ValueError(
            f"{path}: record {len(lengths)} is cut off or damaged; write the file again"
        )
    return lengths


def encode_example(features: Mapping[str, FeatureValue]) -> list[bytes]:
    """Serialises a `tf.train.Example`.

    Args:
        features: the values by key. `bytes` and `int` are lists of one value; arrays of a real
            dtype are stored as float32, of an integer dtype as int64.

    Returns:
        Buffers whose concatenation is the message. An image is one of them as it is, so it goes
        into a file without being copied.

    Example:
        `b"".join(encode_example({"a": b"x"}))` has 14 bytes.
    """
    message, buffers = _Features(), []
    for key, value in features.items():
        if isinstance(value, bytes) and len(value) >= _MIN_BUFFER:
            buffers += [_entry_head(key, len(value)), value]
        else:
            _set_values(message.feature[key], value)
    # Messages one after the other are one; sorted, so that equal features are equal bytes.
    parts = [message.SerializeToString(deterministic=True), *buffers]
    return [_head(b"\x0a", sum(map(len, parts))), *parts]


def decode_example(message: bytes) -> dict[str, list[bytes] | np.ndarray]:
    """Reads a serialised `tf.train.Example`.

    Returns:
        By key: a list of byte strings, a float32 array [K] or an int64 array [K].

    Raises:
        ValueError: the message is not an Example.
    """
    try:
        example = _Example.FromString(message)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example ({error})") from None
    return {key: _to_values(feature) for key, feature in example.features.feature.items()}


def texts_of(features: Features, key: str) -> list[bytes]:
    """Returns the strings of a feature of an Example.

    Raises:
        ValueError: it is absent, or holds numbers.
    """
    values = _feature(features, key)
    if not isinstance(values, list):
        raise ValueError(f"a record without strings in {key}; convert the data again")
    return values


def numbers_of(features: Features, key: str, kind: Literal["f", "i"]) -> np.ndarray:
    """Returns the numbers [K] of a feature of an Example.

    Args:
        features: of the Example.
        key: of the feature. Without values, it may be of any kind.
        kind: "f" for real numbers, "i" for whole ones.

    Raises:
        ValueError: it is absent, or holds something else.
    """
    values = _feature(features, key)
    if isinstance(values, list) and not values:
        values = np.empty(0, kind)
    if not isinstance(values, np.ndarray) or values.dtype.kind != kind:
        what = {"f": "real", "i": "whole"}[kind]
        raise ValueError(f"a record without {what} numbers in {key}; convert the data again")
    return values


def only_one(values: list[bytes] | np.ndarray, key: str) -> Any:
    """Returns the value of a feature that has one.

    Raises:
        ValueError: it has none or several.
    """
    if len(values) != 1:
        raise ValueError(f"a record with {len(values)} values of {key}; convert the data again")
    return values[0]


def _feature(features: Features, key: str) -> list[bytes] | np.ndarray:
    if key not in features:
        raise ValueError(f"a record without {key!r}; convert the data again")
    return features[key]


def _set_values(feature: Any, value: FeatureValue) -> None:
    """Puts values into an empty Feature message."""
    if isinstance(value, np.ndarray):
        numbers = feature.float_list if value.dtype.kind == "f" else feature.int64_list
        numbers.value.extend(value.tolist())
        numbers.SetInParent()  # an empty list keeps its kind
    elif isinstance(value, int):
        feature.int64_list.value.append(value)
    else:
        feature.bytes_list.value.extend([value] if isinstance(value, bytes) else value)


def _to_values(feature: Any) -> list[bytes] | np.ndarray:
    """Returns the values of a Feature message; where it has no list, an empty one."""
    kind = feature.WhichOneof("kind")
    # As lists: protobuf's own sequences take four times as long.
    if kind == "float_list":
        return np.array(feature.float_list.value[:], np.float32)
    if kind == "int64_list":
        return np.array(feature.int64_list.value[:], np.int64)
    return list(feature.bytes_list.value)


def _read_length(header: bytes) -> int | None:
    """Returns the payload length in the header of a record, or None where it is damaged."""
    length, checksum = header[: _LENGTH.size], header[_LENGTH.size :]
    if checksum != _CHECKSUM.pack(_mask(google_crc32c.value(length))):
        return None
    return _LENGTH.unpack(length)[0]


def _read_payload(file: BinaryIO, header: bytes, end: int) -> bytes | None:
    """Returns the payload after a header, or None where it does not fit its checksums.

    A length may say anything: what is longer than the file is not even tried.
    """
    length = _read_length(header)
    if length is None or length > end - file.tell():
        return None
    payload = file.read(length)
    intact = file.read(_CHECKSUM.size) == _CHECKSUM.pack(payload_checksum(payload))
    return payload if intact else None


def _mask(crc: int) -> int:
    """Rotates and shifts a checksum, so that checksums of checksums stay useful."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _entry_head(key: str, size: int) -> bytes:
    """Returns what stands in an entry before its value, one string of `size` bytes."""
    name = key.encode()
    head = _head(b"\x0a", size)  # BytesList.value
    head = _head(b"\x0a", len(head) + size) + head  # Feature.bytes_list
    head = _head(b"\x12", len(head) + size) + head  # value of the entry
    head = _head(b"\x0a", len(name)) + name + head  # key of the entry
    return _head(b"\x0a", len(head) + size) + head  # Features.feature


def _head(tag: bytes, size: int) -> bytes:
    """Returns the tag of a field and its size, in groups of seven bits, the lowest first."""
    groups = bytearray(tag)
    while size >= 0x80:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*groups, size])


def _message_classes() -> tuple[type[Any], type[Any]]:
    """Builds the messages Example and Features; an own pool keeps them apart from TensorFlow's."""
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="p", syntax="proto3")
    scope = {name: file.message_type.add(name=name) for name in _MESSAGES}
    scope["Feature"].oneof_decl.add(name="kind")
    scope["Entry"] = scope["Features"].nested_type.add(name="Entry")
    scope["Entry"].options.map_entry = True
    for message, name, number, kind, repeated in _FIELDS:
        field = scope[message].field.add(name=name, number=number)
        field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
        if isinstance(kind, str):
            field.type, field.type_name = field.TYPE_MESSAGE, f".p.{kind}"
        else:
            field.type = kind
        if message == "Feature":
            field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    example, features = map(pool.FindMessageTypeByName, ("p.Example", "p.Features"))
    return message_factory.GetMessageClass(example), message_factory.GetMessageClass(features)


_Example, _Features = _message_classes()
