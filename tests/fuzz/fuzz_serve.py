"""Coverage-guided fuzzing of the service's messages, on demand.

    python -m pip install atheris
    python tests/fuzz/fuzz_serve.py --seconds 60

An input is a conversation: messages, each behind two bytes with its length. It must end with a UserError, or with
answers that can be read; anything else ends the run with the input in a file `crash-*` in the current folder. A slow
input (over five seconds) and one that takes memory ends it as well.
"""

from __future__ import annotations

import argparse
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("This needs atheris, which is not installed. Run: python -m pip install atheris")

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serve"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "inference"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "model_folder"))
with atheris.instrument_imports(include=["audio2face.serve"]):
    from audio2face.serve import wire
    from audio2face.serve.conversation import Conversation, Limits, work_together
    from audio2face.serve.faces import Face, FaceOptions, open_faces

from by_hand import END, Frame, float32, float_map, header, number, sound
from small_graphs import write_graph
from small_models import STREAMING, write_model

from audio2face.errors import UserError

MOST_MEMORY_MB = 1024


def packed(messages: Sequence[bytes]) -> bytes:
    """A conversation as an input."""
    return b"".join(struct.pack("<H", len(message)) + message for message in messages)


def unpacked(data: bytes) -> Iterator[bytes]:
    """The messages of an input; the last one may be cut off."""
    while len(data) >= 2:
        stop = 2 + struct.unpack("<H", data[:2])[0]
        yield data[2:stop]
        data = data[stop:]


def seeds() -> list[bytes]:
    """Conversations that succeed."""
    speech, keys = bytes(range(256)) * 12, [(0.0, {"joy": 1.0}), (0.05, {"anger": 0.5})]
    parameters = {
        "face": float_map(1, {"skinStrength": 1.0, "blinkOffset": 0.2}),
        "post": float32(1, 1.0) + number(6, 3),
        "weights": float_map(1, {"JawOpen": 1.0}) + float_map(2, {"MouthLeft": 0.1}) + number(3, 1),
        "emotion": float32(1, 0.5) + float_map(2, {"joy": 1.0}),
    }
    plain = [header(), sound(speech), END]
    return [packed(plain), packed([header(48_000, **parameters), sound(speech, keys), sound(speech), END])]


def converse(face: Face, data: bytes) -> None:
    """One input."""
    conversation = Conversation(face, Limits(seconds=2.0))
    for message in unpacked(data):
        try:
            conversation.accept(message)
        except UserError:
            return
        while conversation.has_work:
            (made,) = work_together([conversation.take()])
            if isinstance(made, UserError):
                return
            if isinstance(made, Exception):
                raise made
            for frame in made:
                assert len(Frame(frame.data).weights) == len(face.names)
    if conversation.request is not None:
        wire.parse("controller.AnimationDataStream", conversation.header)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzzes the messages of the service.")
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        write_model(folder / "model", STREAMING)
        write_graph(folder / "model/network.onnx", STREAMING)
        face = next(iter(open_faces([folder / "model"], FaceOptions()).values()))
        (folder / "seeds").mkdir()
        for place, seed in enumerate(seeds()):
            converse(face, seed)
            (folder / f"seeds/{place}").write_bytes(seed)
        limits = [f"-max_total_time={chosen.seconds}", "-timeout=5", f"-rss_limit_mb={MOST_MEMORY_MB}", "-max_len=8192"]
        atheris.Setup([sys.argv[0], *limits, str(folder / "seeds")], lambda data: converse(face, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
