"""TensorBoard event files: the scalars of one tag, without TensorBoard.

In: a path and a tag. Out: steps and values in the order of the file. An event file is a chain of records (length, its
checksum, data, its checksum), each a protocol-buffer message `Event` with step and summary values; of those, this reads the
few fields that a scalar needs. The checksums (masked CRC-32C) of all lengths and of the records of the tag are checked. A
last record that is cut short is left out: its writer may have been killed, or may still be writing.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from rlbench.errors import ConfigError

_MASK = 0xA282EAD8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Field = tuple[int, int, int | bytes]  # number, wire type, value


def read_scalars(path: Path, tag: str) -> tuple[list[int], list[float]]:
    """Steps and values of a tag. Raises ConfigError for a damaged file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from None
    wanted = tag.encode()
    steps, values = [], []
    for number, record in enumerate(_records(path, data), start=1):
        if wanted not in record[:-4]:
            continue
        payload, checksum = record[:-4], record[-4:]
        if _masked(payload) != int.from_bytes(checksum, "little"):
            raise ConfigError(f"{path.name} record {number} is damaged: its checksum does not fit")
        try:
            step, scalars = _event(payload, wanted)
        except (ValueError, IndexError, struct.error):
            raise ConfigError(f"{path.name} record {number} is no event of TensorBoard") from None
        for value in scalars:
            steps.append(step)
            values.append(value)
    return steps, values


def _records(path: Path, data: bytes) -> Iterator[bytes]:
    """Each record's data with the checksum that follows it."""
    at = 0
    while at + 12 <= len(data):
        head = data[at : at + 8]
        if _masked(head) != int.from_bytes(data[at + 8 : at + 12], "little"):
            raise ConfigError(f"{path.name} is damaged at byte {at}, or is no event file of TensorBoard")
        end = at + 12 + int.from_bytes(head, "little") + 4
        if end > len(data):
            return
        yield data[at + 12 : end]
        at = end


def _event(data: bytes, tag: bytes) -> tuple[int, list[float]]:
    """Step, and the scalars of the tag, of a message Event {step = 2; summary = 5 {value = 1 {tag = 1; ...}}}."""
    step, scalars = 0, []
    for number, _, value in _fields(data):
        if number == 2 and isinstance(value, int):
            step = value
        elif number == 5 and isinstance(value, bytes):
            for inner, _, one in _fields(value):
                if inner == 1 and isinstance(one, bytes):
                    scalars += _scalar(one, tag)
    return step, scalars


def _scalar(data: bytes, tag: bytes) -> list[float]:
    """The scalar of a message Value {tag = 1; simple_value = 2; tensor = 8}, if it is of the tag."""
    fields = {number: value for number, _, value in _fields(data)}
    if fields.get(1) != tag:
        return []
    if isinstance(simple := fields.get(2), bytes):
        return [float(struct.unpack("<f", simple)[0])]
    return [_tensor(tensor)] if isinstance(tensor := fields.get(8), bytes) else []


def _tensor(data: bytes) -> float:
    """The one number of a message TensorProto {dtype = 1; tensor_content = 4; float_val = 5; double_val = 6}."""
    fields = {number: value for number, _, value in _fields(data)}
    form = "<d" if fields.get(1) == 2 else "<f"
    content = next(value for number in (4, 5, 6) if isinstance(value := fields.get(number), bytes))
    return float(struct.unpack(form, content)[0])


def _fields(data: bytes) -> Iterator[Field]:
    """The fields of a message; fixed-size numbers as their bytes. Raises ValueError or IndexError where it is none."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("cut short")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7


def _table() -> list[int]:
    """CRC-32C (Castagnoli), reflected."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _table()


def _masked(data: bytes) -> int:
    """The checksum of a record file: CRC-32C, rotated and shifted."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF
