"""Where live speech comes from: a recording played by the clock, or a microphone."""

from __future__ import annotations

import math
import queue
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audio2face.audio import read_header, stream_mono
from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.types import Float32Array

_BLOCK = 0.01  # seconds of a microphone's pieces
_MOST_WAITING = 1000  # pieces of a microphone
Piece = tuple[Float32Array, float]  # samples, and when the last of them was captured


class Source(Protocol):
    """Speech that arrives.

    Attributes:
        description: what it is, for people.
        samplerate: of its samples, in Hz.
        finished: whether all has been given.
    """

    description: str
    samplerate: int
    finished: bool

    def start(self, now: Callable[[], float]) -> None:
        """Begins: `now` is the clock, which is near 0."""

    def captured(self, now: float) -> Iterator[Piece]:
        """Takes what was captured until now."""

    def stop(self) -> None:
        """Ends it."""


class RecordingSource:
    """A recording, played by the clock from its start.

    Args:
        path: any recording or film with sound.
        samplerate: rate at which it is given, in Hz.
        repeats: whether it begins again at its end.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, path: Path, samplerate: int, repeats: bool = False) -> None:
        seconds = read_header(path).duration
        self.description = f"{path.name} ({seconds:.1f} s{', again and again' if repeats else ''})"
        self.samplerate, self.finished = samplerate, False
        self._blocks = (
            block for _ in (count() if repeats else range(1)) for block in stream_mono(path, samplerate) if len(block)
        )
        self._rest = np.zeros(0, np.float32)
        self._given = 0  # samples

    def start(self, now: Callable[[], float]) -> None:
        """Begins at 0, whatever the clock shows."""

    def captured(self, now: float) -> Iterator[Piece]:
        """Gives the samples until now as one piece.

        Raises:
            UserError: the recording is damaged.
        """
        missing = math.floor(now * self.samplerate) - self._given
        while len(self._rest) < missing and not self.finished:
            block = next(self._blocks, None)
            self.finished = block is None
            if block is not None:
                self._rest = np.concatenate([self._rest, block])
        piece, self._rest = self._rest[:missing], self._rest[max(missing, 0) :]
        if missing > 0 and len(piece):
            self._given += len(piece)
            yield piece, self._given / self.samplerate

    def stop(self) -> None:
        """Ends the recording here."""
        self.finished = True
        self._blocks.close()
        self._rest = self._rest[:0]


class MicrophoneSource:
    """A microphone, through PortAudio.

    Args:
        device: a part of its name, or its number; None: the system's.

    Raises:
        UserError: `sounddevice` or PortAudio is not installed, or there is no such microphone.
    """

    def __init__(self, device: str | None = None) -> None:
        require("--microphone", "live", modules=["sounddevice"])
        try:
            import sounddevice
        except OSError as error:  # the package is there, its library is not
            raise UserError(
                f"--microphone needs PortAudio, which cannot be loaded: {error}",
                hint="Install it, on Debian and Ubuntu: sudo apt install libportaudio2",
            ) from error
        self._errors: tuple[type[Exception], ...] = (sounddevice.PortAudioError, ValueError)
        self._pieces: queue.Queue[Piece] = queue.Queue(_MOST_WAITING)
        self._now: Callable[[], float] = lambda: 0.0
        self.finished = False
        chosen = int(device) if device is not None and device.isdecimal() else device
        try:
            found = sounddevice.query_devices(chosen, "input")
            self.samplerate = round(found["default_samplerate"])
            self._stream = sounddevice.InputStream(
                samplerate=self.samplerate,
                blocksize=round(_BLOCK * self.samplerate),
                device=chosen,
                channels=1,
                dtype="float32",
                latency="low",
                callback=self._take,
            )
        except self._errors as error:
            raise _no_microphone(sounddevice, device, error) from error
        self.description = f"microphone {found['name']} ({self.samplerate:,} Hz)"

    def start(self, now: Callable[[], float]) -> None:
        """Opens the microphone.

        Raises:
            UserError: it cannot be opened.
        """
        self._now = now
        try:
            self._stream.start()
        except self._errors as error:
            raise UserError(
                f"the microphone cannot be opened: {error}",
                hint="Close the program that uses it, or allow the terminal to use it in the system's settings.",
            ) from error

    def _take(self, samples: Any, _frames: int, _time: Any, status: Any) -> None:
        """Called in PortAudio's thread, with float32 `[samples, 1]` that it uses again."""
        if status.input_overflow:
            LOGGER.debug("the microphone lost samples")
        try:
            self._pieces.put_nowait((samples[:, 0].copy(), self._now()))
        except queue.Full:
            LOGGER.debug("samples of the microphone were dropped")

    def captured(self, now: float) -> Iterator[Piece]:
        """Takes the pieces that have arrived."""
        while True:
            try:
                yield self._pieces.get_nowait()
            except queue.Empty:
                return

    def stop(self) -> None:
        """Closes the microphone; what it has captured is there."""
        self.finished = True
        self._stream.close()


def _no_microphone(sounddevice: Any, device: str | None, error: Exception) -> UserError:
    inputs = [each["name"] for each in sounddevice.query_devices() if each["max_input_channels"] > 0]
    if not inputs:
        return UserError("this machine has no microphone", hint="Connect one, or give a recording: --audio speech.wav")
    asked = "the microphone" if device is None else f"microphone {device!a}"
    return UserError(f"{asked} cannot be used: {error}", hint=f"There are: {'; '.join(inputs)}")
