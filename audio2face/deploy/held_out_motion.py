"""Validation clips of an actor as recorded and as animated by the exported network, for calibration.

Of the skin, some vertices are kept: the marked lips, those that move most in either half of the face, and the highest
and the lowest one, so that an animator of these vertices alone divides the face as one of all vertices does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from audio2face.animation import FaceData
from audio2face.animation.skin import face_mask
from audio2face.audio import stream_mono, stream_range
from audio2face.console import LOGGER, track
from audio2face.dataset.shots import EmotionVectors
from audio2face.errors import UserError
from audio2face.geometry import PointCache
from audio2face.inference import EmotionCurve, Executor, NetworkSession, TrackSettings
from audio2face.inference.actor import exact_rate, load_face
from audio2face.inference.executor import OutputFrames
from audio2face.model_folder import DeployedActor, DeployedModel
from audio2face.training.data.actors import ActorSource
from audio2face.training.run_folder import ValidationClip
from audio2face.types import Float32Array, Float64Array, Int64Array

MAX_SECONDS = 60.0  # of all clips together: the network needs about a minute on a CPU
_MAX_FRAMES = 1200  # of a network that runs once per frame
_MOST_CLIPS = 10
_MOVING_VERTS = 64  # kept in each half of the face
_CONTEXT = 1.0  # seconds of audio context before and after a clip
_STATISTICS_STEP = 4  # every fourth frame is used to find the vertices that move


@dataclass(frozen=True, eq=False)
class MarkedVertices:
    """The kept vertices of the skin, and groups of them as indices among the kept ones.

    Attributes:
        kept: vertices of the skin, `[kept]`.
        lips: indices of paired vertices of upper and lower lip, `[2, pairs]`; None without a list of them.
        lower: indices of those that move most in the lower half of the face, `[lower]`.
        upper: indices of those that move most in the upper half, `[upper]`.
    """

    kept: Int64Array
    lips: Int64Array | None
    lower: Int64Array
    upper: Int64Array


@dataclass(frozen=True, eq=False)
class PartMotion:
    """Offsets of the parts of a face from neutral, float32, centimetres and degrees; None: no data.

    Attributes:
        skin: `[frames, kept, 3]`; predicted for a face that blend shapes pose, their weights `[frames, shapes]`.
        tongue: `[frames, tongue verts, 3]`, without the motion of the jaw.
        jaw: `[frames, points, 3]`.
        eyes: `[frames, 4]`.
    """

    skin: Float32Array
    tongue: Float32Array | None
    jaw: Float32Array | None
    eyes: Float32Array | None


@dataclass(frozen=True, eq=False)
class ClipMotion:
    """A held-out clip.

    Attributes:
        clip: the clip.
        network_fps: frames per second of the network output.
        predicted: network output.
        true: the recorded motion, at the clip's frame rate.
    """

    clip: ValidationClip
    network_fps: float
    predicted: PartMotion
    true: PartMotion


@dataclass(frozen=True, eq=False)
class HeldOutMotion:
    """All usable validation clips of an actor.

    Attributes:
        face: the kept vertices of the face, and all of its other parts.
        marked: the groups of kept vertices.
        clips: the clips, in the order of their shots.
    """

    face: FaceData
    marked: MarkedVertices
    clips: tuple[ClipMotion, ...]

    def predicted_skin(self, clip: ClipMotion) -> Float32Array:
        """Offsets of the kept vertices from neutral as the network gives them, `[frames, kept, 3]`."""
        skin = clip.predicted.skin
        return skin if self.face.shapes is None else self.face.shapes.pose(skin)


def choose_clips(clips: Sequence[ValidationClip], actor: str, frame_by_frame: bool) -> tuple[ValidationClip, ...]:
    """Selects the clips of an actor: one per range of a shot, limited in number and length.

    Args:
        clips: all validation clips of a training run.
        actor: the actor.
        frame_by_frame: whether the network runs once per frame.
    """
    # Of several voices on the same frames, prefer the actor's own.
    own = sorted(clips, key=lambda clip: (clip.shot, clip.first, clip.last, clip.speaker != actor, clip.speaker))
    distinct = {(clip.shot, clip.first, clip.last): clip for clip in reversed(own) if clip.actor == actor}
    found = list(reversed(distinct.values()))
    if not found:
        return ()
    spread = np.linspace(0, len(found) - 1, min(len(found), _MOST_CLIPS)).round().astype(int)
    chosen = [found[index] for index in dict.fromkeys(spread.tolist())]
    seconds = MAX_SECONDS / len(chosen)
    if frame_by_frame:
        seconds = min(seconds, _MAX_FRAMES / len(chosen) / max(clip.fps for clip in chosen))
    return tuple(_shortened(clip, seconds) for clip in chosen)


def _shortened(clip: ValidationClip, seconds: float) -> ValidationClip:
    last = min(clip.last, clip.first + max(1, round(seconds * clip.fps)) - 1)
    return ValidationClip(**{**vars(clip), "last": last})


class HeldOutReader:
    """Reads and animates validation clips of one actor.

    Args:
        model: the deployed folder.
        source: the actor's training data.
        emotions: vectors of the emotions.
        graph: the network of the folder.
    """

    def __init__(
        self, model: DeployedModel, source: ActorSource, emotions: EmotionVectors, graph: NetworkSession
    ) -> None:
        self._model, self._source, self._emotions, self._graph = model, source, emotions, graph
        self._actor: DeployedActor = model.actor(source.actor)
        self._has_shapes = False  # known when a face is read
        # Offsets are relative to this pose: coefficients to the mean of the components.
        coefficients = model.info.predicts_coefficients
        self._skin_rest = source.skin.mean if coefficients else self._actor.neutral_skin
        self._tongue_rest = source.tongue.mean if coefficients else self._actor.neutral_tongue

    def read(self, clips: Sequence[ValidationClip], parameters: Mapping[str, Any]) -> HeldOutMotion | None:
        """Reads and animates clips; those whose files are gone or changed are skipped with a warning.

        Args:
            clips: the clips.
            parameters: of post-processing: the mask of upper and lower face, and the gain of recordings.

        Returns:
            None where no clip can be read.

        Raises:
            UserError: the network outputs NaN or infinity, or an array of the deployed folder is damaged.
        """
        usable = [clip for clip in clips if self._is_usable(clip)]
        if not usable:
            return None
        face = load_face(self._actor)
        marked = self._mark(
            usable, face_mask(face.skin, parameters["face_mask_level"], parameters["face_mask_softness"])
        )
        kept, self._has_shapes = face.at_vertices(marked.kept), face.shapes is not None
        gain = parameters["input_strength"] if self._model.info.applies_input_strength else 1.0
        frames = sum(clip.num_frames for clip in usable)
        animated = track(
            (self._animated(clip, marked, gain) for clip in usable),
            frames,
            f"{self._source.actor}: validation shots",
            lambda motion: motion.clip.num_frames,
        )
        return HeldOutMotion(kept, marked, tuple(animated))

    def _is_usable(self, clip: ValidationClip) -> bool:
        """Whether recording and skin of a clip exist unchanged."""
        try:
            skin = self._skin(clip)
            next(stream_mono(clip.audio), None)
        except UserError as error:
            LOGGER.warning("validation shot %s cannot be used: %s", clip.shot, error)
            return False
        if skin.num_verts != len(self._skin_rest) or skin.num_frames <= clip.last:
            LOGGER.warning("validation shot %s cannot be used: its skin cache has changed since training", clip.shot)
            return False
        return True

    def _skin(self, clip: ValidationClip) -> PointCache:
        return self._source.raw.shot(clip.shot).skin()

    # --- vertices ----------------------------------------------------------------------------------------------------

    def _mark(self, clips: Sequence[ValidationClip], mask: Float32Array) -> MarkedVertices:
        heights = self._actor.neutral_skin[:, 1]
        moving = self._variance(clips)
        lower, upper = (_most_moving(moving * share) for share in (mask > 0.5, mask < 0.1))
        pairs = self._source.raw.lip_dist
        lips = None if pairs is None else np.stack([pairs.upper, pairs.lower])
        listed = np.zeros(0, np.int64) if lips is None else lips.reshape(-1)
        kept = np.unique(np.concatenate([[heights.argmin(), heights.argmax()], lower, upper, listed]))
        return MarkedVertices(
            kept=kept,
            lips=None if lips is None else np.searchsorted(kept, lips),
            lower=np.searchsorted(kept, lower),
            upper=np.searchsorted(kept, upper),
        )

    def _variance(self, clips: Sequence[ValidationClip]) -> Float64Array:
        """Variance of the recorded position of each vertex over some frames of all clips, `[verts]`."""
        count, total, squares = 0, np.zeros(self._skin_rest.shape), np.zeros(self._skin_rest.shape)
        for clip in clips:
            skin = self._skin(clip)
            for frame in range(clip.first, clip.last + 1, _STATISTICS_STEP):
                moved = skin.read(frame, frame + 1)[0].astype(np.float64) - self._skin_rest
                count, total, squares = count + 1, total + moved, squares + np.square(moved)
        variance: Float64Array = (squares / count - np.square(total / count)).sum(axis=1)
        return variance

    # --- motion ------------------------------------------------------------------------------------------------------

    def _animated(self, clip: ValidationClip, marked: MarkedVertices, gain: float) -> ClipMotion:
        fps, predicted = self._network_motion(clip, marked, gain)
        return ClipMotion(clip, fps, predicted, self._true_motion(clip, marked))

    def _true_motion(self, clip: ValidationClip, marked: MarkedVertices) -> PartMotion:
        raw, frames = self._source.raw.shot(clip.shot), slice(clip.first, clip.last + 1)
        skin = raw.skin()
        rest = self._skin_rest[marked.kept]
        positions = [skin.read(frame, frame + 1)[0, marked.kept] for frame in range(frames.start, frames.stop)]
        jaw, eyes = raw.jaw_deltas(), raw.eye_rotations()
        return PartMotion(
            skin=np.stack(positions) - rest,
            tongue=self._true_tongue(clip.shot, frames),
            jaw=_stretch(jaw, frames),
            eyes=None if eyes is None else _stretch(eyes.reshape(len(eyes), -1), frames),
        )

    def _true_tongue(self, shot: str, frames: slice) -> Float32Array | None:
        """The tongue as in preprocessing: with its root aligned."""
        coefficients, shapes = self._source.tongue_coefficients, self._source.tongue
        if shot not in coefficients.members:
            return None
        values = _stretch(coefficients.read_floats(shot, (None, len(shapes.matrix))), frames)
        if values is None:
            return None
        return np.tensordot(values, shapes.matrix, axes=1) + (shapes.mean - self._tongue_rest)

    def _network_motion(self, clip: ValidationClip, marked: MarkedVertices, gain: float) -> tuple[float, PartMotion]:
        """The network output for a recording, and its frames per second; the first frame is that of the clip."""
        info = self._model.info
        rate = exact_rate(clip.fps) if info.native_fps is None else None
        vector = self._emotions.vector(clip.emotion)
        spoken = TrackSettings(emotion=EmotionCurve.constant(vector), actor=self._actor.name, gain=gain)
        executor = Executor.open(self._model, [spoken], fps=rate, graph=self._graph)
        fps = executor.fps
        # A recorded frame is at the middle of its interval: the network is evaluated at that time.
        start = Fraction(clip.audio_start) + (Fraction(1, 2) - info.frame_moment) / fps
        lead = int(max(Fraction(0), min(start, Fraction(_CONTEXT))) * fps)
        wanted = -(-clip.num_frames * fps // exact_rate(clip.fps))
        begin = round((start - lead / fps) * executor.samplerate)
        count = round((lead + wanted) / fps * executor.samplerate + _CONTEXT * executor.samplerate)
        resampler = self._model.info.resampler
        for samples in stream_range(clip.audio, executor.samplerate, begin, count, resampler):
            executor.push(0, samples)
        executor.close(0)
        parts = [self._parts(values, marked) for values in OutputFrames(executor).run()]
        frames = slice(lead, lead + int(wanted))
        skin, tongue, jaw, eyes = (np.concatenate(part)[frames] for part in zip(*parts, strict=True))
        return float(fps), PartMotion(skin, tongue, jaw, eyes)

    def _parts(
        self, values: Float32Array, marked: MarkedVertices
    ) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Skin, tongue, jaw and eyes of network output, as in `PartMotion`."""
        skin, tongue, jaw, eyes = self._model.info.split_channels(values)
        if self._model.info.predicts_coefficients:
            components = self._source.skin.matrix[:, marked.kept]
            moved = skin if self._has_shapes else np.tensordot(skin, components, axes=1)
            tongue = np.tensordot(tongue, self._source.tongue.matrix, axes=1)
        else:
            moved = skin.reshape(len(skin), -1, 3)[:, marked.kept]
        frames = len(skin)
        return moved, tongue.reshape(frames, -1, 3), jaw.reshape(frames, -1, 3), eyes


def _stretch(values: Float32Array | None, frames: slice) -> Float32Array | None:
    """A range of frames; None if some are missing, NaN or infinite."""
    if values is None or len(values) < frames.stop or not np.isfinite(values[frames]).all():
        return None
    return values[frames]


def _most_moving(variance: Float64Array) -> Int64Array:
    """The moving vertices with the largest variance, `[up to _MOVING_VERTS]`, ascending."""
    order = np.argsort(-variance, kind="stable")[:_MOVING_VERTS]
    return np.sort(order[variance[order] > 0])
