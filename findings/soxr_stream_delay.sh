#!/bin/bash
# soxr's streaming resampler holds back 21 ms of sound at its default quality.
#
# Versions:   soxr 1.1.0, numpy 2.4.6
# Behaviour:  ResampleStream from 48,000 to 16,000 samples per second gives nothing for the first blocks, and stays behind by
#             6 (LQ), 21 (HQ, the default) or 38 ms (VHQ), which come with last=True. QQ holds nothing back.
# Seen:       a second of sound in blocks of 10 ms.
# Why:        the delay is of the filter, whatever the size of blocks: two thirds of a frame of animation at 30 frames per
#             second, in a chain that is to be two frames late in all.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check soxr==1.1.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import soxr

held = {}
for quality in ("QQ", "LQ", "HQ", "VHQ"):
    stream = soxr.ResampleStream(48_000, 16_000, 1, dtype="float32", quality=quality)
    made = sum(len(stream.resample_chunk(np.zeros(480, np.float32))) for _ in range(100))
    rest = len(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    assert made + rest == 16_000, f"{quality}: {made} and {rest} samples do not make a second"
    held[quality] = round(rest / 16, 1)
    print(f"{quality}: {held[quality]} ms held back")
assert held == {"QQ": 0.0, "LQ": 6.2, "HQ": 21.3, "VHQ": 37.5}, "soxr holds back another time now"
PYTHON
