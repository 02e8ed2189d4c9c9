"""Writes deployed folders: names and content of files; folders appear complete or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audio2face.errors import UserError
from audio2face.io.atomic import make_durable, write_json, write_npz
from audio2face.io.claims import exclusive, temporary_folder
from audio2face.model_folder.actor import AnimationConfig, select_arrays
from audio2face.model_folder.model import MODEL_FILE, lint
from audio2face.model_folder.network_info import INFO_FILE, NetworkInfo
from audio2face.model_folder.regression import EMOTION_DATABASE_FILE
from audio2face.model_folder.trt_info import ENGINE_FILE, TRT_FILE, make_trt_info
from audio2face.types import AnyArray, Mesh

README_FILE = "README.md"


def blendshape_names(part: Mesh, actor: str) -> dict[str, str]:
    """The files of a set of blend shapes, as `model.json` names them: "config" and "data"."""
    return {"config": f"bs_{part}_config_{actor}.json", "data": f"bs_{part}_{actor}.npz"}


def write_network_facts(folder: Path, info: NetworkInfo) -> None:
    """Writes the network's record beside its graph."""
    write_json(folder / INFO_FILE, info.as_json())
    write_json(folder / TRT_FILE, make_trt_info(info))


def write_actor(
    folder: Path, info: NetworkInfo, actor: str, config: AnimationConfig, arrays: Mapping[str, AnyArray]
) -> None:
    """Writes the files of an actor.

    Args:
        folder: the deployed folder.
        info: inputs and outputs of the network.
        actor: the actor.
        config: the animation parameters.
        arrays: at least `NetworkInfo.actor_arrays`; only these are written.
    """
    write_config(folder, info, actor, config)
    write_npz(folder / info.data_file(actor), select_arrays(info, arrays))


def write_config(folder: Path, info: NetworkInfo, actor: str, config: AnimationConfig) -> None:
    """Writes the animation parameters of an actor, replacing existing ones."""
    write_json(folder / info.config_file(actor), config.as_json())


def write_model_file(folder: Path, info: NetworkInfo, blendshapes: Mapping[str, Sequence[Mesh]]) -> None:
    """Writes `model.json`, which names all other files.

    Args:
        folder: the deployed folder.
        info: inputs and outputs of the network.
        blendshapes: for each actor the parts with blend shapes in the folder.
    """
    actors = info.identities
    shapes = [{part: blendshape_names(part, actor) for part in blendshapes.get(actor, ())} for actor in actors]
    content: dict[str, Any] = {"networkInfoPath": INFO_FILE, "networkPath": ENGINE_FILE}
    if info.has_emotion_database:
        content["emotionDatabasePath"] = EMOTION_DATABASE_FILE
    if not info.is_multi_actor:
        content |= {
            "modelConfigPath": info.config_file(actors[0]),
            "modelDataPath": info.data_file(actors[0]),
            "blendshapePaths": shapes[0],
        }
    else:
        content |= {
            "modelConfigPaths": [info.config_file(actor) for actor in actors],
            "modelDataPaths": [info.data_file(actor) for actor in actors],
            "blendshapePaths": shapes,
        }
    write_json(folder / MODEL_FILE, content)


@contextmanager
def staged_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """Yields an empty folder, which replaces `target` at the end of the block if the lint finds no error in it.

    Until then a folder that was there is untouched; afterwards nothing of it is left. Several processes may do so at
    once, each in a folder of its own; with `force`, the last one's stays.

    Args:
        target: the deployed folder.
        force: replace an existing deployed model; otherwise one is an error.

    Raises:
        UserError: the target is there and may not be replaced, cannot be written, or what was written is faulty.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(target.parent):
            _restore(target)
            _check_target(target, force)
        with temporary_folder(target.parent, f"{target.name}.new") as stage:
            yield stage
            _refuse_faults(stage, target)
            make_durable(stage)
            with exclusive(target.parent):  # between the renames the model is missing
                _restore(target)
                _check_target(target, force)
                _replace(target, stage)
    except OSError as error:
        raise UserError(
            f"could not be written: {error.strerror or error}",
            path=target,
            hint="Check free disk space, permissions, and that every part of the path is a folder.",
        ) from error


def _old(target: Path) -> Path:
    """Path of a model that is being replaced."""
    return target.with_name(f".{target.name}.old")


def _restore(target: Path) -> None:
    """Restores or removes the model that a process killed in `_replace` had moved."""
    old = _old(target)
    if old.is_dir() and not target.exists():
        old.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _replace(target: Path, stage: Path) -> None:
    old = _old(target)
    if target.exists():
        target.rename(old)
    try:
        stage.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_target(target: Path, force: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / MODEL_FILE).is_file():
        raise UserError(f"exists and is not a deployed model (has no {MODEL_FILE})", path=target, hint="Move it.")
    if not force:
        raise UserError("is deployed already", path=target, hint="Use --force to replace it, including a built engine.")


def _refuse_faults(stage: Path, target: Path) -> None:
    errors = [fault for fault in lint(stage)[1] if fault.severity == "error"]
    if errors:
        listed = "".join(f"\n  {fault.file}: {fault.problem} ({fault.hint})" for fault in errors)
        raise UserError(f"consumers would refuse the model:{listed}", path=target)
