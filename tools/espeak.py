"""eSpeak NG: synthetic speech in many languages with the times of all phones. A tool of development, no dependency.

The wheel espeakng-loader 0.2.4 carries eSpeak NG 1.52.0, whose licence is the GPL-3.0 or later:

    pip install --target espeak_ng espeakng-loader==0.2.4
    PYTHONPATH=espeak_ng .venv/bin/python -m tools.make_speech_fixtures

eSpeak NG reports an event for each phone. Its time is the beginning of the phone, except for many stops:

- of an unvoiced stop it is the release: behind it comes the burst, before it 40 ms of digital silence, the closure
  (15 ms behind a sibilant);
- of a voiced stop behind a vowel it is the beginning of the closure, in which the voice murmurs;
- of a voiced stop elsewhere it is the release again: at the beginning of a word behind 15 to 40 ms of silence, within a
  word behind less or none.

So a stop begins here where the sound before its event falls silent, at most 40 ms before, and otherwise at the event.
As in the labels of forced aligners it lasts until the next phone, the burst included.
"""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audio2face.dataset.phoneme_times import SILENCE, PhonemeTime
from audio2face.errors import UserError
from audio2face.types import Float32Array

CLOSURE_SECONDS = 0.04  # the longest silence that belongs to a stop
_QUIET = 0.002  # of full scale: closures are zeros
_ROUNDING_SECONDS = 0.002  # of the time of an event
_VERSION = "1.52.0"
_STOPS = frozenset("ptʈckqbdɖɟɡ")
_LIP_CLOSURES, _MODIFIERS = "pbm", "ʰhʲː"


@dataclass(frozen=True)
class Event:
    """A phone of eSpeak NG: its name, empty for a pause, and its time in seconds."""

    symbol: str
    seconds: float


def label_phones(events: Sequence[Event], samples: Float32Array, rate: int) -> tuple[PhonemeTime, ...]:
    """Converts events to phones without gaps over a recording; stops begin with their closure.

    Stress marks are left out. A lengthened, aspirated or palatalised p, b or m is named p, b or m.

    Args:
        events: of one sentence, in order; their times count from the start of the recording.
        samples: float32 `[samples]`, full scale 1.
        rate: their rate, in Hz.

    Raises:
        UserError: the synthesiser switched to another language within the sentence.
    """
    names, starts = [SILENCE], [0.0]
    ends = [*(event.seconds for event in events[1:]), len(samples) / rate]
    for event, end in zip(events, ends, strict=True):
        name = _name(event.symbol)
        if name == SILENCE and not _is_silent(samples[round(event.seconds * rate) : round(end * rate)]):
            continue  # a sound without a name, such as the short vowel between p and r, belongs to the phone before
        closure = _silence_before(samples, rate, event.seconds) if name[0] in _STOPS else 0.0
        names.append(name)
        starts.append(max(event.seconds - closure, starts[-1]))
    phones: list[PhonemeTime] = []
    for name, start, end in zip(names, starts, [*starts[1:], len(samples) / rate], strict=True):
        if name == SILENCE and phones and phones[-1].symbol == SILENCE:
            phones[-1] = PhonemeTime(SILENCE, phones[-1].start, end)
        elif end > start:
            phones.append(PhonemeTime(name, start, end))
    return tuple(phones)


def _is_silent(samples: Float32Array) -> bool:
    """Whether most of some samples are silent; a recording has no time for none of them."""
    return len(samples) > 0 and bool(np.median(np.abs(samples)) <= _QUIET)


def _silence_before(samples: Float32Array, rate: int, seconds: float) -> float:
    """The length in seconds of the silence before a time, at most `CLOSURE_SECONDS`."""
    last = round((seconds - _ROUNDING_SECONDS) * rate)
    first = max(round((seconds - CLOSURE_SECONDS) * rate), 0)
    loud = np.flatnonzero(np.abs(samples[first:last]) > _QUIET)
    silent_from = first + (int(loud[-1]) + 1 if len(loud) else 0)
    return seconds - silent_from / rate if silent_from < last else 0.0


def _name(symbol: str) -> str:
    if symbol.startswith("("):
        raise UserError(f"the voice switches its language: {symbol}", hint="Choose words that its language has.")
    name = symbol.strip("ˈˌ-")
    if name and name[0] in _LIP_CLOSURES and not name[1:].strip(_MODIFIERS):
        return name[0]
    return name or SILENCE


# --- eSpeak NG, as its header speak_lib.h declares it -----------------------------------------------------------------

