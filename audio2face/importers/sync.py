"""How far recording and animation are apart in time, by the measure of the data check, and how certain that is.

The check's regression (`dataset.checks.relation`) predicts motion from sound in cross-validation; the lag at which it
does best is the offset. Takes of half a minute or more have an offset of their own, shorter ones share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.dataset.checks.relation import Relation, SoundFeatures, sound_features
from audio2face.geometry.frames import PoseReader, blocks_of
from audio2face.importers.take import Take
from audio2face.types import Float32Array

_OWN_SECONDS = 30.0  # of a take that is judged by itself
_LEAST_SECONDS = 20.0  # of the takes that are judged together
_ENOUGH_SECONDS, _ENOUGH_FPS = 300.0, 30.0  # of a take; more tells no more
_FARTHEST = 2.5  # s
_STEP, _FINE_STEP = 0.05, 0.01
_NEAR = 0.12  # s: natural lead of the lips; not told from an offset by the check
_CLEAR = 0.3  # correlation
_CLEARER = 0.04  # than in step
_CHANCE = 0.5
_SAMPLED = 200  # vertices of meshes
_MOUTH = [index for index, name in enumerate(ARKIT_NAMES) if name.startswith(("jaw", "mouth"))]


_Sounds = dict[Path | None, SoundFeatures]


@dataclass(frozen=True)
class Offset:
    """What the measure says of takes.

    Attributes:
        seconds: by which the face moves before the sound; 0 where the two are in step.
        found: correlation of predicted and captured motion there, 1: exactly, 0: not at all.
        in_step: the same as they are.
        is_clear: whether the offset is certain: they go together well there, and clearly better than as they are.
        goes_together: whether sound and motion certainly belong together, at any offset.
    """

    seconds: float
    found: float
    in_step: float
    is_clear: bool
    goes_together: bool

    @property
    def is_foreign(self) -> bool:
        """Whether sound and motion do not belong together at any offset; what is between this and certainty is open."""
        return self.found < _CLEAR

    def __str__(self) -> str:
        """One phrase for tables."""
        if not self.goes_together:
            return f"unclear ({self.found:.2f})"
        if not self.seconds:
            return f"in step ({self.in_step:.2f})"
        return f"{self.seconds:+.2f} s ({self.found:.2f} against {self.in_step:.2f})"


def find_offsets(takes: Sequence[Take]) -> dict[str, Offset]:
    """Finds the offset of takes, by name; takes without a recording, and too few seconds together, have none.

    Raises:
        UserError: a recording cannot be read.
    """
    recorded = [take for take in takes if take.audio is not None]
    sounds = _Sounds({path: sound_features(path) for path in {take.audio for take in recorded} if path is not None})
    long = [take for take in recorded if take.seconds >= _OWN_SECONDS]
    short = [take for take in recorded if take.seconds < _OWN_SECONDS]
    found = {take.name: _offset_of([take], sounds) for take in long}
    if sum(take.seconds for take in short) >= _LEAST_SECONDS:
        found |= dict.fromkeys((take.name for take in short), _offset_of(short, sounds))
    return found


def shifted(take: Take, seconds: float) -> Take:
    """A take whose face moves later by some seconds, relative to its recording."""
    note = f"moved by {seconds:+.3f} s relative to its recording"
    return replace(take, audio_start=take.audio_start + seconds, notes=(*take.notes, note)) if seconds else take


def _offset_of(takes: Sequence[Take], sounds: _Sounds) -> Offset:
    step = max(1, round(float(takes[0].fps) / _ENOUGH_FPS))
    fps = float(takes[0].fps) / step
    sketches = [_sketch(take, step) for take in takes]
    moved = [_from_start(sounds[take.audio], take.audio_start - 0.5 / fps) for take in takes]
    relation = Relation(sketches, moved, fps)
    coarse = np.round(np.arange(-_FARTHEST, _FARTHEST + _STEP / 2, _STEP), 3)
    curve = relation.curve(list(coarse))
    best = float(coarse[int(curve.argmax())])
    fine = np.round(np.arange(best - _STEP, best + _STEP + _FINE_STEP / 2, _FINE_STEP), 3)
    peak = relation.curve(list(fine))
    lag, value = float(fine[int(peak.argmax())]), float(peak.max())
    near = float(curve[np.abs(coarse) <= _NEAR].max())
    doubt = max(relation.seconds, 1.0) ** -0.5
    goes_together = value > _CLEAR + doubt
    is_apart = abs(lag) > _NEAR
    is_clear = goes_together and is_apart and value > near + _CLEARER + _CHANCE * doubt
    return Offset(lag if is_clear else 0.0, value, near, is_clear, goes_together)


def _sketch(take: Take, step: int) -> Float32Array:
    """Numbers that represent the mouth in every `step`-th frame, as far as they are enough.

    Returns:
        float32 `[frames, values]`; NaN in frames that were lost.
    """
    frames = slice(0, min(take.num_frames, round(_ENOUGH_SECONDS * float(take.fps))), step)
    if take.weights is not None:
        values = take.weights[frames][:, _MOUTH]
    else:
        assert take.meshes is not None
        values = _sampled(take.meshes.skin, frames)
    values[take.lost[frames]] = np.nan
    return values


def _sampled(skin: PoseReader, frames: slice) -> Float32Array:
    """Some vertices of every `frames.step`-th frame before `frames.stop`, `[frames, 3 * vertices]`."""
    chosen = np.unique(np.linspace(0, skin.num_verts - 1, min(skin.num_verts, _SAMPLED)).astype(np.intp))
    parts = [
        skin.read(block.start, block.stop)[-block.start % frames.step :: frames.step, chosen]
        for block in blocks_of(frames.stop, 12 * skin.num_verts)
    ]
    return np.concatenate(parts).astype(np.float32, copy=False).reshape(-1, 3 * len(chosen))


def _from_start(sound: SoundFeatures, seconds: float) -> SoundFeatures:
    """Features whose time 0 is `seconds` after that of others, to the next row; silence before a recording's start."""
    rows = round(seconds * sound.rate)
    energy = sound.energy[rows:] if rows >= 0 else np.pad(sound.energy, ((-rows, 0), (0, 0)))
    return SoundFeatures(energy, sound.rate)
