"""A small deployed folder whose mouth opens with the loudness of sound, its page behind a plain server."""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from playwright.sync_api import Browser, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "model_folder"))

from small_models import STREAMING, write_model

from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.atomic import write_json, write_npz
from audio2face.live_page.face import PageFace
from audio2face.live_page.folder import write_page_folder
from audio2face.model_folder import DeployedModel, StreamingInfo
from audio2face.model_folder.streaming import CONFORMANCE_FILE

INFO = replace(STREAMING, state_size=4)
LIPS = {"lip_upper": np.array([1, 2], np.int32), "lip_lower": np.array([5, 6], np.int32)}
OPEN_MM = 20.0  # what loud sound opens the mouth by


POSED = replace(INFO, num_shapes_skin=3)  # as many as the actor has blend shapes


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployed folder: two actors, twelve vertices, smoothing that differs between the halves of the face."""
    return _write_folder(tmp_path_factory.mktemp("model") / "small", INFO)


@pytest.fixture(scope="session")
def posed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a network that gives the weights of the blend shapes."""
    return _write_folder(tmp_path_factory.mktemp("model") / "posed", POSED)


def _write_folder(folder: Path, info: StreamingInfo) -> Path:
    folder.mkdir()
    write_model(folder, info)
    if info is POSED:
        for actor in DeployedModel.open(folder).actors:
            names = (name for name in info.actor_arrays if name != "shapes_matrix_skin")
            shapes = {"shapes_matrix_skin": actor.blendshapes["skin"].deltas}
            write_npz(folder / info.data_file(actor.name), {name: actor.array(name) for name in names} | shapes)
    for actor_name in info.identities:
        _change_actor(folder, actor_name)
    _write_graph(folder / "network.onnx", info, _opening(folder))
    _write_conformance(folder, info)
    return folder


def _change_actor(folder: Path, actor: str) -> None:
    write_npz(folder / f"display_{actor}.npz", {**LIPS, "blink_keys": np.array([0, 0.5, 1, 0.25, 0], np.float32)})
    config = folder / INFO.config_file(actor)
    content = DeployedModel.open(folder).actor(actor).config.as_json()
    content["config"] |= {
        "lower_face_smoothing": 0.02,
        "upper_face_smoothing": 0.05,
        "lower_face_strength": 1.2,
        "face_mask_softness": 0.2,
        "lip_open_offset": 0.1,
        "lower_teeth_strength": 1.1,
        "lower_teeth_height_offset": -0.2,
        "eyeballs_strength": 0.9,
        "left_eye_rot_y_offset": 1.5,
        "eye_saccade_seed": 3,
        "tongue_strength": 1.3,
        "tongue_depth_offset": 0.1,
        "input_strength": 0.8,
    }
    write_json(config, content)


def _opening(folder: Path) -> np.ndarray:
    """Coefficients that open the mouth of the first actor by a millimetre."""
    actor = DeployedModel.open(folder).actor("ada")
    heights = actor.array("shapes_matrix_skin")[:, :, 1]
    slope = 10 * (heights[:, LIPS["lip_upper"]] - heights[:, LIPS["lip_lower"]]).mean(axis=1)
    return slope / (slope @ slope)


