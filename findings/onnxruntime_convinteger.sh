#!/bin/bash
# A quantised convolution of onnxruntime is slower than the same product of matrices, and by far with weights that have a sign.
#
# Versions:   onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, on an x86-64 processor with AVX-512 VNNI
# Behaviour:  ConvInteger (what quantize_dynamic makes of Conv) multiplies weights by rows of samples, in this order. The kernels
#             with instructions for 8 bits take numbers without a sign on the left and with one on the right: weights
#             without a sign (the default) miss them, weights with a sign fall back to code without vectors.
# Seen:       128 to 128 channels, 11 taps, 24,000 samples, one thread, processor time: float32 39 ms; ConvInteger 38 to 44 ms by uint8 and
#             196 ms by int8 weights; the same integers by slices, Concat and MatMulInteger with int8 weights 22 ms.
# Why:        8-bit weights are expected to be faster than float32, and here they are not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

CHANNELS, TAPS, SAMPLES = 128, 11, 24_000
random = np.random.default_rng(0)
values = random.integers(0, 256, (1, CHANNELS, SAMPLES)).astype(np.uint8)
unsigned = random.integers(0, 256, (CHANNELS, CHANNELS, TAPS)).astype(np.uint8)
signed = (unsigned.astype(np.int16) - 128).astype(np.int8)


def session(nodes, kind, result, **constants):
    x = helper.make_tensor_value_info("x", kind, [1, CHANNELS, SAMPLES])
    y = helper.make_tensor_value_info("y", result, None)
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "layer", [x], [y], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def convolution(weights, zero):
    nodes = [helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"])]
    return session(nodes, TensorProto.UINT8, TensorProto.INT32, w=weights, xz=np.uint8(120), wz=zero)


nodes = [helper.make_node("Transpose", ["x"], ["rows"], perm=[0, 2, 1])]
ends = {}
for tap in range(TAPS):
    ends |= {f"first{tap}": [tap], f"last{tap}": [SAMPLES - TAPS + 1 + tap]}
    nodes.append(helper.make_node("Slice", ["rows", f"first{tap}", f"last{tap}", "axis"], [f"tap{tap}"]))
nodes += [
    helper.make_node("Concat", [f"tap{tap}" for tap in range(TAPS)], ["windows"], axis=2),
    helper.make_node("MatMulInteger", ["windows", "w", "xz"], ["sums"]),
    helper.make_node("Transpose", ["sums"], ["y"], perm=[0, 2, 1]),
]
matrix = signed.transpose(2, 1, 0).reshape(-1, CHANNELS)
sessions = {
    "float32": session(
        [helper.make_node("Conv", ["x", "w"], ["y"])], TensorProto.FLOAT, TensorProto.FLOAT, w=signed.astype(np.float32)
    ),
    "ConvInteger, uint8": convolution(unsigned, np.uint8(128)),
    "ConvInteger, int8": convolution(signed, np.int8(0)),
    "MatMulInteger, int8": session(
        nodes, TensorProto.UINT8, TensorProto.INT32, w=matrix, xz=np.uint8(120), axis=[1], **ends
    ),
}
times, results = {}, {}
for _ in range(4):
    for name, one in sessions.items():
        x = values.astype(np.float32) if name == "float32" else values
        started = time.process_time()
        results[name] = one.run(None, {"x": x})[0]
        times[name] = min(times.get(name, np.inf), 1e3 * (time.process_time() - started))
for name, milliseconds in times.items():
    print(f"{name}: {milliseconds:.0f} ms")
product = results["MatMulInteger, int8"]
assert all((results[f"ConvInteger, {kind}"] == product).all() for kind in ("uint8", "int8")), "the integers differ"
assert times["ConvInteger, int8"] > 2 * times["ConvInteger, uint8"], "weights with a sign are no longer slow"
assert times["ConvInteger, uint8"] > 1.3 * times["MatMulInteger, int8"], "the convolution is as fast as the product"
PYTHON
