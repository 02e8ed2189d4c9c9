#!/bin/bash
# FFmpeg applies the edit lists of MP4 sound roughly: the end is not cut, and edits after the first lie on packets.
#
# Versions:   av 18.1.0 (FFmpeg 8.1.2), numpy 2.4.6
# Behaviour:  the priming samples of the first edit are left out to the sample. The padding behind the end of an edit is
#             decoded with the rest. After an empty edit (a track that begins late) even `stream.duration` forgets the
#             edit list and tells the length of the whole media. A second edit begins at the packet around its start.
# Seen:       AAC at 44.1 kHz. One edit of 2,000 ms: 88,200 samples are presented, 89,088 are decoded. Empty edit of
#             500 ms before it: `duration` is 89,324, with priming. Two edits of 700 ms, the second from 0.9 s on: its
#             sound lies 246 samples before its place.
# Why:        sound that is compared with pictures has to begin and end where a player begins and ends it. A program
#             that trusts the decoded frames is off by up to a packet (23 ms); it has to read `elst` by itself, with
#             `ignore_editlist=1`.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import struct

import av
import numpy as np

RATE, PRIMING = 44_100, 1024
sound = (0.3 * np.random.default_rng(0).standard_normal(2 * RATE + 100)).astype(np.float32)
sound = np.convolve(sound, np.hanning(16) / 8, "same").astype(np.float32)
with av.open("plain.m4a", "w") as container:
    stream = container.add_stream("aac", rate=RATE, layout="mono")
    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts = RATE, 0
    resampler = av.AudioResampler("fltp", "mono", RATE, frame_size=1024)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode(None))


def with_edits(edits):
    """A copy of the file with (milliseconds, first media sample or -1) as its edit list."""
    data = open("plain.m4a", "rb").read()
    at = data.index(b"edts") - 4
    old = struct.unpack(">I", data[at : at + 4])[0]
    rows = b"".join(struct.pack(">Iii", milliseconds, start, 0x10000) for milliseconds, start in edits)
    elst = struct.pack(">I4sII", 16 + len(rows), b"elst", 0, len(edits)) + rows
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    grown = bytearray(data[:at] + edts + data[at + old :])
    for parent in (b"moov", b"trak"):  # the index lies behind the samples, so that no offset changes
        place = grown.index(parent) - 4
        struct.pack_into(">I", grown, place, struct.unpack_from(">I", grown, place)[0] + len(edts) - old)
    open("edited.m4a", "wb").write(grown)


def decoded():
    with av.open("edited.m4a") as container:
        stream = container.streams.audio[0]
        frames = [(frame.pts, frame.to_ndarray()[0]) for frame in container.decode(stream)]
        return frames, stream.start_time, stream.duration


with_edits([(2000, PRIMING)])
frames, _, duration = decoded()
count = sum(len(samples) for _, samples in frames)
print(f"one edit of {2 * RATE} samples: {count} decoded, duration {duration}")
assert duration == 2 * RATE < count, "the end of an edit is cut now"

with_edits([(500, -1), (2000, PRIMING)])
_, start, duration = decoded()
print(f"after an empty edit: start {start}, duration {duration}, presented {2 * RATE}")
assert start == RATE // 2
assert duration != 2 * RATE, "the duration after an empty edit is right now"

with_edits([(700, PRIMING), (700, PRIMING + round(0.9 * RATE))])
frames, _, _ = decoded()
second = round(0.7 * RATE)
found = np.zeros(2 * second + 4096, np.float32)
for pts, samples in frames:
    found[pts : pts + len(samples)] = samples
truth = sound[round(0.9 * RATE) :][:8192]
best = max(range(-1024, 1025), key=lambda shift: float(truth @ found[second + shift : second + shift + 8192]))
print(f"second edit: its sound lies {best} samples after its place")
assert abs(best) > 44, "later edits begin to the sample now"
PYTHON
