"""Frames that leave for engines, decoded by readers that know nothing of the writers."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pythonosc.osc_packet import OscPacket
from websockets.sync.client import connect

import audio2face
from audio2face.cli import live as command
from audio2face.dataset.arkit_names import ARKIT_NAMES
from audio2face.errors import UserError
from audio2face.export.arkit import eye_angles
from audio2face.inference.live import HOLD, RELAX, LiveSession
from audio2face.live.frames import EngineFrame, FrameConverter
from audio2face.live.livelink import LiveLinkOutput
from audio2face.live.osc import OscOutput
from audio2face.live.run import Clock, LiveSummary, run_live
from audio2face.live.sources import MicrophoneSource, RecordingSource
from audio2face.live.websocket import WebsocketOutput

RATE = 16_000
START = 1_700_000_000.25  # seconds since 1970
# What Unreal's enumeration EARFaceBlendShape has at these places.
UNREAL = {0: "EyeBlinkLeft", 15: "JawLeft", 16: "JawRight", 17: "JawOpen", 21: "MouthLeft", 43: "BrowInnerUp"}
UNREAL |= {51: "TongueOut", 52: "HeadYaw", 55: "LeftEyeYaw", 56: "LeftEyePitch", 58: "RightEyeYaw", 60: "RightEyeRoll"}


def frame(number: int = 0) -> EngineFrame:
    """A frame whose value at each place tells the place."""
    values = np.arange(61, dtype=np.float32) / 64 + number
    return EngineFrame(number, START + number / 30, values[:52], values[52:])


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


def received(receiver: socket.socket) -> Iterator[bytes]:
    """What has arrived; on the loopback all that was sent has."""
    receiver.setblocking(False)
    try:
        while True:
            yield receiver.recv(4096)
    except BlockingIOError:
        return


class TestClock(Clock):
    """A clock that goes on only by sleeping, and may stumble."""

    __test__ = False

    def __init__(self, stumble: float | None = None) -> None:
        self.time, self.stumble = 100.0, stumble

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return START

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        if self.stumble is not None and self.time > 100 + self.stumble:
            self.time, self.stumble = self.time + 0.5, None


class Kept:
    """An output that keeps frames."""

    target = "nowhere"

    def __init__(self) -> None:
        self.sent = 0
        self.frames: list[EngineFrame] = []

    def send(self, frame: EngineFrame) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        """Nothing is open."""


def read_live_link(datagram: bytes) -> tuple[str, str, tuple[int, float, int, int], tuple[float, ...]]:
    """Reads a packet as Unreal does: each field in network order, strings by their length, nothing left over."""
    assert datagram[0] == 6
    place, texts = 1, []
    for _ in range(2):
        (length,) = struct.unpack_from("!i", datagram, place)
        texts.append(datagram[place + 4 : place + 4 + length].decode("ascii"))
        place += 4 + length
    number, part, numerator, denominator, count = struct.unpack_from("!ifiiB", datagram, place)
    values = struct.unpack_from(f"!{count}f", datagram, place + 17)
    assert (count, len(datagram)) == (61, place + 17 + 4 * 61)
    return texts[0], texts[1], (number, part, numerator, denominator), values


def read_message(message: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Reads a websocket message: facts, and the values of the face."""
    magic, text, data = struct.unpack_from("<4sII", message)
    assert (magic, len(message)) == (b"JBIN", 12 + text + data)
    facts = json.loads(message[12 : 12 + text])
    record = facts["data_records"]["arkit_face"]
    assert (record["data_type"], record["timeline_axis"], record["channel_axis"]) == ("float32", 0, 1)
    start = 12 + text + record["data_offset"]
    return facts, np.frombuffer(message[start:], "<f4").reshape(record["shape"])


def test_osc_has_each_shape_and_the_moment(receiver: socket.socket) -> None:
    output = OscOutput("127.0.0.1", receiver.getsockname()[1], "/avatar/parameters/")
    output.send(frame())
    output.close()
    datagrams = list(received(receiver))
    assert max(map(len, datagrams)) <= 1400
    timed = [each for datagram in datagrams for each in OscPacket(datagram).messages]
    found = {each.message.address: each.message.params for each in timed}
    assert len(timed) == len(found) == 52 + 4
    for index, name in enumerate(ARKIT_NAMES):
        assert found[f"/avatar/parameters/{name}"] == [index / 64]
    assert found["/avatar/parameters/leftEyePitch"] == [56 / 64]
    assert found["/avatar/parameters/rightEyeYaw"] == [58 / 64]
    for datagram in datagrams:  # OSC counts seconds from 1900, and 2^-32 of them
        assert datagram[:8] == b"#bundle\0"
        seconds, part = struct.unpack_from("!II", datagram, 8)
        assert seconds - 2_208_988_800 + part / 2**32 == pytest.approx(START, abs=1e-5)


