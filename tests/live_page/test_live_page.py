"""The page that listens, in a browser: what it computes beside what Python computes, and what a user sees of it."""

from __future__ import annotations

import csv
import http.client
import io
import json
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect
from small_models import REGRESSION, write_model

import audio2face
from audio2face.dataset.arkit_names import LIVE_LINK_NAMES
from audio2face.errors import UserError
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.arrays import read_member, read_members
from audio2face.live_page.face import PageFace
from audio2face.live_page.folder import program_files, write_page_folder
from audio2face.live_page.server import PageServer, offered_formats
from audio2face.live_page.take import export_take
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.streaming import CONFORMANCE_FILE

OpenLive = Callable[[Browser, str], Page]
RATE = 44_100  # of the sound that arrives: neither the network's rate nor a multiple of it

CHECK = """async (steps) => {
  const { live } = await window.live.ready;
  const found = new Promise((resolve) => live.addEventListener("checked", ({ detail }) => resolve(detail)));
  const floats = Object.fromEntries(Object.entries(steps).map(([name, values]) => [name, Float32Array.from(values)]));
  live.worker.postMessage({ kind: "check", steps: floats });
  const { results, state } = await found;
  return { results: results.map((row) => Array.from(row)), state: Array.from(state) };
}"""

# Runs sound and clock of a session by given times, as a test of LiveSession would, with all that the page computes.
FOLLOW = """async ({ sound, rate, events, wait }) => {
  const from = (name) => import(`./program/live_page/web/${name}.js`);
  const [{ loadFace }, { Network }, { Listener }, { Session }, { Animator }] = await Promise.all(
    ["face", "network", "listener", "session", "animator"].map(from));
  const { face, payload } = await loadFace(new URL("model/", location.href));
  const network = await Network.open(face.network, "model/network.onnx", new URL("onnxruntime/", location.href).href);
  const session = new Session(face.session, face.fps, face.open.length, Float32Array.from(face.network.emotion));
  session.wait = wait;
  const listener = new Listener(network, face.fps, face.session.ease, (message) => {
    if (message.kind === "began") session.begin(message.first);
    if (message.kind === "frame") session.add(message);
    if (message.kind === "ended") session.finish();
  });
  listener.listen(rate, 0, false);
  session.onRest = () => listener.restart(session.next);
  const animator = new Animator(face, payload.floats(face.eyes.saccades));
  const samples = Float32Array.from(sound);
  const frames = [];
  for (const { push, ended, now } of events) {
    if (push) await listener.push({ samples: samples.slice(push[0], push[1]), time: now - (push[1] - push[0]) / rate });
    if (ended) await listener.push({ ended: true });
    while (session.next <= session.due(now)) {
      const made = session.advance();
      const { skin, tongue, jaw, eyes, lips, weights } = animator.next(made.values);
      frames.push([skin, tongue, jaw, eyes, [lips], weights, made.emotion].map((values) => Array.from(values)));
    }
  }
  return { frames, held: session.held, gaps: session.gaps };
}"""


