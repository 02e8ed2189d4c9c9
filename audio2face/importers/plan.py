"""How a take becomes shots: where it is cut, what each is called, what is left out."""

from __future__ import annotations

from dataclasses import dataclass

from audio2face.audio.track import interval_loudness
from audio2face.errors import UserError
from audio2face.importers.coverage import count_sounds
from audio2face.importers.naming import shot_name
from audio2face.importers.recordings import MONO_RATE, read_mono, sound_range, spoken_frames, take_range
from audio2face.importers.shots import ShotRange, cut_shots
from audio2face.importers.take import Take
from audio2face.types import Float32Array


@dataclass(frozen=True, eq=False)
class ShotPlan:
    """How a take becomes shots.

    Attributes:
        shots_by_name: the frames of each, in order.
        samples: the recording, mono at 16 kHz.
        sounds: how often each sound of English occurs.
        notes: what is left out.
    """

    shots_by_name: dict[str, ShotRange]
    samples: Float32Array
    sounds: dict[str, int]
    notes: tuple[str, ...]

    @property
    def shots(self) -> list[ShotRange]:
        """The frames of each shot."""
        return list(self.shots_by_name.values())


def plan_shots(take: Take) -> ShotPlan:
    """Cuts a take into shots at pauses of its recording.

    Raises:
        UserError: the take has no recording, or does not overlap with it, or nothing of it was tracked for long enough.
    """
    if take.audio is None:
        raise UserError(
            f"take {take.name} has no recording",
            path=take.source,
            hint="Put a recording of the same name beside it (.wav, .mov, ...), or give --audio FILE (a folder for "
            "several takes).",
        )
    fps, samples = float(take.fps), read_mono(take.audio)
    first, stop = spoken_frames(take, len(samples) / MONO_RATE)
    inside = sound_range(take, first, stop, MONO_RATE)
    loudness = interval_loudness(take_range(samples, inside), MONO_RATE, fps, stop - first)
    found = [
        ShotRange(shot.first + first, shot.stop + first) for shot in cut_shots(take.lost[first:stop], loudness, fps)
    ]
    if not found:
        raise UserError(
            f"take {take.name} has no second and a half in which the face was tracked and the recording runs",
            path=take.source,
            hint="Record it again with the face in view.",
        )
    shots = {shot_name(take.name, number, take.emotion): shot for number, shot in enumerate(found, 1)}
    notes = []
    without = take.num_frames - (stop - first)
    if without > 0.1 * fps:
        notes.append(f"{without / fps:.1f} s at its ends have no sound and are left out")
    gaps = (stop - first) - sum(shot.num_frames for shot in found)
    if gaps:
        notes.append(f"{gaps / fps:.1f} s in or between long gaps of tracking are left out")
    sounds = count_sounds(take_range(samples, inside), MONO_RATE)
    return ShotPlan(shots, samples, dict(sounds), tuple(notes))
