"""A deployed streaming model as the page computes it: post-processing as linear maps, constants and timing, in JSON.

The page has no formulas of post-processing of its own where a map can be measured here: between network and clamping,
post-processing is linear, so the response to each coefficient, taken from `animation` itself, is all that it needs.
Only what has a state or is not linear is written again in JavaScript (filters, rigid jaw, eyes, blinks, solver), and
tested against `LiveSession`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from audio2face.animation.animation import Animation, Surface
from audio2face.animation.animator import FaceAnimator
from audio2face.animation.eyes import KEYS_FPS, SACCADE_FPS, blink_pauses
from audio2face.animation.settings import AnimatorSettings
from audio2face.animation.skin import SkinPostProcess, SkinTerms
from audio2face.dataset.arkit_names import LIVE_LINK_NAMES, match_arkit
from audio2face.errors import UserError
from audio2face.evaluate.lips import lip_distance
from audio2face.inference.animate import AnimationPipeline
from audio2face.inference.live import EASE, HOLD, RELAX, RISE
from audio2face.io.arrays import read_member, read_members
from audio2face.model_folder import StreamingInfo
from audio2face.model_folder.streaming import CONFORMANCE_FILE
from audio2face.player.describe import Description, describe_rigid_parts, describe_surface, mouth_centre
from audio2face.player.motion_codec import Payload
from audio2face.types import MM_PER_CM, Float32Array

_PAUSES = 512  # between blinks: about 25 minutes, which then repeat
_SLACK = 0.03  # seconds that samples may arrive late: blocks of a browser's sound, and the network's own time
_INT16 = 32767
_LEAST_OPENING = 1.2  # centimetres, of the pose for which the inside of the mouth is shaded


@dataclass(frozen=True, eq=False)
class PageFace:
    """The face of a pipeline as linear maps.

    A frame of the skin is `rest + inputs @ components`. Inputs of a face that principal components move are the
    filtered coefficients of the lower half, those of the upper half, and the filtered blink of each half; those of a
    face that blend shapes pose are the weights.

    Attributes:
        pipeline: the model with its options.
        rest: the skin without motion, `[verts, 3]`, centimetres.
        components: its response to each input, `[inputs, verts, 3]`.
        tongue_rest: the tongue without motion, in the jaw's space, `[tongue verts, 3]`.
        tongue_components: its response to each coefficient, `[tongue inputs, tongue verts, 3]`.
    """

    pipeline: AnimationPipeline
    rest: Float32Array
    components: Float32Array
    tongue_rest: Float32Array
    tongue_components: Float32Array

    @classmethod
    def of(cls, pipeline: AnimationPipeline) -> PageFace:
        """Measures the maps.

        Raises:
            UserError: the model is none of a streaming network.
        """
        if not isinstance(pipeline.model.info, StreamingInfo):
            raise UserError(
                f"a page that listens needs a streaming network, and this is a {pipeline.model.info.type} network",
                path=pipeline.model.folder,
                hint="Train and deploy one (NETWORK_TYPE = 'streaming' in config_train.py).",
            )
        face, animator = pipeline.face, FaceAnimator(pipeline.face, pipeline.animator_settings, pipeline.fps)
        tongue = pipeline.components["tongue"]
        tongue_rest = animator.tongue(np.zeros((1, *face.tongue.shape), np.float32))[0]
        if face.shapes is None:
            rest = _responses(pipeline, pipeline.animator_settings, np.zeros((1, face.skin.size), np.float32))[0]
            components = np.concatenate(list(_skin_halves(pipeline)))
        else:
            rest, components = np.zeros(face.skin.size, np.float32) + face.skin.reshape(-1), face.shapes.deltas
        return cls(
            pipeline,
            rest.reshape(face.skin.shape),
            np.ascontiguousarray(components.reshape(-1, *face.skin.shape), np.float32),
            tongue_rest,
            animator.tongue(tongue) - tongue_rest if len(tongue) else np.zeros((0, *face.tongue.shape), np.float32),
        )

    @property
    def info(self) -> StreamingInfo:
        """The network's record."""
        info = self.pipeline.model.info
        assert isinstance(info, StreamingInfo)
        return info

    def skin(self, inputs: Float32Array) -> Float32Array:
        """The skin of inputs `[frames, inputs]`: positions, `[frames, verts, 3]`."""
        return np.asarray(self.rest + np.tensordot(inputs, self.components, axes=1), np.float32)

    def tongue(self, inputs: Float32Array) -> Float32Array:
        """The tongue of inputs `[frames, tongue inputs]` in the jaw's space: `[frames, tongue verts, 3]`."""
        return np.asarray(self.tongue_rest + np.tensordot(inputs, self.tongue_components, axes=1), np.float32)

    def describe(self, payload: Payload) -> Description:
        """All that the page needs, as JSON with references to arrays; `web/face.js` declares the types.

        Args:
            payload: receives the arrays.
        """
        pipeline, still = self.pipeline, self._still()
        return {
            "actor": pipeline.actor.name,
            "model": pipeline.model.folder.resolve().name,
            "fps": float(pipeline.fps),
            "network": self._network(),
            "session": {"hold": HOLD, "relax": RELAX, "rise": RISE, "ease": EASE, "slack": _SLACK},
            "meshes": self._meshes(still, payload),
            "rigidParts": describe_rigid_parts(still, payload),
            "mouth": mouth_centre(still),
            "skin": self._filters(),
            "tongueToJaw": _rows(pipeline.display.tongue_to_jaw),
            "jaw": self._jaw(),
            "eyes": self._eyes(payload),
            "blink": self._blink(),
            "lips": self._lips(),
            "open": self._open_mouth(),
            "weights": self._weights(),
        }

    def _network(self) -> Description:
        info, schedule = self.info, self.pipeline.schedule
        identity = [float(name == self.pipeline.actor.name) for name in info.identities]
        return {
            "window": schedule.window,
            "samplerate": info.samplerate,
            "stride": [schedule.frame_stride.numerator, schedule.frame_stride.denominator],
            "padding": schedule.padding,
            "offset": int(schedule.offset),
            "lookahead": schedule.lookahead,
            "identity": identity,
            "emotions": list(info.emotions),
            "emotion": self.pipeline.emotion.curve.at([0])[0].tolist(),
            "state": info.state_size,
            "sizes": list(info.channel_sizes),
            "gain": self.pipeline.gain,
        }

    def _still(self) -> Animation:
        """The face at rest, one frame."""
        face, display = self.pipeline.face, self.pipeline.display
        tongue = Surface(face.tongue, self.tongue_rest[None], display.tongue_faces) if len(face.tongue) else None
        return Animation(
            actor=self.pipeline.actor.name,
            fps=float(self.pipeline.fps),
            skin=Surface(face.skin, self.rest[None], display.skin_faces),
            tongue=tongue,
            jaw=np.eye(4, dtype=np.float32)[None],
            eyes=np.zeros((1, 4), np.float32),
            emotion=np.zeros((1, 0), np.float32),
            parts=display.parts,
        )

    def _meshes(self, still: Animation, payload: Payload) -> list[Description]:
        maps = {"skin": (self.rest, self.components), "tongue": (self.tongue_rest, self.tongue_components)}
        return [
            describe_surface(name, surface, still.parts, payload) | _quantised(*maps[name], payload)
            for name, surface in still.surfaces.items()
        ]

    def _filters(self) -> Description:
        settings, seconds = self.pipeline.animator_settings, float(1 / self.pipeline.fps)
        factors = [half.factor for half in SkinTerms.of(self.pipeline.face, settings, seconds).halves]
        shapes = self._shape_maps() if self.pipeline.face.shapes is not None else None
        return {"filters": factors, "blinkOffset": settings.blink_offset, "shapes": shapes}

    def _shape_maps(self) -> Description:
        """How each weight of a face that blend shapes pose follows from that of the network, before it is clamped."""
        count = self.pipeline.face.skin_values
        rest = _responses(self.pipeline, self.pipeline.animator_settings, np.zeros((1, count), np.float32))[0]
        lower, upper, *blinks = _skin_halves(self.pipeline)
        return {
            "rest": rest.tolist(),
            "gains": [np.diagonal(half).tolist() for half in (lower, upper)],
            "blinks": [blink[0].tolist() for blink in blinks],
        }

    def _jaw(self) -> Description:
        settings = self.pipeline.animator_settings
        return {
            "neutral": self.pipeline.face.jaw.tolist(),
            "strength": settings.lower_teeth_strength,
            "offset": [0.0, settings.lower_teeth_height_offset, settings.lower_teeth_depth_offset],
        }

    def _eyes(self, payload: Payload) -> Description:
        settings = self.pipeline.animator_settings
        return {
            "strength": settings.eyeballs_strength,
            "offset": [
                settings.right_eye_rot_x_offset,
                settings.right_eye_rot_y_offset,
                settings.left_eye_rot_x_offset,
                settings.left_eye_rot_y_offset,
            ],
            "saccades": payload.add(self.pipeline.face.saccades * np.float32(settings.saccade_strength)),
            "rate": SACCADE_FPS,
            "seed": settings.eye_saccade_seed,
        }

    def _blink(self) -> Description | None:
        if self.pipeline.blinks() is None:
            return None
        keys = self.pipeline.display.blink
        pauses = blink_pauses((len(keys) - 1) / KEYS_FPS, seed=self.pipeline.settings.seed)
        return {"keys": list(keys), "rate": KEYS_FPS, "pauses": list(islice(pauses, _PAUSES))}

    def _lip_pairs(self) -> np.ndarray[Any, Any] | None:
        parts = self.pipeline.display.parts
        if not {"lip_upper", "lip_lower"} <= parts.keys() or not len(parts["lip_upper"]):
            return None
        return np.stack([np.asarray(parts[name], np.intp) for name in ("lip_upper", "lip_lower")])

    def _lips(self) -> Description | None:
        """The lip distance in millimetres, which is linear too; None without marked lips."""
        pairs = self._lip_pairs()
        if pairs is None:
            return None
        rest, moved = lip_distance(self.rest[None][:, pairs])[0], lip_distance(self.components[:, pairs])
        return {"rest": MM_PER_CM * float(rest), "components": (MM_PER_CM * moved).tolist()}

    def _open_mouth(self) -> list[float]:
        """Values of the network with an open mouth: of the conformance vectors those that open it most, enlarged."""
        file, pairs = self.pipeline.model.folder / CONFORMANCE_FILE, self._lip_pairs()
        if pairs is None or not file.is_file():
            return [0.0] * self.info.values
        results = np.asarray(read_member(file, read_members(file)["result"]), np.float32)
        skin, *_ = self.info.split_channels(results)
        maps = self.components[: 2 * skin.shape[1]] if self.pipeline.face.shapes is None else self.components
        moved = lip_distance(maps[:, pairs])
        opening = np.hstack([skin] * (len(maps) // skin.shape[1])) @ moved
        widest = int(opening.argmax())
        size = max(float(opening[widest]), 1e-3)
        return [float(value) for value in results[widest] * max(1.0, min(_LEAST_OPENING / size, 4.0))]

    def _weights(self) -> Description | None:
        """Blend-shape weights: those that pose the face, or what solves for them; None where there are none."""
        pipeline = self.pipeline
        if pipeline.face.shapes is not None and pipeline.actor.skin_shapes is not None:
            names = pipeline.actor.skin_shapes.names
            return {"names": list(names), "columns": _live_link_columns(names), "solver": None}
        if "skin" not in pipeline.solved_parts:
            return None
        solve, names = pipeline.solver("skin"), pipeline.actor.blendshapes["skin"].names
        equations = solve.equations()
        rest = solve.right_side(self.rest[None])[0]
        responses = solve.right_side(self.rest + self.components) - rest
        solver = {
            "active": equations.active.tolist(),
            "matrix": equations.matrix.tolist(),
            "temporal": equations.temporal,
            "cancelled": [list(pair) for pair in equations.cancelled],
            "multipliers": equations.multipliers.tolist(),
            "offsets": equations.offsets.tolist(),
            "rest": rest.tolist(),
            "responses": responses.tolist(),
        }
        return {"names": list(names), "columns": _live_link_columns(names), "solver": solver}


def _skin_halves(pipeline: AnimationPipeline) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
    """Responses of the lower and the upper half to each input, then of each to a blink, `[inputs, values]`."""
    settings, face = pipeline.animator_settings, pipeline.face
    inputs = np.eye(face.skin_values, dtype=np.float32)
    if face.shapes is None:
        inputs = pipeline.components["skin"].reshape(len(pipeline.components["skin"]), -1)
    still = np.zeros((1, inputs.shape[1]), np.float32)
    moved, blinks = [], []
    for silenced in ("upper_face_strength", "lower_face_strength"):
        half = replace(settings, **{silenced: 0.0})
        rest = _responses(pipeline, half, still)
        moved.append(_responses(pipeline, half, inputs) - rest)
        blinks.append(_responses(pipeline, half, still, blink=1.0) - rest)
    return moved[0], moved[1], blinks[0], blinks[1]


def _responses(
    pipeline: AnimationPipeline, settings: AnimatorSettings, motion: Float32Array, blink: float = 0.0
) -> Float32Array:
    """Post-processed motion without filters, each row by itself, `[rows, values]`."""
    unfiltered = replace(settings, lower_face_smoothing=0.0, upper_face_smoothing=0.0)
    process = SkinPostProcess(pipeline.face, unfiltered, float(1 / pipeline.fps))
    return process(np.ascontiguousarray(motion, np.float32), np.full(len(motion), blink, np.float32))


def _quantised(rest: Float32Array, components: Float32Array, payload: Payload) -> Description:
    """A mean pose and components as the player stores them."""
    peaks = np.abs(components).max(axis=(1, 2), initial=0.0) / _INT16 + np.finfo(np.float32).tiny
    coded = np.rint(components / peaks[:, None, None]).astype(np.int16).transpose(0, 2, 1)
    return {
        "mean": payload.add(np.asarray(rest, np.float32)),
        "components": payload.add(np.ascontiguousarray(coded)),
        "scales": payload.add(np.asarray(peaks, np.float32)),
    }


def _rows(matrix: Float32Array | None) -> list[float] | None:
    return None if matrix is None else [float(value) for value in np.asarray(matrix).reshape(-1)]


def _live_link_columns(names: tuple[str, ...]) -> list[list[Any]] | None:
    """Columns of Live Link Face, each with its pose, -1 where there is none; None where the set is not ARKit's."""
    try:
        found = match_arkit(names).columns
    except UserError:
        return None
    return [[column, found.get(column[0].lower() + column[1:], -1)] for column in LIVE_LINK_NAMES]
