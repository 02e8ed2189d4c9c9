#!/bin/bash
# PyLiveLinkFace sends a frame rate with a denominator of 0 below 60 frames per second.
#
# Versions:   PyLiveLinkFace 0.1, timecode 1.4.1, numpy 2.4.6
# Behaviour:  a packet of Live Link Face holds the frame rate as a fraction. The denominator is int(fps / 60): 0 below 60,
#             2 at 120, where the rate is 60 then. There is no error; the reader of the same package returns it.
# Seen:       a sender at 30 frames per second tells Unreal Engine a rate of 30/0.
# Why:        networks of faces make 30 frames per second, and the package is what is found for sending them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check PyLiveLinkFace==0.1 timecode==1.4.1 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import struct

from pylivelinkface import PyLiveLinkFace

rates = {}
for fps in (30, 60, 120):
    packet = PyLiveLinkFace(name="face", fps=fps).encode()
    # Behind version (1 byte), identifier and name (each a length of 4 bytes and its text), frame number and part of a frame.
    place = 1
    for _ in range(2):
        place += 4 + struct.unpack_from("!i", packet, place)[0]
    rates[fps] = struct.unpack_from("!ii", packet, place + 8)
    print(f"{fps} frames per second are sent as {rates[fps][0]}/{rates[fps][1]}")
assert rates == {30: (30, 0), 60: (60, 1), 120: (120, 2)}, "PyLiveLinkFace sends other rates now"
PYTHON
