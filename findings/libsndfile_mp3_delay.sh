#!/bin/bash
# MP3 that libsndfile writes at a low constant bit rate comes back 1,105 samples late at some sample rates.
#
# Versions:   soundfile 0.14.0 (libsndfile 1.2.2), numpy 2.4.6
# Behaviour:  LAME tells its delay in a tag in the first frame, and libsndfile cuts that delay off when it reads. A frame
#             that is too small for the tag is written without it, without an error; then the delay stays, and the
#             file reads longer than what was written.
# Seen:       compression level 0.8. Constant bit rate: 8, 22.05 and 24 kHz have no tag (frames of 144, 130 and 120
#             bytes) and are 1,105 samples late (576 + 528 + 1); 16 kHz (180 bytes), 32, 44.1 and 48 kHz are in time.
#             Variable bit rate: all are in time.
# Why:        whoever encodes to measure what MP3 does to a signal measures a shift of up to 138 ms in its place.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import io

import numpy as np
import soundfile

LATE = {8000, 22_050, 24_000}


def delay(rate: int, mode: str) -> tuple[int, bool]:
    """Samples by which a click comes late, and whether the file has the tag."""
    sound = np.zeros(rate, np.float32)
    sound[rate // 2 : rate // 2 + 64] = 0.8 * np.hanning(64)
    written = io.BytesIO()
    soundfile.write(
        written, sound, rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.8, bitrate_mode=mode
    )
    tagged = any(tag in written.getvalue()[:300] for tag in (b"Info", b"Xing"))
    written.seek(0)
    read, _ = soundfile.read(written)
    return int(np.argmax(np.correlate(read, sound[rate // 2 : rate // 2 + 64], "valid"))) - rate // 2, tagged


for rate in (8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000):
    for mode in ("CONSTANT", "VARIABLE"):
        late, tagged = delay(rate, mode)
        print(f"{rate} Hz, {mode.lower()}: {late} samples late, {'with' if tagged else 'without'} the tag")
        expected = mode == "CONSTANT" and rate in LATE
        assert (late == 1105) == expected == (not tagged), "libsndfile now keeps the time, or loses it elsewhere"
PYTHON