def test_live_link_is_what_unreal_reads(receiver: socket.socket) -> None:
    output = LiveLinkOutput("127.0.0.1", receiver.getsockname()[1], "mary", Fraction(30))
    for number in range(3):
        output.send(frame(number))
    output.close()
    packets = [read_live_link(datagram) for datagram in received(receiver)]
    assert output.sent == len(packets) == 3
    device, subject, (first, part, *rate), values = packets[0]
    assert (len(device), subject, part, rate) == (36, "mary", 0, [30, 1])
    local = time.localtime(START)
    assert first == round(30 * (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec + 0.25))
    assert [packet[2][0] for packet in packets] == [first, first + 1, first + 2]
    assert all(values[place] == place / 64 for place in range(61))
    for place, name in UNREAL.items():
        if place < 52:
            assert ARKIT_NAMES[place] == name[0].lower() + name[1:]


def test_frames_go_on_at_midnight(receiver: socket.socket) -> None:
    local = time.localtime(START)
    midnight = START - 0.25 - (local.tm_hour * 3600 + local.tm_min * 60 + local.tm_sec) + 86_400
    output = LiveLinkOutput("127.0.0.1", receiver.getsockname()[1], "mary", Fraction(30))
    for number in range(2):
        output.send(EngineFrame(number, midnight + (number - 1) / 30, frame().weights, frame().angles))
    output.close()
    assert [read_live_link(each)[2][0] for each in received(receiver)] == [86_400 * 30 - 1, 0]


def test_eyes_have_the_signs_of_the_app() -> None:
    right_down, left_to_their_left = 10.0, 20.0  # degrees: pitch of the right eye, yaw of the left
    angles = eye_angles(np.array([[right_down, 0, 0, left_to_their_left]], np.float32))[0]
    expected = np.zeros(9)
    expected[3], expected[7] = -np.radians(left_to_their_left), np.radians(right_down)
    np.testing.assert_allclose(angles, expected, atol=1e-6)


def test_websocket_serves_what_the_renderer_reads() -> None:
    output = WebsocketOutput("127.0.0.1", 0, "mary", 30.0)
    output.send(frame())  # nobody listens yet
    with connect(output.target.removeprefix("websocket ")) as client:
        messages = [read_message(client.recv(5))]  # type: ignore[arg-type]
        for number in range(3):
            output.send(frame(number))
        threading.Thread(target=output.close).start()
        messages += [read_message(message) for message in client]  # type: ignore[arg-type]
    definition, zeros = messages[0]
    record = definition["data_records"]["arkit_face"]
    assert (record["sample_rate"], zeros.shape, zeros.any()) == (30.0, (1, 52), False)
    assert sorted(record["channel_names"]) == sorted(ARKIT_NAMES)
    assert record["channel_names"].index("eyeBlinkLeft") == 8  # the order of OpenAvatarChat's own network
    for number, (facts, values) in enumerate(messages[1:4]):
        assert (facts["start_of_batch"], facts["end_of_batch"]) == (number == 0, False)
        for name, value in zip(record["channel_names"], values[0], strict=True):
            assert value == ARKIT_NAMES.index(name) / 64 + number
    assert (len(messages), messages[4][0]["end_of_batch"], messages[4][1].shape) == (5, True, (0, 52))
    assert output.sent == 3


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_page_of_the_guide_reads_the_messages() -> None:
    guide = (Path(__file__).parents[2] / "docs/live.md").read_text(encoding="utf-8")
    code = guide.split("```javascript\n")[1].split("```")[0]
    output = WebsocketOutput("127.0.0.1", 0, "mary", 30.0)
    with connect(output.target.removeprefix("websocket ")) as client:
        messages = [client.recv(5)]
        output.send(frame(1))
        messages.append(client.recv(5))
    output.close()
    sent = [base64.b64encode(message).decode() for message in messages]  # type: ignore[arg-type]
    page = f"""globalThis.WebSocket = class {{}};
const mesh = {{ morphTargetDictionary: {{ jawOpen: 0, tongueOut: 1 }}, morphTargetInfluences: [9, 9] }};
{code}
for (const text of {json.dumps(sent)}) {{
  const bytes = Buffer.from(text, "base64");
  socket.onmessage({{ data: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) }});
}}
console.log(mesh.morphTargetInfluences.join(" "));
"""
    done = subprocess.run(["node", "-"], input=page, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ARKIT_NAMES.index(name) / 64 + 1) for name in ("jawOpen", "tongueOut")]


