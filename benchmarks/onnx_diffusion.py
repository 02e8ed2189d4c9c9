"""How long one window of the exported diffusion network takes, with the speech encoder once or once per denoising step.

    .venv/bin/python -m benchmarks.onnx_diffusion [--threads 2] [--rounds 20] [--small] [--profile]

Exports a network of random weights at the sizes of a large actor (88,831 values a frame, HuBERT base, two steps) three
times: as it is deployed; with the encoder inside every step, which is the plain way; and the encoder alone. Times
onnxruntime on the CPU, graphs taking turns, batch 1, and prints the median. `--small` takes a tenth of the vertices and
four layers of HuBERT. `--profile` prints which operators of the deployed graph the time goes to.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from audio2face.deploy.diffusion import DiffusionPlan, example_inputs, make_sampler
from audio2face.deploy.onnx_graph import export_graph
from audio2face.deploy.plan import SamplerSettings
from audio2face.models import encoders
from audio2face.models.diffusion.network import ActorConstants, Conditioning, DiffusionNetwork, DiffusionSettings
from audio2face.models.diffusion.process import fixed_noise, sample
from audio2face.models.diffusion.sampling import WindowSampler
from audio2face.models.windows import WindowSchedule

Feed = Mapping[str, npt.NDArray[np.float32]]
TARGET = 1.5  # times as fast with the encoder once
DEPLOYED, REPEATED, ENCODER = "encoder once (as deployed)", "encoder in every step", "encoder alone"


class EncoderPerStep(nn.Module):
    """The same sampling, but everything is computed anew in each step."""

    def __init__(self, sampler: WindowSampler) -> None:
        super().__init__()
        self.network, self.schedule, self.windows = sampler.network, sampler.schedule, sampler.windows

    def forward(
        self, window: Tensor, identity: Tensor, emotion: Tensor, input_latents: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `WindowSampler`."""
        kept = self.windows.kept
        states = list(input_latents.unbind(0))

        def predict(step: int, noisy: Tensor) -> Tensor:
            # A factor that differs between steps, lest the runtime find that the encoders are equal, and merge them.
            features = self.network.encode(window * (1.0 + step * 1e-6))
            whole = self.network.conditions(features, self.windows.frames, identity, emotion)
            conditions = Conditioning(whole.speech[:, kept], whole.actor, whole.emotion, whole.neutral)
            level = torch.tensor([int(self.schedule.timesteps[step])])
            x0, states[step] = self.network.denoise(noisy, level, conditions, states[step])
            return x0

        values = sample(self.schedule, predict, fixed_noise(noise), (kept.start, kept.stop))
        deltas = self.network.to_deltas(values, identity)
        return nn.functional.pad(deltas, (0, 0, self.windows.left_context, self.windows.right_context)), torch.stack(
            states
        )


def make_plan(small: bool) -> tuple[DiffusionNetwork, DiffusionPlan]:
    """A network of random weights and how it is exported."""
    torch.manual_seed(0)
    options = {"config": {"num_hidden_layers": 4} if small else {}}
    encoder = encoders.build("hubert-base", options)
    alignment = encoder.info.frame_alignment(60.0)
    settings = DiffusionSettings(
        skin_size=7200 if small else 72006,
        tongue_size=1680 if small else 16806,
        jaw_size=15,
        eye_size=4,
        actors=3,
        emotions=10,
        fps=60.0,
        encoder_width=encoder.info.width,
        encoder_step=alignment.step,
        encoder_first_step=alignment.first_step,
        diffusion_steps=1000,
        feature_dim=256,
        tongue_latent_dim=10,
        jaw_latent_dim=15,
        eye_latent_dim=4,
        actor_embedding_dim=32,
        emo_embedding_dim=32,
        gru_feature_dim=256,
        num_gru_layers=2,
    )
    constants = ActorConstants(torch.randn(3, settings.sizes.total), torch.ones(3, 4))
    plan = DiffusionPlan(
        version="0",
        network=settings,
        actors=("a", "b", "c"),
        emotions=tuple("0123456789"),
        has_emotions=True,
        default_emotion=(0.0,) * 10,
        sampling=SamplerSettings(noise_schedule="cosine", respacing="2"),
        resampler="soxr",
        windows=WindowSchedule.divided(
            window=16000, left_context=15, hop=30, right_context=15, padding=16000, samplerate=16000
        ),
        padding_right=16000,
    )
    return DiffusionNetwork(settings, constants, encoder), plan


