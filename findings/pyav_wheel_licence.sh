#!/bin/bash
# The FFmpeg in PyAV's wheel says that it is LGPL, and encodes with x264 and x265, which are GPL.
#
# Versions:   av 18.1.0 (FFmpeg 8.1.2), Linux wheel
# Behaviour:  FFmpeg's own configure refuses --enable-libx264 without --enable-gpl. The wheel's build has the encoders and
#             no --enable-gpl, so that `avcodec_license()`, which FFmpeg derives from the options, names the LGPL. The
#             wheel's metadata says BSD-3-Clause, for PyAV's own code.
# Seen:       licence "LGPL version 3 or later" for all seven libraries; --enable-libx264 and --enable-libx265 in the
#             configuration, --enable-gpl missing; libx264 and libx265 encode a picture each.
# Why:        Whoever ships a product with this wheel, and asks FFmpeg or the metadata for the licence, is not told of the
#             GPL's terms. Both libraries are offered under the GPL-2.0 or later, or a commercial licence.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
from importlib import metadata

import av
import av._core
import numpy as np

licences = {name: about["license"] for name, about in av._core.library_meta.items()}
configuration = av._core.library_meta["libavcodec"]["configuration"].split()
print("metadata:", metadata.metadata("av")["License-Expression"])
print("FFmpeg:", sorted(set(licences.values())), "of", ", ".join(licences))
options = {option: option in configuration for option in ("--enable-gpl", "--enable-libx264", "--enable-libx265")}
print("configuration:", options)
assert set(licences.values()) == {"LGPL version 3 or later"}
assert options == {"--enable-gpl": False, "--enable-libx264": True, "--enable-libx265": True}
picture = np.zeros((64, 64, 3), np.uint8)
for codec in ("libx264", "libx265"):
    with av.open(f"{codec}.mp4", "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        packets = [*stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *stream.encode(None)]
        print(codec, "encodes", sum(packet.size for packet in packets), "bytes")
        assert packets
        container.mux(packets)
PYTHON
