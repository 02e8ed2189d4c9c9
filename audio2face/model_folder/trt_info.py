"""`trt_info.json`: the arguments with which the SDK's scripts build a TensorRT engine from `network.onnx`.

Arguments may hold placeholders such as `{MAX_BATCH_SIZE}`, which the scripts fill from the file's `defaults`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Any

from audio2face.model_folder.network_info import NetworkInfo, TensorShape
from audio2face.model_folder.validation import FileDiagnostics, JsonObject

TRT_FILE = "trt_info.json"
ONNX_FILE = "network.onnx"
ENGINE_FILE = "network.trt"

_DEFAULTS = {"MAX_BATCH_SIZE": 8, "OPT_BATCH_SIZE": 3}
_BUILDER_SECONDS = 150  # of a network of the usual size; the scripts' progress bar shows it
_SHARED_MEMORY = "--memPoolSize=tacticSharedMem:0.046875"  # MiB, so that graphics may run beside the network
_PREFIXES = ("--minShapes=", "--maxShapes=", "--optShapes=")
_SMALLEST, _LARGEST, _USUAL = 1, "{MAX_BATCH_SIZE}", "{OPT_BATCH_SIZE}"


def make_trt_info(info: NetworkInfo) -> dict[str, Any]:
    """The content of the file."""
    batches: tuple[int | str, ...] = (_SMALLEST, _LARGEST, _USUAL)
    shapes = zip(_PREFIXES, batches, strict=True)
    return {
        "estimated_trt_builder_time": _BUILDER_SECONDS,
        "trt_build_param": {
            "cuda_in_graphics": [_SHARED_MEMORY],
            "batch": [prefix + _shapes(info.inputs, batch) for prefix, batch in shapes],
        },
        "defaults": dict(_DEFAULTS),
    }


def engine_command(info: NetworkInfo) -> str:
    """The command that builds the engine in the folder."""
    filled = zip(_PREFIXES, (_SMALLEST, _DEFAULTS["MAX_BATCH_SIZE"], _DEFAULTS["OPT_BATCH_SIZE"]), strict=True)
    arguments = [f"--onnx={ONNX_FILE}", f"--saveEngine={ENGINE_FILE}", _SHARED_MEMORY]
    arguments += [prefix + _shapes(info.inputs, batch) for prefix, batch in filled]
    return " \\\n    ".join(["trtexec", *arguments])


def _shapes(inputs: Sequence[TensorShape], batch: int | str) -> str:
    return ",".join(tensor.at(batch) for tensor in inputs)


def check_trt_info(file: JsonObject, info: NetworkInfo) -> None:
    """Reports arguments that cannot be filled, and shapes that differ from the network's."""
    defaults = file.child("defaults")
    values = {name: defaults.count(name, 1) for name in defaults.values or {}}
    groups = file.child("trt_build_param")
    arguments = [text for group in groups.values or {} for text in groups.texts(group)]
    filled: dict[str, str] = {}
    for text in arguments:
        whole = _fill(text, values)
        if whole is None:
            file.faults.error(
                f"argument {text[:60]!a} cannot be filled from defaults", "Give the value under defaults."
            )
            continue
        filled |= {prefix: whole.removeprefix(prefix) for prefix in _PREFIXES if whole.startswith(prefix)}
    if groups.values is not None and defaults.values is not None:
        batches = [_batch(prefix, filled.get(prefix), info, file.faults) for prefix in _PREFIXES]
        if None not in batches:
            _check_order(batches, file.faults)


def _fill(text: str, values: Mapping[str, int]) -> str | None:
    """Fills placeholders; None if a value is unknown, or the braces contain more than a name."""
    try:
        fields = [field[1:] for field in Formatter().parse(text) if field[1] is not None]
    except ValueError:
        return None
    if any(name not in values or form or conversion for name, form, conversion in fields):
        return None
    return text.format(**values)


def _batch(prefix: str, shapes: str | None, info: NetworkInfo, faults: FileDiagnostics) -> int | None:
    """The batch size of an argument; None if the argument does not match the network."""
    if shapes is None:
        faults.error(f"trt_build_param has no argument {prefix}", "Deploy the model again.")
        return None
    found: Mapping[str, str] = dict(part.partition(":")[::2] for part in shapes.split(","))
    numbers = {length for part in found.values() for length in part.split("x") if length.isdecimal()}
    for batch in sorted(int(length) for length in numbers if len(length) < 7):
        if found == dict(tensor.at(batch).split(":") for tensor in info.inputs):
            return batch
    faults.error(
        f"{prefix} is {shapes[:200]!a}, expected {_shapes(info.inputs, 'B')} with one batch size B",
        "Deploy the model once more: the engine would not fit network_info.json.",
    )
    return None


def _check_order(batches: Sequence[int | None], faults: FileDiagnostics) -> None:
    smallest, largest, usual = (batch or 0 for batch in batches)
    if smallest != 1 or not smallest <= usual <= largest:
        faults.error(
            f"batch sizes are {smallest} at least, {usual} usually and {largest} at most",
            "The smallest must be 1, the usual one between it and the largest.",
        )
