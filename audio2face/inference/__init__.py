"""A deployed network over time: windows of audio in, frames of motion out. NumPy and ONNX Runtime only.

`Executor` is what consumers use: any deployed folder, several tracks, audio in pieces of any length.
"""

from audio2face.inference.emotion import EmotionCurve, EmotionNames, EmotionSpec
from audio2face.inference.executor import Executor, NetworkOutput, SampleBuffer
from audio2face.inference.noise import Noise, read_noise, repeated_noise, seeded_noise
from audio2face.inference.onnx_session import GraphDevice, best_device, graph_device, set_num_threads
from audio2face.inference.sessions import (
    DiffusionSession,
    DiffusionStream,
    DiffusionTracks,
    NetworkSession,
    NetworkTracks,
    RegressionSession,
    RegressionTracks,
    TrackSettings,
    open_graph,
)
from audio2face.inference.step_session import StreamingSession, StreamingTracks

__all__ = [
    "DiffusionSession",
    "DiffusionStream",
    "DiffusionTracks",
    "EmotionCurve",
    "EmotionNames",
    "EmotionSpec",
    "Executor",
    "GraphDevice",
    "NetworkOutput",
    "NetworkSession",
    "NetworkTracks",
    "Noise",
    "RegressionSession",
    "RegressionTracks",
    "SampleBuffer",
    "StreamingSession",
    "StreamingTracks",
    "TrackSettings",
    "best_device",
    "graph_device",
    "open_graph",
    "read_noise",
    "repeated_noise",
    "seeded_noise",
    "set_num_threads",
]
