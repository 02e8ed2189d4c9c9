"""Small caches of every kind, and chunks of Maya caches put together by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from audio2face.geometry import write_cache, write_maya

KINDS = ("npy", "pc2", "mdd", "mc", "mcx")
XML = """<?xml version="1.0"?>
<Autodesk_Cache_File>
  <cacheType Type="{layout}" Format="{format}"/>
  <time Range="{range}"/>
  <cacheTimePerFrame TimePerFrame="{step}"/>
  <Channels>{channels}</Channels>
</Autodesk_Cache_File>
"""


def frames_of(num_frames: int = 3, num_verts: int = 2, seed: int = 0) -> np.ndarray:
    """Random float32 vertices `[frames, verts, 3]`."""
    return np.random.default_rng(seed).standard_normal((num_frames, num_verts, 3)).astype(np.float32)


def write_kind(folder: Path, kind: str, frames: np.ndarray, name: str = "shot") -> tuple[Path, Path]:
    """Writes a cache; returns the file to open and the file that holds the numbers."""
    if kind in ("mc", "mcx"):
        path = folder / f"{name}.xml"
        write_maya(path, frames, fps=30, wide=kind == "mcx")
        return path, path.with_suffix(f".{kind}")
    path = folder / f"{name}.{kind}"
    write_cache(path, frames, fps=30)
    return path, path


def chunk(tag: bytes, payload: bytes, *, wide: bool = False, claim: int | None = None) -> bytes:
    """A chunk with its padding; `claim` is a size other than that of the payload."""
    head = struct.pack(">4s4xQ" if wide else ">4sI", tag, len(payload) if claim is None else claim)
    return head + payload + b"\0" * (-len(payload) % (8 if wide else 4))


def group(kind: bytes, *chunks: bytes, wide: bool = False, surplus: int = 0) -> bytes:
    """A group; `surplus` bytes of payload are announced and left to the caller."""
    body = kind + b"".join(chunks)
    return struct.pack(">4s4xQ" if wide else ">4sI", b"FOR8" if wide else b"FOR4", len(body) + surplus) + body


def number(tag: bytes, value: int, *, wide: bool = False) -> bytes:
    """A chunk with one int32."""
    return chunk(tag, struct.pack(">i", value), wide=wide)


def header(first: int = 0, last: int = 0, *, wide: bool = False) -> bytes:
    """The CACH group."""
    times = number(b"STIM", first, wide=wide), number(b"ETIM", last, wide=wide)
    return group(b"CACH", chunk(b"VRSN", b"0.1\0", wide=wide), *times, wide=wide)


def frame_lead(num_verts: int, *, wide: bool = False) -> bytes:
    """All bytes of a frame of float32 up to its values."""
    size = 12 * num_verts
    return group(
        b"MYCH",
        number(b"TIME", 0, wide=wide),
        chunk(b"CHNM", b"face\0", wide=wide),
        number(b"SIZE", num_verts, wide=wide),
        chunk(b"FVCA", b"", wide=wide, claim=size),
        wide=wide,
        surplus=size,
    )


def channel(name: str, tag: bytes, values: np.ndarray) -> bytes:
    """CHNM, SIZE and values of one channel."""
    code = {b"FVCA": ">f4", b"DVCA": ">f8", b"FBCA": ">f4", b"DBLA": ">f8"}[tag]
    return (
        chunk(b"CHNM", name.encode() + b"\0") + number(b"SIZE", len(values)) + chunk(tag, values.astype(code).tobytes())
    )


def write_by_hand(
    folder: Path,
    data: bytes | dict[str, bytes],
    *,
    layout: str = "OneFile",
    format: str = "mcc",  # noqa: A002
    range: str = "0-400",  # noqa: A002
    step: str = "200",
    channels: str = "",
) -> Path:
    """Writes `hand.xml` with its data file, or with data files by name."""
    files = {"hand.mc": data} if isinstance(data, bytes) else data
    for name, content in files.items():
        (folder / name).write_bytes(content)
    path = folder / "hand.xml"
    path.write_text(XML.format(layout=layout, format=format, range=range, step=step, channels=channels))
    return path