def export_all(folder: Path, small: bool) -> tuple[dict[str, Path], Feed]:
    """Writes the three graphs; returns where, by what they are, and inputs for them."""
    network, plan = make_plan(small)
    sampler = make_sampler(network, plan)
    del network
    paths = {name: folder / f"{index}.onnx" for index, name in enumerate((DEPLOYED, REPEATED, ENCODER))}
    make_inputs = partial(example_inputs, plan.info)
    export_graph(sampler, plan.info, make_inputs, paths[DEPLOYED])
    export_graph(EncoderPerStep(sampler).eval(), plan.info, make_inputs, paths[REPEATED])
    inputs = make_inputs(1, torch.Generator().manual_seed(0))
    encoder = sampler.network.encoder
    assert encoder is not None
    torch.onnx.export(
        encoder, (inputs["window"],), str(paths[ENCODER]), input_names=["window"], opset_version=17, dynamo=False
    )
    return paths, {name: value.numpy() for name, value in inputs.items()}


def open_session(path: Path, threads: int, profile: Path | None = None) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(paths: Mapping[str, Path], inputs: Feed, threads: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each graph."""
    sessions = {name: open_session(path, threads) for name, path in paths.items()}
    taken: dict[str, list[float]] = defaultdict(list)
    for turn in range(rounds + 2):
        for name, session in sessions.items():
            feed = {value.name: inputs[value.name] for value in session.get_inputs()}
            began = time.perf_counter()
            session.run(None, feed)
            if turn >= 2:
                taken[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(times) for name, times in taken.items()}


def profile(path: Path, inputs: Feed, threads: int, folder: Path, rounds: int = 5) -> dict[str, float]:
    """Milliseconds of a window by kind of operator and the shape of its output, the largest first."""
    session = open_session(path, threads, folder / "profile")
    for _ in range(rounds):
        session.run(None, inputs)
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            shapes = [next(iter(shape.values())) for shape in event["args"].get("output_type_shape", [])]
            spent[f"{event['args']['op_name']} -> {shapes[0] if shapes else ''}"] += event["dur"] / 1000 / rounds
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Times one window of the exported diffusion network.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--small", action="store_true", help="smaller sizes, to try the benchmark itself")
    parser.add_argument("--profile", action="store_true", help="also print what the time goes to")
    chosen = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        paths, inputs = export_all(Path(folder), chosen.small)
        sizes = {name: path.stat().st_size / 1e6 for name, path in paths.items()}
        times = measure(paths, inputs, chosen.threads, chosen.rounds)
        table = Table("graph", "ms a window", "MB", title=f"one window, batch 1, {chosen.threads} threads")
        for name, value in times.items():
            table.add_row(name, f"{value:.1f}", f"{sizes[name]:.0f}")
        console.print(table)
        whole, encoder = times[DEPLOYED], times[ENCODER]
        print(f"of {whole:.1f} ms, the encoder takes {encoder / whole:.0%}, the rest {1 - encoder / whole:.0%}")
        ratio = times[REPEATED] / whole
        print(f"{ratio:.2f} times as fast as with the encoder in every step; target {TARGET}")
        if chosen.profile:
            for name, value in list(profile(paths[DEPLOYED], inputs, chosen.threads, Path(folder)).items())[:15]:
                print(f"{value:8.2f} ms  {name}")


if __name__ == "__main__":
    main()
