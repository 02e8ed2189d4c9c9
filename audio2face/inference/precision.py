"""Deployed networks in int8: made once from the network of a folder, measured beside it, and kept in the user's cache.

Products of matrices with stored weights are computed in 8 bits: weights and activations have one scale for each 32
values of a row, so that a large value costs its neighbours no steps, and no row depends on others. ONNX Runtime's own
dynamic quantisation has one scale for a whole tensor of activations instead: twice the error, and the rows of a batch
change each other. The last two layers of a network stay float32 where they are small, because their errors reach the
face undamped; so do convolutions, recurrent layers and all else.

bfloat16 is not among the precisions: ONNX Runtime's kernels for x86 processors have none.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from audio2face.animation.bounded import unproject
from audio2face.config_base.types import GraphPrecision
from audio2face.console import LOGGER
from audio2face.errors import FileFormatError, UserError, missing_file
from audio2face.extras import require
from audio2face.families import FAMILIES, resolve
from audio2face.inference.emotion import EmotionCurve
from audio2face.inference.executor import Executor
from audio2face.inference.onnx_session import GraphDevice
from audio2face.inference.sessions import NetworkSession, TrackSettings, open_graph
from audio2face.io.atomic import file_sha256, make_durable, write_json
from audio2face.io.claims import exclusive, temporary_folder
from audio2face.model_folder import DeployedModel
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.model_folder.writer import write_network_facts
from audio2face.types import MM_PER_CM, Float32Array

if TYPE_CHECKING:  # part of the extra "train"
    import onnx

CACHE_VARIABLE = "A2F_CACHE_ROOT"
NOTABLE_MM = 0.1  # a difference above it is a warning
RECORD_FILE = "int8.json"
BLOCK = 32  # values of a row with a common scale
_SCHEME = 2  # part of the key of the cache: counts changes of this module that change the networks or the measurement
_SMALLEST = 4096  # weights of a matrix that is worth it
_SMALL_SHARE = 0.02  # of all weights of such matrices
_LAST_LAYERS = 2  # of a head
_LAYERS = ("MatMul", "Gemm", "Conv", "GRU", "LSTM")
_LARGEST_SINGLE_FILE = 2**31 - 2**24
_MEASURED_SECONDS = 3


def open_network(
    model: DeployedModel, device: GraphDevice = "cpu", precision: GraphPrecision = "float32"
) -> NetworkSession:
    """Loads the network of a deployed folder in a precision.

    Args:
        model: the folder.
        device: what the network runs on.
        precision: "float32": as it was deployed, bit for bit; "int8": see `int8_network`.

    Raises:
        UserError: there is no network, it cannot be loaded, the device is not there, or there is no int8 of it.
    """
    if precision == "float32":
        return open_graph(model, device)
    if device != "cpu":
        raise UserError(
            f"int8 is for processors, not for {device!r}", hint="Give --device cpu, or --precision float32."
        )
    made = int8_network(model)
    tell = LOGGER.warning if made.difference_mm > NOTABLE_MM else LOGGER.info
    tell(
        "int8: %d matrix products; skin, tongue and jaw up to %.3f mm beside float32 on a fixed sound",
        made.products,
        made.difference_mm,
    )
    return _session(model, made.folder)


def _session(model: DeployedModel, folder: Path) -> NetworkSession:
    session: type[NetworkSession] = resolve(FAMILIES[model.info.type].session)
    return session.open(folder)


@dataclass(frozen=True)
class Int8Network:
    """A network in int8, in the cache.

    Attributes:
        folder: holds `network.onnx` and its `network_info.json`, as an exported training run does.
        products: number of matrix products in 8 bits.
        difference_mm: the largest difference of a coordinate of skin, tongue and jaw from float32 on a fixed sound.
    """

    folder: Path
    products: int
    difference_mm: float


def cache_root() -> Path:
    """Where networks in int8 are kept: A2F_CACHE_ROOT, or `audio2face` in the user's cache."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audio2face"


def int8_network(model: DeployedModel) -> Int8Network:
    """The network of a deployed folder in int8, from the cache or made now.

    A cached network belongs to the contents of the network's files: one that was deployed again is made again.
    Processes that need the same one at the same time wait for the first of them.

    Raises:
        UserError: the package `onnx` is missing, the network has no products to change, ONNX Runtime is too old, or the
            cache cannot be written.
    """
    if not model.onnx.is_file():
        raise missing_file("there is no such network", model.onnx, "Export the training run once more.")
    folder = cache_root() / "int8" / _key(model)
    found = _read(folder)
    if found is not None:
        return found
    require("The precision int8", "train", modules=("onnx",))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(folder.with_suffix(".lock"), lambda: LOGGER.info("another process makes the network in int8")):
            return _read(folder) or _make(model, folder)
    except OSError as error:
        raise UserError(
            f"the network in int8 cannot be kept: {error.strerror or error}",
            path=folder,
            hint=f"Check free disk space, or name another folder with {CACHE_VARIABLE}.",
        ) from error


