"""Reads and writes the .xml that describes a Maya cache: layout, time range, channels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from audio2face.errors import FileFormatError
from audio2face.geometry.mapped_files import unreadable

ONE_FILE, FILE_PER_FRAME = "OneFile", "OneFilePerFrame"
_MOST_BYTES = 4 << 20  # typical descriptions have some kilobytes, with scene notes some hundred
_MOST_CHANNELS = 4096
_RANGE = re.compile(r"\s*(-?\d{1,12})\s*-\s*(-?\d{1,12})\s*", re.ASCII)
_COUNT = re.compile(r"\s*(\d{1,9})\s*", re.ASCII)


@dataclass(frozen=True)
class ChannelNote:
    """Description of one channel."""

    interpretation: str
    irregular: bool  # whether its frames may be unevenly spaced


@dataclass
class CacheDescription:
    """Description of a cache; times in ticks, None where the file has none."""

    layout: str = ""
    wide: bool = False
    first_tick: int | None = None
    last_tick: int | None = None
    ticks_per_frame: int | None = None
    channels: dict[str, ChannelNote] = field(default_factory=dict)


def read_description(path: Path) -> CacheDescription:
    """Parses the .xml of a cache.

    Document types and entities are refused, so that a small file cannot expand into a large one.

    Raises:
        FileFormatError: not XML, over 4 MiB, an unknown layout, or a time that is not a number.
    """
    try:
        with path.open("rb") as handle:
            if handle.seek(0, 2) > _MOST_BYTES:
                raise FileFormatError(f"is over {_MOST_BYTES} bytes long", path=path, offset=_MOST_BYTES)
            handle.seek(0)
            text = handle.read()
    except OSError as error:
        raise unreadable(path, error) from error
    parser = expat.ParserCreate()
    found = CacheDescription()

    def refuse_doctype(*_: object) -> None:
        raise ValueError("document types are not allowed")

    def take_element(tag: str, attributes: dict[str, str]) -> None:
        _take_element(found, tag, attributes)

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = take_element
    try:
        parser.Parse(text, True)
        if found.layout not in (ONE_FILE, FILE_PER_FRAME):
            raise ValueError(f"cacheType is {found.layout!r}; {ONE_FILE} or {FILE_PER_FRAME} expected")
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FileFormatError(
            f"is not a Maya cache description: {error}", path=path, offset=max(parser.CurrentByteIndex, 0)
        ) from error
    return found


def _take_element(found: CacheDescription, tag: str, attributes: dict[str, str]) -> None:
    if tag == "cacheType":
        found.layout = attributes.get("Type", "")
        found.wide = attributes.get("Format", "") == "mcx"
    elif tag == "time":
        found.first_tick, found.last_tick = _range(attributes.get("Range", ""))
    elif tag == "cacheTimePerFrame":
        found.ticks_per_frame = _count(attributes.get("TimePerFrame", ""))
    elif "ChannelName" in attributes:
        if len(found.channels) == _MOST_CHANNELS:
            raise ValueError(f"over {_MOST_CHANNELS} channels")
        found.channels[attributes["ChannelName"]] = ChannelNote(
            attributes.get("ChannelInterpretation", ""), attributes.get("SamplingType", "") == "Irregular"
        )


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"time range {text[:40]!r} is not of the form first-last")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    match = _COUNT.fullmatch(text)
    if match is None:
        raise ValueError(f"TimePerFrame {text[:40]!r} is not a whole number")
    return int(match[1])


def description_text(
    *, per_frame: bool, wide: bool, double: bool, ticks: tuple[int, int], ticks_per_frame: int, names: Mapping[str, int]
) -> str:
    """Returns the .xml in Maya's layout.

    Args:
        per_frame: whether each frame has a file of its own.
        wide: whether the data files are .mcx.
        double: whether positions are float64.
        ticks: time of the first and of the last frame.
        ticks_per_frame: distance of frames, rounded.
        names: the channels, in order.
    """
    from xml.sax.saxutils import quoteattr  # loads the network modules of the standard library, 5 % of a start

    kind = "DoubleVectorArray" if double else "FloatVectorArray"
    channels = "".join(
        f"    <channel{number} ChannelName={quoteattr(name)} ChannelType={quoteattr(kind)} "
        f'ChannelInterpretation="positions" SamplingType="Regular" SamplingRate="{ticks_per_frame}" '
        f'StartTime="{ticks[0]}" EndTime="{ticks[1]}"/>\n'
        for number, name in enumerate(names)
    )
    return (
        '<?xml version="1.0"?>\n'
        "<Autodesk_Cache_File>\n"
        f'  <cacheType Type="{FILE_PER_FRAME if per_frame else ONE_FILE}" Format="{"mcx" if wide else "mcc"}"/>\n'
        f'  <time Range="{ticks[0]}-{ticks[1]}"/>\n'
        f'  <cacheTimePerFrame TimePerFrame="{ticks_per_frame}"/>\n'
        '  <cacheVersion Version="2.0"/>\n'
        f"  <Channels>\n{channels}  </Channels>\n"
        "</Autodesk_Cache_File>\n"
    )
