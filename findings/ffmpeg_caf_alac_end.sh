#!/bin/bash
# FFmpeg cuts the padding of ALAC in CAF files twice, and so loses the last samples of a lossless recording.
#
# Versions:   av 18.1.0 (FFmpeg 8.1.2), numpy 2.4.6
# Behaviour:  the last packet of ALAC holds as few samples as are left of the recording, and its decoder gives so many.
#             The packet table of a CAF file counts the rest of a whole packet as remainder frames; FFmpeg 8.1's demuxer
#             tells the decoder to discard these, and they are cut off the short packet once more.
# Seen:       86,000 samples (20 packets of 4,096 and one of 4,080) come back as 85,984; 88,742 (a last packet of 2,726)
#             as 87,372. With the decoder's flag `skip_manual` all come back, and they are what was written.
# Why:        `.caf` is what macOS and iOS record into. A lossless file must come back whole.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
from av.codec.context import Flags2

RATE = 44_100


def encode(count):
    sound = np.random.default_rng(0).integers(-(2**22), 2**22, (1, count)).astype(np.int32) << 8
    with av.open("a.caf", "w") as container:
        stream = container.add_stream("alac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="s32p", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler("s32p", "mono", RATE, frame_size=4096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return sound[0]


def decode(manual):
    with av.open("a.caf") as container:
        stream = container.streams.audio[0]
        if manual:
            stream.codec_context.flags2 |= Flags2.skip_manual
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])


for count in (86_000, 88_742):
    sound = encode(count)
    plain, manual = decode(False), decode(True)
    print(f"{count} samples written, {len(plain)} decoded, {len(manual)} with skip_manual")
    assert len(plain) == count - (-count % 4096), "the end is no longer cut twice"
    assert np.array_equal(manual, sound)
PYTHON
