"""What a frame of the page that listens costs in a browser, without the picture.

    .venv/bin/python -m benchmarks.live_page MODEL [--steps 600]

MODEL is a deployed streaming network, such as that of `run_quickstart.py --network streaming`. Headless Chromium of the
system runs the page's own modules on one thread: the network in ONNX Runtime Web, then post-processing with the solver
of blend-shape weights. Printed: milliseconds a frame by the clock, median, 95th and 99th percentile, and processor time
a frame of the browser's process, which other work on the machine hardly disturbs (target: 5 ms, at the 95th percentile
8 ms). The outputs that fill a hop of 33 ms are drawn by the graphics card, which this does not measure.
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
RUN = """async (steps) => {
  const taken = [];
  for (let count = 0; count < steps; count++) taken.push(await window.step());
  return taken;
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name of the standard library)
        """Nothing."""


def measure(folder: Path, steps: int) -> tuple[np.ndarray[Any, Any], float]:
    """Milliseconds of network and post-processing, `[steps, 2]`, and of processor time a step."""
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


def _timed(page: Page, steps: int) -> tuple[np.ndarray[Any, Any], float]:
    renderers = [
        child for child in psutil.Process().children(recursive=True) if "--type=renderer" in " ".join(child.cmdline())
    ]
    before = sum(child.cpu_times().user + child.cpu_times().system for child in renderers)
    taken = np.array(page.evaluate(RUN, steps))
    after = sum(child.cpu_times().user + child.cpu_times().system for child in renderers)
    return taken, 1000 * (after - before) / steps


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args(argv)
    model = DeployedModel.open(args.model)
    face = PageFace.of(AnimationPipeline(model, AnimationOptions(actor=model.actors[0].name)))
    with tempfile.TemporaryDirectory() as parent:
        folder = write_page_folder(face, Path(parent) / "page")
        taken, processor = measure(folder, args.steps)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    table = Table("ms a frame", "median", "95 %", "99 %", title=f"{args.model.name}: page of {size:.1f} MB")
    for name, column in (("network", taken[:, 0]), ("post-processing", taken[:, 1]), ("both", taken.sum(axis=1))):
        table.add_row(name, *(f"{value:.2f}" for value in np.percentile(column, (50, 95, 99))))
    table.add_row("processor time", f"{processor:.2f}", "", "")
    Console().print(table, f"Targets: {TARGET:g} ms, at the 95th percentile {TARGET_95:g} ms.")


if __name__ == "__main__":
    main()
