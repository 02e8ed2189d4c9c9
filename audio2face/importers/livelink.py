"""The kind `livelink`: takes of the Live Link Face app in ARKit mode.

A take is a folder with a table of weights and a film. The app writes the table up to four times: as captured, and,
where the actor was calibrated, with the suffixes `_raw`, `_cal` (relative to the actor's neutral face) and `_neutral`
(that face). Columns are read by name; the app's order is another one than that of Epic's engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.importers.kinds import Importer
from audio2face.importers.naming import emotion_in, take_names
from audio2face.importers.sound import Clock, find_recording, read_clock, start_in, true_rate
from audio2face.importers.tables import Table, read_columns_of, read_table
from audio2face.importers.take import HeadMotion, Take, TakeSummary, summary_of
from audio2face.importers.timing import Gridded, on_grid, rate_of, read_timecodes
from audio2face.importers.weights import WeightColumns, eyes_of_weights, find_weights, skin_weights
from audio2face.types import Float32Array

_VARIANT = re.compile(r"(?P<stem>.+?)_(?P<variant>cal|raw|neutral)", re.IGNORECASE)
_PREFERRED = ("cal", "", "raw")
_CHOSEN = {
    "cal": "is calibrated to the actor's neutral face",
    "": "is the take as the app shows it",
    "raw": "is the take without calibration, and there is no other table of it",
}
_FARTHEST_ANGLE = 3.15
_DEEPEST = 3  # folders below a source
_ARCHIVE = ".zip"  # in which the app shares takes
_HEAD = ("HeadYaw", "HeadPitch", "HeadRoll")
_EYES = ("RightEyePitch", "RightEyeYaw", "LeftEyePitch", "LeftEyeYaw")
_METAHUMAN = ("take.json", "frame_log.csv", "depth_data.bin", "depth_metadata.mhaical", "video_metadata.json")


@dataclass(frozen=True)
class _Files:
    """The tables of one take, by variant."""

    folder: Path
    stem: str
    tables: dict[str, Path]

    @property
    def variant(self) -> str:
        """The table that is used."""
        return next(variant for variant in _PREFERRED if variant in self.tables)

    @property
    def notes(self) -> list[str]:
        """Which table is used, where there are several."""
        used = self.variant
        others = [path.name for variant, path in self.tables.items() if variant != used]
        if not others:
            return []
        return [f"{self.tables[used].name} was read: it {_CHOSEN[used]} ({', '.join(others)} were left aside)"]


class LiveLink(Importer):
    """Takes of Live Link Face."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self._takes: dict[str, Take] = {}

    def inspect(self, sources: Sequence[Path]) -> list[TakeSummary]:
        """Reads the takes; their weights are small."""
        files = _find(sources)
        names = take_names([(found.stem, found.folder) for found in files])
        for name, found in sorted(zip(names, files, strict=True), key=lambda pair: pair[0]):
            self._takes[name] = self._read(name, found, is_only=len(files) == 1)
        return [summary_of(take) for take in self._takes.values()]

    def read(self, name: str) -> Take:
        """The take as it was inspected."""
        return self._takes[name]

    def _read(self, name: str, files: _Files, is_only: bool) -> Take:
        path = files.tables[files.variant]
        stems = [files.stem, name, files.folder.name]
        audio, notes = find_recording(self.options.audio, stems, files.folder, is_only)
        take = read_take(path, name, Clock() if audio is None else read_clock(audio))
        return replace(
            take,
            audio=audio,
            emotion=self.options.emotion or emotion_in(name),
            notes=(*files.notes, *notes, *take.notes),
        )