def _write_graph(path: Path, info: StreamingInfo, opening: np.ndarray) -> None:
    """Opens the mouth by the loudness of the window and of those before; all values differ with actor and emotion."""
    random = np.random.default_rng(5)
    loud = 0.02 * random.standard_normal((1, info.values))
    loud[0, : info.num_shapes_skin] = OPEN_MM * opening
    constants = {
        "loud": loud,
        "who": 0.03 * random.standard_normal((len(info.identities), info.values)),
        "felt": 0.05 * random.standard_normal((len(info.emotions), info.values)),
        "four": np.full((1, info.state_size), 0.25),
        "fading": np.array(0.3),
        "gain": np.array(8.0),
    }
    nodes = [
        ("Abs", ["window"], "size"),
        ("ReduceMean", ["size"], "level"),
        ("MatMul", ["level", "four"], "spread"),
        ("Mul", ["state", "fading"], "kept"),
        ("Add", ["kept", "spread"], "next_state"),
        ("ReduceSum", ["next_state"], "sum"),
        ("Mul", ["sum", "gain"], "raised"),
        ("Tanh", ["raised"], "drive"),
        ("MatMul", ["drive", "loud"], "moved"),
        ("MatMul", ["identity", "who"], "own"),
        ("MatMul", ["emotion", "felt"], "mood"),
        ("Mul", ["mood", "drive"], "tinged"),
        ("Mul", ["own", "drive"], "shaped"),
        ("Add", ["moved", "tinged"], "face"),
        ("Add", ["face", "shaped"], "flat"),
        ("Unsqueeze", ["flat", "axis"], "result"),
    ]
    attributes = {"ReduceMean": {"axes": [1], "keepdims": 1}}
    made = [helper.make_node(kind, inputs, [out], **attributes.get(kind, {})) for kind, inputs, out in nodes]
    made[5].input.append("axis")
    stored = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    stored.append(numpy_helper.from_array(np.array([1], np.int64), "axis"))

    def value(tensor: object) -> onnx.ValueInfoProto:
        shape = ["batch" if length is None else length for length in tensor.shape]  # type: ignore[attr-defined]
        return helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, shape)  # type: ignore[attr-defined]

    graph = helper.make_graph(
        made, "loudness", [value(t) for t in info.inputs], [value(t) for t in info.outputs], stored
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _write_conformance(folder: Path, info: StreamingInfo) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "network.onnx", providers=["CPUExecutionProvider"])
    random = np.random.default_rng(2)
    state = np.zeros((1, info.state_size), np.float32)
    rows: dict[str, list[np.ndarray]] = {"window": [], "identity": [], "emotion": [], "result": []}
    for step in range(20):
        feed = {
            "window": 0.01 * step * random.standard_normal((1, info.buffer_len)).astype(np.float32),
            "identity": np.array([[1, 0]], np.float32),
            "emotion": random.uniform(0, 1, (1, len(info.emotions))).astype(np.float32),
        }
        result, state = session.run(["result", "next_state"], feed | {"state": state})
        for name, value in (feed | {"result": result[:, 0]}).items():
            rows[name].append(value)
    arrays = {name: np.concatenate(values) for name, values in rows.items()}
    write_npz(folder / CONFORMANCE_FILE, arrays | {"final_state": state[0]})


def _open_face(folder: Path) -> PageFace:
    options = AnimationOptions(actor="ada", emotion="joy=0.5")
    return PageFace.of(AnimationPipeline(DeployedModel.open(folder), options))


@pytest.fixture(scope="session")
def face(folder: Path) -> PageFace:
    return _open_face(folder)


@pytest.fixture(scope="session")
def posed_face(posed_folder: Path) -> PageFace:
    return _open_face(posed_folder)


@pytest.fixture(scope="session")
def address(face: PageFace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page as files behind the server of the standard library, which `python -m http.server` starts too."""
    with _served(write_page_folder(face, tmp_path_factory.mktemp("www") / "page", title="Ada <& co>")) as found:
        yield found


@pytest.fixture(scope="session")
def posed_address(posed_face: PageFace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with _served(write_page_folder(posed_face, tmp_path_factory.mktemp("www") / "page")) as found:
        yield found


@contextmanager
def _served(pages: Path) -> Iterator[str]:

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing."""

    handler = functools.partial(Quiet, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


OpenLive = Callable[[Browser, str], Page]


@pytest.fixture
def open_live() -> Iterator[OpenLive]:
    """Opens a page that listens and waits for its network; it may complain about nothing, and ask no other server."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_it(browser: Browser, address: str) -> Page:
        page = browser.new_page(viewport={"width": 480, "height": 560})
        page.set_default_timeout(180_000)
        pages.append(page)
        page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: note_request(request.url))
        page.goto(address)
        page.evaluate("window.live.ready.then(() => true)")
        return page

    def note_request(url: str) -> None:
        if not url.startswith(("blob:", "data:", "http://localhost:", "http://127.0.0.1:")):
            complaints.append(f"asked for {url}")

    yield open_it
    for page in pages:
        page.close()
    assert not complaints
