"""The server over a real socket, driven with bytes: services, statuses, limits, keys, TLS, pace and its end."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from by_hand import CONTROLLER, END, Frame, block, float32, float_map, header, kind, number, read, sound, status
from running import Running, connected, running

from audio2face.errors import UserError
from audio2face.serve.access import Keys, Tls
from audio2face.serve.calls import WAITING, Pace
from audio2face.serve.conversation import DATA_AFTER_END, NO_HEADER, Limits
from audio2face.serve.faces import Face, FaceOptions, open_faces

Speech = Callable[..., bytes]
Metadata = Sequence[tuple[str, str]]
DATA = Path(__file__).parents[1] / "data/serve"
BURST = Pace(None)
HEALTH, AUTHORING = "/grpc.health.v1.Health/", "/nvidia_ace.services.a2f_authoring.v1.A2FAuthoringService/"
CONFIGS = "/nvidia_ace.services.a2x_export_config.v1.A2XExportConfigService/GetConfigs"
VERSION = "/nvidia_ace.services.version.v1.VersionInformationService/GetVersionInformation"


def stream(channel: grpc.Channel, messages: Iterable[bytes], metadata: Metadata = ()) -> Any:
    return channel.stream_stream(CONTROLLER)(iter(messages), metadata=metadata, timeout=30)


def refused(answers: Iterable[bytes]) -> tuple[list[bytes], grpc.RpcError]:
    """What arrives before a stream is refused, and the error."""
    arrived: list[bytes] = []
    with pytest.raises(grpc.RpcError) as caught:
        arrived.extend(answers)
    return arrived, caught.value


def call(channel: grpc.Channel, method: str, request: bytes, metadata: Metadata = ()) -> bytes:
    answer: bytes = channel.unary_unary(method)(request, metadata=metadata, timeout=30)
    return answer


class Sender:
    """Messages of a client that sends when it is told to."""

    def __init__(self, *messages: bytes) -> None:
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.send(*messages)

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self._messages.put(message)

    def close(self) -> None:
        self._messages.put(None)

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._messages.get()) is not None:
            yield message


def test_a_stream_from_header_to_success(faces: dict[str, Face], speech: Speech) -> None:
    """As the sample client: it never closes its side, and the server ends the call."""
    data = speech(1.0)
    with running(faces, pace=BURST) as server, connected(server) as channel, closing(Sender()) as sender:
        sender.send(header(), sound(data[:9001]), sound(data[9001:]), sound(b""), END)
        answers = list(stream(channel, sender))
    assert [kind(answer) for answer in answers] == ["header", *["frame"] * 30, "event", "status"]
    assert status(answers[-1])[0] == 0
    frames = [Frame(answer) for answer in answers[1:31]]
    assert b"".join(frame.sound for frame in frames) == data
    assert server.server.metrics.ended == {"OK": 1}
    assert server.server.metrics.frames == 30


@pytest.mark.parametrize(
    ("messages", "code", "text"),
    [
        ([sound(b"ab")], "INVALID_ARGUMENT", NO_HEADER),
        ([], "INVALID_ARGUMENT", NO_HEADER),
        ([header(), header()], "INVALID_ARGUMENT", "second header"),
        ([b"\xff\xff"], "INVALID_ARGUMENT", "cannot be decoded"),
        ([header(face=float_map(1, {"skinStrength": 9.0}))], "INVALID_ARGUMENT", "from 0 to 2"),
        ([header(), sound(bytes(64_002))], "RESOURCE_EXHAUSTED", "longer than 2 s"),
        ([header(), sound(bytes(2), [(0.0, {"joy": 7.0})]), END], "INVALID_ARGUMENT", "'joy'"),
    ],
)
def test_a_mistake_is_answered_with_a_message_and_a_status(
    faces: dict[str, Face], messages: list[bytes], code: str, text: str
) -> None:
    with running(faces, pace=BURST, limits=Limits(seconds=2.0)) as server, connected(server) as channel:
        arrived, error = refused(stream(channel, messages))
    assert (error.code().name, text in error.details()) == (code, True), error.details()
    assert status(arrived[-1])[0] == 3
    assert text in status(arrived[-1])[1]


def test_notes_and_warnings_come_before_the_end(faces: dict[str, Face], speech: Speech) -> None:
    with running(faces, pace=BURST) as server, connected(server) as channel:
        answers = list(stream(channel, [header(post=number(6, 3)), sound(speech(0.5)), END, sound(b"ab")]))
    said = [status(answer) for answer in answers if kind(answer) == "status"]
    assert [code for code, _ in said] == [1, 2, 0]
    assert "max_emotions" in said[0][1]
    assert said[1][1] == DATA_AFTER_END


def test_a_message_that_is_too_large_a_stream_too_many_and_a_silent_client(faces: dict[str, Face]) -> None:
    limits = Limits(idle=0.6)
    with (
        running(faces, max_streams=1, max_message=100_000, limits=limits) as server,
        connected(server) as channel,
        closing(Sender(header())) as sender,
    ):
        silent = stream(channel, sender)
        assert kind(next(silent)) == "header"
        _, error = refused(stream(channel, [header()]))
        assert (error.code().name, "1 streams" in error.details()) == ("RESOURCE_EXHAUSTED", True)
        arrived, error = refused(silent)
        assert error.code().name == "DEADLINE_EXCEEDED"
        assert status(arrived[-1])[0] == 3
        _, error = refused(stream(channel, [header(), sound(bytes(200_000))]))
        assert error.code().name == "RESOURCE_EXHAUSTED"


def test_maya_which_sends_all_before_it_reads_hears_something_every_three_seconds(faces: dict[str, Face]) -> None:
    with running(faces) as server, connected(server) as channel, closing(Sender(header())) as sender:
        answers = stream(channel, sender)
        assert kind(next(answers)) == "header"
        started = time.monotonic()
        assert status(next(answers)) == (1, WAITING)
        assert time.monotonic() - started < 3.2
        sender.send(END)
        assert [kind(answer) for answer in answers][-2:] == ["event", "status"]


def test_frames_come_at_the_pace_of_the_sound(faces: dict[str, Face], speech: Speech) -> None:
    """2 s of sound, sent at once: the last frame comes no earlier than its time less the lead; in a burst it does."""
    taken = []
    for pace in (Pace(0.2), BURST):
        with running(faces, pace=pace) as server, connected(server) as channel:
            started = time.monotonic()
            answers = list(stream(channel, [header(), sound(speech(2.0)), END]))
            taken.append(time.monotonic() - started)
            assert len(answers) == 63
    assert taken[0] >= 59 / 30 - 0.2
    assert taken[1] < taken[0]


@pytest.mark.parametrize("family", ["faces", "live_faces"])
def test_a_client_that_does_not_read_or_dies_holds_up_nobody(
    family: str, speech: Speech, request: pytest.FixtureRequest
) -> None:
    """The one does not take 100 s of answers; the other vanishes with its connection."""
    long, narrow = (
        [header(), sound(speech(100.0)), END],
        {"grpc.http2.bdp_probe": 0, "grpc.use_local_subchannel_pool": 1},
    )
    with (
        running(request.getfixturevalue(family), pace=BURST, limits=Limits(idle=1.0)) as server,
        connected(server) as channel,
        connected(server, **narrow) as narrow_channel,
    ):
        lazy = stream(narrow_channel, long)
        next(lazy)
        with connected(server, **narrow) as other:
            next(stream(other, long))
        answers = list(stream(channel, [header(), sound(speech(0.5)), END]))
        assert kind(answers[-1]) == "status"
        ended = server.server.metrics.ended
        _wait_until(lambda: ended["CANCELLED"] == 1 and ended["DEADLINE_EXCEEDED"] == 1, 60)
        assert server.server.metrics.active == 0


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_streams_finish_when_the_server_ends_and_new_ones_are_sent_away(faces: dict[str, Face], speech: Speech) -> None:
    with running(faces, metrics_port=0) as server, connected(server) as channel, closing(Sender()) as sender:
        sender.send(header(), sound(speech(1.0)))
        answers = stream(channel, sender)
        next(answers)
        watched = channel.unary_stream(HEALTH + "Watch")(b"", timeout=30)
        assert read(next(watched)) == {1: [1]}
        assert _get(server, "/healthz") == (200, "serving\n")
        server.stop()
        assert [read(answer) for answer in watched] == [{1: [2]}]
        assert _get(server, "/healthz")[0] == 503
        _, error = refused(stream(channel, [header()]))
        assert error.code().name == "UNAVAILABLE"
        sender.send(END)
        assert status(list(answers)[-1])[0] == 0


def test_health_version_and_configurations(models: dict[str, Path]) -> None:
    faces = open_faces([models["diffusion"]], FaceOptions())
    with running(faces) as server, connected(server) as channel:
        controller = CONTROLLER.split("/")[1].encode()
        assert [read(call(channel, HEALTH + "Check", request)) for request in (b"", block(1, controller))] == [
            {1: [1]},
            {1: [1]},
        ]
        _, error = refused([call(channel, HEALTH + "Check", block(1, b"other"))] for _ in range(1))
        assert error.code().name == "NOT_FOUND"
        assert read(call(channel, VERSION, b""))[1][0].startswith(b"0.")
        files = [read(answer) for answer in channel.unary_stream(CONFIGS)(number(1, 1), timeout=30)]
        assert [file[1][0].decode() for file in files] == [f"{name}_stylization_config.json" for name in ("ada", "ben")]
        content = json.loads(files[0][2][0])
        assert content["a2f"]["face_params"]["skinStrength"] == 1.1
        assert content["a2f"]["blendshape_params"]["weight_multipliers"]["MouthRight"] == 1.5
        as_yaml, _ = channel.unary_stream(CONFIGS)(b"", timeout=30)
        assert yaml.safe_load(read(as_yaml)[2][0]) == content


def test_a_clip_is_posed_at_any_time_as_its_stream(faces: dict[str, Face], speech: Speech) -> None:
    data = speech(1.0)
    with running(faces, pace=BURST) as server, connected(server) as channel:
        frames = [
            Frame(answer)
            for answer in stream(channel, [header(emotion=float_map(2, {"joy": 1.0})), sound(data), END])
            if kind(answer) == "frame"
        ]
        handle = read(call(channel, AUTHORING + "UploadAudioClip", block(1, header()[4:]) + block(2, data)))
        assert (len(handle[1][0]), len(handle[2])) == (64, 68)
        for place in (20, 3):
            request = block(1, handle[1][0]) + float_map(2, {"joy": 1.0}) + float32(3, place / 30)
            pose = read(call(channel, AUTHORING + "GetAvatarFacePose", request))
            assert pose[1][0] == b"".join(float32(0, weight)[1:] for weight in frames[place].weights)
        _, error = refused([call(channel, AUTHORING + "GetAvatarFacePose", block(1, b"f" * 64))] for _ in range(1))
        assert error.code().name == "NOT_FOUND"


def test_a_face_is_chosen_by_function_id(faces: dict[str, Face], speech: Speech) -> None:
    messages = [header(), sound(speech(0.4)), END]
    with running(faces, pace=BURST) as server, connected(server) as channel:
        spoken = [
            [Frame(answer).weights for answer in stream(channel, messages, metadata) if kind(answer) == "frame"]
            for metadata in ((), [("function-id", "ada")], [("function-id", "ben")])
        ]
        assert spoken[0] == spoken[1] != spoken[2]
        _, error = refused(stream(channel, messages, [("function-id", "eve")]))
    assert (error.code().name, "ada, ben" in error.details()) == ("NOT_FOUND", True)
    with running({"ben": faces["ben"]}, pace=BURST) as server, connected(server) as channel:
        assert len(list(stream(channel, messages, [("function-id", "eve")]))) > 10  # there is only one


def test_keys(faces: dict[str, Face], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# of the studio\nsecret-secret-secret\n\n")
    (tmp_path / "short").write_text("secret\n")
    with running(faces, keys=Keys.read(tmp_path / "keys")) as server, connected(server) as channel:
        for given in ((), [("authorization", "Bearer other")], [("authorization", "secret-secret-secret")]):
            with pytest.raises(grpc.RpcError) as caught:
                call(channel, VERSION, b"", given)
            assert caught.value.code().name == "UNAUTHENTICATED"
            assert "Unauthenticated" in caught.value.details()  # Maya looks for the word
        assert call(channel, VERSION, b"", [("authorization", "Bearer secret-secret-secret")])
        assert read(call(channel, HEALTH + "Check", b"")) == {1: [1]}  # balancers have no keys
    with pytest.raises(UserError, match="less than 16"):
        Keys.read(tmp_path / "short")


def test_tls_with_certificates_of_both(faces: dict[str, Face]) -> None:
    ca, chain, key = ((DATA / name).read_bytes() for name in ("ca.pem", "client.pem", "client.key"))
    with running(faces, tls=Tls(DATA / "server.pem", DATA / "server.key", DATA / "ca.pem")) as server:
        for credentials, works in (
            (grpc.ssl_channel_credentials(ca, key, chain), True),
            (grpc.ssl_channel_credentials(ca), False),
        ):
            with grpc.secure_channel(server.address, credentials) as channel:
                if works:
                    assert read(call(channel, HEALTH + "Check", b"")) == {1: [1]}
                else:
                    with pytest.raises(grpc.RpcError):
                        call(channel, HEALTH + "Check", b"")


def test_a_port_in_use_is_one_clear_error(faces: dict[str, Face]) -> None:
    with running(faces) as server, pytest.raises(UserError, match="in use"), running(faces, port=server.server.port):
        pass


def test_metrics(faces: dict[str, Face], speech: Speech) -> None:
    with running(faces, metrics_port=0) as server, connected(server) as channel:
        list(stream(channel, [header(), sound(speech(0.5)), END]))
        refused(stream(channel, [END]))
        ended = server.server.metrics.ended  # is counted after the client has its answer
        _wait_until(lambda: sum(ended.values()) == 2, 10)
        code, text = _get(server, "/metrics")
        assert _get(server, "/")[0] == 404
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert code == 200
    assert values["audio2face_serving"] == "1"
    assert values["audio2face_frames_total"] == "15"
    assert values["audio2face_sound_seconds_total"] == "0.5"
    assert values['audio2face_streams_total{code="OK"}'] == "1"
    assert values['audio2face_streams_total{code="INVALID_ARGUMENT"}'] == "1"
    assert values['audio2face_frame_lateness_seconds_bucket{le="+Inf"}'] == "15"


def _get(server: Running, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server.metrics_port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("family", ["faces", "live_faces"])
def test_many_streams_at_once_get_their_own_frames(family: str, speech: Speech, request: pytest.FixtureRequest) -> None:
    """Streams of different sounds, interleaved, have the frames that each has alone."""
    with running(request.getfixturevalue(family), pace=BURST) as server, connected(server) as channel:
        sounds = [speech(1.0)[2 * n :] for n in range(0, 4000, 500)]
        found: dict[int, list[tuple[float, ...]]] = {}

        def listen(place: int) -> None:
            answers = stream(channel, [header(), sound(sounds[place]), END])
            found[place] = [Frame(answer).weights for answer in answers if kind(answer) == "frame"]

        threads = [threading.Thread(target=listen, args=(place,)) for place in range(len(sounds))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        together = dict(found)
        for place in range(len(sounds)):
            listen(place)
    assert found == together
    assert len({tuple(frames[10]) for frames in found.values()}) == len(sounds)


class _Client(threading.Thread):
    """Speaks at real time, and connects again when its stream is lost, until one has come to its end."""

    def __init__(self, address: str, piece: bytes) -> None:
        super().__init__()
        self._address, self._piece = address, piece
        self.lost, self.frames, self.ended = 0, 0, ""

    def run(self) -> None:
        end = time.monotonic() + 60
        while not self.ended and time.monotonic() < end:
            with grpc.insecure_channel(self._address, [("grpc.max_reconnect_backoff_ms", 200)]) as channel:
                try:
                    answers = [kind(answer) for answer in stream(channel, self._messages())]
                    self.frames, self.ended = answers.count("frame"), answers[-1]
                except grpc.RpcError:
                    self.lost += 1
                    time.sleep(0.1)

    def _messages(self) -> Iterator[bytes]:
        yield header()
        for _ in range(90):
            time.sleep(1 / 30)
            yield sound(self._piece)


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_serves_clients_that_connect_again(
    models: dict[str, Path], speech: Speech
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "audio2face", "serve", str(models["streaming"]), "--port", str(port), "--quiet"]

    def start() -> subprocess.Popen[bytes]:
        server = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            grpc.channel_ready_future(channel).result(60)
        return server

    server = start()
    clients = [_Client(f"127.0.0.1:{port}", speech(1 / 30)) for _ in range(12)]
    try:
        for client in clients:
            client.start()
        time.sleep(1.5)
        server.kill()
        server.wait()
        server = start()
        for client in clients:
            client.join()
        server.terminate()
        assert server.wait(30) == 0
    finally:
        server.kill()
    assert all(client.lost >= 1 for client in clients)
    assert [(client.frames, client.ended) for client in clients] == [(90, "status")] * 12