def test_a_client_that_does_not_read_delays_nobody() -> None:
    output = WebsocketOutput("127.0.0.1", 0, "mary", 30.0)
    with connect(output.target.removeprefix("websocket "), max_queue=1) as slow:
        slow.recv(5)
        began = time.monotonic()
        for number in range(5000):
            output.send(frame(number))
        assert time.monotonic() - began < 5
        assert output.num_clients == 1
        threading.Thread(target=output.close).start()
        numbers = [int(read_message(message)[1][0, 0]) for message in slow if len(message) > 500]  # type: ignore[arg-type]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 4999


def open_session(folder: Path) -> LiveSession:
    return audio2face.load(folder, device="cpu").live(RATE, actor="ada", blinks=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """1.5 seconds of noise at 16 kHz."""
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 24_000).astype(np.float32), RATE, subtype="FLOAT")
    return path


def run(
    folder: Path, recording: Path, clock: Clock, is_stopped: Callable[[], bool] = lambda: False, repeats: bool = False
) -> tuple[list[EngineFrame], LiveSummary, LiveSession]:
    session, kept = open_session(folder), Kept()
    summary = run_live(session, RecordingSource(recording, RATE, repeats), [kept], is_stopped, clock)
    return kept.frames, summary, session


def test_a_recording_is_played_by_the_clock(folder: Path, recording: Path) -> None:
    frames, summary, session = run(folder, recording, TestClock())
    assert [each.number for each in frames] == list(range(len(frames)))
    assert [each.shown - START for each in frames] == pytest.approx(
        [session.wait + number / 30 for number in range(len(frames))], abs=1e-5
    )
    assert abs(len(frames) - 30 * (1.5 + HOLD + RELAX)) <= 5
    assert (summary.frames, summary.late, summary.held, summary.gaps) == (len(frames), 0, 0, 0)
    weights = np.stack([each.weights for each in frames])
    moving = {ARKIT_NAMES[index] for index in np.flatnonzero(np.ptp(weights, axis=0) > 1e-3)}
    assert moving
    assert moving <= {"jawOpen", "mouthLeft"}  # the poses of the model that are solved

    other = open_session(folder)  # the same by hand
    convert = FrameConverter(other.weight_names["skin"])
    next(other.frames(0.0), None)
    audio = soundfile.read(recording, dtype="float32")[0]
    given, expected = 0, []
    for number in range(40):
        now = number / 30 + other.wait
        until = min(int(now * RATE), len(audio))
        if until > given:
            other.push(audio[given:until], until / RATE)
        given = until
        expected += [convert(each, 0, 0.0).weights for each in other.frames(now + 1e-9)]
    np.testing.assert_allclose(weights[:40], expected, atol=1e-6)


def test_late_frames_are_counted_and_none_is_lost(folder: Path, recording: Path) -> None:
    frames, summary, _ = run(folder, recording, TestClock(stumble=0.8))
    assert [each.number for each in frames] == list(range(len(frames)))
    assert summary.late == 14  # half a second at 30 frames a second, but for one that is late by less than a frame


def test_stopping_closes_the_mouth_in_time(folder: Path, recording: Path) -> None:
    clock = TestClock()
    frames, _, session = run(folder, recording, clock, lambda: clock.time > 105, repeats=True)
    assert 5 < clock.time - 100 < 5 + session.wait + HOLD + RELAX + 0.1
    rest = open_session(folder)
    next(rest.frames(0.0), None)
    (first, *_) = rest.frames(1.0)
    np.testing.assert_allclose(
        frames[-1].weights, FrameConverter(rest.weight_names["skin"])(first, 0, 0).weights, atol=0.02
    )