_SYNCHRONOUS, _PHONEME_EVENTS, _IPA, _UTF8 = 2, 1, 2, 1
_RATE_PARAMETER, _PITCH_PARAMETER, _RANGE_PARAMETER = 1, 3, 4
_PHONEME = 7
_TIED_IPA = 0x02 | 0x80 | ord("^") << 8  # of espeak_TextToPhonemes
_BUFFER_MILLISECONDS = 200
_NAME_BYTES = 8


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * _NAME_BYTES))


class _NativeEvent(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_NativeEvent))


@dataclass(frozen=True)
class Delivery:
    """How a sentence is spoken.

    Attributes:
        words_per_minute: rate.
        pitch: from 0 to 100; 50 is the voice as it is.
        pitch_range: from 0 to 100; 50 is the voice as it is.
        seed: of the noise of voices with breath, which would differ from run to run.
    """

    words_per_minute: int = 175
    pitch: int = 50
    pitch_range: int = 50
    seed: int = 1


class Synthesiser:
    """eSpeak NG of the wheel espeakng-loader.

    Attributes:
        variants: names of the voices' variants, which any language takes behind a `+`; those with an echo, which fills
            the closures of stops, are left out.

    Raises:
        UserError: the wheel is missing, or holds another version.
    """

    def __init__(self) -> None:
        try:
            loader: Any = importlib.import_module("espeakng_loader")
        except ImportError as error:
            hint = "pip install --target espeak_ng espeakng-loader==0.2.4, and set PYTHONPATH=espeak_ng."
            raise UserError("the package espeakng_loader is missing", hint=hint) from error
        self._library = ctypes.CDLL(loader.get_library_path())
        self._library.espeak_Info.restype = ctypes.c_char_p
        data = str(loader.get_data_path())
        options = _PHONEME_EVENTS | _IPA
        self._rate = self._library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MILLISECONDS, data.encode(), options)
        version = self._library.espeak_Info(None).decode()
        if version != _VERSION:
            raise UserError(f"eSpeak NG {version}, expected {_VERSION}", hint="Install espeakng-loader==0.2.4.")
        self.variants = tuple(sorted(path.name for path in Path(data, "voices", "!v").iterdir() if not _has_echo(path)))
        self._blocks: list[Float32Array] = []
        self._events: list[Event] = []
        self._callback = _Callback(self._receive)  # held here, because the library keeps only its address

    def speak(
        self, voice: str, text: str, delivery: Delivery = Delivery()
    ) -> tuple[Float32Array, int, tuple[Event, ...]]:
        """Speaks a sentence.

        Args:
            voice: a language, and a variant behind `+`.
            text: in the language's own script.
            delivery: rate and pitch.

        Returns:
            float32 `[samples]` with full scale 1, their rate in Hz, and the events.

        Raises:
            UserError: there is no such voice.
        """
        self._blocks, self._events = [], []
        self._choose(voice)
        for parameter, value in (
            (_RATE_PARAMETER, delivery.words_per_minute),
            (_PITCH_PARAMETER, delivery.pitch),
            (_RANGE_PARAMETER, delivery.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._library.espeak_SetSynthCallback(self._callback)  # the library has one, which synthesisers share
        self._library.espeak_ng_SetRandSeed(delivery.seed)
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        return np.concatenate([np.zeros(0, np.float32), *self._blocks]), self._rate, tuple(self._events)

    def phonemes(self, voice: str, text: str) -> str:
        """Returns the phonemes of a text in IPA, letters of one phoneme tied by `^`, words apart.

        Raises:
            UserError: there is no such voice.
        """
        self._choose(voice)
        data = ctypes.c_char_p(text.encode())
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        parts = []
        while data.value:
            parts.append(self._library.espeak_TextToPhonemes(ctypes.byref(data), _UTF8, _TIED_IPA).decode("utf-8"))
        return " ".join(parts)

    def _choose(self, voice: str) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise UserError(
                f"eSpeak NG has no voice {voice!r}", hint="Voices are called as their files: en, fr, pt-BR."
            )

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        """Takes a block of 16-bit samples, and its events up to the one of type 0; 0 continues the synthesis."""
        if samples and count:
            self._blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(np.float32) / np.float32(2**15))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME:
                # A name of eight bytes has no zero behind it.
                name = bytes(ctypes.string_at(ctypes.addressof(events[index].id), _NAME_BYTES)).partition(b"\0")[0]
                self._events.append(Event(name.decode("utf-8"), events[index].sample / self._rate))
            index += 1
        return 0


def _has_echo(variant: Path) -> bool:
    """Whether a variant of voices has the line `echo <milliseconds> <amplitude>` with an amplitude."""
    lines = [line.split() for line in variant.read_text(encoding="utf-8", errors="replace").splitlines()]
    return any(len(words) > 2 and words[0] == "echo" and int(words[2]) > 0 for words in lines)
