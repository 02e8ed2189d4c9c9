#!/bin/bash
# MediaPipe's package reports its use to its maker over the network.
#
#     bash findings/mediapipe_usage_reports.sh face_landmarker.task
#
# Versions:   mediapipe 1.2.3
# Behaviour:  a task that is created and used once connects to play.googleapis.com from a thread of its own, seconds later.
#             We found no argument that turns it off (four fields of its options were tried).
# Seen:       a proxy of this script is asked for a connection to that host, after one black picture.
# Why:        pictures of people are private, and a machine that must not reach the internet should not try. What is sent
#             was not seen: it is encrypted. A proxy on which nothing listens (https_proxy) stops it.
set -euo pipefail
model=$(realpath "${1:?the network of a task of MediaPipe, such as face_landmarker.task}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check mediapipe==1.2.3 numpy==2.4.6
"$work/venv/bin/python" - "$model" <<'PYTHON'
import os
import socket
import sys
import threading
import time

import numpy as np

asked: list[str] = []
listener = socket.create_server(("127.0.0.1", 0))


def listen() -> None:
    while True:
        connection, _ = listener.accept()
        asked.append(connection.recv(400).split(b"\r\n")[0].decode())
        connection.close()


threading.Thread(target=listen, daemon=True).start()
os.environ["https_proxy"] = f"http://127.0.0.1:{listener.getsockname()[1]}"

import mediapipe
from mediapipe.tasks import python as tasks
from mediapipe.tasks.python import vision

options = vision.FaceLandmarkerOptions(base_options=tasks.BaseOptions(model_asset_path=sys.argv[1]))
with vision.FaceLandmarker.create_from_options(options) as landmarker:
    landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.zeros((64, 64, 3), np.uint8)))
time.sleep(5)
print("connections that were asked for:", ", ".join(asked) or "none")
assert any("googleapis.com" in line for line in asked), "MediaPipe no longer reports"
PYTHON