def speech(seconds: float) -> np.ndarray:
    """Noise whose loudness rises and falls five times a second."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(1).standard_normal(len(time))
    return (0.2 * noise * np.sin(np.pi * 5 * time) ** 2).astype(np.float32)


def events_of(sound: np.ndarray, gap: tuple[float, float], seconds: float) -> Iterator[dict[str, Any]]:
    """Pieces of 10 ms at their times, none in a gap, an end, and a look at the clock every 20 ms."""
    given, size, has_ended = 0, RATE // 100, False
    for step in range(round(seconds * 100)):
        now = (step + 1) / 100
        event: dict[str, Any] = {"now": now}
        if given + size <= len(sound) and not gap[0] <= now < gap[1]:
            event["push"] = [given, given + size]
            given += size
        elif given + size > len(sound) and not has_ended:
            event["ended"] = has_ended = True
        yield event


@pytest.mark.parametrize("kind", ["", "posed_"])
def test_browser_computes_what_python_computes(
    browser: Browser, open_live: OpenLive, request: pytest.FixtureRequest, kind: str
) -> None:
    address, folder, face = (request.getfixturevalue(f"{kind}{name}") for name in ("address", "folder", "face"))
    assert (face.pipeline.face.shapes is not None) == bool(kind)
    page, sound = open_live(browser, address), speech(2.0)
    events = list(events_of(sound, (0.6, 1.3), 4.0))
    session = audio2face.load(folder, "cpu").live(RATE, actor="ada", emotion="joy=0.5")
    expected = []
    list(session.frames(0.0))
    for event in events:
        if "push" in event:
            session.push(sound[slice(*event["push"])], event["now"])
        if "ended" in event:
            session.finish()
        expected += session.frames(event["now"])
    found = page.evaluate(FOLLOW, {"sound": sound.tolist(), "rate": RATE, "events": events, "wait": session.wait})
    assert len(found["frames"]) == len(expected) > 100
    assert found["gaps"] == session.gaps == 1
    assert found["held"] == session.held
    skin, tongue, jaw, eyes, lips, weights, emotion = (np.array(part) for part in zip(*found["frames"], strict=True))
    assert np.ptp(lips) > (0.5 if kind else 5)  # the mouth did something
    posed = face.skin(skin.astype(np.float32))
    assert np.abs(posed - [frame.skin for frame in expected]).max() < 2e-4  # centimetres
    np.testing.assert_allclose(lips[:, 0], 10 * lip_heights(posed), atol=1e-3)
    np.testing.assert_allclose(jaw.reshape(-1, 4, 4), [frame.jaw for frame in expected], atol=1e-5)
    np.testing.assert_allclose(eyes, [frame.eyes for frame in expected], atol=1e-4)
    np.testing.assert_allclose(weights, [frame.skin_weights for frame in expected], atol=1e-3)
    np.testing.assert_allclose(emotion, [frame.emotion for frame in expected], atol=1e-6)
    in_jaw = face.tongue(tongue.astype(np.float32))
    carried = (
        np.einsum("fij,fvj->fvi", jaw.reshape(-1, 4, 4)[:, :3, :3], in_jaw) + jaw.reshape(-1, 4, 4)[:, None, :3, 3]
    )
    np.testing.assert_allclose(carried, [frame.tongue for frame in expected], atol=2e-4)


def lip_heights(skin: np.ndarray) -> np.ndarray:
    return (skin[:, [1, 2], 1] - skin[:, [5, 6], 1]).mean(axis=1)


def test_conformance_vectors(browser: Browser, address: str, open_live: OpenLive, folder: Path) -> None:
    page, members = open_live(browser, address), read_members(folder / CONFORMANCE_FILE)
    vectors = {name: read_member(folder / CONFORMANCE_FILE, member) for name, member in members.items()}
    inputs = {"windows": "window", "identity": "identity", "emotion": "emotion"}
    found = page.evaluate(CHECK, {name: vectors[own].ravel().tolist() for name, own in inputs.items()})
    np.testing.assert_allclose(found["results"], vectors["result"], atol=1e-5)
    np.testing.assert_allclose(found["state"], vectors["final_state"], atol=1e-5)


@pytest.fixture(scope="module")
def microphone(start_browser: Callable[..., Browser], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone is a recording: a second of silence, four of noise, silence."""
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    silence = np.zeros(48_000)
    noise = 0.3 * np.random.default_rng(0).standard_normal(4 * 48_000)  # long enough for a machine with other work
    soundfile.write(path, np.concatenate([silence, noise, silence]), 48_000)
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    opened = start_browser(*fake, f"--use-file-for-fake-audio-capture={path}%noloop")
    yield opened
    opened.close()


WATCH = """async () => {
  const { live } = await window.live.ready;
  window.seen = [];
  live.addEventListener("frame", ({ detail }) => window.seen.push([detail.number, detail.pose.lips]));
  live.addEventListener("taken", ({ detail }) => { window.taken = detail.frames.map(({ pose }) => pose.lips); });
}"""
SPOKEN = "window.seen.some(([, lips]) => lips > window.live.live.motion.rest.lips + 5)"
CLOSED = "window.seen.length && window.seen.at(-1)[1] < window.live.live.motion.rest.lips + 0.5"


def wait_until(page: Page, condition: str) -> None:
    """Waits for a condition in JavaScript, which the page's policy lets no script of its own evaluate."""
    loop = f"while (!({condition}) && performance.now() < end) await new Promise((next) => setTimeout(next, 30));"
    assert page.evaluate(
        f"async () => {{ const end = performance.now() + 120000; {loop} return Boolean({condition}); }}"
    )


def test_mouth_follows_the_microphone(microphone: Browser, address: str, open_live: OpenLive, face: PageFace) -> None:
    page = open_live(microphone, address)
    assert page.title() == "Ada <& co>"
    page.evaluate(WATCH)
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_role("button", name="Microphone", exact=True).click()
    wait_until(page, SPOKEN)
    wait_until(page, CLOSED)
    expect(page.get_by_text("Recording", exact=True).first).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_role("button", name="End take").click()
    with page.expect_download() as table:
        page.get_by_role("button", name="ARKit CSV").click()
    with page.expect_download() as sound:
        page.get_by_role("button", name="Sound (WAV)").click()
    seen = np.array(page.evaluate("window.seen"))
    assert (np.diff(seen[:, 0]) == 1).all()  # a frame for each moment, each once
    rows = list(csv.reader(Path(table.value.path()).read_text().splitlines()))
    assert rows[0][2:54] == list(LIVE_LINK_NAMES)
    assert {len(row) for row in rows} == {63}
    samples, rate = soundfile.read(sound.value.path())
    loud = np.abs(samples) > 0.05
    assert len(samples) / rate == pytest.approx((len(rows) - 1) / 30, abs=0.04)
    # Mouth and sound of the take lie at the same times: the mouth is open where the noise is.
    spoken = np.array(
        [loud[round(frame * rate / 30) : round((frame + 1) * rate / 30)].mean() for frame in range(len(rows) - 1)]
    )
    assert np.corrcoef(spoken, page.evaluate("window.taken"))[0, 1] > 0.5


