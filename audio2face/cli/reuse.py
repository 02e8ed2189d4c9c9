"""Stages that follow each other in one call: each reuses what an earlier call completed, or resumes unfinished ones.

The quickstart and `run-all` are made of these. Preprocessing finds its finished and its stopped runs itself
(`audio2face.preproc.run`); complete datasets and animations are recorded in `KeptResults`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audio2face.cli import deploy
from audio2face.cli.stages import exporter_of
from audio2face.config import Configuration
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.atomic import write_json
from audio2face.model_folder import DeployedModel
from audio2face.outputs import write_outputs
from audio2face.runs import RunFolder, finished_runs
from audio2face.training.run import find_resumable_run, train
from audio2face.training.run_folder import TrainingRun

_TO_OPEN = {".html": "page (open in a browser)", ".mp4": "video", ".glb": "glTF (Blender, three.js)"}
_LABELS = ("animated from audio", "ground truth")


def trained_run(configuration: Configuration, preproc_runs: Mapping[str, str]) -> RunFolder:
    """Reuses a finished run of this configuration and artifacts, resumes a stopped one, or trains a new one.

    Args:
        configuration: for stage "train".
        preproc_runs: name of the preprocessing run of each actor that training reads.
    """
    for run in finished_runs(configuration.train.TRAIN_OUTPUT_ROOT):
        if run.run_name != configuration.train.RUN_NAME:
            continue
        found = TrainingRun.open(run.path)
        same = found.configuration.full["train"] == configuration.full["train"]
        if same and found.preproc["preproc_run_name_full"] == preproc_runs:
            LOGGER.info("unchanged, using training run %s", run.name)
            return run
        LOGGER.debug("%s is not used: its %s differ", run.name, "preprocessing runs" if same else "parameters")
    stopped = find_resumable_run(configuration, preproc_runs)
    return train(configuration, exporter_of(configuration), resume=None if stopped is None else stopped.name).run


def exported_files(run: RunFolder) -> dict[str, Any]:
    """Size and time of the files of a training run that deployment reads, by name."""
    exported = [run.path / "export.json", *sorted((run.path / "deploy").iterdir())]
    stats = {path.name: path.stat() for path in exported}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def show_shot(
    model: Path, dataset: ActorDataset, shot: str, emotion: str, folder: Path, formats: Sequence[str]
) -> None:
    """Animates a shot with a deployed model, beside its ground truth where the actor has a neutral pose.

    Args:
        model: the deployed folder.
        dataset: the actor's data.
        shot: name of the shot.
        emotion: emotion of the shot.
        folder: output folder; its name is that of the files.
        formats: forms of the animation.

    Raises:
        UserError: a file cannot be read or written.
    """
    pipeline = AnimationPipeline(DeployedModel.open(model), AnimationOptions(actor=dataset.actor, emotion=emotion))
    folder.parent.mkdir(parents=True, exist_ok=True)
    animation = pipeline.animate(dataset.audio_path(shot), folder.parent)
    truth = None
    if dataset.skin_neutral is None:
        LOGGER.warning("%s has no neutral pose (SKIN_NEUTRAL_FPATH): the ground truth is not shown", dataset.actor)
    else:
        truth = ground_truth_animation(dataset, shot, folder.parent, animation.fps)
    write_outputs(animation, folder, folder.name, formats, truth, _LABELS)
    LOGGER.info("%s: %d frames at %g per second", folder.name, animation.num_frames, animation.fps)


def files_to_open(folder: Path) -> dict[str, Path]:
    """The viewable files of `show_shot` that are there, by description."""
    files = {title: folder / f"{folder.name}{suffix}" for suffix, title in _TO_OPEN.items()}
    return {title: path for title, path in files.items() if path.is_file()}


def deploy_once(configuration: Configuration, run: RunFolder, kept: KeptResults, arguments: Sequence[str]) -> Path:
    """Deploys a training run, unless the deployed model is complete and current.

    Args:
        configuration: for the folder of models.
        run: the training run.
        kept: the record of complete results.
        arguments: of the command.

    Returns:
        The deployed folder.
    """
    target = configuration.train.FINAL_DEPLOY_ROOT / run.name
    if kept.is_whole("deployed model", target):
        LOGGER.info("unchanged, using deployed model %s", run.name)
    else:
        deploy.main([*arguments, "--force"])
        kept.add("deployed model", target)
    return target


class KeptResults:
    """The record of complete results. Results of other inputs or of another version of the code are not reused.

    Args:
        path: the file of the record; its folder may be missing.
        inputs: all inputs of the results beside the code, as JSON values.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Any]) -> None:
        self._path = path
        text = json.dumps({**inputs, "code": _code_digest()}, sort_keys=True, default=dict)
        self._inputs = hashlib.sha256(text.encode()).hexdigest()
        self._files = self._read()

    def is_whole(self, name: str, folder: Path) -> bool:
        """Whether a result of that name has these inputs, and its folder contains every file in its size."""
        return name in self._files and self._files[name] == file_sizes(folder)

    def add(self, name: str, folder: Path) -> None:
        """Records a new result."""
        self._files[name] = file_sizes(folder)
        write_json(self._path, {"inputs": self._inputs, "files": self._files})

    def _read(self) -> dict[str, dict[str, int]]:
        try:
            record = json.loads(self._path.read_text(encoding="utf-8"))
            return dict(record["files"]) if record["inputs"] == self._inputs else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def file_sizes(folder: Path) -> dict[str, int]:
    """The size in bytes of every file of a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _code_digest() -> str:
    """SHA-256 of the framework's code."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(package).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
