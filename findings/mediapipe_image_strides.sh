#!/bin/bash
# MediaPipe reads arrays of pictures as if their rows had no padding, whatever their strides say.
#
# Versions:   mediapipe 1.2.3, av 18.1.0 (FFmpeg 8.1.2), numpy 2.4.6
# Behaviour:  mediapipe.Image takes the address of an array and its height, width and channels, not its strides. A view of
#             a part of a picture, a mirrored one and a picture with padded rows become another picture. There is no error.
# Seen:       rgb24 frames of PyAV whose width is no multiple of 32 pixels are such views (360 pixels: rows of 1,104
#             bytes instead of 1,080): MediaPipe sees a sheared picture, in which it finds no face.
# Why:        every reader of films meets it at some width, and takes it for a face that is not found.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mediapipe==1.2.3 av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import av
import mediapipe
import numpy as np


def seen(picture: np.ndarray) -> np.ndarray:
    image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
    return image.numpy_view().copy()  # the view ends with the image


rng = np.random.default_rng(0)
picture = rng.integers(0, 256, (48, 360, 3), dtype=np.uint8)
frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p").reformat(format="rgb24").to_ndarray()
print(f"rows of a frame of PyAV, 360 pixels wide: {frame.strides[0]} bytes, {360 * 3} of them pixels")
for name, array in (("part", picture[:, 10:50]), ("mirrored", picture[:, ::-1]), ("frame of PyAV", frame)):
    is_same, is_copy_same = (bool(np.array_equal(seen(data), array)) for data in (array, np.ascontiguousarray(array)))
    print(f"{name}: contiguous {array.flags.c_contiguous}, seen as it is {is_same}, as a copy {is_copy_same}")
    assert is_copy_same
    assert array.flags.c_contiguous or not is_same, "MediaPipe now heeds strides"
PYTHON