def read_take(path: Path, name: str, clock: Clock) -> Take:
    """Reads a table of Live Link Face.

    Args:
        path: the table.
        name: of the take.
        clock: of its recording.

    Raises:
        UserError: the file is missing, damaged, or holds no face.
    """
    names = read_columns_of(path)
    columns = find_weights(names, path)
    angles = [name for name in (*_HEAD, *_EYES) if name in names]
    table = read_table(path, [*columns.numbers, *(names.index(angle) for angle in angles)], names.index("Timecode"))
    times = read_timecodes(table.labels, path)
    if not np.isfinite(table.values).all(axis=1).any():
        raise FileFormatError(
            f"no face was tracked in any of its {len(table.values)} rows",
            path=path,
            hint="Record the take again with the face in view of the front camera.",
        )
    labelled = rate_of(times)
    if labelled is None:
        raise FileFormatError(
            "its time codes tell no frame rate",
            path=path,
            hint="A take has at least three rows with ascending time codes.",
        )
    fps = true_rate(labelled, clock)
    gridded = on_grid(times, table.values, labelled)
    weights, notes = skin_weights(gridded.values[:, : len(columns.skin)], list(columns.skin), path)
    extra = {angle: gridded.values[:, len(columns.numbers) + place] for place, angle in enumerate(angles)}
    _check_angles(extra, path)
    eyes = _eyes(extra)
    if eyes is None:
        eyes = eyes_of_weights(weights)
        notes += [] if eyes is None else ["the columns of the eyes are 0: they turn as the shapes eyeLook... tell"]
    start = start_in(clock, float(times[0]))
    return Take(
        name=name,
        source=path,
        fps=fps,
        lost=gridded.lost,
        weights=weights,
        captured=frozenset(columns.skin),
        eyes=eyes,
        head=_head(extra),
        audio_start=0.0 if start is None else start,
        notes=(*_notes_of(table, gridded, columns), *notes, *_clock_notes(start, labelled != fps, float(fps))),
    )


def _check_angles(angles: dict[str, Float32Array], path: Path) -> None:
    """Refuses angles that are no radians."""
    for name, values in angles.items():
        frame = int(np.abs(values).argmax())
        if abs(values[frame]) > _FARTHEST_ANGLE:
            raise FileFormatError(
                f"frame {frame}: {name} is {values[frame]:g}, angles are radians from -3.15 to 3.15",
                path=path,
                hint="Export the take from the app again, or convert the column from degrees.",
            )


def _eyes(angles: dict[str, Float32Array]) -> Float32Array | None:
    """Rotations in degrees, `[frames, 2, 2]`. The app's yaw decreases when an eye turns to the actor's left."""
    if any(name not in angles for name in _EYES) or not any(angles[name].any() for name in _EYES):
        return None
    right_pitch, right_yaw, left_pitch, left_yaw = (np.degrees(angles[name]) for name in _EYES)
    pairs = np.stack([right_pitch, -right_yaw, left_pitch, -left_yaw], axis=1)
    return np.asarray(pairs.reshape(-1, 2, 2), np.float32)


def _head(angles: dict[str, Float32Array]) -> HeadMotion | None:
    """Motion of the head; None where the option is off in the app, which then writes zeros."""
    if any(name not in angles for name in _HEAD) or not any(angles[name].any() for name in _HEAD):
        return None
    yaw, pitch, roll = (np.degrees(angles[name]) for name in _HEAD)
    return HeadMotion(angles=np.asarray(np.stack([-yaw, pitch, roll], axis=1), np.float32))


def _notes_of(table: Table, gridded: Gridded, columns: WeightColumns) -> list[str]:
    notes = []
    count, total = int(np.count_nonzero(gridded.lost)), len(gridded.lost)
    if count:
        notes.append(
            f"{count} of {total} frames ({count / total:.1%}) were not tracked, in {gridded.num_gaps} gaps of up to "
            f"{gridded.longest_gap} frames; they are interpolated"
        )
    if table.cut_off:
        notes.append("its last row ends early and was left out")
    return notes


def _clock_notes(start: float | None, is_ntsc: bool, fps: float) -> list[str]:
    notes = []
    if start is not None:
        notes.append(f"by their time codes it begins {start:+.3f} s after its recording")
    if is_ntsc:
        notes.append(f"its film has {fps:.3f} frames per second, which its time codes count as whole ones")
    return notes


def _find(sources: Sequence[Path]) -> list[_Files]:
    """The takes in files and folders."""
    tables = [table for source in sources for table in _tables_of(source)]
    return _grouped(dict.fromkeys(tables))


