"""Finds the run to go on with, and makes sure that it is gone on with as it was begun.

Knows what run folders record of their settings. Knows no checkpoint's content.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audio2face.config import Configuration
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError, UserError
from audio2face.runs import RunFolder
from audio2face.training.checkpoints import FOLDER, CheckpointStore
from audio2face.training.task import Begun
from audio2face.training.training_run import NETWORK_FILE, PREPROC_FILE

NEWEST = ""  # what `--resume` without a name stands for
_RUNS = "preproc_run_name_full"
_LATEST = "latest"
_MOST_LISTED = 8

# Parameters of training that have no part in the weights, or whose part is in the checkpoint.
_FREE = {
    *("RUN_NAME", "RUN_INFO", "NETWORK_VERSION", "PRETRAINED_NET_FPATH", "DEFAULT_SHOT_EMOTION_NAME"),
    *("TRAIN_OUTPUT_ROOT", "FINAL_DEPLOY_ROOT", "TORCH_CACHE_ROOT", "PREPROC_ROOT", "PREPROC_RUN_NAME_FULL"),
    *("LOG_PERIOD", "VALIDATION_PERIOD_EPOCHS", "EXPORTED_WEIGHTS", "STREAMING_CFG", "COMPACTIFY_IMPLICIT_EMO_DB"),
    *("DEVICE", "COMPILE", "CHECKPOINT_PERIOD_MINUTES", "TIME_LIMIT_MINUTES"),
    *("SPEECH_FEATURES_ROOT",),
    *("AUDIO_DATA_CACHING", "PHONEME_DATA_CACHING", "TARGET_DATA_CACHING", "TARGET_OBJECTS_TO_CUDA"),
}


def find_run(configuration: Configuration, name: str) -> RunFolder:
    """The run of a name, or, for `NEWEST`, the configuration's newest that has not ended.

    Of unfinished runs, those with a checkpoint come first: one that failed at its start does not hide work done.

    Raises:
        UserError: there is none, or it is a run of something else.
    """
    root = configuration.train.TRAIN_OUTPUT_ROOT
    runs = _runs(root)
    if name:
        found = next((run for run in runs if run.name == name), None)
        if found is None:
            raise UserError(f"there is no training run {name!r}", path=root, hint=_hint(runs))
        return found
    own = [run for run in runs if run.run_name == configuration.train.RUN_NAME and not run.is_done]
    begun = [run for run in own if CheckpointStore(run.path / FOLDER).last() is not None]
    if not own:
        raise UserError(
            f"there is no unfinished run of {configuration.train.RUN_NAME!r} to go on with",
            path=root,
            hint="Start one without --resume, or name the run: --resume RUN.",
        )
    return (begun or own)[0]


def find_resumable_run(configuration: Configuration, preproc: Mapping[str, str]) -> RunFolder | None:
    """The newest unfinished run of the configuration that has a checkpoint and can be resumed as it is configured.

    Args:
        configuration: for stage "train".
        preproc: the preprocessing run of each actor that it must be of.
    """
    for run in _runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if run.run_name != configuration.train.RUN_NAME or run.is_done:
            continue
        try:
            check_settings(run, configuration)
            same = preproc_runs(run) == preproc and CheckpointStore(run.path / FOLDER).last() is not None
        except UserError:
            continue
        if same:
            return run
    return None


def check_settings(run: RunFolder, configuration: Configuration) -> None:
    """Makes sure that nothing which bears on the weights is set otherwise than when the run was begun.

    Raises:
        UserError: something is.
    """
    differing = []
    for section in ("dataset", "train"):
        path = run.path / "configs" / f"config_{section}_full.json"
        before = _object(path)
        now = json.loads(json.dumps(configuration.full[section], default=dict))
        for name in sorted(before.keys() | now.keys()):
            if not (section == "train" and name in _FREE) and before.get(name) != now.get(name):
                differing.append(f"{name} was {_shown(before, name)}, is {_shown(now, name)}")
    for actor, before_run in preproc_runs(run).items():
        wanted = configuration.train.PREPROC_RUN_NAME_FULL.get(actor, _LATEST)
        if wanted not in (_LATEST, before_run):
            differing.append(f"PREPROC_RUN_NAME_FULL of {actor} was {before_run}, is {wanted}")
    if differing:
        more = f"\n  and {len(differing) - _MOST_LISTED} more" if len(differing) > _MOST_LISTED else ""
        listed = "".join(f"\n  {text}" for text in differing[:_MOST_LISTED])
        raise UserError(
            f"was begun with other settings:{listed}{more}",
            path=run.path,
            hint="Set them back to go on with this run; or start a new one, from its weights if you like "
            "(PRETRAINED_NET_FPATH).",
        )


def read_begun(run: RunFolder) -> Begun:
    """What a run recorded when it was begun; raises UserError where that is damaged."""
    has_weights = CheckpointStore(run.path / FOLDER).last() is not None
    return Begun(_object(run.path / NETWORK_FILE), preproc_runs(run), has_weights)


def preproc_runs(run: RunFolder) -> Mapping[str, str]:
    """The preprocessing run of each actor that a run was begun with."""
    runs = _object(run.path / PREPROC_FILE).get(_RUNS)
    if not isinstance(runs, dict):
        raise FileFormatError(f"names no {_RUNS}", path=run.path / PREPROC_FILE)
    return runs


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise FileFormatError("should hold an object", path=path)
    return value


def _shown(values: Mapping[str, Any], name: str) -> str:
    text = json.dumps(values[name]) if name in values else "unknown"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _runs(root: Path) -> list[RunFolder]:
    """All runs that recorded what they are, newest first."""
    if not root.is_dir():
        return []
    paths = sorted((path for path in root.iterdir() if (path / NETWORK_FILE).is_file()), reverse=True)
    return [RunFolder(path) for path in paths]


def _hint(runs: list[RunFolder]) -> str:
    return f"The newest are: {', '.join(run.name for run in runs[:3])}." if runs else "There is no training run yet."
