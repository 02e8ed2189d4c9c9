"""What a frame of the page that listens costs in a browser, without the picture.

    .venv/bin/python -m benchmarks.live_page MODEL [--steps 600]

MODEL is a deployed streaming network, such as that of `run_quickstart.py --network streaming`. Headless Chromium of the
system runs the page's own modules on one thread: the network in ONNX Runtime Web, then post-processing with the solver
of blend-shape weights. Printed: milliseconds a frame, median, 95th and 99th percentile, by the clock, and as processor
time of the browser's process, which other work on the machine hardly disturbs (target: 5 ms, at the 95th percentile 8
ms, of a hop of 33). The picture is drawn by the graphics card, which this does not measure. Linux only.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]
from playwright.sync_api import Page, sync_playwright
from rich.console import Console
from rich.table import Table

from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.live_page.face import PageFace
from audio2face.live_page.folder import write_page_folder
from audio2face.model_folder import DeployedModel
from audio2face.types import FloatArray

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
TARGET, TARGET_95 = 5.0, 8.0  # ms
OPEN = """async () => {
  const from = (name) => import(`/program/live_page/web/${name}.js`);
  const [{ loadFace }, { Network }, { Animator }] = await Promise.all(["face", "network", "animator"].map(from));
  const base = location.origin;
  const { face, payload } = await loadFace(new URL("/model/", base));
  const network = await Network.open(face.network, `${base}/model/network.onnx`, `${base}/onnxruntime/`);
  const animator = new Animator(face, payload.floats(face.eyes.saccades));
  const identity = Float32Array.from(face.network.identity);
  const emotion = Float32Array.from(face.network.emotion);
  const noise = () => Float32Array.from({ length: face.network.window }, () => 0.2 * (Math.random() - 0.5));
  window.step = async () => {
    const window_ = noise();
    const times = [performance.now()];
    const values = await network.step(window_, identity, emotion);
    times.push(performance.now());
    animator.next(values);
    times.push(performance.now());
    return [times[1] - times[0], times[2] - times[1]];
  };
  for (let count = 0; count < 30; count++) await window.step();
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name of the standard library)
        """Nothing."""


def measure(folder: Path, steps: int) -> dict[str, FloatArray]:
    """Milliseconds of each step: network and post-processing by the clock, both as processor time."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is installed")
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(f"http://localhost:{server.server_port}/model/face.json")
        page.evaluate(OPEN)
        found = _timed(page, steps)
        browser.close()
        server.shutdown()
    return found


def _timed(page: Page, steps: int) -> dict[str, FloatArray]:
    """Each step is a call of its own; what an empty call takes in the median is subtracted from processor time."""
    own = psutil.Process().children(recursive=True)
    renderers = [child.pid for child in own if "--type=renderer" in " ".join(child.cmdline())]
    rows, used, empty = [], [], []
    for _ in range(steps):
        before = _processor_ms(renderers)
        rows.append(page.evaluate("window.step()"))
        between = _processor_ms(renderers)
        page.evaluate("Promise.resolve([0, 0])")
        used.append(between - before)
        empty.append(_processor_ms(renderers) - between)
    network, after = np.array(rows).T
    processor = np.array(used) - np.median(empty)
    return {"network": network, "post-processing": after, "both": network + after, "processor time of both": processor}


def _processor_ms(pids: Sequence[int]) -> float:
    """Milliseconds that all threads of processes have run, to the nanosecond (Linux)."""
    files = [file for pid in pids for file in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in files) / 1e6


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args(argv)
    model = DeployedModel.open(args.model)
    face = PageFace.of(AnimationPipeline(model, AnimationOptions(actor=model.actors[0].name)))
    with tempfile.TemporaryDirectory() as parent:
        folder = write_page_folder(face, Path(parent) / "page")
        found = measure(folder, args.steps)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    table = Table("ms a frame", "median", "95 %", "99 %", title=f"{args.model.name}: page of {size:.1f} MB")
    for name, column in found.items():
        table.add_row(name, *(f"{value:.2f}" for value in np.percentile(column, (50, 95, 99))))
    Console().print(table, f"Targets: {TARGET:g} ms, at the 95th percentile {TARGET_95:g} ms.")


if __name__ == "__main__":
    main()
