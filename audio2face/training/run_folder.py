"""The files of a training run: metadata, provenance of its data, validation clips, and access to a finished run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from audio2face.config import Configuration, Roots
from audio2face.errors import FileFormatError, UserError
from audio2face.io.arrays import read_json
from audio2face.model_folder.network_info import SEVERAL_ACTORS
from audio2face.run_names import CONFIGURATION_FILE
from audio2face.run_names import WEIGHTS_FILE as WEIGHTS_FILE
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import TrainingClip
from audio2face.training.data.dataset import TrainingData
from audio2face.training.data.pseudo_labels import DISTILLATION, SYNTHETIC


def run_records(kind: str, data: TrainingData, configuration: Configuration) -> dict[str, Any]:
    """The JSON files of a run, by their path in its folder.

    Args:
        kind: the name of the family of networks.
        data: data of the training.
        configuration: for stage "train".
    """
    train = configuration.train
    emotions, actors = data.emotions, [source.actor for source in data.sources]
    counts = data.sources[0].info.counts
    sizes = {
        name: counts[name] for name in ("num_shapes_skin", "num_verts_skin", "num_shapes_tongue", "num_verts_tongue")
    }
    settings = {
        "actor_names": actors,
        "explicit_emotions": list(emotions.names),
        **sizes,
        "result_jaw_size": 3 * counts["num_keypoints_jaw"],
        "result_eyes_size": 2 * counts["num_angles_eye"],
    }
    info = {
        "id": {
            "type": kind,
            "actor": actors[0] if len(actors) == 1 else SEVERAL_ACTORS,
            "version": train.NETWORK_VERSION,
            "output": "geometry",
        },
        "name": train.NETWORK_NAME,
        "params": {**configuration.full["train"], **settings},
        "audio_params": dict(train.AUDIO_PARAMS),
        "default_emotion": emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist(),
    }
    return {
        **{PSEUDO_LABEL_FILES[made.share.group]: dict(made.record) for made in data.pseudo_labelled},
        PREPROC_FILE: provenance_record(data.sources, configuration.roots),
        VALIDATION_FILE: describe_validation(data.validation_clips, configuration.roots),
        INFO_FILE: info,
    }


def recorded_verts(path: Path) -> tuple[int, int]:
    """Vertices of skin and tongue, as the `network_info.json` of a run records them.

    Raises:
        FileFormatError: it does not.
    """
    try:
        params = read_json(path)["params"]
        return int(params["num_verts_skin"]), int(params["num_verts_tongue"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"does not record the numbers of vertices: {error}", path=path) from error


ORIGINS_STEM = "preproc_info"  # of the file in `configs/`


@dataclass(frozen=True)
class Origin:
    """The provenance of an actor's training data.

    Attributes:
        folder: the preprocessing run; None if override files replaced all of it.
        files: override files, by parameter.
    """

    folder: Path | None
    files: Mapping[str, Path]


def provenance_record(sources: Iterable[ActorSource], roots: Roots) -> dict[str, Any]:
    """The provenance as JSON; paths below the roots are portable, valid after a move and in a container."""
    runs = {source.actor: source.artifacts.folder for source in sources if source.artifacts is not None}
    return {
        "preproc_run_name_full": {actor: folder.name for actor, folder in runs.items()},
        "preproc_folder": {actor: roots.portable(folder) for actor, folder in runs.items()},
        "artifact_files": {
            source.actor: {name: roots.portable(path) for name, path in source.files.items()} for source in sources
        },
    }


def read_origins(folder: Path, roots: Roots, preproc_root: Path) -> dict[str, Origin]:
    """Reads the origins of the actors from the folder of a training run, also from one of the reference implementation.

    Args:
        folder: the run folder.
        roots: folders of datasets and workspace.
        preproc_root: PREPROC_ROOT, for folders of the reference, which record the names of preprocessing runs only.

    Returns:
        The origins by actor, in the order of the network.

    Raises:
        UserError: the file is missing, or (FileFormatError) holds something else.
    """
    path = folder / "configs" / f"{ORIGINS_STEM}.json"
    content = read_json(path)
    try:
        runs = {actor: preproc_root / str(run) for actor, run in content["preproc_run_name_full"].items()}
        runs |= {actor: roots.resolve(text, "workspace") for actor, text in content.get("preproc_folder", {}).items()}
        files = {
            actor: {name: roots.resolve(text, "workspace") for name, text in named.items()}
            for actor, named in content.get("artifact_files", {name: {} for name in runs}).items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"is no record of preprocessing runs: {error}", path=path) from error
    return {actor: Origin(runs.get(actor), named) for actor, named in files.items()}


VALIDATION_FILE = "configs/validation_clips.json"  # of a run folder


@dataclass(frozen=True, kw_only=True)
class ValidationClip:
    """A clip that the network was not trained on.

    Attributes:
        actor: name of the actor.
        shot: name of the shot, as its data are filed.
        emotion: the emotion of the shot.
        first: first frame of the shot.
        last: last frame, inclusive.
        fps: frames per second of the shot.
        speaker: the speaker: the actor, or another voice.
        audio: the recording.
        audio_start: start of the first frame in the recording, in seconds; negative if it starts before the recording.
    """

    actor: str
    shot: str
    emotion: str
    first: int
    last: int
    fps: float
    speaker: str
    audio: Path
    audio_start: float

    @property
    def num_frames(self) -> int:
        """Length in frames of the shot."""
        return self.last - self.first + 1


def describe_validation(clips: Iterable[TrainingClip], roots: Roots) -> dict[str, Any]:
    """The validation clips as JSON; paths below the roots are portable."""
    return {"clips": [_validation_clip_record(clip, roots) for clip in clips if clip.audio is not None]}


def _validation_clip_record(clip: TrainingClip, roots: Roots) -> dict[str, Any]:
    assert clip.audio is not None  # `describe_validation` skips muted clips
    described = ValidationClip(
        actor=clip.shot.actor,
        shot=clip.shot.name,
        emotion=clip.shot.emotion,
        first=clip.first,
        last=clip.last,
        fps=clip.shot.fps,
        speaker=clip.speaker,
        audio=clip.audio,
        audio_start=clip.audio_start,
    )
    return {**asdict(described), "audio": roots.portable(clip.audio)}


def read_validation(run_folder: Path, roots: Roots) -> tuple[ValidationClip, ...] | None:
    """Reads the validation clips of a training run; None for a run of an earlier version, which did not record them.

    Args:
        run_folder: the training run.
        roots: folders of datasets and workspace.

    Raises:
        UserError: the file cannot be read, or (FileFormatError) holds something else.
    """
    path = run_folder / VALIDATION_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        return tuple(
            ValidationClip(**{**values, "audio": roots.resolve(values["audio"], "datasets")})
            for values in content["clips"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"is no record of validation clips: {error}", path=path) from error


DISTILLATION_FILE = "configs/distillation.json"
# Of a run with clips whose motion was not recorded, by their group: what they were made of.
PSEUDO_LABEL_FILES = {SYNTHETIC: "configs/synthetic_talking.json", DISTILLATION: DISTILLATION_FILE}
PREPROC_FILE = f"configs/{ORIGINS_STEM}.json"
NETWORK_FILE = "network.json"
INFO_FILE = "network_info_full.json"
SUMMARY_FILE = "summary.json"
DEPLOY_FOLDER = "deploy"  # folder in a run with the files that deployment copies


@dataclass(frozen=True)
class TrainingRun:
    """A finished training run with exported weights; files are read lazily.

    A file of unexpected content raises FileFormatError on access.

    Attributes:
        path: the run folder; its last part is the full name of the run.
    """

    path: Path

    @classmethod
    def open(cls, path: Path) -> TrainingRun:
        """Opens a run.

        Raises:
            UserError: the run does not exist, or is unfinished.
        """
        missing = [name for name in (CONFIGURATION_FILE, NETWORK_FILE, WEIGHTS_FILE) if not (path / name).is_file()]
        if missing:
            raise UserError(
                f"is no finished training run: {missing[0]} is missing",
                path=path,
                hint=f"Let it finish: python run_train.py CONFIG_NAME --resume {path.name}\n"
                f"  or export what there is: python run_train.py CONFIG_NAME --resume {path.name} --finish",
            )
        return cls(path)

    @cached_property
    def configuration(self) -> Configuration:
        """The configuration that the run was started with."""
        return Configuration.open(self.path / CONFIGURATION_FILE)

    @cached_property
    def network(self) -> Mapping[str, Any]:
        """Configuration of the network, as `Task.network_config` returned it."""
        return self._object(NETWORK_FILE)

    @cached_property
    def preproc(self) -> Mapping[str, Any]:
        """The preprocessing runs and files that it was trained on."""
        return self._object(PREPROC_FILE)

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        """Summary of the training: end, steps, epochs, minutes, exported_step, exported_metrics."""
        return self._object(SUMMARY_FILE)

    def weights(self) -> dict[str, Tensor]:
        """The exported weights, on the CPU."""
        return self.tensors(WEIGHTS_FILE)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a safetensors file of the run, on the CPU."""
        path = self.path / name
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise FileFormatError(f"cannot be read as weights: {error}", path=path) from error

    def _object(self, name: str) -> Mapping[str, Any]:
        value = read_json(self.path / name)
        if not isinstance(value, dict):
            raise FileFormatError("should hold an object", path=self.path / name)
        return value