def _key(model: DeployedModel) -> str:
    """Of the contents of the network's files and of this module's scheme."""
    digest = hashlib.sha256(f"{_SCHEME} {onnxruntime.__version__}".encode())
    for path in sorted(model.folder.glob(f"{ONNX_FILE}*")):
        digest.update(file_sha256(path).encode())
    digest.update(model.info.type.encode())
    return digest.hexdigest()[:32]


def _read(folder: Path) -> Int8Network | None:
    """The network in a folder of the cache; None where there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
        return Int8Network(folder, int(record["products"]), float(record["difference_mm"]))
    return None


def _make(model: DeployedModel, folder: Path) -> Int8Network:
    LOGGER.info("making the network in int8, once, in %s", folder.parent)
    with temporary_folder(folder.parent, folder.name) as stage:
        write_network_facts(stage, model.info)
        products = write_int8_graph(model.onnx, stage / ONNX_FILE)
        difference = measure_difference(model, stage)
        write_json(stage / RECORD_FILE, {"products": products, "difference_mm": difference, "model": model.folder.name})
        make_durable(stage)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        stage.rename(folder)
    return Int8Network(folder, products, difference)


# --- The graph -------------------------------------------------------------------------------------------------------


def write_int8_graph(source: Path, target: Path) -> int:
    """Writes a graph whose products with stored matrices are in 8 bits.

    Args:
        source: the graph in float32.
        target: the file to write; weights that are too large for one file go to `<target>.data`.

    Returns:
        How many products there are.

    Raises:
        UserError: there are none.
    """
    import onnx
    from onnx import helper

    model = onnx.load(source)
    graph = model.graph
    weights = _stored(graph)
    exact = _small_last_matrices(graph, weights)
    changed: dict[tuple[str, bool], list[onnx.TensorProto]] = {}
    nodes: list[onnx.NodeProto] = []
    products = 0
    for node in graph.node:
        weight = _matrix_of(node, weights)
        if weight is None or weight.name in exact:
            nodes.append(node)
            continue
        products += 1
        flipped = node.op_type == "Gemm" and bool(_attributes(node).get("transB", 0))
        key = (weight.name, flipped)
        if key not in changed:
            changed[key] = _int8_weights(weight, flipped)
        nodes += _product_nodes(node, weight.dims, flipped, changed[key])
    if not products:
        raise UserError(
            f"has no product with a stored matrix of {_SMALLEST:,} weights or more: int8 would change nothing",
            path=source,
            hint="Use --precision float32.",
        )
    used = {name for node in nodes if node.op_type != "Identity" for name in node.input}
    used |= {value.name for value in graph.output}
    nodes = [node for node in nodes if node.op_type != "Identity" or node.output[0] in used]
    used |= {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    bare.graph.name = graph.name
    bare.graph.node.extend(nodes)
    bare.graph.input.extend(graph.input)
    bare.graph.output.extend(graph.output)
    bare.graph.initializer.extend(kept)
    del kept, weights, model, graph
    for tensors in changed.values():
        bare.graph.initializer.extend(tensors)
    size = sum(len(tensor.raw_data) for tensor in bare.graph.initializer)
    onnx.save_model(bare, target, save_as_external_data=size > _LARGEST_SINGLE_FILE, location=f"{target.name}.data")
    return products


def _stored(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Stored tensors by name, also by the names of nodes that repeat them: steps of sampling share their weights so."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    return stored


def _attributes(node: onnx.NodeProto) -> dict[str, float]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _matrix_of(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> onnx.TensorProto | None:
    """The stored matrix that a node multiplies its input by; None of other nodes."""
    from onnx import TensorProto

    if node.op_type not in ("MatMul", "Gemm") or node.domain:
        return None
    weight = weights.get(node.input[1])
    if weight is None or len(weight.dims) != 2 or weight.data_type != TensorProto.FLOAT:
        return None
    given = _attributes(node)
    is_plain = not given.get("transA", 0) and given.get("alpha", 1.0) == 1 and given.get("beta", 1.0) == 1
    return weight if is_plain and math.prod(weight.dims) >= _SMALLEST else None


def _small_last_matrices(graph: onnx.GraphProto, weights: dict[str, onnx.TensorProto]) -> set[str]:
    """Names of stored matrices of the last layers that hold little of what all of them hold."""
    found = {node.output[0]: _matrix_of(node, weights) for node in graph.node}
    sizes = {weight.name: math.prod(weight.dims) for weight in found.values() if weight is not None}
    makers = {name: node for node in graph.node for name in node.output}
    last: set[str] = set()
    seen: set[str] = set()
    due = [value.name for value in graph.output]
    for _ in range(_LAST_LAYERS):
        before: list[str] = []  # inputs of the layers that are met
        while due:
            node = makers.get(due.pop())
            if node is None or node.output[0] in seen:
                continue
            seen.add(node.output[0])
            weight = found[node.output[0]]
            if weight is not None:
                last.add(weight.name)
            (before if node.op_type in _LAYERS else due).extend(node.input)
        due = before
    return {name for name in last if sizes[name] < _SMALL_SHARE * sum(sizes.values())}


def _int8_weights(weight: onnx.TensorProto, flipped: bool) -> list[onnx.TensorProto]:
    """Codes uint8 `[columns, blocks, BLOCK]` around 128, and their scales float32 `[columns * blocks]`."""
    from onnx import numpy_helper

    matrix = numpy_helper.to_array(weight)
    codes, scales = int8_codes(matrix if flipped else matrix.T)
    name = f"{weight.name}{'_flipped' if flipped else ''}"
    return [numpy_helper.from_array(codes, f"{name}_codes"), numpy_helper.from_array(scales, f"{name}_scales")]


def int8_codes(rows: Float32Array) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Float32Array]:
    """Rounds rows to 8 bits, symmetrically, with a scale for each block.

    Args:
        rows: float32 `[rows, values]`.

    Returns:
        Codes uint8 `[rows, blocks, BLOCK]`, where 128 stands for zero, and scales float32 `[rows * blocks]`: a value is
        `(code - 128) * scale`.
    """
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % BLOCK)))
    blocks = np.ascontiguousarray(padded).reshape(len(rows), -1, BLOCK)
    scales = np.maximum(blocks.max(axis=2), -blocks.min(axis=2)) / np.float32(127)
    scales[scales == 0] = 1
    codes = np.rint(blocks / scales[:, :, None]) + np.float32(128)
    return codes.astype(np.uint8), scales.reshape(-1).astype(np.float32)


def _product_nodes(
    node: onnx.NodeProto, dims: Iterable[int], flipped: bool, tensors: list[onnx.TensorProto]
) -> list[onnx.NodeProto]:
    from onnx import helper

    inner, columns = reversed(tuple(dims)) if flipped else tuple(dims)
    bias = node.input[2] if len(node.input) > 2 else ""
    product = f"{node.output[0]}_product" if bias else node.output[0]
    made = helper.make_node(
        "MatMulNBits",
        [node.input[0], *(tensor.name for tensor in tensors)],
        [product],
        name=node.name,
        domain="com.microsoft",
        K=inner,
        N=columns,
        bits=8,
        block_size=BLOCK,
        accuracy_level=4,  # activations in 8 bits too
    )
    return (
        [made, helper.make_node("Add", [product, bias], [node.output[0]], name=f"{node.name}_bias")] if bias else [made]
    )


# --- The measurement -------------------------------------------------------------------------------------------------


def measure_difference(model: DeployedModel, folder: Path) -> float:
    """How far the network in a folder is from that of a deployed folder, on a fixed sound, in millimetres.

    Returns:
        The largest difference of a coordinate of skin, tongue and jaw of the first actor, before post-processing.

    Raises:
        UserError: this ONNX Runtime cannot run the network, or its output is not finite.
    """
    try:
        graph = _session(model, folder)
    except FileFormatError as error:
        raise UserError(
            f"this ONNX Runtime ({onnxruntime.__version__}) has no products in 8 bits: {error.problem}",
            path=model.onnx,
            hint="Update it (pip install --upgrade onnxruntime), or use --precision float32.",
        ) from error
    values = _run(model, graph) - _run(model, open_graph(model))
    if not np.isfinite(values).all():
        raise UserError("the network gives NaN or infinity", path=model.onnx, hint="Deploy an earlier run.")
    skin, tongue, jaw, _ = model.info.split_channels(values)
    if model.info.predicts_coefficients:
        actor = model.actors[0]
        shapes = actor.array("shapes_matrix_skin") if actor.skin_shapes is None else actor.skin_shapes.deltas
        skin = unproject(skin, shapes)
        tongue = unproject(tongue, actor.array("shapes_matrix_tongue"))
    return MM_PER_CM * max(float(np.abs(part).max(initial=0)) for part in (skin, tongue, jaw))


def _run(model: DeployedModel, graph: NetworkSession) -> Float32Array:
    """Output for the fixed sound, `[frames, channels]`."""
    track = TrackSettings(emotion=EmotionCurve.constant(model.info.default_emotion), actor=model.info.identities[0])
    executor = Executor.open(model, [track], graph=graph)
    executor.push(0, fixed_sound(executor.samplerate))
    executor.close(0)
    return np.concatenate([output.values for output in executor.run()])


def fixed_sound(samplerate: int) -> Float32Array:
    """Syllables of a voice whose pitch and formants move, with hisses between them, `[samples]`."""
    time_s = np.arange(_MEASURED_SECONDS * samplerate) / samplerate
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * time_s)
    phase = 2 * np.pi * np.cumsum(pitch) / samplerate
    formants = (500 + 250 * np.sin(2 * np.pi * 1.3 * time_s), 1500 + 600 * np.sin(2 * np.pi * 1.9 * time_s))
    voice = np.zeros_like(time_s)
    for number in range(1, 31):
        strength = sum(np.exp(-(((number * pitch - formant) / 150) ** 2)) for formant in formants)
        voice += (strength + 0.02) * np.sin(number * phase)
    syllable = np.clip(np.sin(2 * np.pi * 3.5 * time_s), 0, 1)
    hiss = np.random.default_rng(0).standard_normal(len(time_s)) * np.clip(-np.sin(2 * np.pi * 3.5 * time_s), 0, 1) ** 4
    sound = voice * syllable + 0.3 * hiss
    level: Float32Array = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    return level
