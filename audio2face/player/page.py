"""The recording inside the page: sound that every browser plays, and its outline for the timeline.

One channel, 16 bits, FLAC: lossless, about half of a WAV file, and read by every browser that can draw the page.
"""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from audio2face.animation.animation import Animation
from audio2face.audio.reading import read_header, sample_blocks
from audio2face.audio.resample import resample_hann
from audio2face.errors import UserError
from audio2face.io.atomic import write_text
from audio2face.player.describe import at_times_of, comparable, describe_difference, describe_take
from audio2face.player.payload import Payload

_HIGHEST_RATE = 48_000  # Hz; what computers play
OUTLINE_RATE = 200  # columns of the outline per second
_OUTLINE_LEVELS = 127


@dataclass(frozen=True, eq=False)
class Sound:
    """A recording for the page.

    Attributes:
        flac: the file.
        seconds: its length.
        outline: lowest and highest value of each 1/200 s, -127 to 127 stored with 128 added, uint8 `[columns, 2]`.
    """

    flac: bytes
    seconds: float
    outline: npt.NDArray[np.uint8]


def page_sound(path: Path, seconds: float) -> Sound:
    """Reads a recording; silence is added up to the length of the animation.

    Args:
        path: any recording or film with sound.
        seconds: length of the animation.

    Raises:
        UserError: there is no such file, or (FileFormatError) it cannot be read as sound.
    """
    rate = read_header(path).samplerate
    samples = np.concatenate([block.mean(axis=1, dtype=np.float32) for block in sample_blocks(path)])
    if rate > _HIGHEST_RATE:
        samples, rate = resample_hann(samples, rate, _HIGHEST_RATE), _HIGHEST_RATE
    missing = round(seconds * rate) - len(samples)
    samples = np.clip(np.pad(samples, (0, max(missing, 0))), -1.0, 1.0)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype="PCM_16", format="FLAC")
    return Sound(file.getvalue(), len(samples) / rate, _outline(samples, rate))


def _outline(samples: npt.NDArray[np.float32], rate: int) -> npt.NDArray[np.uint8]:
    columns = max(1, len(samples) * OUTLINE_RATE // rate)
    starts = np.arange(columns) * len(samples) // columns
    edges = [np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)]
    levels = np.rint(np.stack(edges, axis=1) * _OUTLINE_LEVELS + (_OUTLINE_LEVELS + 1))
    return np.asarray(levels, np.uint8)


_WEB = resources.files("audio2face.player") / "web"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def web_text(name: str) -> str:
    """A file of the folder `web`."""
    return (_WEB / name).read_text(encoding="utf-8")


def bundled(entry: str = "main.js") -> str:
    """A module and all it imports, each after those that it imports itself."""
    done: dict[str, str] = {}
    _gather(entry, done)
    return "\n".join(["const modules = {};", *done.values()])


def _gather(name: str, done: dict[str, str]) -> None:
    if name in done:
        return
    text = web_text(name)
    for _, imported in _IMPORT.findall(text):
        _gather(imported, done)
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(r'const \1 = modules["\2"];', text))
    done[name] = f'modules["{name}"] = (() => {{\n{body}return {{ {exported} }};\n}})();'


LONGEST_PAGE = 600  # seconds; a browser takes long to open a longer one
LABELS = ("Result", "Ground truth")


def write_page(
    animation: Animation,
    path: Path,
    *,
    compare: Animation | None = None,
    title: str | None = None,
    labels: tuple[str, str] = LABELS,
) -> Path:
    """Writes the page.

    Positions are coded to within 0.02 mm on average and 0.1 mm at worst where the motion allows, which the page states
    as measured (`motion_code`). The sound is carried as lossless FLAC of 16 bits, one channel.

    Args:
        animation: the face, at least one frame.
        path: of the file; it appears whole or not at all.
        compare: a second animation to show beside the first: the recorded truth, or what another model makes of the
            same sound. It is read at the first one's frame times. Errors are shown where it is of the same actor.
        title: of the page; the actor's name and the recording's where None.
        labels: what the page calls the first and the second animation.

    Returns:
        The path.

    Raises:
        UserError: the animation is empty, longer than 10 minutes or not finite, its sound cannot be read, or the file
            cannot be written.
    """
    _check_length(animation)
    payload = Payload()
    description: dict[str, Any] = {
        "title": title or _title(animation),
        "fps": animation.fps,
        "frames": animation.num_frames,
        "takes": [describe_take(animation, labels[0], payload)],
        "difference": None,
    } | _sound(animation, payload)
    if compare is not None:
        _check_length(compare)
        other = at_times_of(compare, animation)
        description["takes"].append(describe_take(other, labels[1], payload))
        if comparable(animation, other):
            description["difference"] = describe_difference(animation, other, payload)
    write_text(path, _filled(description, payload))
    return path


def _check_length(animation: Animation) -> None:
    if animation.num_frames == 0:
        raise UserError("an animation without frames cannot be shown", hint="Give a longer recording.")
    if animation.seconds > LONGEST_PAGE:
        raise UserError(
            f"the animation lasts {animation.seconds:,.0f} s; a page holds up to {LONGEST_PAGE} s",
            hint="Cut the recording, or use another export for it.",
        )


def _title(animation: Animation) -> str:
    return animation.actor if animation.audio is None else f"{animation.actor} · {animation.audio.stem}"


def _sound(animation: Animation, payload: Payload) -> dict[str, Any]:
    if animation.audio is None:
        return {"seconds": animation.seconds, "sound": None, "outline": None, "outlineRate": OUTLINE_RATE}
    sound = page_sound(animation.audio, animation.seconds)
    return {
        "seconds": max(sound.seconds, animation.seconds),
        "sound": payload.add(np.frombuffer(sound.flac, np.uint8)),
        "outline": payload.add(sound.outline),
        "outlineRate": OUTLINE_RATE,
    }


def _filled(description: dict[str, Any], payload: Payload) -> str:
    page = web_text("page.html")
    pieces = {
        "<!--title-->": html.escape(description["title"]),
        "/*style*/": web_text("player.css"),
        "/*description*/": _script_json(description),
        "/*program*/": bundled(),
        "/*payload*/": payload.text(),
    }
    marks = re.compile("|".join(re.escape(mark) for mark in pieces))
    return marks.sub(lambda found: pieces[found.group()], page)


def _script_json(value: object) -> str:
    """JSON that no HTML parser takes for markup."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
