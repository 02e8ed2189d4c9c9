"""Synthetic talking: clips of synthetic speech whose motion follows the viseme rules in the actor's own style.

The rules give viseme channels for each phone. A linear map turns channels into the actor's coefficients; it is fitted
to the training clips of the actor, whose channels an encoder reads off the recordings, with the delay at which it tells
most of their motion. The motion is then scaled so that the lips move as far as recorded ones, and lips meet in every p,
b and m. Shots of the validation and the test set have no part in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from audio2face.config import TrainSection
from audio2face.console import LOGGER
from audio2face.dataset.phoneme_times import SILENCE
from audio2face.errors import UserError
from audio2face.geometry.frames import recorded_times
from audio2face.inference.visemes import VISEME_CHANNELS, recorded_visemes
from audio2face.synthesis.labels import spoken_phones, viseme_curves
from audio2face.synthesis.recordings import VERSION, LabelledRecording, labelled_recordings, synthetic_recordings
from audio2face.synthesis.viseme_map import (
    LipContact,
    MovingSpeech,
    VisemeMap,
    explained_variance,
    fit_viseme_map,
    principal_direction,
    spread,
)
from audio2face.training.data.actors import ActorSource
from audio2face.training.data.audio import Recordings
from audio2face.training.data.clips import TrainingClip, TrainingShot
from audio2face.training.data.motion import ShotMotion
from audio2face.training.data.pseudo_labels import (
    SYNTHETIC,
    EmotionDraws,
    PseudoLabelled,
    PseudoLabelledShare,
    placed,
)
from audio2face.types import CHANNELS, BoolArray, Float32Array, Float64Array

_SPEECH = 0.5  # probability from which a recorded frame is speech
_GAINS = (0.3, 2.0)  # limits: motion that speech hardly tells is not inflated
_GAIN_ROUNDS = 6  # contacts of the lips take some of the spread, so that the gain is approached
_CLOSED_SHARE = 0.02  # of the frames of speech, in which lips count as closed
_ONSET_SECONDS = 0.06  # in which the size of speech sets in and ends: the face rests as the map says
_DELAYS = np.arange(-6, 9) / 100  # seconds, in which recorded faces are searched behind the rules
_CLOSURE = VISEME_CHANNELS.index("closure")
_MOVED_BY_SPEECH = ("skin", "tongue", "jaw")  # the eyes keep the size that the map gives them


def is_used(train: TrainSection) -> bool:
    """Whether a training section asks for synthetic talking."""
    return train.SYNTHETIC_SHARE > 0 or train.SYNTHETIC_EPOCHS > 0


def open_recordings(train: TrainSection) -> tuple[LabelledRecording, ...]:
    """Opens the labelled recordings of a training section, and makes those that are missing.

    Raises:
        UserError: they cannot be read or made.
    """
    if train.SYNTHETIC_SPEECH_ROOT is not None:
        return labelled_recordings(train.SYNTHETIC_SPEECH_ROOT)
    return synthetic_recordings(train.SYNTHETIC_ROOT, train.SYNTHETIC_MINUTES, train.SYNTHETIC_SEED)


def synthetic_talking(
    labelled: Sequence[LabelledRecording],
    sources: Sequence[ActorSource],
    training_clips: Sequence[TrainingClip],
    motions: Mapping[str, ShotMotion],
    recordings: Recordings,
    train: TrainSection,
    first_global_frame: int,
) -> PseudoLabelled:
    """Gives each actor its share of the recordings, in turn, with motion in the actor's style.

    A recording has the emotion of a training clip of the actor, drawn in proportion to their frames.

    Args:
        labelled: the recordings.
        sources: the actors.
        training_clips: clips of the training set.
        motions: motion of their shots, by id.
        recordings: their audio.
        train: the training section.
        first_global_frame: global index of the first frame, behind all recorded shots.

    Raises:
        UserError: a recording cannot be read, or an actor has no training clip with speech.
    """
    found: list[tuple[TrainingClip, ShotMotion]] = []
    rules: dict[float, list[VisemeRules]] = {}  # by frame rate, which actors may share
    for index, source in enumerate(sources):
        own = [clip for clip in training_clips if clip.shot.actor == source.actor and clip.audio is not None]
        if not own:
            raise UserError(
                f"actor {source.actor!r} has no training clip with speech, which synthetic talking is made like",
                hint="Use fewer shots for validation, or set SYNTHETIC_SHARE = 0.0 and SYNTHETIC_EPOCHS = 0.",
            )
        fps = own[0].shot.fps
        if fps not in rules:
            rules[fps] = [VisemeRules.of(recording, fps) for recording in labelled]
        style = ActorStyle.fit(source, own, motions, recordings, rules[fps])
        emotions = EmotionDraws(own, np.random.default_rng((train.SYNTHETIC_SEED, index)))
        found += [style.clip(made, emotions.draw()) for made in rules[fps][index :: len(sources)]]
    clips = placed((clip for clip, _ in found), first_global_frame)
    minutes = sum(recording.seconds for recording in labelled) / 60
    LOGGER.info("synthetic talking: %.1f minutes in %d recordings", minutes, len(clips))
    return PseudoLabelled(
        PseudoLabelledShare(SYNTHETIC, len(clips), train.SYNTHETIC_SHARE, train.SYNTHETIC_EPOCHS),
        clips,
        {clip.shot.id: motion for clip, (_, motion) in zip(clips, found, strict=True)},
        {
            "share": train.SYNTHETIC_SHARE,
            "epochs": train.SYNTHETIC_EPOCHS,
            "source": None if train.SYNTHETIC_SPEECH_ROOT is None else str(train.SYNTHETIC_SPEECH_ROOT),
            "version": VERSION,
            "seed": train.SYNTHETIC_SEED,
            "minutes": round(minutes, 3),
            "recordings": len(clips),
        },
    )


@dataclass(frozen=True)
class VisemeRules:
    """What the viseme rules make of a recording.

    Attributes:
        recording: the recording.
        fps: frames per second.
        channels: float32 `[frames, channels]`, those of `VISEME_CHANNELS`.
        speech: which frames are speech, bool `[frames]`.
        activity: the same, smooth, float64 `[frames]`.
    """

    recording: LabelledRecording
    fps: float
    channels: Float32Array
    speech: BoolArray
    activity: Float64Array

    @classmethod
    def of(cls, recording: LabelledRecording, fps: float) -> VisemeRules:
        """Applies the rules at a frame rate."""
        frames = int(recording.seconds * fps)
        phones = spoken_phones(recording.phones)
        ends = np.array([phone.end for phone in phones])
        at = np.searchsorted(ends, recorded_times(np.arange(frames), fps), side="right").clip(max=len(phones) - 1)
        silent = np.array([phone.symbol == SILENCE for phone in phones])
        speech = ~silent[at]
        activity = gaussian_filter1d(speech.astype(np.float64), _ONSET_SECONDS * fps, mode="nearest")
        return cls(recording, fps, viseme_curves(phones, frames, fps), speech, activity)

    def delayed(self, seconds: float) -> VisemeRules:
        """The rules of a face that moves so much later than its sound."""
        if seconds == 0:
            return self
        end = self.recording.seconds
        edges = [0.0, *(min(max(phone.end + seconds, 0.0), end) for phone in self.recording.phones[:-1]), end]
        spoken = zip(self.recording.phones, edges, edges[1:], strict=False)
        phones = tuple(replace(phone, start=start, end=end) for phone, start, end in spoken)
        return VisemeRules.of(replace(self.recording, phones=phones), self.fps)

    def gains(self, gain: float) -> Float64Array:
        """A gain in speech, and 1 at rest, `[frames]`."""
        return 1 + (gain - 1) * self.activity


@dataclass(frozen=True)
class ActorStyle:
    """How an actor moves with speech.

    Attributes:
        source: the actor.
        maps: from viseme channels to the values of each part that moves, by its name.
        gains: factor on the motion of each of these parts in speech.
        sizes: number of values of each part.
        lips: contact of the lips; None without lip vertices.
        delay: seconds by which the face moves later than the rules say.
    """

    source: ActorSource
    maps: Mapping[str, VisemeMap]
    gains: Mapping[str, float]
    sizes: Mapping[str, int]
    lips: LipContact | None
    delay: float

    @classmethod
    def fit(
        cls,
        source: ActorSource,
        clips: Sequence[TrainingClip],
        motions: Mapping[str, ShotMotion],
        recordings: Recordings,
        rules: Sequence[VisemeRules],
    ) -> ActorStyle:
        """Fits maps to training clips, and scales their motion to the recorded size.

        Args:
            source: the actor.
            clips: its training clips with speech, at least one.
            motions: motion of their shots, by id.
            recordings: their audio.
            rules: synthetic speech at the rate of the clips, with which motion has the recorded size.

        Raises:
            UserError: a recording cannot be read.
        """
        encoded = [_EncodedClip.of(clip, recordings) for clip in clips]
        delay = 0.0
        if any(clip.frames(0.0)[1].any() for clip in encoded):
            delay = _delay(encoded, [motions[clip.shot.id] for clip in clips])
            LOGGER.debug("%s: the face moves %.0f ms after the rules", source.actor, 1e3 * delay)
        detected = [clip.frames(delay) for clip in encoded]
        if not any(speech.any() for _, speech in detected):
            LOGGER.warning(
                "%s: no speech is detected in the training recordings; all of them count as speech", source.actor
            )
            detected = [(channels, np.ones_like(speech)) for channels, speech in detected]
        maps, gains, sizes = {}, {}, {}
        lips: LipContact | None = None
        for number, part in enumerate(CHANNELS):
            found = [
                (_moving(clip, motions[clip.shot.id], number, channels), speech)
                for clip, (channels, speech) in zip(clips, detected, strict=True)
            ]
            sizes[part] = found[0][0].motion.shape[1]
            valid = [
                pair
                for pair, clip in zip(found, clips, strict=True)
                if motions[clip.shot.id].valid[number] and pair[0].motion.any()
            ]
            if valid:
                if part == "skin":
                    lips = _lip_contact(source, valid)
                maps[part] = fit_viseme_map([moving for moving, _ in valid])
                gains[part] = 1.0
                if part in _MOVED_BY_SPEECH:
                    gains[part] = _gain(maps[part], valid, rules, lips if part == "skin" else None)
                LOGGER.debug("%s: synthetic motion of the %s is scaled by %.2f", source.actor, part, gains[part])
        return cls(source, maps, gains, sizes, lips, delay)

    def clip(self, rules: VisemeRules, emotion: str) -> tuple[TrainingClip, ShotMotion]:
        """A clip of a whole recording and its motion; the shot has no place among the global frames yet."""
        name = f"{SYNTHETIC} {rules.recording.audio.stem}"  # no name of a shot has a space
        frames, actor = len(rules.channels), self.source.actor
        shot = TrainingShot(f"{actor} {name}", actor, name, frames, rules.fps, emotion, 0)
        clip = TrainingClip(shot, 0, frames - 1, SYNTHETIC, "", rules.recording.audio)
        return clip, self.motion(rules, emotion)

    def motion(self, rules: VisemeRules, emotion: str) -> ShotMotion:
        """The motion that rules say; parts that never moved are neutral and valid."""
        frames = len(rules.channels)
        rules = rules.delayed(self.delay)
        values = []
        for part in CHANNELS:
            found = self.maps.get(part)
            if found is None:
                values.append(np.zeros((frames, self.sizes[part]), np.float32))
                continue
            known = emotion if emotion in found.motion else next(iter(found.motion))
            moved = found(rules.channels, known, rules.gains(self.gains[part]))
            if part == "skin" and self.lips is not None:
                moved = self.lips.apply(moved, rules.channels[:, _CLOSURE])
            values.append(moved.astype(np.float32))
        return ShotMotion(values[0], values[1], values[2], values[3], (True, True, True, True))


@dataclass(frozen=True)
class _EncodedClip:
    """What the encoder detects in a clip: channels `[steps, channels]` and the probability of speech `[steps]`."""

    clip: TrainingClip
    channels: Float32Array
    speech: Float32Array
    times: Float64Array  # of the steps in the recording

    @classmethod
    def of(cls, clip: TrainingClip, recordings: Recordings) -> _EncodedClip:
        assert clip.audio is not None
        track = recordings.track(clip.audio)
        visemes, speech = recorded_visemes(track.data, track.samplerate)
        return cls(clip, visemes.channels, speech, recorded_times(np.arange(len(speech)), visemes.steps_per_second))

    def frames(self, delay: float) -> tuple[Float32Array, BoolArray]:
        """Channels `[frames, channels]` so much earlier than each frame, and which frames are speech, `[frames]`."""
        times = self.clip.audio_start + recorded_times(np.arange(self.clip.num_frames), self.clip.shot.fps)
        channels = np.stack([np.interp(times - delay, self.times, curve) for curve in self.channels.T], axis=1)
        return channels.astype(np.float32), np.interp(times, self.times, self.speech) > _SPEECH


def _delay(encoded: Sequence[_EncodedClip], motions: Sequence[ShotMotion]) -> float:
    """The delay in seconds at which the channels tell most of the motion of the skin."""
    skin = CHANNELS.index("skin")

    def explained(delay: float) -> float:
        pairs = zip(encoded, motions, strict=True)
        speech = [_moving(one.clip, motion, skin, one.frames(delay)[0]) for one, motion in pairs]
        return explained_variance(fit_viseme_map(speech), speech)

    return float(max(_DELAYS, key=lambda delay: (explained(delay), -abs(delay))))  # 0 where nothing moves


def _moving(clip: TrainingClip, motion: ShotMotion, part: int, channels: Float32Array) -> MovingSpeech:
    return MovingSpeech(channels, motion.parts[part][clip.first : clip.last + 1], clip.shot.emotion)


def _lip_contact(source: ActorSource, recorded: Sequence[tuple[MovingSpeech, BoolArray]]) -> LipContact | None:
    """The lips in the recorded speech of an actor; None without lip vertices."""
    lips, skin = source.raw.lip_dist, source.skin.matrix
    motion = [moving.motion[speech] for moving, speech in recorded]
    if lips is None or not sum(map(len, motion)):
        return None
    opening = (skin[:, lips.upper, 1] - skin[:, lips.lower, 1]).mean(axis=1).astype(np.float64)
    return LipContact.fit(motion, opening, _CLOSED_SHARE)


def _gain(
    fitted: VisemeMap,
    recorded: Sequence[tuple[MovingSpeech, BoolArray]],
    rules: Sequence[VisemeRules],
    lips: LipContact | None,
) -> float:
    """The factor with which motion by rules varies in speech as recorded motion does.

    Args:
        fitted: map of a part.
        recorded: motion of this part, and which frames are speech.
        rules: synthetic speech.
        lips: their opening is what is compared; None: the part's main direction.
    """
    direction = _mapped_direction(fitted, recorded) if lips is None else lips.opening
    emotions = [moving.emotion for moving, _ in recorded]
    true = spread([(moving.motion @ direction)[speech] for moving, speech in recorded], emotions)
    usual = Counter(emotions).most_common(1)[0][0]
    centre, weights = float(fitted.motion[usual] @ direction), fitted.weights @ direction
    moves = [(rule.channels - fitted.channels[usual]) @ weights for rule in rules]
    gain = 1.0
    for _ in range(_GAIN_ROUNDS):
        positions = [centre + rule.gains(gain) * move for rule, move in zip(rules, moves, strict=True)]
        if lips is not None:
            positions = [
                lips.openings(position, rule.channels[:, _CLOSURE])
                for position, rule in zip(positions, rules, strict=True)
            ]
        made = spread([own[rule.speech] for own, rule in zip(positions, rules, strict=True)], [usual] * len(rules))
        if made <= 0:
            break
        gain = float(np.clip(gain * true / made, *_GAINS))
    return gain


def _mapped_direction(fitted: VisemeMap, recorded: Sequence[tuple[MovingSpeech, BoolArray]]) -> Float64Array:
    """The direction in which the map of recorded speech moves most, `[values]`."""
    return principal_direction(
        [
            MovingSpeech(moving.channels, fitted(moving.channels, moving.emotion), moving.emotion)
            for moving, _ in recorded
        ]
    )
