"""What the ONNX export of a large diffusion network takes, step by step.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.onnx_export [--small]

The network is that of `onnx_diffusion`: 88,831 values a frame, HuBERT base, two denoising steps, random weights.
Printed are wall and processor seconds of the imports of deployment, of the graph (tracing, checks, files) and of the
parity check, and the peak of resident memory. Making the network is not counted: training has it, deployment reads it.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

_BEGAN = time.perf_counter()

from audio2face.deploy import onnx_graph, parity  # noqa: E402 (its time is measured)

IMPORTS = (time.perf_counter() - _BEGAN, time.process_time())


def main() -> None:
    parser = argparse.ArgumentParser(description="Times the ONNX export of a large diffusion network.")
    parser.add_argument("--small", action="store_true", help="a smaller network, to try the benchmark itself")
    options = parser.parse_args()
    from benchmarks.onnx_diffusion import make_plan

    network, plan = make_plan(options.small)
    took = [("imports", *IMPORTS)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        wall, processor = time.perf_counter(), time.process_time()
        graph = plan.exportable(network)
        onnx_graph.export_graph(graph.module, graph.info, graph.inputs, path)
        took.append(("graph", time.perf_counter() - wall, time.process_time() - processor))
        wall, processor = time.perf_counter(), time.process_time()
        report = parity.measure_parity(graph, path)
        took.append(("parity", time.perf_counter() - wall, time.process_time() - processor))
    took.append(("whole", sum(row[1] for row in took), sum(row[2] for row in took)))
    for name, wall, processor in took:
        print(f"{name:8s} {wall:6.1f} s, {processor:6.1f} s of processor time")
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.1f} GB; {report.conditions}")


if __name__ == "__main__":
    main()
