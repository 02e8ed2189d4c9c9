"""What determines the export of a regression network beside its weights, taken from a configuration.

Knows settings and how they become `network_info.json`. Knows no graph and no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audio2face.config import Dataset, TrainRegression
from audio2face.config_base.types import AudioParamsRegression
from audio2face.dataset.emotions import EmotionVectors
from audio2face.errors import UserError
from audio2face.model_folder import RegressionInfo
from audio2face.networks.regression import RegressionSettings


@dataclass(frozen=True, kw_only=True)
class RegressionPlan:
    """Everything that determines the exported network, but for the network itself.

    Attributes:
        version: version of the model, for people.
        network: sizes of the network.
        actor: whose face it is.
        verts: vertices of skin and tongue.
        emotions: the emotions in the order of the emotion input, without the one that is all zeros.
        has_emotions: False where `emotions` is one stand-in: the data have none, and the SDK cannot do without.
        default_emotion: the vector of the emotion that the model starts with.
        audio: the window of audio.
        recording: a recording on which graph and network are compared beside noise; None where there is none.
    """

    version: str
    network: RegressionSettings
    actor: str
    verts: tuple[int, int]
    emotions: tuple[str, ...]
    has_emotions: bool
    default_emotion: tuple[float, ...]
    audio: AudioParamsRegression
    recording: Path | None = None

    @property
    def info(self) -> RegressionInfo:
        """What the deployed folder says of the network."""
        network, audio = self.network, self.audio
        return RegressionInfo(
            actor=self.actor,
            version=self.version,
            emotions=self.emotions,
            default_emotion=self.default_emotion,
            implicit_emotion_len=network.implicit_emotion_len,
            num_shapes_skin=network.skin_size,
            num_shapes_tongue=network.tongue_size,
            num_verts_skin=self.verts[0],
            num_verts_tongue=self.verts[1],
            jaw_size=network.jaw_size,
            eyes_size=network.eye_size,
            buffer_len=audio["buffer_len"],
            buffer_ofs=audio["buffer_ofs"],
            samplerate=audio["samplerate"],
        )


def make_regression_plan(
    dataset: Dataset, train: TrainRegression, network: RegressionSettings, verts: tuple[int, int]
) -> RegressionPlan:
    """Takes the plan from a configuration.

    Args:
        dataset: actor, emotions and recordings.
        train: window and version.
        network: sizes of the network.
        verts: vertices of skin and tongue.

    Raises:
        UserError: there are several actors, or the default emotion is unknown.
    """
    if len(dataset.ACTOR_NAMES) != 1:
        raise UserError(
            f"a regression network is that of one actor, ACTOR_NAMES has {len(dataset.ACTOR_NAMES)}: "
            f"{', '.join(dataset.ACTOR_NAMES)}",
            hint="Train and deploy each actor in a configuration of its own, or all in a diffusion network.",
        )
    (actor,) = dataset.ACTOR_NAMES
    emotions = EmotionVectors.of(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
    return RegressionPlan(
        version=train.NETWORK_VERSION,
        network=network,
        actor=actor,
        verts=verts,
        emotions=emotions.names,
        has_emotions=not emotions.is_inert,
        default_emotion=tuple(emotions.vector(train.DEFAULT_SHOT_EMOTION_NAME).tolist()),
        audio=train.AUDIO_PARAMS,
        recording=_first_recording(dataset, actor),
    )


def _first_recording(dataset: Dataset, actor: str) -> Path | None:
    """Any recording of the actor; data sets may be elsewhere by the time of an export."""
    folder = dataset.AUDIO_ROOT.get(actor)
    return min(folder.glob("*.wav"), default=None) if folder is not None and folder.is_dir() else None
