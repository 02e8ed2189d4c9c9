"""Opens Maya caches: an .xml with one .mc or .mcx beside it, or with one per frame; selects the channel."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError, UserError
from audio2face.geometry.mapped_files import MappedArray, MappedFile, unreadable
from audio2face.geometry.maya_chunks import TICKS_PER_SECOND, ChooseChannel, FrameIndex, MayaChannel, index_file
from audio2face.geometry.maya_xml import FILE_PER_FRAME, CacheDescription, ChannelNote, read_description
from audio2face.geometry.point_cache import FrameSource, PointCache, ScatteredFrames, StridedFrames
from audio2face.placeholders import find_placeholder
from audio2face.types import Int32Array

_EXTENSIONS = ("mc", "mcx")


_CHANNEL_HINT = (
    "Name one of them in SKIN_CACHE_CHANNEL, or TONGUE_CACHE_CHANNEL for the tongue, in config_dataset.py; or export "
    "each mesh to a cache of its own."
)


class ChannelError(UserError):
    """The requested channel is missing, or several channels of positions match."""


def open_maya(path: Path, channel: str | None = None, num_verts: int | None = None) -> PointCache:
    """Opens the cache that an .xml describes.

    Args:
        path: the .xml.
        channel: name of the channel of positions, with or without its namespace; None selects the only one.
        num_verts: without `channel`: selects the only channel of positions with this number of vertices; None if
            unknown.

    Raises:
        FileFormatError: the description or a data file is damaged, or they do not match.
        UserError: a file is missing or unreadable; ChannelError: the channel is missing, or not unique.
    """
    described = read_description(path)

    def choose(channels: tuple[MayaChannel, ...]) -> MayaChannel:
        return _choose_channel(path, described, channels, channel, num_verts)

    if described.layout == FILE_PER_FRAME:
        index, source = _open_files(path, described, choose)
    else:
        index, source = _open_file(_data_file(path, described), choose)
    step = _ticks_between_frames(described, index.ticks)
    return PointCache(
        path,
        len(index.offsets),
        index.channel.num_verts,
        index.dtype.newbyteorder("="),
        source,
        fps=TICKS_PER_SECOND / step if step else None,
        start_time=int(index.ticks[0]) / TICKS_PER_SECOND,
        channel=index.channel.name,
        warnings=tuple(_contradictions(described, index)),
    )


def _choose_channel(
    path: Path,
    described: CacheDescription,
    channels: tuple[MayaChannel, ...],
    wanted: str | None,
    num_verts: int | None,
) -> MayaChannel:
    """Selects the channel of that name, or the only candidate."""
    names = [channel.name for channel in channels]
    if len(set(names)) < len(names):
        raise FileFormatError(f"has two channels of one name among {_listed(names)}", path=path)
    fitting = _by_contents(channels, described, num_verts) if wanted is None else _by_name(channels, wanted)
    if not fitting and wanted is None:
        raise FileFormatError(f"has no channel of positions; its channels of vectors: {_listed(names)}", path=path)
    if len(fitting) != 1:
        problem = f"has {len(fitting) or 'no'} channel{'s' * (len(fitting) > 1)} {wanted!r}"
        if wanted is None:
            problem = f"has {len(fitting)} channels of positions"
        sizes = [f"{channel.name[:60]!r} ({channel.num_verts} vertices)" for channel in channels]
        raise ChannelError(f"{problem}; its channels of vectors: {_joined(sizes)}", path=path, hint=_CHANNEL_HINT)
    if fitting[0].num_verts == 0:
        raise FileFormatError(f"channel {fitting[0].name!r} has no vertices in frame 0", path=path)
    return fitting[0]


def _by_name(channels: tuple[MayaChannel, ...], wanted: str) -> list[MayaChannel]:
    """Returns the channel of exactly that name, else those with that name without namespaces."""
    exact = [channel for channel in channels if channel.name == wanted]
    return exact or [channel for channel in channels if _bare(channel.name) == _bare(wanted)]


def _bare(name: str) -> str:
    """Removes namespaces and path, which differ between scenes, from a channel's name."""
    return re.split(r"[:|]", name)[-1]


def _by_contents(
    channels: tuple[MayaChannel, ...], described: CacheDescription, num_verts: int | None
) -> list[MayaChannel]:
    """Returns the channels that may hold positions; of several, only those with `num_verts` vertices."""
    fitting = [channel for channel in channels if _is_positions(described.channels.get(channel.name))]
    of_size = [channel for channel in fitting if channel.num_verts == num_verts]
    return of_size if len(fitting) > 1 and len(of_size) == 1 else fitting


def _is_positions(note: ChannelNote | None) -> bool:
    return note is None or note.interpretation == "positions"


def _listed(names: list[str]) -> str:
    return _joined([repr(name[:60]) for name in names])


def _joined(texts: list[str]) -> str:
    shown = ", ".join(texts[:20]) or "none"
    return shown + (f" and {len(texts) - 20} more" if len(texts) > 20 else "")


def _data_file(path: Path, described: CacheDescription) -> Path:
    """Finds the data file of a one-file cache: in the stated format, else in the other."""
    ordered = _EXTENSIONS[::-1] if described.wide else _EXTENSIONS
    for extension in ordered:
        file = path.with_name(f"{path.stem}.{extension}")
        if file.is_file():
            return file
    for extension in ordered:
        found = find_placeholder(path.with_name(f"{path.stem}.{extension}"))
        if found is not None:
            raise UserError(f"its data file {path.stem}.{extension} {found.problem}", path=path, hint=found.hint)
    raise UserError(f"its data file {path.stem}.{ordered[0]} is missing", path=path, hint="Copy it beside the .xml.")


