"""Speed of the encoder `a2f-phonetic` on one core: whole recordings, and a stream in steps of 20 ms.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.phonetic_encoder

The sound is noise that swells and fades; the time of the network does not depend on its input. Processor time is
measured, which other processes disturb less. Targets: 200 times real time for recordings, 1 ms per step in a stream.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from audio2face.audio.mel import MEL_RATE
from audio2face.inference.visemes import VisemeStream, viseme_channels
from audio2face.phonetic.network import STEP_SAMPLES
from audio2face.types import Float32Array

SECONDS, REPEATS = 60, 5


def sound() -> Float32Array:
    """One minute at 16 kHz."""
    rng = np.random.default_rng(0)
    count = SECONDS * MEL_RATE
    swell = 0.1 * np.abs(np.sin(np.arange(count) / MEL_RATE * 8))
    return (swell * rng.standard_normal(count)).astype(np.float32)


def offline(samples: Float32Array) -> float:
    """Times real time of the best repeat, in NumPy."""
    best = np.inf
    for _ in range(REPEATS):
        started = time.process_time()
        viseme_channels(samples, MEL_RATE)
        best = min(best, time.process_time() - started)
    return SECONDS / best


def offline_torch(samples: Float32Array) -> float:
    """Times real time of the best repeat, in PyTorch."""
    import torch

    from audio2face.models import encoders

    torch.set_num_threads(1)
    encoder, audio = encoders.create("a2f-phonetic"), torch.from_numpy(samples)[None]
    best = np.inf
    with torch.inference_mode():
        for _ in range(REPEATS):
            started = time.process_time()
            encoder(audio)
            best = min(best, time.process_time() - started)
    return SECONDS / best


def streaming(samples: Float32Array) -> tuple[float, float]:
    """Median and 99th percentile of the milliseconds of a step."""
    stream, seconds = VisemeStream(), []
    for start in range(0, len(samples), STEP_SAMPLES):
        started = time.process_time()
        stream.push(samples[start : start + STEP_SAMPLES])
        seconds.append(time.process_time() - started)
    median, late = 1e3 * np.percentile(seconds, [50, 99])
    return float(median), float(late)


def main() -> int:
    """Prints a table."""
    samples = sound()
    median, late = streaming(samples)
    print(f"whole recordings, NumPy    {offline(samples):6.0f} times real time")
    print(f"whole recordings, PyTorch  {offline_torch(samples):6.0f} times real time")
    print(f"stream, a step of 20 ms    {median:6.2f} ms (99 %: {late:.2f} ms)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
