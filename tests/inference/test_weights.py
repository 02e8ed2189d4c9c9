"""Weights without the mesh are those of the finished face, and streams that share a call have their own frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from small_graphs import write_graph
from small_models import POSES, STREAMING, write_model

from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.sessions import JointSession, run_windows
from audio2face.inference.step_session import StreamingSession
from audio2face.inference.streaming import AnimationStream, SoundStream
from audio2face.inference.weights import PoseSpace, WeightStream
from audio2face.io.atomic import write_npz
from audio2face.model_folder import DeployedModel
from audio2face.types import Float32Array

RATE = 16_000
TUNED = {
    "lower_face_smoothing": 0.0,
    "upper_face_smoothing": 0.03,
    "lower_face_strength": 1.4,
    "skin_strength": 1.2,
    "eyelid_open_offset": 0.3,
    "lip_open_offset": 0.1,
    "tongue_strength": 0.7,
    "tongue_depth_offset": 0.2,
}


def noise(seconds: float, seed: int = 0) -> Float32Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE)).astype(np.float32)


def pipeline(folder: Path, **options: object) -> AnimationPipeline:
    model = DeployedModel.open(folder)
    return AnimationPipeline(model, AnimationOptions(actor="ada", **options))  # type: ignore[arg-type]


def weights(stream: SoundStream[object, object], audio: Float32Array) -> list[Float32Array]:  # type: ignore[type-var]
    """Weights of skin and tongue, `[frames, poses]`."""
    stream.push(audio)
    stream.finish()
    frames = list(stream.frames())
    parts = ("skin_weights", "tongue_weights")
    return [np.stack([getattr(frame, part) for frame in frames]) for part in parts]


@pytest.mark.parametrize("parameters", [{}, TUNED, {**TUNED, "speech_guard_strength": 0.5}])
@pytest.mark.parametrize("fps", [None, Fraction(25)])
def test_weights_are_those_of_the_finished_face(
    deployed: Path, parameters: dict[str, float], fps: Fraction | None
) -> None:
    made = pipeline(deployed, parameters=parameters, fps=fps, blink_offset=0.1)
    expected = weights(AnimationStream(made), noise(2.0))
    found = weights(WeightStream(PoseSpace(made)), noise(2.0))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert np.ptp(other, axis=0).max() > 0.001  # they move
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_weights_that_the_network_predicts(tmp_path: Path) -> None:
    """The shapes of the solver are those of the network: weights are post-processed and clamped, and not solved."""
    folder = tmp_path / "shapes"
    folder.mkdir()
    info = STREAMING.__class__(**{**vars(STREAMING), "num_shapes_skin": len(POSES)})
    write_model(folder, info)
    write_graph(folder / "network.onnx", info)
    with np.load(folder / "bs_skin_ada.npz") as shapes, np.load(folder / "model_data_ada.npz") as data:
        poses = np.stack([shapes[name] for name in POSES])
        arrays = {**data, "shapes_matrix_skin": poses}
    write_npz(folder / "model_data_ada.npz", arrays)
    made = pipeline(folder, parameters=TUNED, fps=Fraction(25))
    assert made.solved_parts == ("tongue",)
    expected = weights(AnimationStream(made), noise(2.0))
    found = weights(WeightStream(PoseSpace(made)), noise(2.0))
    assert 0 in expected[0]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_pieces_of_any_length_give_the_same_weights(deployed: Path) -> None:
    space, audio = PoseSpace(pipeline(deployed)), noise(2.0)
    whole = weights(WeightStream(space), audio)
    stream, frames = WeightStream(space), []
    for piece in np.split(audio, [1, 700, 701, 9000, 24_000]):
        stream.push(piece)
        frames += list(stream.frames())
    stream.finish()
    frames += list(stream.frames())
    assert np.array_equal(
        np.stack([frame.skin_weights for frame in frames if frame.skin_weights is not None]), whole[0]
    )


class _Unequal:
    """A session whose results depend on the number of rows of a call, as on some processors."""

    def __init__(self, session: object, calls: list[int]) -> None:
        self._session, self._calls = session, calls

    def run(self, names: list[str], feed: dict[str, Float32Array]) -> list[Float32Array]:
        rows = len(feed["window"])
        self._calls.append(rows)
        frames, state = self._session.run(names, feed)  # type: ignore[attr-defined]
        return [frames + np.float32(1e-5 * rows), state]


@pytest.mark.parametrize("equal", [True, False])
def test_streams_that_share_a_call_have_the_frames_that_each_has_alone(streaming: Path, equal: bool) -> None:
    calls: list[int] = []
    made = pipeline(streaming)
    graph = StreamingSession.open(streaming)
    if not equal:
        graph = StreamingSession(_Unequal(graph._session, calls), graph.info)  # type: ignore[arg-type]
    made = AnimationPipeline(made.model, made.settings, graph)
    assert isinstance(graph, JointSession)
    assert graph.has_equal_rows == equal
    calls.clear()
    space, sounds = PoseSpace(made), [noise(0.2 + 0.1 * seed, seed) for seed in range(21)]
    alone = [weights(WeightStream(space), sound)[0] for sound in sounds]
    streams = [WeightStream(space) for _ in sounds]
    for stream, sound in zip(streams, sounds, strict=True):
        stream.push(sound)
        stream.finish()
    shared = 0
    while waiting := [(stream, found) for stream in streams if (found := stream.next_windows()) is not None]:
        shared += len(waiting) > 1
        for (stream, found), values in zip(waiting, run_windows(graph, [found for _, found in waiting]), strict=True):
            stream.accept(found, values)
    assert shared > 10
    together = [np.stack([frame.skin_weights for frame in stream.made_frames()]) for stream in streams]  # type: ignore[misc]
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one, other)
    assert len({found.tobytes() for found in alone}) == len(alone)
    assert equal or set(calls) == {16}