def test_the_command_sends_to_all_and_sums_up(
    folder: Path, recording: Path, receiver: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    port = receiver.getsockname()[1]
    words = [str(folder), "--audio", str(recording), "--actor", "ada", "--device", "cpu"]
    assert command.main([*words, "--livelink", f"127.0.0.1:{port}", "--osc", "127.0.0.1:9", "--subject", "eve"]) == 0
    packets = [read_live_link(datagram) for datagram in received(receiver)]
    assert {packet[1] for packet in packets} == {"eve"}
    assert np.diff([packet[2][0] for packet in packets]).tolist() == [1] * (len(packets) - 1)
    shown = capsys.readouterr().out
    assert f"{len(packets)} to Live Link subject eve to 127.0.0.1:{port}" in shown
    assert f"{len(packets)} to OSC /face/" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--audio", "a.wav"], "at least one of --osc, --livelink and --websocket"),
        (["--osc", "127.0.0.1:9"], "--microphone"),
        (["--audio", "a.wav", "--osc", "9000"], "is not HOST:PORT, such as 127.0.0.1:9000"),
        (["--audio", "a.wav", "--osc", "host:70000"], "is not HOST:PORT"),
        (["--audio", "a.wav", "--osc", "h:9", "--osc-prefix", "face"], "is not the start of an OSC address"),
        (["--microphone", "--osc", "h:9", "--loop"], "only a recording"),
        (["--microphone", "--osc", "h:9", "--subject", "mary"], "only --livelink has subjects"),
    ],
)
def test_wrong_arguments_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["model", *words])
    assert message in capsys.readouterr().err


def test_what_cannot_be_used_is_one_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no machine 'no\.such\.host\.invalid'"):
        OscOutput("no.such.host.invalid", 9000)
    taken = WebsocketOutput("127.0.0.1", 0, "mary", 30.0)
    with pytest.raises(UserError, match=f"port {taken.port} of 127.0.0.1 cannot be used"):
        WebsocketOutput("127.0.0.1", taken.port, "mary", 30.0)
    taken.close()
    with pytest.raises(UserError, match="the actor has none"):
        FrameConverter(())
    with pytest.raises(UserError, match="match no column"):
        FrameConverter(("smirk", "scowl"))
    monkeypatch.setattr("audio2face.extras.missing", lambda extra: ["sounddevice"])
    with pytest.raises(UserError, match="--microphone needs what is not installed here: sounddevice"):
        MicrophoneSource()


class FakeSound:
    """The part of `sounddevice` that a microphone uses."""

    class PortAudioError(Exception):
        """As the package's."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.options: dict[str, Any] = {}

    def query_devices(self, device: str | int | None = None, kind: str | None = None) -> Any:
        known = [{"name": name, "max_input_channels": 1, "default_samplerate": 48_000.0} for name in self.names]
        if kind is None:
            return known
        found = [each for each in known if device is None or str(device) in str(each["name"])]
        if not found:
            raise ValueError(f"No input device matching {device!r}")
        return found[0]

    def InputStream(self, **options: Any) -> FakeSound:  # noqa: N802
        self.options = options
        return self

    def start(self) -> None:
        """It is always there."""

    def close(self) -> None:
        """It is always there."""


def test_a_microphone_gives_its_samples_with_their_times(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = FakeSound(["Built-in", "USB mic"])
    monkeypatch.setitem(sys.modules, "sounddevice", sound)  # type: ignore[arg-type]
    monkeypatch.setattr("audio2face.extras.missing", lambda extra: [])
    source = MicrophoneSource("USB")
    assert (source.samplerate, sound.options["blocksize"], sound.options["channels"]) == (48_000, 480, 1)
    source.start(lambda: 2.5)
    block = np.full((480, 1), 0.25, np.float32)
    sound.options["callback"](block, 480, None, type("Status", (), {"input_overflow": False}))
    block[:] = 0  # PortAudio uses its memory again
    ((samples, captured),) = source.captured(3.0)
    assert (samples.shape, samples.min(), captured) == ((480,), 0.25, 2.5)
    source.stop()
    assert source.finished
    with pytest.raises(UserError, match="microphone 'Nope' cannot be used") as caught:
        MicrophoneSource("Nope")
    assert caught.value.hint == "There are: Built-in; USB mic"
    monkeypatch.setitem(sys.modules, "sounddevice", FakeSound([]))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="this machine has no microphone"):
        MicrophoneSource()
