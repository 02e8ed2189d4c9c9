#!/bin/bash
# What eSpeak NG makes of a sentence depends on the sentences that the process has spoken before, the length included.
#
# Versions:   espeakng-loader 0.2.4 (eSpeak NG 1.52.0)
# Behaviour:  the synthesiser keeps the state of its waves from sentence to sentence. espeak_ng_SetRandSeed before each
#             sentence does not change that, nor does choosing the voice again.
# Seen:       SHA-256 and samples of "Papa bought a big map." by `en`: 27,987 samples in every process where it is the first
#             sentence, 27,990 behind the same sentence, 27,981 behind one by `en+f1`.
# Why:        speech that is made in several processes is the same in every run only where each sentence, or each file of
#             them, is the first of a process, or where the processes share the work in the same way.
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

sound = bytearray()


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def receive(samples, count, events):
    if samples and count:
        sound.extend(ctypes.string_at(samples, 2 * count))
    return 0


library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Initialize(2, 200, espeakng_loader.get_data_path().encode(), 0)  # 2: synchronous
library.espeak_SetSynthCallback(receive)
text = b"Papa bought a big map.\0"
for voice in sys.argv[1:]:
    sound.clear()
    assert library.espeak_SetVoiceByName(voice.encode()) == 0
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))
    library.espeak_Synth(text, len(text), 0, 1, 0, 1, None, None)
print(hashlib.sha256(sound).hexdigest()[:8], len(sound) // 2)
PYTHON
speak() { "$work/venv/bin/python" "$work/speak.py" "$@"; }
first=$(speak en) again=$(speak en en) behind=$(speak en+f1 en)
echo "en as the first sentence: $first, in another process: $(speak en)"
echo "en behind en:             $again"
echo "en behind en+f1:          $behind"
[ "$first" = "$(speak en)" ]
if [ "$first" = "$again" ] || [ "$first" = "$behind" ]; then
    echo "a sentence does not depend on the one before now" >&2
    exit 1
fi
