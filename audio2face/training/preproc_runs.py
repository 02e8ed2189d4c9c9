"""Finds the preprocessing run that an actor is trained from: the named one, or the newest of the configured data.

Actors of two configurations may share a name. A run belongs to a configuration if it recorded the data that the
configuration names (`preproc.data_record`). A run that is named in full is always used, since the user chose it; where
its data differ from the configured ones, a warning lists the differences.
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
from audio2face.run_names import LATEST
from audio2face.runs import finished_runs

_SHOWN = 3  # differences in a message at most
_UNRECORDED = "was made by a version that did not record its data"


@dataclass(frozen=True)
class _SkippedRun:
    """A run of the actor that is skipped, and the reasons."""

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
        run: full name of the run, or "latest" for the newest that was made from these data; of such runs, one that
            left out the test set comes before those that did not. Runs of the reference implementation have no record
            of their data: the newest of them is used, with a warning, where no recorded run matches.
        root: folder of all runs.

    Raises:
        UserError: there is no such run, it belongs to another actor, or none was made from these data.
    """
    current = CurrentData(dataset, transform_scale)
    return _named_run(current, root / run) if run != LATEST else _newest_run(current, root)


def _named_run(current: CurrentData, folder: Path) -> PreprocArtifacts:
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
            _SkippedRun(folder.name, tuple(differences)),
        )
    return artifacts


def _newest_run(current: CurrentData, root: Path) -> PreprocArtifacts:
    actor = current.dataset.actor
    skipped: list[_SkippedRun] = []
    unrecorded: list[PreprocArtifacts] = []
    spoilt: list[PreprocArtifacts] = []  # by test shots: used where no other run is left
    for folder in finished_runs(root):
        artifacts = _open_run(folder.path, actor, skipped)
        if artifacts is None:
            continue
        record = read_record(folder.path)
        if record is None and read_identity(folder.path) is None:
            unrecorded.append(artifacts)
            continue
        reasons = [_UNRECORDED] if record is None else current.differences(record)
        if not reasons and record is not None and current.has_seen_test_shots(record):
            spoilt.append(artifacts)
            continue
        if not reasons:
            _log_skipped(actor, skipped)
            return artifacts
        skipped.append(_SkippedRun(folder.name, tuple(reasons)))
    if spoilt:
        _log_skipped(actor, skipped)
        return spoilt[0]
    if unrecorded:
        _log_skipped(actor, skipped)
        LOGGER.warning(
            "%s: preprocessing run %s has no record of its data; it is used as the newest run of this actor",
            actor,
            unrecorded[0].folder.name,
        )
        return unrecorded[0]
    raise _no_matching_run(actor, root, skipped)


def _open_run(folder: Path, actor: str, skipped: list[_SkippedRun]) -> PreprocArtifacts | None:
    """The run in a folder if it belongs to the actor and is readable."""
    try:
        artifacts = PreprocArtifacts.open(folder)
    except UserError as error:
        identity = read_identity(folder)
        if identity is not None and identity[0] == actor:
            skipped.append(_SkippedRun(folder.name, (error.problem,)))
        return None
    return artifacts if artifacts.actor == actor else None


def _log_skipped(actor: str, skipped: list[_SkippedRun]) -> None:
    for run in skipped:
        LOGGER.info("%s: preprocessing run %s is skipped: %s", actor, run.run, run)


def _no_matching_run(actor: str, root: Path, skipped: list[_SkippedRun]) -> UserError:
    if not skipped:
        return UserError(
            f"there is no finished preprocessing run of actor {actor!r}",
            path=root,
            hint="Preprocess the actor first, or set PREPROC_RUN_NAME_FULL in config_train.py:\n"
            f"  python run_preproc.py CONFIG_NAME {actor}",
        )
    closest = min(skipped, key=lambda run: len(run.reasons))  # the newest of equally close ones
    return UserError(
        f"no preprocessing run of actor {actor!r} was made from the data of this configuration; the closest of "
        f"{len(skipped)}, {closest.run}: {closest}",
        path=root,
        hint="Preprocess the actor, or name another run in PREPROC_RUN_NAME_FULL of config_train.py:\n"
        f"  python run_preproc.py CONFIG_NAME {actor}",
    )