def _tables_of(source: Path) -> list[Path]:
    """The tables in a source; of a film those of its name beside it."""
    if not source.exists():
        raise missing_file("there is no such take", source, "Give take folders or CSV files of Live Link Face.")
    if source.is_dir():
        found = [path for path in _files_in(source) if path.suffix.lower() == ".csv" and is_live_link(path)]
        if not found:
            raise _no_take(source)
        return found
    if source.suffix.lower() == ".csv":
        if not is_live_link(source):
            raise _no_take(source)
        _refuse_neutral(source)
        return [source]
    if source.suffix.lower() == _ARCHIVE:
        raise _packed(source)
    beside = [path for path in source.parent.glob("*.csv") if _split(path)[0] == source.stem and is_live_link(path)]
    if not beside:
        raise FileFormatError(
            "is no table of Live Link Face, and none of its name lies beside it",
            path=source,
            hint="Give the take's folder or its CSV file.",
        )
    return sorted(beside)


def _refuse_neutral(path: Path) -> None:
    """Refuses the neutral face of a take that lies beside it, which is given by itself."""
    stem, variant = _split(path)
    beside = [other.name for other in path.parent.glob(f"{stem}*.csv") if other != path and _split(other)[0] == stem]
    if variant == "neutral" and beside:
        raise FileFormatError(
            "holds the actor's neutral face, not a take",
            path=path,
            hint=f"Give the folder, or the take: {', '.join(sorted(beside))}.",
        )


def _grouped(tables: Iterable[Path]) -> list[_Files]:
    """Tables by take. A lone `<name>_neutral.csv` is a take of that name: a neutral face has its take beside it."""
    groups: dict[tuple[Path, str], dict[str, Path]] = {}
    for path in tables:
        stem, variant = _split(path)
        groups.setdefault((path.parent, stem), {})[variant] = path
    return [
        _Files(folder, stem, found)
        if set(found) & set(_PREFERRED)
        else _Files(folder, found["neutral"].stem, {"": found["neutral"]})
        for (folder, stem), found in groups.items()
    ]


def _split(path: Path) -> tuple[str, str]:
    """The name of a take and the variant of a table of it."""
    found = _VARIANT.fullmatch(path.stem)
    return (path.stem, "") if found is None else (found["stem"], found["variant"].lower())


def is_live_link(path: Path) -> bool:
    """Whether a file is a table of Live Link Face, or of a program that writes the same."""
    names = {name.lower() for name in read_columns_of(path)}
    return {"timecode", "blendshapecount", "jawopen"} <= names


def _files_in(folder: Path, depth: int = 0) -> Iterable[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and depth < _DEEPEST and not path.name.startswith("."):
            yield from _files_in(path, depth + 1)
        elif path.is_file():
            yield path


def _no_take(source: Path) -> UserError:
    """Why there is no take."""
    files = [source] if source.is_file() else list(_files_in(source))
    names = {path.name.lower() for path in files}
    if (
        source.is_dir()
        and names & set(_METAHUMAN)
        and any(name.endswith((".mov", ".bin", ".mhaical")) for name in names)
    ):
        return UserError(
            "is a take for MetaHuman Animator: pictures and depth, without weights of shapes",
            path=source,
            hint="Record in the app's ARKit mode (Settings, Capture Mode, Live Link (ARKit)), or import its film, of "
            "the kind video.",
        )
    tables = [path for path in files if path.suffix.lower() == ".csv"]
    if tables:
        header = read_columns_of(tables[0])
        if {"timecode", "blendshapecount"} <= {name.lower() for name in header}:
            return FileFormatError(
                "has no column JawOpen, without which a mouth does not speak",
                path=tables[0],
                hint="Share the take from the app again, with all its columns.",
            )
        return FileFormatError(
            f"is no table of Live Link Face: {_columns_of(header)}; expected Timecode, BlendShapeCount, EyeBlinkLeft, "
            "...",
            path=tables[0],
            hint="Other tables of ARKit's weights are of the kind arkit.",
        )
    archive = next((path for path in files if path.suffix.lower() == _ARCHIVE), None)
    if archive is not None:
        return _packed(archive)
    return UserError(
        "holds no table of Live Link Face",
        path=source,
        hint="A take's folder has a CSV file; share the take from the app with all its files.",
    )


def _packed(archive: Path) -> UserError:
    return UserError("is an archive", path=archive, hint="Unpack it, and give the folder of the take.")


def _columns_of(header: Sequence[str]) -> str:
    return f"its columns are {', '.join(header[:4])}, ..." if header else "it is no table of text"
