"""The files of an example actor that no shot changes: geometry, poses, vertex lists, blend shapes, read-me.

Knows the layout of a raw dataset and how the SDK wants blend-shape files. Knows nothing of speech or shots.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.dataset.example.expression import BLINK_KEYS
from audio2face.dataset.example.gaze import saccade_table
from audio2face.dataset.example.head import Head, Part
from audio2face.dataset.example.shapes import ARKIT_NAMES, TONGUE_NAMES
from audio2face.files import write_json, write_npy, write_npz, write_text

Arrays = dict[str, npt.NDArray[np.generic]]

_SACCADE_SEED = 5000
_RIG_VERSION = b"example-1"
_MIRRORED_LOOKS = ("eyeLook",)  # pairs that do not move alike
_UNSOLVED = ("eyeLook", "tongueOut")


_README = """\
# {actor}, an example actor

Made by `python -m audio2face.dataset.example`; the same on every run. Not a recording of a person: head, voice and
motion are synthetic. Lengths are centimetres (+y up, +z out of the face), angles degrees, animation 30 fps; frame i
shows the time (i + 0.5) / 30 s.

- `audio/` WAV, 16 bit, at several sample rates on purpose; `cache/` animation, the formats taking turns.
- `geom/` neutral poses, faces, vertex lists; `geom/extra_parts.npz` teeth and eyes for drawing.
- `xform/` jaw key points, eye rotations, blink, saccades; `bs_data/` blend shapes.
- `phonemes/` exact times of every phone (seconds, IPA).
- `unseen/` two sentences in the same layout that belong in no training set: judge a trained network on them. They are
  the same two for every actor, phones at the same times.

The emotion is part of a shot's name: neutral, joy, anger, sadness or amazement.

