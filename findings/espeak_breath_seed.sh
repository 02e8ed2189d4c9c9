#!/bin/bash
# eSpeak NG's variants with breath sound different in every second: the noise is seeded with the clock.
#
# Versions:   espeakng-loader 0.2.4 (eSpeak NG 1.52.0)
# Behaviour:  voices without breath (`en`, `en+f1`, `en+f4`) give equal samples in every process. Those with a line
#             `breath` (`en+f2`, `en+f3`, `en+f5`, whisper) add noise whose seed is the time at which the library starts.
#             `espeak_ng_SetRandSeed` before a sentence makes them equal too; libc's `srand` does not.
# Seen:       SHA-256 of "Papa bought a big map." in processes two seconds apart: `en+f1` equal, `en+f3` different,
#             `en+f3` with a seed equal.
# Why:        a synthesiser of formants is taken for deterministic, and files made by it for reproducible. Two runs within
#             one second agree, so a quick comparison shows nothing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check espeakng-loader==0.2.4
cat > "$work/speak.py" <<'PYTHON'
import ctypes
import hashlib
import sys

import espeakng_loader

voice, seeded = sys.argv[1], len(sys.argv) > 2
sound = hashlib.sha256()


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def receive(samples, count, events):
    if samples and count:
        sound.update(ctypes.string_at(samples, 2 * count))
    return 0


library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Initialize(2, 200, espeakng_loader.get_data_path().encode(), 0)  # 2: synchronous
library.espeak_SetSynthCallback(receive)
assert library.espeak_SetVoiceByName(voice.encode()) == 0
if seeded:
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
text = b"Papa bought a big map.\0"
library.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
print(sound.hexdigest())
PYTHON
speak() { "$work/venv/bin/python" "$work/speak.py" "$@"; }
plain=$(speak en+f1) breath=$(speak en+f3) seeded=$(speak en+f3 seeded)
sleep 2
echo "without breath: ${plain:0:8} $(speak en+f1 | cut -c1-8)"
echo "with breath:    ${breath:0:8} $(speak en+f3 | cut -c1-8)"
echo "with a seed:    ${seeded:0:8} $(speak en+f3 seeded | cut -c1-8)"
[ "$plain" = "$(speak en+f1)" ] && [ "$seeded" = "$(speak en+f3 seeded)" ]
if [ "$breath" = "$(speak en+f3)" ]; then
    echo "breath is the same in every run now" >&2
    exit 1
fi