def _open_file(file: Path, choose: ChooseChannel) -> tuple[FrameIndex, FrameSource]:
    mapped = MappedFile.open(file)
    index = index_file(file, mapped.content(), choose)
    steps = np.diff(index.offsets)
    if len(steps) and steps.min() != steps.max():
        return index, ScatteredFrames([file] * len(index.offsets), index.offsets, index.dtype)
    shape = (len(index.offsets), index.channel.num_verts, 3)
    size = index.dtype.itemsize
    strides = (int(steps[0]) if len(steps) else 0, 3 * size, size)
    return index, StridedFrames(MappedArray(mapped, index.dtype, shape, int(index.offsets[0]), strides))


def _open_files(path: Path, described: CacheDescription, choose: ChooseChannel) -> tuple[FrameIndex, FrameSource]:
    """Indexes the frames of a one-file-per-frame cache; the first file defines type and number of vertices."""
    files = frame_files(path, described.wide)
    if not files:
        raise UserError(f"none of its data files {path.stem}Frame<number>.mc is there", path=path)
    first = _index_frame_file(files[0], choose)
    offsets, ticks = [int(first.offsets[0])], [int(first.ticks[0])]
    for file in files[1:]:
        index = _index_frame_file(file, partial(_same_channel, file, first.channel))
        offsets.append(int(index.offsets[0]))
        ticks.append(int(index.ticks[0]))
    joined = FrameIndex(first.channel, np.array(offsets, np.int64), np.array(ticks, np.int32))
    _refuse_gap(files, joined, described)
    return joined, ScatteredFrames(files, joined.offsets, joined.dtype)


def frame_files(path: Path, wide: bool) -> list[Path]:
    """Lists the data files of a one-file-per-frame cache, `<name>Frame<N>[Tick<M>].mc[x]`, in order of time.

    Args:
        path: the .xml.
        wide: whether .mcx takes precedence over .mc.
    """
    pattern = re.compile(re.escape(path.stem) + r"Frame(-?\d{1,10})(?:Tick(-?\d{1,10}))?\.(mcx?)", re.ASCII)
    found: dict[str, list[tuple[int, int, Path]]] = {extension: [] for extension in _EXTENSIONS}
    try:
        for file in path.parent.iterdir():
            match = pattern.fullmatch(file.name)
            if match and file.is_file():
                found[match[3]].append((int(match[1]), int(match[2] or 0), file))
    except OSError as error:
        raise unreadable(path.parent, error) from error
    chosen = found["mcx"] if found["mcx"] and (wide or not found["mc"]) else found["mc"]
    return [file for _, _, file in sorted(chosen)]


def _index_frame_file(file: Path, choose: ChooseChannel) -> FrameIndex:
    index = index_file(file, MappedFile.open(file).content(), choose)
    if len(index.offsets) != 1:
        raise FileFormatError(f"has {len(index.offsets)} frames; 1 expected in a file per frame", path=file, offset=0)
    return index


def _same_channel(file: Path, wanted: MayaChannel, channels: tuple[MayaChannel, ...]) -> MayaChannel:
    for channel in channels:
        if channel.name == wanted.name and (channel.tag, channel.num_verts) == (wanted.tag, wanted.num_verts):
            return channel
    raise FileFormatError(
        f"has no channel {wanted.name!r} with {wanted.num_verts} vertices of type {wanted.tag.decode()}, as the first "
        "frame has",
        path=file,
        offset=0,
    )


def _refuse_gap(files: list[Path], index: FrameIndex, described: CacheDescription) -> None:
    """Detects a missing frame file by a wider time step, unless the channel is declared irregular."""
    note = described.channels.get(index.channel.name)
    steps = np.diff(index.ticks.astype(np.int64))
    if len(steps) == 0 or (note is not None and note.irregular):
        return
    # Steps of a rate that does not divide 6000 differ by one tick.
    wide = np.flatnonzero(steps > steps.min() + 1)
    if steps.min() <= 0 or len(wide):
        after = files[int(wide[0]) if len(wide) else int(steps.argmin())]
        raise FileFormatError(f"the file of the frame after {after.name} is missing or out of order", path=after)


def _ticks_between_frames(described: CacheDescription, ticks: Int32Array) -> float | None:
    """Returns the distance of frames: the measured mean, exact for all rates, or else the stated distance."""
    if len(ticks) > 1:
        measured = (int(ticks[-1]) - int(ticks[0])) / (len(ticks) - 1)
        if measured > 0:
            return measured
    return described.ticks_per_frame


def _contradictions(described: CacheDescription, index: FrameIndex) -> Iterable[str]:
    """Yields the contradictions between the frames' times and the description."""
    ticks = index.ticks.astype(np.float64)
    first, last, announced = described.first_tick, described.last_tick, described.ticks_per_frame
    if first is not None and last is not None and max(abs(first - ticks[0]), abs(last - ticks[-1])) > 1:
        yield f"the .xml gives the time range {first} to {last} ticks, the data {ticks[0]:.0f} to {ticks[-1]:.0f}"
    if len(ticks) < 2:
        return
    step = (ticks[-1] - ticks[0]) / (len(ticks) - 1)
    if step <= 0 or np.abs(ticks - np.linspace(ticks[0], ticks[-1], len(ticks))).max() > 1:
        yield "the frames are not evenly spaced in time"
    if announced is not None and abs(announced - step) > 1:
        yield f"the .xml gives {announced} ticks per frame, the data {step:.6g}"
