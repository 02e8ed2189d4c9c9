"""How a research data set lies in its folder: a small TOML file, whose ready ones are in `layouts/`.

Its paths have placeholders: `{subject}` is a person, `{frame}` the number of a frame where each frame is a file of its
own, any other names a part of the take's name. docs/import_research.md describes the keys.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.rigs.scene import Axis

SUBJECT, FRAME = "subject", "frame"
FILE = "layout.toml"
"""A layout that lies in the folder of its data set."""
UNITS_CM: Mapping[str, float] = {"m": 100.0, "dm": 10.0, "cm": 1.0, "mm": 0.1}
_FOLDER = Path(__file__).parent / "layouts"
READY = tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))
"""Names of the layouts that are known."""
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_TAKES = {"files", "audio", "fps", "unit", "up", "offsets", "key", "vertices"}
_FACE = {"template", "faces", "lists"}
_HINT = "docs/import_research.md lists the keys; the ready layouts are examples."


@dataclass(frozen=True, kw_only=True)
class ResearchLayout:
    """A layout.

    Attributes:
        files: pattern of the arrays, or of the meshes of single frames.
        audio: pattern of the recordings; None where they lie beside the arrays.
        fps: frames per second; None where --fps tells.
        unit_cm: centimetres of a unit of length; None: found by the size of the face.
        up: the axis upwards; None: found by the motion.
        offsets: whether the arrays are offsets from the template.
        key: the array within an archive .npz; None: the only one.
        vertices: number of vertices; None: as they come.
        template: pattern of the face at rest; None: the frame with the mouth closed.
        faces: pattern of a mesh with the polygons; None: those of the template.
        lists: pattern of the file with lists of vertices; None without one.
    """

    files: str
    audio: str | None = None
    fps: float | None = None
    unit_cm: float | None = None
    up: Axis | None = None
    offsets: bool = False
    key: str | None = None
    vertices: int | None = None
    template: str | None = None
    faces: str | None = None
    lists: str | None = None


def read_layout(name: str) -> ResearchLayout:
    """Reads a layout: the name of a ready one, or a file.

    Raises:
        UserError: there is none, or (FileFormatError) a key of it is unknown or wrong.
    """
    path = _FOLDER / f"{name}.toml" if name in READY else Path(name)
    if not path.is_file():
        raise missing_file("there is no such layout", path, f"Give a .toml file, or one of {', '.join(READY)}. {_HINT}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"is no TOML file: {error}", path=path, hint=_HINT) from error
    takes, face = _table(content, "takes", _TAKES, path), _table(content, "face", _FACE, path)
    if "files" not in takes:
        raise FileFormatError("names no files: takes.files is missing", path=path, hint=_HINT)
    return ResearchLayout(
        files=_value(takes, "files", str, path) or "",
        audio=_value(takes, "audio", str, path),
        fps=_number(takes, "fps", path),
        unit_cm=_unit(takes.get("unit"), path),
        up=_up(takes.get("up"), path),
        offsets=bool(_value(takes, "offsets", bool, path)),
        key=_value(takes, "key", str, path),
        vertices=_value(takes, "vertices", int, path),
        template=_value(face, "template", str, path),
        faces=_value(face, "faces", str, path),
        lists=_value(face, "lists", str, path),
    )


def _table(content: Mapping[str, Any], name: str, known: set[str], path: Path) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise FileFormatError(f"[{name}] is no table", path=path, hint=_HINT)
    unknown = [f"{name}.{key}" for key in found if key not in known]
    unknown += [key for key in content if key not in ("takes", "face", "about")]
    if unknown:
        raise FileFormatError(
            f"has a key that no layout has: {unknown[0]}", path=path, hint=f"{name} has {', '.join(sorted(known))}."
        )
    return found


def _value(table: Mapping[str, Any], key: str, kind: type, path: Path) -> Any:
    value = table.get(key)
    if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
        raise FileFormatError(f"{key} = {value!r} is no {kind.__name__}", path=path, hint=_HINT)
    return value


def _number(table: Mapping[str, Any], key: str, path: Path) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise FileFormatError(f"{key} = {value!r} is no number above 0", path=path, hint=_HINT)
    return float(value)


def _unit(value: object, path: Path) -> float | None:
    if value is None or value == "auto":
        return None
    if isinstance(value, str) and value in UNITS_CM:
        return UNITS_CM[value]
    if isinstance(value, str) or (given := _number({"unit": value}, "unit", path)) is None:
        raise FileFormatError(
            f"unit = {value!r} is no unit", path=path, hint=f"Give {', '.join(UNITS_CM)}, a number of centimetres, or "
            '"auto" to find it by the size of the face.',
        )  # fmt: skip
    return given


def _up(value: object, path: Path) -> Axis | None:
    if value in (None, "auto"):
        return None
    if value not in ("y", "z"):
        raise FileFormatError(f'up = {value!r} is neither "y", "z" nor "auto"', path=path, hint=_HINT)
    return "y" if value == "y" else "z"


def find_files(root: Path, pattern: str) -> Iterator[tuple[dict[str, str], Path]]:
    """The files of a pattern below a folder, with the values of its placeholders; in order of their names.

    Only folders that the pattern names are looked into.
    """
    if pattern.startswith(f"{{{SUBJECT}}}/") and not any(_matches(root, pattern.split("/"), {})):
        # The folder of one person may be given in place of that of all.
        yield from _matches(root, pattern.split("/")[1:], {SUBJECT: root.resolve().name})
        return
    yield from _matches(root, pattern.split("/"), {})


def _matches(folder: Path, parts: list[str], known: dict[str, str]) -> Iterator[tuple[dict[str, str], Path]]:
    if not folder.is_dir():
        return
    matcher = _compiled(parts[0], known)
    for path in sorted(folder.iterdir()):
        found = matcher.fullmatch(path.name)
        if found is None:
            continue
        values = {**known, **found.groupdict()}
        if len(parts) > 1:
            yield from _matches(path, parts[1:], values)
        elif path.is_file():
            yield values, path


def _compiled(part: str, known: Mapping[str, str]) -> re.Pattern[str]:
    """One name of a path as a regular expression; the first placeholder takes as much as it can."""
    expression, at, own = "", 0, set[str]()
    for found in _PLACEHOLDER.finditer(part):
        name = found[1]
        expression += _literal(part[at : found.start()])
        if name in known:
            expression += re.escape(known[name])
        elif name in own:
            expression += f"(?P={name})"
        else:
            expression += f"(?P<{name}>{'[0-9]+' if name == FRAME else '.+'})"
            own.add(name)
        at = found.end()
    return re.compile(expression + _literal(part[at:]))


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\*", ".*")


def one_file(root: Path, pattern: str, values: Mapping[str, str], *, any_fits: bool = False) -> Path | None:
    """The file of a pattern under known values, of several the first if any of them fits; None where there is none.

    Raises:
        UserError: there are several.
    """
    filled = _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), pattern)
    base = root
    if filled.startswith(f"{root.resolve().name}/") and not (root / filled.partition("/")[0]).is_dir():
        base = root.resolve().parent  # the folder of one subject was given
    paths = [path for _, path in islice(find_files(base, filled), 2)]
    if len(paths) > 1 and not any_fits:
        raise UserError(
            f"{filled} is more than one file: {', '.join(path.name for path in paths)}, ...",
            path=root,
            hint="Keep one of them, or name it in the layout.",
        )
    return paths[0] if paths else None