def test_recording_plays_and_what_is_no_sound_is_said(
    browser: Browser, address: str, open_live: OpenLive, tmp_path: Path
) -> None:
    page = open_live(browser, address)
    page.evaluate(WATCH)
    soundfile.write(tmp_path / "a.wav", 0.3 * np.random.default_rng(0).standard_normal(96_000), 24_000)
    (tmp_path / "b.wav").write_text("no sound")
    page.locator("input[type=file]").set_input_files(tmp_path / "a.wav")
    wait_until(page, SPOKEN)
    wait_until(page, CLOSED)
    page.locator("input[type=file]").set_input_files(tmp_path / "b.wav")
    expect(page.get_by_role("alert")).to_contain_text("b.wav holds no sound")


def test_why_there_is_no_microphone(browser: Browser, address: str, open_live: OpenLive) -> None:
    context = browser.new_context()
    context.add_init_script("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page = context.new_page()
    page.goto(address)
    page.evaluate("window.live.ready.then(() => true)")
    expect(page.get_by_role("alert")).to_contain_text("microphone")
    expect(page.get_by_role("button", name="Microphone")).to_be_disabled()
    context.close()


def test_missing_model_is_said(browser: Browser, face: PageFace, tmp_path: Path) -> None:
    folder = write_page_folder(face, tmp_path / "page")
    (folder / "model/network.onnx").unlink()
    with PageServer(("127.0.0.1", 0), folder, face) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(server.url)
        expect(page.get_by_role("status")).to_contain_text("network.onnx", timeout=60_000)
        page.close()
        server.shutdown()


def message(face: PageFace, **changes: Any) -> bytes:
    """A take of 30 frames as the page sends it, with changes of its head."""
    frames, rate = 30, 48_000
    sizes = {"skin": len(face.components), "tongue": len(face.tongue_components), "jaw": 16, "eyes": 4, "emotion": 2}
    head = json.dumps({"frames": frames, "sizes": sizes, "rate": rate, "samples": rate, **changes}).encode()
    rows = np.zeros((frames, sum(sizes.values())), np.float32)
    rows[:, 0] = np.linspace(0, 1, frames)
    rows[:, sizes["skin"] + sizes["tongue"] :][:, :16] = np.eye(4).ravel()
    return len(head).to_bytes(4, "little") + head + rows.tobytes() + np.full(rate, 0.25, "<f4").tobytes()


def test_server_exports_takes_of_its_own_page(face: PageFace, tmp_path: Path) -> None:
    page = write_page_folder(face, tmp_path / "page", formats=offered_formats())
    with PageServer(("127.0.0.1", 0), page, face) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        own = server.url.rstrip("/")

        def post(body: bytes, key: str = "npy", origin: str = own, **headers: str) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            host = own.removeprefix("http://")
            connection.request("POST", f"/take?format={key}", body, {"Origin": origin, "Host": host, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read()

        status, archive = post(message(face))
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(archive)) as pack:
            names = {Path(name).name: name for name in pack.namelist()}
            skin = np.load(io.BytesIO(pack.read(next(name for name in pack.namelist() if "skin" in name))))
            assert "ada_take.wav" in names
        np.testing.assert_allclose(skin[-1], face.rest + face.components[0], atol=1e-5)
        assert post(message(face), origin="http://evil.example")[0] == 403
        assert post(message(face), origin="http://evil.example", Host="evil.example")[0] == 403
        assert post(message(face), "exe")[0] == 400
        assert post(b"garbage")[0] == 422
        assert post(message(face, samples=5))[0] == 422
        assert post(b"", **{"Content-Length": "9" * 12})[0] == 413
        server.shutdown()


def test_take_that_is_not_whole_is_refused(face: PageFace, tmp_path: Path) -> None:
    for broken in (b"", message(face)[:-4], message(face, rate=0), message(face, frames=-1)):
        with pytest.raises(UserError, match="take"):
            export_take(face, broken, "npy", tmp_path)


def test_folder_is_replaced_and_nothing_else_is(face: PageFace, tmp_path: Path) -> None:
    folder = write_page_folder(face, tmp_path / "page")
    (folder / "program/old.js").touch()
    write_page_folder(face, folder)
    assert not (folder / "program/old.js").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").touch()
    with pytest.raises(UserError, match="there already"):
        write_page_folder(face, mine)
    with pytest.raises(UserError, match="bundle"):
        write_page_folder(face, tmp_path / "other", runtime=mine)
    assert (mine / "letter.txt").is_file()


def test_program_is_whole() -> None:
    names = {Path(name).name for name in program_files()}
    assert {"main.js", "worker.js", "capture.js", "listener.js", "stage.js", "payload.js"} <= names
    assert "player.js" not in names


def test_other_networks_are_refused(tmp_path: Path) -> None:
    write_model(tmp_path, REGRESSION)
    with pytest.raises(UserError, match="streaming network"):
        PageFace.of(AnimationPipeline(DeployedModel.open(tmp_path), AnimationOptions()))
