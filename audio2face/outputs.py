"""Writes a finished animation in several formats into a folder of its own, with a record of its files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from audio2face.animation.animation import Animation
from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import is_arkit, match_names
from audio2face.errors import UserError, has_invisible
from audio2face.export.formats import FORMATS, write_formats
from audio2face.extras import require
from audio2face.io.arrays import read_json
from audio2face.io.atomic import atomic_files, write_json
from audio2face.player.page import LABELS, LONGEST_PAGE, write_page

PAGE, VIDEO = "page", "video"
RECORD_FILE = "animation.json"


def default_formats(animation: Animation) -> list[str]:
    """The formats that are written where none is named: page, Maya cache, and ARKit weights where there are any."""
    formats = [PAGE, "maya", "arkit"]
    if animation.seconds > LONGEST_PAGE:
        LOGGER.info("a page holds up to %g s of animation: none is written for %.0f s", LONGEST_PAGE, animation.seconds)
        formats.remove(PAGE)
    weights = animation.skin_weights
    if weights is None:
        formats.remove("arkit")
    elif not is_arkit(match_names(weights.names), len(weights.names)):
        LOGGER.info("the poses of actor %r are not ARKit's: no ARKit files are written", animation.actor)
        formats.remove("arkit")
    return formats


def write_outputs(
    animation: Animation,
    folder: Path,
    name: str,
    formats: Sequence[str],
    compare: Animation | None = None,
    labels: tuple[str, str] = LABELS,
) -> list[Path]:
    """Writes an animation, its sound and `animation.json`, which lists the files; all appear together.

    Where one format cannot be written the others are, before the error is raised. Files that an earlier call has listed
    and this one does not write are removed, so that all files of the folder's record show one animation.

    Args:
        animation: the animation.
        folder: where the files go; made where it is missing.
        name: what their names begin with.
        formats: keys of `export.FORMATS`, "page" and "video".
        compare: a second animation, which page and video show beside the first.
        labels: the names of the first and the second animation in page and video.

    Returns:
        The files to open, each once, in the order of the formats.

    Raises:
        UserError: a file cannot be written.
    """
    stale = set(_recorded_files(folder / RECORD_FILE))
    failed: list[UserError] = []
    with atomic_files(folder) as made:
        opened: list[str] = []
        for key in formats:
            try:
                opened += [path.name for path in _write(key, animation, made, name, compare, labels)]
            except UserError as error:
                LOGGER.error("%s could not be written: %s", key, error.problem)
                failed.append(error)
        files = sorted(path.name for path in made.iterdir())
        facts = {"seconds": round(animation.seconds, 3), "frames": animation.num_frames, **animation.facts}
        write_json(made / RECORD_FILE, {**facts, "files": files})
    for file in stale.difference(files):
        (folder / file).unlink(missing_ok=True)
    if failed:
        raise failed[0]
    return [folder / file for file in dict.fromkeys(opened)]


def check_formats(formats: Iterable[str]) -> None:
    """Checks that all packages are installed that the formats need, before hours of work.

    Args:
        formats: keys of `export.FORMATS`, "page" and "video".

    Raises:
        UserError: an extra is missing.
    """
    for key in formats:
        extra = "video" if key == VIDEO else FORMATS[key].extra if key in FORMATS else None
        if extra is not None:
            require(f"the format {key!r}", extra)


def _write(
    key: str,
    animation: Animation,
    folder: Path,
    name: str,
    compare: Animation | None,
    labels: tuple[str, str],
) -> list[Path]:
    if key == VIDEO:
        require("a video", "video")
        from audio2face.export.video import write_video  # loads in most of a second

        written = labels if compare is not None else ("", "")
        return [write_video(animation, folder / f"{name}.mp4", compare=compare, labels=written)]
    if key != PAGE:
        return write_formats(animation, folder, name, [key])
    return [write_page(animation, folder / f"{name}.html", compare=compare, labels=labels)]


def _recorded_files(record: Path) -> list[str]:
    """The files that an earlier call has written."""
    if not record.is_file():
        return []
    try:
        files = read_json(record)["files"]
        return [
            file for file in files if Path(file).name == file and file not in (".", "..") and not has_invisible(file)
        ]
    except (UserError, KeyError, TypeError):
        return []  # somebody else's file of that name
