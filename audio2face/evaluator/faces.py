"""Faces at the times of recorded frames: network values become positions, and frames are resampled in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from audio2face.animation import AnimatorSettings, FaceAnimator, FaceData, attach_to_jaw, unproject
from audio2face.evaluate.scorer import FaceFrames
from audio2face.evaluate.vertex_metrics import score_weights
from audio2face.geometry.frames import lerp
from audio2face.inference.actor import DisplayData, WeightTrack, load_face
from audio2face.model_folder import BlendshapeSet, DeployedActor
from audio2face.types import MESHES, Float32Array, Int64Array


class ActorFace:
    """The face of a deployed actor: turns network output into finished positions of all vertices.

    Args:
        actor: of a deployed folder.

    Raises:
        UserError: an array of the folder is damaged.
    """

    def __init__(self, actor: DeployedActor) -> None:
        self.info = actor.info
        self.data: FaceData = load_face(actor)
        self._to_jaw = DisplayData.from_actor(actor).tongue_to_jaw
        posed = [mesh for mesh in MESHES if mesh != "skin" or self.data.shapes is None]
        self._components = (
            {mesh: actor.array(f"shapes_matrix_{mesh}") for mesh in posed} if self.info.predicts_coefficients else {}
        )

    def animator(self, parameters: dict[str, float], fps: Fraction) -> FaceAnimator:
        """A new animator without blinks.

        Args:
            parameters: animation parameters.
            fps: rate of the network output.
        """
        return FaceAnimator(self.data, AnimatorSettings.from_parameters(parameters), fps)

    def deltas(self, values: Float32Array) -> FaceFrames:
        """Network output `[frames, channels]` as deltas from the neutral face, not as positions.

        The skin of a face that blend shapes pose stays weights `[frames, shapes]`, which `finish` takes.
        """
        skin, tongue, jaw, eyes = self.info.split_channels(values)
        frames = len(values)
        if "skin" in self._components:
            skin = unproject(skin, self._components["skin"])
        if "tongue" in self._components:
            tongue = unproject(tongue, self._components["tongue"])
        return FaceFrames(
            skin=skin if self.data.shapes is not None else skin.reshape(frames, -1, 3),
            tongue=tongue.reshape(frames, -1, 3),
            jaw=jaw.reshape(frames, -1, 3),
            eyes=eyes,
        )

    def skin_deltas(self, values: Float32Array, vertices: Int64Array) -> Float32Array:
        """Deltas of some vertices of the skin, `[frames, vertices, 3]`, from network output `[frames, channels]`.

        Of a face that blend shapes pose, weights `[frames, shapes]`.
        """
        skin = self.info.split_channels(values)[0]
        if self.data.shapes is not None:
            return skin
        if self.info.predicts_coefficients:
            return np.asarray(np.tensordot(skin, self._components["skin"][:, vertices], axes=1), np.float32)
        return skin.reshape(len(skin), -1, 3)[:, vertices]

    def finish(self, animate: FaceAnimator, deltas: FaceFrames, mouth: FaceFrames | None = None) -> FaceFrames:
        """Post-processes the next frames: deltas to the positions that a viewer sees; the tongue moves with the jaw.

        Args:
            animate: post-processing, with the state after the frames before.
            deltas: of all parts.
            mouth: what lower face, tongue and jaw follow in place of them; None: they follow `deltas`.
        """
        followed = deltas if mouth is None else mouth
        lower = None if mouth is None else mouth.skin
        done = animate(deltas.skin, _part(followed.tongue), _part(followed.jaw), _part(deltas.eyes), lower)
        tongue = None
        if done.tongue.size:
            tongue = done.tongue if self._to_jaw is None else attach_to_jaw(done.tongue, done.jaw, self._to_jaw)
        return FaceFrames(skin=done.skin, tongue=tongue, jaw=jaw_deltas(self.data.jaw, done.jaw), eyes=done.eyes)


def _part(values: Float32Array | None) -> Float32Array:
    assert values is not None  # a network outputs every part
    return values


def jaw_deltas(neutral: Float32Array, transforms: Float32Array) -> Float32Array:
    """Deltas of key points, float32 `[frames, points, 3]`.

    Args:
        neutral: key points `[points, 3]`.
        transforms: rigid transforms `[frames, 4, 4]`.
    """
    moved = np.matmul(neutral, transforms[:, :3, :3].transpose(0, 2, 1)) + transforms[:, None, :3, 3]
    return np.asarray(moved - neutral, np.float32)


class RecordedFrames:
    """Resamples frames of a network linearly to the recorded frames, block by block.

    Frame j of the network is at (j + 0.5) / source_fps, recorded frame i at (i + 0.5) / fps, both from the start of the
    shot. The face is constant beyond the first and the last frame. Equal rates copy frames.

    Args:
        source_fps: rate of the network.
        fps: rate of the recording.
        num_frames: number of recorded frames.
    """

    def __init__(self, source_fps: Fraction, fps: Fraction, num_frames: int) -> None:
        self._step, self._num_frames = source_fps / fps, num_frames
        self._next = 0  # next recorded frame
        self._kept: FaceFrames | None = None
        self._base = 0  # number of the first kept network frame

    @property
    def is_complete(self) -> bool:
        """Whether all recorded frames were returned."""
        return self._next >= self._num_frames

    def push(self, frames: FaceFrames) -> FaceFrames | None:
        """Adds network frames; returns the recorded frames that they determine, None if there are none."""
        kept = frames if self._kept is None else concatenate(self._kept, frames)
        last = self._base + len(kept) - 1
        ready = max(0, min(math.floor((last + Fraction(1, 2)) / self._step - Fraction(1, 2)) + 1, self._num_frames))
        found = self._take(kept, max(0, ready - self._next))
        needed = min(max(math.floor(self._position(self._next)), self._base), last)
        self._kept, self._base = select(kept, slice(needed - self._base, None)), needed
        return found

    def finish(self) -> FaceFrames | None:
        """The remaining recorded frames; None if there are none."""
        return None if self._kept is None else self._take(self._kept, self._num_frames - self._next)

    def _position(self, frame: int) -> Fraction:
        return max((frame + Fraction(1, 2)) * self._step - Fraction(1, 2), Fraction(0))

    def _take(self, kept: FaceFrames, count: int) -> FaceFrames | None:
        if count <= 0:
            return None
        last = self._base + len(kept) - 1
        positions = [min(self._position(self._next + index), Fraction(last)) - self._base for index in range(count)]
        self._next += count
        before = np.array([math.floor(position) for position in positions])
        shares = np.array([float(position % 1) for position in positions], np.float32)
        if not shares.any():
            return select(kept, before)
        after = np.minimum(before + 1, len(kept) - 1)
        return _combined(
            select(kept, before), select(kept, after), lambda one, two: np.asarray(lerp(one, two, shares), np.float32)
        )


Combine = Callable[[Float32Array, Float32Array], Float32Array]


def select(frames: FaceFrames, rows: slice | Int64Array) -> FaceFrames:
    """Some of the frames."""
    return FaceFrames(
        skin=frames.skin[rows],
        tongue=None if frames.tongue is None else frames.tongue[rows],
        jaw=None if frames.jaw is None else frames.jaw[rows],
        eyes=None if frames.eyes is None else frames.eyes[rows],
    )


def concatenate(one: FaceFrames, other: FaceFrames) -> FaceFrames:
    """Frames followed by others of the same parts."""
    return _combined(one, other, lambda *pair: np.concatenate(pair))


def _combined(one: FaceFrames, other: FaceFrames, combine: Combine) -> FaceFrames:
    return FaceFrames(
        skin=combine(one.skin, other.skin),
        tongue=_combined_part(one.tongue, other.tongue, combine),
        jaw=_combined_part(one.jaw, other.jaw, combine),
        eyes=_combined_part(one.eyes, other.eyes, combine),
    )


def _combined_part(one: Float32Array | None, other: Float32Array | None, combine: Combine) -> Float32Array | None:
    return None if one is None or other is None else combine(one, other)


class WeightComparison:
    """Blend-shape weights of the skin, solved for an animation and for the recorded face, frame by frame.

    Args:
        shapes: the actor's blend shapes.

    Raises:
        UserError: they cannot be read, or do not determine weights.
    """

    def __init__(self, shapes: BlendshapeSet) -> None:
        self._names = shapes.names
        self._solvers = WeightTrack(shapes, "cpu"), WeightTrack(shapes, "cpu")
        self._weights: tuple[list[Float32Array], list[Float32Array]] = ([], [])

    def update(self, predicted: FaceFrames, true: FaceFrames) -> None:
        """Solves the next frames of both."""
        for solve, weights, frames in zip(self._solvers, self._weights, (predicted, true), strict=True):
            weights.append(solve(frames.skin))

    def finish(self) -> dict[str, float]:
        """The metrics of `score_weights`, those that are defined."""
        predicted, true = (np.concatenate(weights) for weights in self._weights)
        return score_weights(predicted, true, self._names)