## Licences
- Head: MakeHuman base mesh (MakeHuman community) and Face Units (Mika Suominen), both CC0 1.0.
- Voice: hibari-tts 0.2.1, Apache-2.0. The second voice is the first, shifted with Signalsmith Stretch (MIT).
- Sentences and motion: part of this project, Apache-2.0.
"""


def write_actor_files(folder: Path, head: Head) -> None:
    """Writes everything but the shots.

    Args:
        folder: the actor's.
        head: the actor's head.

    Raises:
        UserError: a file cannot be written.
    """
    _write_geometry(folder / "geom", head)
    transforms = folder / "xform"
    write_npy(transforms / "jaw_keypoints_neutral.npy", head.jaw_keypoints)
    write_npy(transforms / "eye_blink_keys.npy", np.array(BLINK_KEYS, np.float32))
    write_npy(transforms / "eye_saccade_rotations.npy", saccade_table(np.random.default_rng(_SACCADE_SEED)))
    _write_blendshapes(folder / "bs_data", head)
    write_text(folder / "README.md", _README.format(actor=head.identity))


def _write_geometry(folder: Path, head: Head) -> None:
    skin, tongue = folder / "skin", folder / "tongue"
    write_npy(skin / "neutral_pose.npy", head.skin_part.vertices)
    write_npy(skin / "faces.npy", head.skin_part.faces)
    write_npy(skin / "lip_open_pose_delta.npy", head.lip_open_delta)
    write_npy(skin / "eye_close_pose_delta.npy", head.eye_close_delta)
    write_json(skin / "lip_dist_vertex_list.json", {side: head.lip_dist[side].tolist() for side in head.lip_dist})
    write_json(skin / "eye_dist_vertex_list.json", {side: head.eye_dist[side].tolist() for side in head.eye_dist})
    lip_size = {lip: {edge: rows[edge].tolist() for edge in rows} for lip, rows in head.lip_size.items()}
    write_json(skin / "lip_size_vertex_list.json", lip_size)
    write_npy(tongue / "neutral_pose.npy", head.tongue_part.vertices)
    write_npy(tongue / "faces.npy", head.tongue_part.faces)
    write_json(tongue / "rigid_vertex_list.json", head.rigid_tongue.tolist())
    write_npz(folder / "extra_parts.npz", _extra_parts(head))


def _extra_parts(head: Head) -> Arrays:
    """What is drawn beside skin and tongue, `<part>_{vertices,faces,colours}`, and the colours of these two."""
    right, left = _eyes(head.eyes_part)
    parts = {
        "upper_teeth": head.upper_teeth_part,
        "lower_teeth": head.lower_teeth_part,
        "right_eye": right,
        "left_eye": left,
    }
    arrays: Arrays = {}
    for name, part in parts.items():
        arrays |= {f"{name}_vertices": part.vertices, f"{name}_faces": part.faces, f"{name}_colours": part.colours}
    return arrays | {
        "eye_centres": head.eye_centres,
        "skin_colours": head.skin_part.colours,
        "tongue_colours": head.tongue_part.colours,
    }


def _eyes(eyes: Part) -> tuple[Part, Part]:
    """The right and the left eye as parts of their own."""
    half = len(eyes.vertices) // 2
    of_right = np.all(eyes.faces < half, axis=1)
    right = Part(eyes.vertices[:half], eyes.faces[of_right], eyes.colours[:half])
    return right, Part(eyes.vertices[half:], eyes.faces[~of_right] - half, eyes.colours[half:])


def _write_blendshapes(folder: Path, head: Head) -> None:
    skin, tongue = head.skin_part.vertices, head.tongue_part.vertices
    mask: Arrays = {"frontalMask": head.frontal_mask.astype(np.int32)}
    write_npz(folder / "bs_skin.npz", _blendshapes(ARKIT_NAMES, skin, head.skin_shapes, mask))
    write_npz(folder / "bs_tongue.npz", _blendshapes(TONGUE_NAMES, tongue, head.tongue_shapes, {}))
    active = [int(not name.startswith(_UNSOLVED)) for name in ARKIT_NAMES]
    write_json(folder / "bs_skin_config.json", _solver_config(skin, active, _pairs(ARKIT_NAMES), l1=0.5))
    everything = [1] * len(TONGUE_NAMES)
    alone = [-1] * len(TONGUE_NAMES)
    write_json(folder / "bs_tongue_config.json", _solver_config(tongue, everything, alone, l1=1.0))


def _blendshapes(
    names: Sequence[str], neutral: npt.NDArray[np.float32], deltas: npt.NDArray[np.float32], more: Arrays
) -> Arrays:
    """Arrays in the SDK's form: byte strings, the neutral pose first, displacements in float32."""
    arrays: Arrays = {"poseNames": np.array(["neutral", *names], dtype="S"), "neutral": neutral}
    arrays |= {name: delta.astype(np.float32) for name, delta in zip(names, deltas, strict=True)}
    return arrays | more | {"rig_version": np.array(_RIG_VERSION)}


def _pairs(names: Sequence[str]) -> list[int]:
    """An id for each left and right shape that move alike, -1 for all others."""
    stems = [
        name.removesuffix("Left")
        for name in names
        if name.endswith("Left") and f"{name.removesuffix('Left')}Right" in names
        if name not in ("jawLeft", "mouthLeft") and not name.startswith(_MIRRORED_LOOKS)
    ]
    ids = {f"{stem}{side}": number for number, stem in enumerate(stems) for side in ("Left", "Right")}
    return [ids.get(name, -1) for name in names]


def _solver_config(
    neutral: npt.NDArray[np.float32],
    active: list[int],
    symmetry: list[int],
    *,
    l1: float,
) -> dict[str, dict[str, float | list[int] | list[float]]]:
    count = len(active)
    return {
        "blendshape_params": {
            # Strengths count the more the fewer vertices there are: those of dense scans would mute this face.
            "strengthL2regularization": 0.05,
            "strengthL1regularization": l1,
            "strengthTemporalSmoothing": 0.01,
            "strengthSymmetry": 100.0,
            "numPoses": count,
            "bsSolveActivePoses": active,
            "bsSolveCancelPoses": [-1] * count,
            "bsSolveSymmetryPoses": symmetry,
            "bsWeightMultipliers": [1.0] * count,
            "bsWeightOffsets": [0.0] * count,
            "templateBBSize": round(float(np.linalg.norm(np.ptp(neutral, axis=0))), 4),
        }
    }
