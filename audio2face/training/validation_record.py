"""Which clips a training run held out for validation: written by training, read by whoever measures its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audio2face.config import Roots
from audio2face.dataset.arrays import read_json
from audio2face.errors import FileFormatError
from audio2face.training.clips import Clip
from audio2face.training.origins import portable_path

VALIDATION_FILE = "configs/validation_clips.json"  # of a run folder


@dataclass(frozen=True, kw_only=True)
class ValidationClip:
    """A clip that the network was not trained on.

    Attributes:
        actor: name of the actor.
        shot: name of the shot, as its data are filed.
        emotion: the emotion of the shot.
        first: first frame of the shot.
        last: last frame, included.
        fps: frames per second of the shot.
        speaker: who speaks; the actor, or another voice.
        audio: the recording.
        audio_start: time in the recording at which the first frame begins, in seconds; negative before it.
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


def describe_validation(clips: Iterable[Clip], roots: Roots) -> dict[str, Any]:
    """The validation clips as JSON; paths below the roots are written so that they hold after a move."""
    return {"clips": [_describe(clip, roots) for clip in clips if clip.audio is not None]}


def _describe(clip: Clip, roots: Roots) -> dict[str, Any]:
    assert clip.audio is not None  # `describe_validation` leaves held poses out
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
    return {**asdict(described), "audio": portable_path(clip.audio, roots)}


def read_validation(run_folder: Path, roots: Roots) -> tuple[ValidationClip, ...] | None:
    """Reads the validation clips of a training run; None for a run of an earlier version, which did not record them.

    Args:
        run_folder: the training run.
        roots: where datasets and workspace lie.

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
