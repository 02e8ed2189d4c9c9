"""A deployed regression network run by ONNX Runtime: windows of audio in, one frame each out; it remembers nothing.

`animate_frames` takes a whole recording through it, at any rate of frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from audio2face.audio import Track
from audio2face.errors import FileFormatError
from audio2face.inference.schedule import FrameSchedule
from audio2face.inference.session import GraphDevice, open_session
from audio2face.model_folder import RegressionInfo
from audio2face.model_folder.network_info import INFO_FILE, open_info
from audio2face.model_folder.trt_info import ONNX_FILE

Float32Array = npt.NDArray[np.float32]
# Audio [batch, samples] and emotions [batch, implicit + explicit] to values [batch, values]; see RegressionGraph.run.
FrameNetwork = Callable[[Float32Array, Float32Array], Float32Array]
_WINDOWS_AT_ONCE = 16


class RegressionGraph:
    """The network.

    Args:
        session: of ONNX Runtime.
        info: what the network takes and gives.
    """

    def __init__(self, session: onnxruntime.InferenceSession, info: RegressionInfo) -> None:
        self._session = session
        self.info = info

    @classmethod
    def open(cls, folder: Path, device: GraphDevice = "cpu") -> RegressionGraph:
        """Loads the network of an exported training run (`<run>/deploy`) or of a deployed folder.

        Raises:
            UserError: there is no such network or device, or (FileFormatError) the folder holds no regression network.
        """
        info = open_info(folder)
        if not isinstance(info, RegressionInfo):
            raise FileFormatError("describes no regression network", path=folder / INFO_FILE)
        return cls(open_session(folder / ONNX_FILE, info, device), info)

    def run(self, windows: Float32Array, emotion: Float32Array) -> Float32Array:
        """Animates windows that need have nothing to do with each other.

        Args:
            windows: audio, times `input_strength`, `[batch, samples]`.
            emotion: implicit emotion, then explicit, `[batch, implicit + explicit]`.

        Returns:
            `[batch, values]`: coefficients of skin and tongue, displacements of the jaw's key points in centimetres,
            rotations of the eyes in degrees.
        """
        result: Float32Array = self._session.run(["result"], {"input": windows[:, None], "emotion": emotion[:, None]})[
            0
        ]
        return result[:, 0]


def animate_frames(
    network: FrameNetwork, info: RegressionInfo, track: Track, emotion: Float32Array, fps: Fraction
) -> Iterator[Float32Array]:
    """Animates a recording; what lies outside of it sounds silent.

    Args:
        network: `RegressionGraph.run`, or the trained network itself.
        info: its windows.
        track: the recording, at the network's rate and level.
        emotion: implicit emotion, then explicit, `[implicit + explicit]`.
        fps: frames per second.

    Yields:
        Values `[n, values]` as `RegressionGraph.run` gives them, one for each frame of the recording; frame i describes
        the sample at floor(i * samplerate / fps).

    Raises:
        UserError: the rate is out of reach.
    """
    schedule = FrameSchedule.of(info, fps)
    windows, count = schedule.windows, schedule.num_frames(len(track.data))
    for first in range(0, count, _WINDOWS_AT_ONCE):
        numbers = range(first, min(first + _WINDOWS_AT_ONCE, count))
        audio = np.stack([track.read(windows.first_sample(number), windows.end_sample(number)) for number in numbers])
        yield network(audio, np.tile(emotion, (len(numbers), 1)))
