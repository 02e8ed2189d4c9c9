"""One HTML file that shows a face speaking: nothing to install, no server, no network; it opens by double click."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.errors import UserError
from audio2face.export.animation import Animation
from audio2face.files import write_text
from audio2face.player.bundle import bundled, web_text
from audio2face.player.describe import at_times_of, comparable, describe_difference, describe_take
from audio2face.player.payload import Payload
from audio2face.player.sound import OUTLINE_RATE, page_sound

_MOST_SECONDS = 600  # beyond it a browser takes long to open the page
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
    if animation.seconds > _MOST_SECONDS:
        raise UserError(
            f"the animation lasts {animation.seconds:,.0f} s; a page holds up to {_MOST_SECONDS} s",
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
