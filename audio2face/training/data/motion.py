"""The motion of shots, which stays in its files: coefficients of skin and tongue, jaw and eyes, cut to one length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.geometry.frames import interpolate_frames
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.clips import NEUTRAL, TrainingShot, listed
from audio2face.types import CHANNELS, Float32Array, Float64Array


@dataclass(frozen=True, eq=False, slots=True)
class ShotMotion:
    """The motion of one shot, float32.

    Attributes:
        skin: coefficients, `[frames, components]`.
        tongue: coefficients, `[frames, tongue components]`.
        jaw: deltas of the key points from the neutral pose, `[frames, 3 * points]`, centimetres.
        eye: rotations, `[frames, 2 * angles]`, degrees.
        valid: whether skin, tongue, jaw and eyes hold data. False where this shot lacks a part that its actor has: the
            part is zero (neutral) and masked in the loss.
    """

    skin: Float32Array
    tongue: Float32Array
    jaw: Float32Array
    eye: Float32Array
    valid: tuple[bool, bool, bool, bool]

    @property
    def num_frames(self) -> int:
        """Length in frames."""
        return len(self.skin)

    @property
    def parts(self) -> tuple[Float32Array, Float32Array, Float32Array, Float32Array]:
        """Skin, tongue, jaw and eyes."""
        return self.skin, self.tongue, self.jaw, self.eye

    def freeze_frame(self, frame: int, num_frames: int, *, neutral_skin: bool, neutral_tongue: bool) -> ShotMotion:
        """One frame repeated as a broadcast view, with skin or tongue neutral on request."""
        is_neutral = (neutral_skin, neutral_tongue, False, False)
        poses = [values[frame] * (not neutral) for values, neutral in zip(self.parts, is_neutral, strict=True)]
        skin, tongue, jaw, eye = (np.broadcast_to(pose, (num_frames, len(pose))) for pose in poses)
        valid = (self.valid[0], self.valid[1] or neutral_tongue, self.valid[2], self.valid[3])
        return ShotMotion(skin, tongue, jaw, eye, valid)

    def interpolate(self, frames: Float64Array) -> ShotMotion:
        """The motion at fractional frames, by linear interpolation.

        Poses are linear in the coefficients, so this equals the interpolation of poses.

        Args:
            frames: positions in frames, `[times]`, each within [0, num_frames - 1].
        """
        skin, tongue, jaw, eye = (np.asarray(interpolate_frames(part, frames), np.float32) for part in self.parts)
        return ShotMotion(skin, tongue, jaw, eye, self.valid)


@dataclass(frozen=True)
class JoinedMotions(Mapping[str, ShotMotion]):
    """Motion of shots from several mappings by id, each looked up when it is asked for.

    Attributes:
        parts: the mappings, which share no id.
    """

    parts: tuple[Mapping[str, ShotMotion], ...]

    def __getitem__(self, shot: str) -> ShotMotion:
        for part in self.parts:
            if shot in part:
                return part[shot]
        raise KeyError(shot)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.parts)

    def __len__(self) -> int:
        return sum(map(len, self.parts))


def read_motions(
    sources: Sequence[ActorSource], shots_to_read: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], ShotMotion]:
    """Reads the motion of shots.

    Channels of unequal length are cut to the shortest. A part that an actor has and a shot lacks is neutral there and
    marked as invalid. A part that the actor lacks altogether is neutral and valid in all its shots.

    Args:
        sources: the actors' data.
        shots_to_read: names of actor and shot.

    Returns:
        The motions by actor and shot.

    Raises:
        UserError: a shot has no skin coefficients, or (FileFormatError) an array has the wrong shape.
    """
    by_actor = {source.actor: source for source in sources}
    missing: dict[str, list[str]] = defaultdict(list)
    unequal: list[str] = []
    motions = {}
    for actor, shot in dict.fromkeys(shots_to_read):
        source = by_actor[actor]
        found = [_read_part(source, part, shot) for part in CHANNELS]
        lengths = {part: len(values) for part, values in zip(CHANNELS, found, strict=True) if values is not None}
        if len(set(lengths.values())) > 1:
            unequal.append(f"{shot} ({', '.join(f'{part} {length}' for part, length in lengths.items())})")
        motions[actor, shot] = _complete(source, found, min(lengths.values()))
        for part, is_valid in zip(CHANNELS, motions[actor, shot].valid, strict=True):
            if not is_valid:
                missing[f"{actor}, {part}"].append(shot)
    for part_name, shots in missing.items():
        LOGGER.warning("No data of %s for %s: neutral there, and masked in the loss", part_name, listed(shots))
    if unequal:
        LOGGER.warning("Shots whose parts differ in frames are cut to the shortest: %s", listed(unequal))
    return motions


def _item_shape(source: ActorSource, part: str) -> tuple[int, ...]:
    """Array shape of a part in one frame, as stored."""
    counts = source.info.counts
    shapes = {
        "skin": (counts["num_shapes_skin"],),
        "tongue": (counts["num_shapes_tongue"],),
        "jaw": (counts["num_keypoints_jaw"], 3),
        "eye": (2, counts["num_angles_eye"]),
    }
    return shapes[part]


def _read_part(source: ActorSource, part: str, shot: str) -> Float32Array | None:
    """A part of a shot, `[frames, channels]`; None if the shot lacks it."""
    archive = source.animation(part)
    if archive is None or shot not in archive.members:
        if part == "skin":
            raise UserError(
                f"has no coefficients of shot {shot!r} of actor {source.actor!r}",
                path=source.skin_coefficients.path,
                hint="Preprocess the actor again with this shot, or remove it from CLIPS.",
            )
        return None
    # Many hours of motion do not fit into memory: it stays in its file.
    values = archive.map_floats(shot, (None, *_item_shape(source, part)))
    if not np.isfinite(values).all():
        raise UserError(f"holds a value that is not finite for {part}, shot {shot!r}", path=archive.path)
    return values if values.ndim == 2 else values.reshape(len(values), -1)


def _complete(source: ActorSource, found: Sequence[Float32Array | None], num_frames: int) -> ShotMotion:
    """Fills missing parts with zeros (neutral), and cuts all parts to one length."""
    parts = []
    for part, values in zip(CHANNELS, found, strict=True):
        width = int(np.prod(_item_shape(source, part)))
        if values is None:
            values = np.zeros((num_frames, width), np.float32)
        parts.append(values if len(values) == num_frames else values[:num_frames])
    valid = tuple(
        values is not None or source.animation(part) is None for part, values in zip(CHANNELS, found, strict=True)
    )
    return ShotMotion(parts[0], parts[1], parts[2], parts[3], (valid[0], valid[1], valid[2], valid[3]))


def add_muted_shots(
    shots: Iterable[TrainingShot],
    motions: Mapping[tuple[str, str], ShotMotion],
    *,
    zero_emotion: str | None,
    neutral_skin_for_neutral_emotion: bool,
    neutral_tongue: bool,
) -> dict[str, ShotMotion]:
    """The motion of every shot by its id; muted shots freeze a frame of their source.

    Args:
        shots: all shots that have clips.
        motions: by actor and shot.
        zero_emotion: the emotion that counts as neutral, in addition to "neutral" itself.
        neutral_skin_for_neutral_emotion: AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO.
        neutral_tongue: AUG_MUTED_TONGUE_IS_NEUTRAL.

    Raises:
        UserError: the frame of a muted shot is beyond the end of its source.
    """
    by_id = {}
    for shot in shots:
        motion = motions[shot.actor, shot.name]
        if shot.frozen_frame is not None:
            if shot.frozen_frame >= motion.num_frames:
                raise UserError(
                    f"AUG_MUTED_SHOTS: frame {shot.frozen_frame} of shot {shot.name!r} of actor {shot.actor!r}, whose "
                    f"data have {motion.num_frames} frames"
                )
            is_neutral = shot.emotion in (NEUTRAL, zero_emotion)
            motion = motion.freeze_frame(
                shot.frozen_frame,
                shot.num_frames,
                neutral_skin=neutral_skin_for_neutral_emotion and is_neutral,
                neutral_tongue=neutral_tongue,
            )
        by_id[shot.id] = motion
    return by_id


def fit_shots(shots: Sequence[TrainingShot], motions: Mapping[tuple[str, str], ShotMotion]) -> tuple[TrainingShot, ...]:
    """Shortens shots to the length of their motion, with a warning for every shot whose lengths differ."""
    fitted, differ = [], []
    for shot in shots:
        motion = motions.get((shot.actor, shot.name))
        if motion is not None and not shot.is_muted and motion.num_frames != shot.num_frames:
            differ.append(f"{shot.id} ({motion.num_frames} instead of {shot.num_frames})")
            shot = replace(shot, num_frames=min(motion.num_frames, shot.num_frames))
        fitted.append(shot)
    if differ:
        LOGGER.warning("Shots whose data differ in frames from the shot list: %s", listed(differ))
    return tuple(fitted)
