"""The face without any recording (`--rig`) as a baseline: viseme rules on the actor's own blend shapes.

Of an actor without ARKit's shapes or visemes the built-in head speaks; then only when and how its mouth opens can be
compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audio2face.audio import read_track
from audio2face.dataset.vertex_lists import VertexLists, VertexPairs
from audio2face.evaluate.regions import Regions
from audio2face.evaluate.scorer import FaceFrames
from audio2face.evaluator.shots import BLOCK_FRAMES, EvaluationShot
from audio2face.inference.actor import exact_rate
from audio2face.model_folder import BlendshapeSet
from audio2face.rigs import Rig, RigOptions, RigPipeline, open_rig
from audio2face.rigs.opening import BUILT_IN
from audio2face.rigs.regions import find_lips
from audio2face.rigs.shape_names import ShapeTable
from audio2face.types import Float32Array, Float64Array

_SAMPLERATE = 16_000
_AROUND = 2.0  # seconds of audio before and after the compared part: more than the encoder and its level reach


class RuleFace:
    """Animates an actor's face by viseme rules, in plain speech and without blinks.

    Args:
        actor: name of the actor.
        regions: of its face.
        shapes: its blend shapes; None: it has none.

    Raises:
        UserError: the blend shapes cannot be read.
    """

    def __init__(self, actor: str, regions: Regions, shapes: BlendshapeSet | None) -> None:
        self._rig = None if shapes is None else _rig_of(actor, regions, shapes)

    @property
    def has_shapes(self) -> bool:
        """Whether the face itself is animated: it has ARKit's shapes or visemes."""
        return self._rig is not None

    def animate(self, shot: EvaluationShot) -> Iterator[FaceFrames]:
        """The skin in blocks of `BLOCK_FRAMES` at the recorded frames, of a face that `has_shapes`.

        Raises:
            UserError: the recording cannot be read.
        """
        assert self._rig is not None
        weights = _weights(self._rig, shot)
        for start in range(0, len(weights), BLOCK_FRAMES):
            yield FaceFrames(skin=self._rig.skin(weights[start : start + BLOCK_FRAMES]))

    def opening(self, shot: EvaluationShot) -> Float64Array:
        """The opening between the lips of the built-in head above neutral, `[frames]`, millimetres of that head.

        Raises:
            UserError: the recording cannot be read.
        """
        head = open_rig(BUILT_IN)
        return np.asarray((_weights(head, shot) @ head.lip_gaps()).mean(axis=1), np.float64)


def _rig_of(actor: str, regions: Regions, shapes: BlendshapeSet) -> Rig | None:
    """The actor's face as a rig; None where its shapes are neither ARKit's nor visemes."""
    table = ShapeTable.find(shapes.names)
    if table is None:
        return None
    deltas = shapes.deltas[[shapes.names.index(name) for name in table.pose_names]]
    marked = None if regions.pairs is None else VertexPairs(*regions.pairs)
    return Rig(
        name=actor,
        source=shapes.archive.path.name,
        path=None,
        digest="",
        neutral=regions.neutral,
        faces=np.zeros((0, 3), np.int32),
        pose_names=table.pose_names,
        deltas=deltas,
        driving=table.driving,
        lists=VertexLists(lip_dist=marked or find_lips(regions.neutral, deltas[table.opening])),
        frontal=np.zeros(0, np.int32),
        jaw=_still_jaw,
        jaw_points=np.zeros((0, 3), np.float32),
        table=table,
        visemes=None if table.visemes is None else table.visemes.mix,
    )


def _still_jaw(weights: Float32Array) -> Float32Array:
    """Transforms of lower teeth, which are not compared."""
    return np.tile(np.eye(4, dtype=np.float32), (len(weights), 1, 1))


def _weights(rig: Rig, shot: EvaluationShot) -> Float32Array:
    """Weights of ARKit's shapes at the recorded frames, `[frames, 52]`."""
    rules = RigPipeline(rig, RigOptions(fps=exact_rate(shot.fps), blinks=False))
    begin = max(0.0, shot.audio_start - _AROUND)
    track = read_track(shot.audio, _SAMPLERATE)
    end = min(track.duration, shot.audio_start + shot.seconds + _AROUND)
    samples = track.read(round(begin * _SAMPLERATE), max(round(end * _SAMPLERATE), round(begin * _SAMPLERATE) + 1))
    times = np.asarray((np.arange(shot.num_frames) + 0.5) / shot.fps + shot.audio_start - begin, np.float64)
    emotion = rules.emotion.curve.at([round(time * _SAMPLERATE) for time in times])
    return rules.weights(samples, times, emotion)[0]
