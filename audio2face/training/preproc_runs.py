"""Which preprocessing run an actor is trained from: the one that is named, or the newest of this configuration's data.

Two configurations may call their actors alike. A run belongs to a configuration if the data that it recorded are those
that the configuration names (`preproc.data_record`). A run that is named in full is taken whatever it was made from,
since its name is a decision; where the data differ, a warning says in what.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.errors import UserError
from audio2face.preproc.artifacts import PreprocArtifacts, read_identity
from audio2face.preproc.data_record import CurrentData, read_record
from audio2face.runs import finished_runs

LATEST = "latest"
_SHOWN = 3  # differences in a message at most
_UNRECORDED = "was made by a version that did not record its data"


@dataclass(frozen=True)
class _Passed:
    """A run of the actor that is not taken, and why."""

    run: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        rest = len(self.reasons) - _SHOWN
        return "; ".join(self.reasons[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def find_run(dataset: ActorDataset, transform_scale: Mapping[str, float], run: str, root: Path) -> PreprocArtifacts:
    """Finds the preprocessing run of an actor.

    Args:
        dataset: the actor's data as the configuration names them.
        transform_scale: TRANSFORM_SCALE of the actor.
        run: full name of the run, or "latest" for the newest that was made from these data. A run without a record
            of its data, as the reference implementation leaves it, is taken with a warning where none with one fits.
        root: folder of all runs.

    Raises:
        UserError: there is no such run, it belongs to another actor, or none was made from these data.
    """
    current = CurrentData(dataset, transform_scale)
    return _named(current, root / run) if run != LATEST else _newest(current, root)


def _named(current: CurrentData, folder: Path) -> PreprocArtifacts:
    actor, artifacts = current.dataset.actor, PreprocArtifacts.open(folder)
    if artifacts.actor != actor:
        raise UserError(
            f"is a preprocessing run of actor {artifacts.actor!r}, not of {actor!r}",
            path=artifacts.folder,
            hint="Correct PREPROC_RUN_NAME_FULL in config_train.py.",
        )
    record = read_record(folder)
    differences = current.differences(record) if record is not None else []
    if differences:
        LOGGER.warning(
            "%s: preprocessing run %s was made from other data than those configured: %s",
            actor,
            folder.name,
            _Passed(folder.name, tuple(differences)),
        )
    return artifacts


def _newest(current: CurrentData, root: Path) -> PreprocArtifacts:
    actor = current.dataset.actor
    passed: list[_Passed] = []
    unrecorded: list[PreprocArtifacts] = []
    for folder in finished_runs(root):
        artifacts = _open(folder.path, actor, passed)
        if artifacts is None:
            continue
        record = read_record(folder.path)
        if record is None and read_identity(folder.path) is None:
            unrecorded.append(artifacts)
            continue
        reasons = [_UNRECORDED] if record is None else current.differences(record)
        if not reasons:
            _tell(actor, passed)
            return artifacts
        passed.append(_Passed(folder.name, tuple(reasons)))
    if unrecorded:
        _tell(actor, passed)
        LOGGER.warning(
            "%s: nothing tells which data preprocessing run %s was made from; it is taken as the newest of that name",
            actor,
            unrecorded[0].folder.name,
        )
        return unrecorded[0]
    raise _none_fits(actor, root, passed)


def _open(folder: Path, actor: str, passed: list[_Passed]) -> PreprocArtifacts | None:
    """The run in a folder if it is one of the actor that can be read."""
    try:
        artifacts = PreprocArtifacts.open(folder)
    except UserError as error:
        identity = read_identity(folder)
        if identity is not None and identity[0] == actor:
            passed.append(_Passed(folder.name, (error.problem,)))
        return None
    return artifacts if artifacts.actor == actor else None


def _tell(actor: str, passed: list[_Passed]) -> None:
    for run in passed:
        LOGGER.info("%s: preprocessing run %s is passed by: %s", actor, run.run, run)


def _none_fits(actor: str, root: Path, passed: list[_Passed]) -> UserError:
    if not passed:
        return UserError(
            f"there is no finished preprocessing run of actor {actor!r}",
            path=root,
            hint="Preprocess the actor first, or set PREPROC_RUN_NAME_FULL in config_train.py:\n"
            f"  python run_preproc.py CONFIG_NAME {actor}",
        )
    closest = min(passed, key=lambda run: len(run.reasons))  # the newest of equals
    return UserError(
        f"no preprocessing run of actor {actor!r} was made from the data of this configuration; the closest of "
        f"{len(passed)}, {closest.run}: {closest}",
        path=root,
        hint="Preprocess the actor, or take another run by its name in PREPROC_RUN_NAME_FULL of config_train.py:\n"
        f"  python run_preproc.py CONFIG_NAME {actor}",
    )
