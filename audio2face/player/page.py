"""Writes the player page: one HTML file with the program of `web/`, the animations and the audio.

Audio is mono 16-bit FLAC: lossless, about half the size of WAV, and supported by every browser with WebGL 2.
"""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audio2face.animation.animation import Animation
from audio2face.audio.reading import read_header, sample_blocks
from audio2face.audio.resample import resample_hann
from audio2face.errors import UserError
from audio2face.io.atomic import write_text
from audio2face.player.describe import comparable, describe_clip, describe_difference, resample_to
from audio2face.player.motion_codec import Payload
from audio2face.types import Float32Array, UInt8Array

_HIGHEST_RATE = 48_000  # Hz
WAVEFORM_RATE = 200  # columns of the waveform per second
_WAVEFORM_LEVELS = 127


@dataclass(frozen=True, eq=False)
class Sound:
    """Audio of the page.

    Attributes:
        flac: the encoded file.
        seconds: duration.
        waveform: minimum and maximum of each 1/200 s, -127 to 127 with 128 added, uint8 `[columns, 2]`.
    """

    flac: bytes
    seconds: float
    waveform: UInt8Array


def page_sound(path: Path, seconds: float) -> Sound:
    """Reads a recording and pads it with silence to the duration of the animation.

    Args:
        path: any audio file, or film with an audio track.
        seconds: duration of the animation.

    Raises:
        UserError: there is no such file, or (FileFormatError) it cannot be decoded.
    """
    rate = read_header(path).samplerate
    samples = np.concatenate([block.mean(axis=1, dtype=np.float32) for block in sample_blocks(path)])
    if rate > _HIGHEST_RATE:
        samples, rate = resample_hann(samples, rate, _HIGHEST_RATE), _HIGHEST_RATE
    missing = round(seconds * rate) - len(samples)
    samples = np.clip(np.pad(samples, (0, max(missing, 0))), -1.0, 1.0)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype="PCM_16", format="FLAC")
    return Sound(file.getvalue(), len(samples) / rate, _waveform(samples, rate))


def _waveform(samples: Float32Array, rate: int) -> UInt8Array:
    columns = max(1, len(samples) * WAVEFORM_RATE // rate)
    starts = np.arange(columns) * len(samples) // columns
    edges = [np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)]
    levels = np.rint(np.stack(edges, axis=1) * _WAVEFORM_LEVELS + (_WAVEFORM_LEVELS + 1))
    return np.asarray(levels, np.uint8)


_WEB = resources.files("audio2face.player") / "web"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def web_text(name: str, folder: Traversable = _WEB) -> str:
    """Text of a file in a folder of a page's program, by default the player's."""
    return (folder / name).read_text(encoding="utf-8")


def bundled(entry: str = "main.js", folder: Traversable = _WEB) -> str:
    """A JavaScript module of a folder and all its imports, dependencies first, as one script."""
    done: dict[str, str] = {}
    _bundle_module(entry, folder, done)
    return "\n".join(["const modules = {};", *done.values()])


def _bundle_module(name: str, folder: Traversable, done: dict[str, str]) -> None:
    if name in done:
        return
    text = web_text(name, folder)
    for _, imported in _IMPORT.findall(text):
        _bundle_module(imported, folder, done)
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

    Positions are compressed (`motion_codec`) to an error of 0.02 mm on average and 0.1 mm at worst; motion that needs
    more than 512 components has a larger one. The page shows the measured error. Audio is mono 16-bit FLAC.

    Args:
        animation: the face, at least one frame.
        path: of the file, which is written atomically.
        compare: a second animation to show beside the first: the ground truth, or the output of another model for the
            same audio. It is resampled to the frame times of the first. Errors are shown if both are of one actor.
        title: of the page; by default the names of the actor and the recording.
        labels: names of the first and the second animation on the page.

    Returns:
        `path`.

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
        "clips": [describe_clip(animation, labels[0], payload)],
        "difference": None,
    } | _sound(animation, payload)
    if compare is not None:
        _check_length(compare)
        other = resample_to(compare, animation)
        description["clips"].append(describe_clip(other, labels[1], payload))
        if comparable(animation, other):
            description["difference"] = describe_difference(animation, other, payload)
    write_text(path, _render_page(description, payload))
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
        return {"seconds": animation.seconds, "sound": None, "waveform": None, "waveformRate": WAVEFORM_RATE}
    sound = page_sound(animation.audio, animation.seconds)
    return {
        "seconds": max(sound.seconds, animation.seconds),
        "sound": payload.add(np.frombuffer(sound.flac, np.uint8)),
        "waveform": payload.add(sound.waveform),
        "waveformRate": WAVEFORM_RATE,
    }


def _render_page(description: dict[str, Any], payload: Payload) -> str:
    page = web_text("page.html")
    contents = {
        "<!--title-->": html.escape(description["title"]),
        "/*style*/": web_text("player.css"),
        "/*description*/": script_json(description),
        "/*program*/": bundled(),
        "/*payload*/": payload.text(),
    }
    marks = re.compile("|".join(re.escape(mark) for mark in contents))
    return marks.sub(lambda found: contents[found.group()], page)


def script_json(value: object) -> str:
    """JSON without characters that an HTML parser reads as markup."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")
