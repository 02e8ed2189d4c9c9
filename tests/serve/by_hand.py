"""Messages of the service written byte by byte, and read again: nothing here knows the table of `serve.wire`."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

CONTROLLER = "/nvidia_ace.services.a2f_controller.v1.A2FControllerService/ProcessAudioStream"


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def float32(field: int, value: float) -> bytes:
    return varint(field << 3 | 5) + struct.pack("<f", value)


def float64(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def float_map(field: int, values: Mapping[str, float]) -> bytes:
    return b"".join(block(field, block(1, name.encode()) + float32(2, value)) for name, value in values.items())


def audio_header(rate: int = 16_000, channels: int = 1, bits: int = 16, kind: int = 0) -> bytes:
    return number(1, kind) + number(2, channels) + number(3, rate) + number(4, bits)


def header(
    rate: int = 16_000, *, face: bytes = b"", post: bytes = b"", weights: bytes = b"", emotion: bytes = b""
) -> bytes:
    parts = [block(1, audio_header(rate))]
    parts += [block(field, data) for field, data in ((2, face), (3, post), (4, weights), (5, emotion)) if data]
    return block(1, b"".join(parts))


def sound(data: bytes, emotions: Sequence[tuple[float, Mapping[str, float]]] = ()) -> bytes:
    keys = b"".join(block(2, float64(1, time) + float_map(2, values)) for time, values in emotions)
    return block(2, block(1, data) + keys)


END = block(3, b"")


def read(data: bytes) -> dict[int, list[Any]]:
    """Fields of a message by number: bytes, integers, or the four or eight bytes of a float."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            size = {1: 8, 5: 4}[kind]
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while data[at] & 128:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
    return value | data[at] << shift, at + 1


class Frame:
    """An answer with a frame."""

    def __init__(self, answer: bytes) -> None:
        data = read(read(answer)[2][0])
        weights = read(read(data[1][0])[1][0])
        self.time = struct.unpack("<d", weights.get(1, [bytes(8)])[0])[0]
        packed = weights[2][0]
        self.weights = struct.unpack(f"<{len(packed) // 4}f", packed)
        self.sound = read(data[2][0]).get(2, [b""])[0]
        (entry,) = data[4]
        assert read(entry)[1] == [b"emotion_aggregate"]
        any_message = read(read(entry)[2][0])
        assert any_message[1] == [b"type.googleapis.com/nvidia_ace.emotion_aggregate.v1.EmotionAggregate"]
        aggregate = read(any_message[2][0])
        assert 2 not in aggregate  # a2e_output ends the sample client
        self.requested, self.smoothed = (_emotion(aggregate[field][0]) for field in (1, 3))


def _emotion(data: bytes) -> dict[str, float]:
    entries = [read(entry) for entry in read(data)[2]]
    return {entry[1][0].decode(): struct.unpack("<f", entry.get(2, [bytes(4)])[0])[0] for entry in entries}


def status(answer: bytes) -> tuple[int, str]:
    """Code and message of a status."""
    fields = read(read(answer)[4][0])
    return fields.get(1, [0])[0], fields.get(2, [b""])[0].decode()


def kind(answer: bytes) -> str:
    """What an answer is."""
    (field,) = read(answer)
    return {1: "header", 2: "frame", 3: "event", 4: "status"}[field]
