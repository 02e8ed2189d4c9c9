"""Tests of what users of a model complain about, on some test recordings: how the mouth behaves, without ground truth.

The definitions and thresholds are in `audio2face.evaluate.behaviour`. The tests know a model only as a function from
audio to a curve of the mouth opening.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from time import perf_counter

import numpy as np

from audio2face.audio.resample import resample_soxr
from audio2face.errors import UserError
from audio2face.evaluate import perturbations, sounds
from audio2face.evaluate.activity import Excerpt, active_level, excerpt
from audio2face.evaluate.behaviour import (
    BEHAVIOURS,
    SHUT_SECONDS,
    closing_seconds,
    deviation,
    from_time,
    largest_burst,
    opening_at,
    wide_opening,
)
from audio2face.evaluator.results import Behaviour
from audio2face.types import Float32Array, FloatArray

# Samples `[samples]`, their rate and the name of an emotion, to the mouth opening above the neutral face, `[frames]` in
# millimetres, and its frames per second. Frame i is at (i + 0.5) / fps.
Animate = Callable[[Float32Array, int, str], tuple[FloatArray, float]]
Progress = Callable[[str, float], None]  # name of a finished test, and the seconds that it took

NUM_CLIPS, NUM_QUICK_CLIPS = 3, 1
CLIP_SECONDS = 2.5
ANIMATED_SECONDS = 180.0  # at most, of all tests together; 60 in the quick set

_TAIL_SECONDS = 1.5  # of silence after speech
_SOUND_SECONDS = 3.0
_ROOM_DB, _BREATH_DB, _HUM_DB = -35.0, -20.0, -10.0  # relative to the active level of the first clip
_USUAL_LEVEL = 0.05  # of speech, -26 dB of full scale, where no clip tells (ITU-T P.56 practice)
_GAIN_DB = -20.0
_SEMITONES = 3.0
_RT60 = 0.5
_LAG_SECONDS = 0.05  # what another voice or an echo may shift without a viewer who would call it another face
_PAUSE_SECONDS = 0.5
_LONG_SECONDS = 60.0
_BEFORE_SECONDS = 2.0
_START_SECONDS = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeechClip:
    """A recording in which somebody speaks.

    Attributes:
        name: for messages.
        samples: float32 `[samples]`, full scale 1.
        samplerate: samples per second.
        emotion: in which it is animated.
    """

    name: str
    samples: Float32Array
    samplerate: int
    emotion: str


def run_behaviour_tests(
    animate: Animate,
    clips: Sequence[SpeechClip],
    *,
    stream: Animate | None = None,
    rest_emotion: str = "neutral",
    quick: bool = False,
    progress: Progress | None = None,
) -> tuple[Behaviour, ...]:
    """Runs all behaviour tests on a model.

    Args:
        animate: animates audio as users get it, with post-processing.
        clips: test recordings; the first speech of up to three of them is used, of one in the quick set.
        stream: animates audio in chunks.
        rest_emotion: the emotion whose face at rest is the neutral one. Tests of closed lips, and those that join clips
            into one recording, animate in it.
        quick: one clip, and without the test of drift.
        progress: called after each test.

    Returns:
        One result for each row of `BEHAVIOURS`, in its order. A test that cannot run, or whose value is undefined, has
        no value and a note that says why.
    """
    session = _Session(animate, _excerpts(clips, NUM_QUICK_CLIPS if quick else NUM_CLIPS), stream, rest_emotion, quick)
    results = []
    for name, measure in session.measures().items():
        began = perf_counter()
        results.append(_result(name, measure))
        if progress:
            progress(name, perf_counter() - began)
    return tuple(results)


class _NotMeasuredError(Exception):
    """A test cannot run; the message says why."""


@dataclass(frozen=True, eq=False)
class _Spoken:
    """An excerpt of a clip, all at one sample rate."""

    part: Excerpt
    samplerate: int
    emotion: str

    @property
    def samples(self) -> Float32Array:
        return self.part.samples


@dataclass(frozen=True, eq=False)
class _Curve:
    """A curve of the mouth opening."""

    opening: FloatArray
    fps: float


def _excerpts(clips: Iterable[SpeechClip], wanted: int) -> tuple[_Spoken, ...]:
    """The first speech of as many clips, at the rate of the first."""
    found: list[_Spoken] = []
    for clip in clips:
        rate = found[0].samplerate if found else clip.samplerate
        part = excerpt(resample_soxr(clip.samples, clip.samplerate, rate), rate, CLIP_SECONDS)
        if part is not None and part.speech_end >= _START_SECONDS:
            found.append(_Spoken(part, rate, clip.emotion))
        if len(found) == wanted:
            break
    return tuple(found)


def _result(name: str, measure: Callable[[], float]) -> Behaviour:
    test = BEHAVIOURS[name]
    value, note = None, ""
    try:
        measured = measure()
        if math.isfinite(measured):
            value = float(measured)
        else:
            note = "the mouth opens by less than 1 mm in speech, so there is nothing to compare"
    except _NotMeasuredError as reason:
        note = str(reason)
    except UserError as error:
        note = error.problem
    return Behaviour(
        name=name,
        label=test.label,
        value=value,
        unit=test.unit,
        threshold=test.threshold,
        passes_if=test.passes_if,
        definition=test.definition,
        note=note,
    )


@dataclass(eq=False)
class _Session:
    """The tests of one model; what several of them need is animated once."""

    animate: Animate
    spoken: tuple[_Spoken, ...]
    stream: Animate | None
    rest_emotion: str
    quick: bool

    def measures(self) -> Mapping[str, Callable[[], float]]:
        """The measurement of each row of `BEHAVIOURS`, in its order."""
        noise = self._in_noise
        same = self._deviation
        return {
            "closed_after_speech": self._closing,
            **{f"shut_on_{name}": partial(self._shut, name) for name in ("silence", "room_noise", "breath", "hum")},
            "bursts": self._bursts,
            "same_at_low_level": lambda: same(lambda part, *_: perturbations.change_level(part, _GAIN_DB)),
            "same_for_other_voice": lambda: same(_in_other_voice, _LAG_SECONDS),
            **{f"same_in_noise_{ratio}db": partial(noise, ratio) for ratio in (20, 10, 0)},
            "same_in_reverberation": lambda: same(_in_room, _LAG_SECONDS),
            "same_over_telephone": lambda: same(lambda part, rate, _: perturbations.telephone(part, rate)),
            "same_as_mp3": lambda: same(lambda part, rate, _: perturbations.through_mp3(part, rate)),
            "drift": self._drift,
            "start_as_middle": self._start_as_middle,
            "stream_as_file": self._stream_as_file,
        }

    def _curve(self, samples: Float32Array, samplerate: int, emotion: str) -> _Curve:
        opening, fps = self.animate(samples, samplerate, emotion)
        return _checked(opening, fps)

    def _speech(self) -> tuple[_Spoken, ...]:
        if not self.spoken:
            raise _NotMeasuredError("nobody speaks for a second in the test recordings")
        return self.spoken

    @cached_property
    def _references(self) -> list[_Curve]:
        """The curve of each clip."""
        return [self._curve(clip.samples, clip.samplerate, clip.emotion) for clip in self._speech()]

    @cached_property
    def _alone(self) -> list[_Curve]:
        """The curve of each clip and silence after it, in the emotion of rest."""
        return [
            self._curve(
                np.concatenate([clip.samples, sounds.silence(_TAIL_SECONDS, clip.samplerate)]),
                clip.samplerate,
                self.rest_emotion,
            )
            for clip in self._speech()
        ]

    @cached_property
    def _quiet(self) -> dict[str, _Curve]:
        """The curve of each sound without speech."""
        rate = self.spoken[0].samplerate if self.spoken else 16_000
        level = active_level(self.spoken[0].samples, rate) if self.spoken else _USUAL_LEVEL
        made = {
            "silence": sounds.silence(_SOUND_SECONDS, rate),
            "room_noise": sounds.room_noise(_SOUND_SECONDS, rate, level * _gain(_ROOM_DB), seed=1),
            "breath": sounds.breath(_SOUND_SECONDS, rate, level * _gain(_BREATH_DB), seed=2),
            "hum": sounds.hummed_hmm(_SOUND_SECONDS, rate, level * _gain(_HUM_DB), seed=3),
        }
        return {name: self._curve(samples, rate, self.rest_emotion) for name, samples in made.items()}

    def _closing(self) -> float:
        pairs = zip(self._alone, self._speech(), strict=True)
        return max(closing_seconds(curve.opening, curve.fps, clip.part.speech_end) for curve, clip in pairs)

    def _shut(self, sound: str) -> float:
        return wide_opening(self._quiet[sound].opening)

    def _bursts(self) -> float:
        tails = [
            _Curve(from_time(curve.opening, curve.fps, clip.part.speech_end + SHUT_SECONDS), curve.fps)
            for curve, clip in zip(self._alone if self.spoken else [], self.spoken, strict=True)
        ]
        return max(largest_burst(curve.opening, curve.fps) for curve in (*self._quiet.values(), *tails))

    def _deviation(self, change: Callable[[Float32Array, int, int], Float32Array], max_lag: float = 0.0) -> float:
        """Mean deviation over clips with changed audio; `change` takes samples, rate and number of a clip."""
        values = []
        for number, (clip, reference) in enumerate(zip(self._speech(), self._references, strict=True)):
            changed = self._curve(change(clip.samples, clip.samplerate, number), clip.samplerate, clip.emotion)
            values.append(deviation(changed.opening, reference.opening, round(max_lag * reference.fps)))
        return _mean(values)

    def _in_noise(self, ratio: float) -> float:
        return self._deviation(lambda part, rate, number: perturbations.add_noise(part, rate, ratio, "pink", number))

    def _drift(self) -> float:
        if self.quick:
            raise _NotMeasuredError("left out of a quick report")
        clips = self._speech()
        rate = clips[0].samplerate
        order = list(_filling(clips, _LONG_SECONDS))
        whole, starts = perturbations.concatenate([clips[number].samples for number in order], rate, _PAUSE_SECONDS)
        long = self._curve(whole, rate, self.rest_emotion)
        inside, alone = [], []
        for number, start in dict(zip(order, starts, strict=True)).items():  # the last place of each clip
            curve = self._alone[number]
            part = clips[number].part
            begin = min(part.speech_start + _START_SECONDS, part.speech_end / 2)  # a start has its own test
            frames = max(int((part.speech_end - begin) * curve.fps), 1)
            inside.append(opening_at(long.opening, long.fps, start + begin, frames))
            alone.append(opening_at(curve.opening, curve.fps, begin, frames))
        return abs(float(np.concatenate(inside).mean() - np.concatenate(alone).mean()))

    def _start_as_middle(self) -> float:
        clips = self._speech()
        values = []
        for number, (clip, curve) in enumerate(zip(clips, self._alone, strict=True)):
            rate = clip.samplerate
            before = clips[(number + 1) % len(clips)].samples[: round(_BEFORE_SECONDS * rate)]
            joined, starts = perturbations.concatenate([before, clip.samples], rate, _PAUSE_SECONDS)
            middle = self._curve(joined, rate, self.rest_emotion)
            begin, frames = clip.part.speech_start, round(_START_SECONDS * curve.fps)
            first = opening_at(curve.opening, curve.fps, begin, frames)
            values.append(deviation(opening_at(middle.opening, middle.fps, starts[1] + begin, frames), first))
        return _mean(values)

    def _stream_as_file(self) -> float:
        if self.stream is None:
            raise _NotMeasuredError("this network does not stream")
        largest = 0.0
        for clip, whole in zip(self._speech(), self._references, strict=True):
            opening = _checked(*self.stream(clip.samples, clip.samplerate, clip.emotion)).opening
            frames = min(len(opening), len(whole.opening))
            largest = max(largest, float(np.abs(opening[:frames] - whole.opening[:frames]).max()))
        return largest


def _checked(opening: FloatArray, fps: float) -> _Curve:
    if not len(opening):
        raise _NotMeasuredError("the animation has no frames")
    if not np.isfinite(opening).all():
        raise _NotMeasuredError("the animation holds numbers that are not finite")
    return _Curve(np.asarray(opening, np.float64), fps)


def _mean(deviations: Sequence[float]) -> float:
    """Mean over the clips in which the mouth opens; nan without one."""
    defined = [value for value in deviations if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _in_other_voice(part: Float32Array, rate: int, number: int) -> Float32Array:
    return perturbations.other_voice(part, rate, _SEMITONES if number % 2 == 0 else -_SEMITONES)


def _in_room(part: Float32Array, rate: int, number: int) -> Float32Array:
    return perturbations.reverberate(part, rate, _RT60, seed=number)


def _filling(clips: Sequence[_Spoken], seconds: float) -> Iterator[int]:
    """Numbers of clips in turn, as many as a time holds with a pause after each; each at least once."""
    used = 0.0
    number = 0
    while number < len(clips) or used + clips[number % len(clips)].part.speech_end + _PAUSE_SECONDS <= seconds:
        used += clips[number % len(clips)].part.speech_end + _PAUSE_SECONDS
        yield number % len(clips)
        number += 1
