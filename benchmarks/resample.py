"""Resampling a minute of audio to 16 kHz: processor time and aliases of the filters.

.venv/bin/python -m benchmarks.resample
"""

from __future__ import annotations

import time

import numpy as np

from audio2face.audio import resample_exact, resample_hann, resample_soxr

SECONDS = 60
TONES = (8_200, 9_000, 10_000, 12_000, 16_000)  # Hz; none of them exists at 16 kHz


def main() -> None:
    """Prints a row per rate and filter."""
    print(f"{'rate':>7}  {'filter':<16}{'ms':>6}   alias of a tone in dB: " + " ".join(f"{tone:>7}" for tone in TONES))
    for rate in (44_100, 48_000, 96_000):
        times = np.arange(SECONDS * rate) / rate
        noise = np.random.default_rng(0).uniform(-0.5, 0.5, len(times)).astype(np.float32)
        for resample in (resample_soxr, resample_hann, resample_exact):
            spent = []
            for _ in range(5):
                start = time.process_time()
                resample(noise, rate, 16_000)
                spent.append(time.process_time() - start)
            levels = []
            for tone in TONES:
                made = resample(np.sin(2 * np.pi * tone * times[: 2 * rate]).astype(np.float32), rate, 16_000)
                levels.append(20 * np.log10(np.abs(made[8_000:-8_000]).max() + 1e-12))
            columns = " ".join(f"{level:7.1f}" for level in levels)
            print(f"{rate:>7}  {resample.__name__:<16}{1000 * min(spent):>6.0f}   {'':<23}{columns}")


if __name__ == "__main__":
    main()
