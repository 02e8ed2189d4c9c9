"""Writes a configuration for a folder of recordings and animation.

What the folder holds is found (`audio2face.dataset.discovery`) and shown; what is left open is asked on a terminal, or
must be given as arguments.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from rich.table import Table

from audio2face.cli import parsers
from audio2face.cli.parsers.project import NETWORKS, positive
from audio2face.cli.process import run_stage
from audio2face.cli.recipes import FEW_MINUTES, training_settings
from audio2face.config import Roots
from audio2face.config_base.tables import NetworkType
from audio2face.console import LOGGER, console, start_logging
from audio2face.dataset.actor import DEFAULT_EMOTION
from audio2face.dataset.discovery import FoundActor, find_actors
from audio2face.errors import UserError, is_identifier
from audio2face.io.atomic import write_text
from audio2face.runs import log_outputs

Answer = TypeVar("Answer")
_FILES = ("dataset", "preproc", "train", "inference")
_DIFFERENT_RATE = 0.015  # relative difference of a given rate from the measured one that is worth a warning
_SHOTS_FOR_TEST = 20  # from which every tenth can be spared
_TEST_SET = "TEST_FRACTION = 0.1  # every tenth shot is kept for evaluation: neither preprocessing nor training sees it"
_SHAPES_AS_BASIS = """
# Where the blend shapes made the animation, as weights on a rig do, a regression or streaming network can give their
# weights themselves. The default, "pca", scores as well or a little better.
# docs/framework.md, "Blend shapes as the basis"
# SKIN_BASIS = "blendshapes"
"""
_WORTH_KNOWING = {
    "SKIN_NEUTRAL_FPATH": "the neutral pose; the mean of the poses is used",
    "SKIN_FACES_FPATH": "polygons; the face is drawn as points",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": "vertices of the lips; no loss on lip closure, no lip figures",
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH": "closed eyes; the face does not blink",
    "TONGUE_CACHE_ROOT": "animation of the tongue; it does not move",
    "TONGUE_NEUTRAL_FPATH": "the neutral tongue; the tongue does not move",
    "TONGUE_RIGID_VERTEX_LIST_FPATH": "the root of the tongue; the tongue does not move",
    "JAW_ANIM_DATA_FPATH": "motion of the jaw; it does not move",
    "EYE_ANIM_DATA_FPATH": "motion of the eyes; they do not move",
    "BLENDSHAPE_SKIN_FPATH": "blend shapes; no weights are solved for",
}


@dataclass(frozen=True)
class Project:
    """Values of a new configuration.

    Attributes:
        name: of the configuration.
        actor: its name.
        found: the actor's data.
        rate: frames per second.
        network: the kind of network.
        minutes: of data, that the settings suit.
    """

    name: str
    actor: str
    found: FoundActor
    rate: float
    network: NetworkType
    minutes: float


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("init", argv)
    start_logging()
    roots = Roots.from_environment()
    folder = roots.framework / "configs" / args.config_name
    if not args.force:
        _refuse_existing(folder)
    ask = Questions(sys.stdin.isatty() and sys.stdout.isatty() and not args.yes)
    found = _choose_actor(find_actors(_data_folder(args.data, roots, ask)), args.actor, ask)
    _show(found)
    network = args.network or ask(f"network, {' or '.join(NETWORKS)}", NETWORKS[0], _network)
    rate = args.rate or ask("frames per second of the animation", found.rate, positive, "--rate FPS")
    minutes = args.minutes or found.num_frames / rate / 60
    actor = args.actor or _name_of(found)
    project = Project(args.config_name, actor, found, rate, cast(NetworkType, network), minutes)
    _note(project, is_stated=args.minutes is not None)
    ask.confirm(f"write {folder}?")
    texts = configuration_files(project, roots)
    for kind, text in texts.items():
        write_text(folder / f"config_{kind}.py", text)
    log_outputs(
        {"Configuration:": folder},
        [
            f"python run_check.py {project.name}",
            f"audio2face run-all {project.name} --audio YOUR_SPEECH.wav    # all stages",
        ],
    )
    return 0


class Questions:
    """Asks on a terminal; without one takes the default, or names the argument that sets it.

    Args:
        is_interactive: whether there is a terminal.
    """

    def __init__(self, is_interactive: bool) -> None:
        self.is_interactive = is_interactive

    def __call__(self, what: str, default: Answer | None, read: Callable[[str], Answer], argument: str = "") -> Answer:
        """The answer to a question, asked until `read` takes it.

        Args:
            what: is asked for.
            default: the answer where nothing is typed; None where there is none.
            read: turns what is typed into the answer; its errors are shown.
            argument: what to type instead.

        Raises:
            UserError: nobody can be asked, and there is no default.
            KeyboardInterrupt: the input ended.
        """
        if not self.is_interactive:
            if default is None:
                raise UserError(f"{what}: cannot be found in the data", hint=f"Give {argument}.")
            return default
        shown = "" if default is None else f" [{default:g}]" if isinstance(default, float) else f" [{default}]"
        while True:
            text = _typed(f"{what[:1].upper()}{what[1:]}{shown}: ")
            if not text and default is not None:
                return default
            try:
                return read(text)
            except (ValueError, UserError, argparse.ArgumentTypeError) as error:
                print(f"  {error}")

    def confirm(self, what: str) -> None:
        """Asks for confirmation; raises KeyboardInterrupt unless the answer is yes."""
        if self.is_interactive and _typed(f"{what[:1].upper()}{what[1:]} [y]: ").lower() not in ("", "y", "yes"):
            raise KeyboardInterrupt


def _typed(prompt: str) -> str:
    try:
        return input(prompt).strip()
    except EOFError:
        raise KeyboardInterrupt from None


def _refuse_existing(folder: Path) -> None:
    present = [f"config_{kind}.py" for kind in _FILES if (folder / f"config_{kind}.py").exists()]
    if present:
        raise UserError(
            f"there is a configuration of this name, with {', '.join(present)}",
            path=folder,
            hint="Choose another name, or replace its files with --force.",
        )


def _network(text: str) -> str:
    chosen = [name for name in NETWORKS if text and name.startswith(text.lower())]
    if len(chosen) != 1:
        raise ValueError(f"type {' or '.join(NETWORKS)}")
    return chosen[0]


def _data_folder(given: str | None, roots: Roots, ask: Questions) -> Path:
    """The data folder; a relative path starts from the current folder, or from the datasets folder."""

    def read(text: str) -> Path:
        path = Path(text).expanduser()
        candidates = [path] if path.is_absolute() else [Path.cwd() / path, roots.datasets / path]
        chosen = next((each for each in candidates if text and each.is_dir()), None)
        if chosen is None:
            places = " or ".join(str(each) for each in candidates) if text else "nothing was given"
            raise UserError(f"there is no data folder {text!r} ({places})", hint="Give --data FOLDER.")
        return chosen.absolute()

    return read(given) if given is not None else ask("folder of the actor's data", None, read, "--data FOLDER")


def _choose_actor(actors: Sequence[FoundActor], name: str | None, ask: Questions) -> FoundActor:
    if len(actors) == 1:
        return actors[0]
    names = [actor.name for actor in actors]

    def read(text: str) -> FoundActor:
        if text not in names:
            raise UserError(
                f"the data folder holds {len(names)} actors: {', '.join(names)}",
                hint="Choose one of them with --actor.",
            )
        return actors[names.index(text)]

    return read(name or "") if name or not ask.is_interactive else ask(f"actor ({', '.join(names)})", None, read)


def _name_of(found: FoundActor) -> str:
    name = re.sub(r"[^A-Za-z0-9_]+", "_", found.name).strip("_")
    return name if is_identifier(name) else "actor"


def _show(found: FoundActor) -> None:
    """Prints what was found, and what was not with the parameter that names it."""
    table = Table("parameter", "found", title=f"{found.folder}", title_justify="left")
    for parameter, path in found.paths.items():
        counted = f" ({len(found.shots)} shots)" if parameter.endswith("_ROOT") else ""
        table.add_row(parameter, path.relative_to(found.folder).as_posix() + counted)
    console().print(table)
    pairs = (
        "" if not found.unpaired else f"; {found.unpaired} recordings or caches have no counterpart and are left out"
    )
    LOGGER.info("%d shots, %d frames of %d vertices%s", len(found.shots), found.num_frames, found.num_verts, pairs)
    for parameter, reason in found.missing.items():
        if parameter in _WORTH_KNOWING or reason != "not found":
            what = f" ({_WORTH_KNOWING[parameter]})" if parameter in _WORTH_KNOWING else ""
            LOGGER.info("%s: %s%s", parameter, reason, what)


def _note(project: Project, is_stated: bool) -> None:
    """Logs rate, minutes and emotions, and what does not fit."""
    found, minutes = project.found, project.minutes
    LOGGER.info(
        "%.1f minutes%s at %g frames per second, emotions: %s",
        minutes,
        " (as stated)" if is_stated else "",
        project.rate,
        ", ".join(found.emotions),
    )
    if found.rate is not None and abs(project.rate / found.rate - 1) > _DIFFERENT_RATE:
        LOGGER.warning(
            "recordings and caches have the lengths of %g frames per second, not %g", found.rate, project.rate
        )
    few = "settings for few recordings" if minutes <= FEW_MINUTES else "defaults of the network"
    LOGGER.info("%s network, %s (docs/quality.md)", project.network, few)


def configuration_files(project: Project, roots: Roots) -> dict[str, str]:
    """The text of each file of a configuration, by its kind ("dataset", "preproc", "train", "inference")."""
    actor = project.actor
    respacing = 'TIMESTEP_RESPACING = "2"  # denoising steps\n' if project.network == "diffusion" else ""
    settings = training_settings(project.network, project.minutes, len(project.found.shots))
    emotion = project.found.emotions[0]
    if DEFAULT_EMOTION not in project.found.emotions:  # what these parameters have as their default
        settings += f'DEFAULT_SHOT_EMOTION_NAME = "{emotion}"\nSHOT_EMOTION_NAME_FOR_ALL_ZEROS = "{emotion}"\n'
    return {
        "dataset": _dataset_file(project, roots),
        "preproc": _preproc_file(project),
        "train": f'"""Training of {project.name}: {project.minutes:.1f} minutes of data."""\n\n'
        f'RUN_NAME = "{project.name}"\nNETWORK_TYPE = "{project.network}"\n\n{settings}',
        "inference": f'"""Animation with {project.name}."""\n\n'
        f'ACTOR_NAME = "{actor}"\nEMOTION_LABEL = "{emotion}"\n{respacing}',
    }


def _preproc_file(project: Project) -> str:
    choice = _SHAPES_AS_BASIS if "BLENDSHAPE_SKIN_FPATH" in project.found.paths else ""
    return f'"""Preprocessing of {project.name}."""\n\nRUN_NAME = "{project.name}"\n{choice}'


def _dataset_file(project: Project, roots: Roots) -> str:
    found, actor = project.found, project.actor
    lines = [
        f'"""Dataset of {project.name}: {len(found.shots)} shots of {actor}."""',
        "",
        f"_DATA = {json.dumps(roots.portable(found.folder), ensure_ascii=False)}",
        "",
        f'ACTOR_NAMES = ["{actor}"]',
        f'CACHE_FPS = {{"{actor}": {project.rate!r}}}  # frames per second of all caches',
        f"SHOT_EMOTION_NAMES = {json.dumps(found.emotions)}",
        *([_TEST_SET] if len(found.shots) >= _SHOTS_FOR_TEST else []),
        "",
    ]
    for parameter, path in found.paths.items():
        below = "" if path == found.folder else f"/{path.relative_to(found.folder).as_posix()}"
        value = f"_DATA + {json.dumps(below, ensure_ascii=False)}" if below else "_DATA"
        lines.append(f'{parameter} = {{"{actor}": {value}}}')
    absent = [name for name in found.missing if name in _WORTH_KNOWING]
    if absent:
        lines += ["", "# Not found; docs/preparing_data.md describes the files.", *(f"# {name}" for name in absent)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_stage(main)
