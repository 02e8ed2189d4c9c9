#!/bin/bash
# eSpeak NG's phoneme event marks the closure of a stop or its release: which of them depends on the phones around it.
#
# Versions:   espeakng-loader 0.2.4 (eSpeak NG 1.52.0), numpy 2.4.6
# Behaviour:  the event of a vowel, fricative or nasal is its beginning. The event of p, t, k is the release: the closure is
#             the silence before it, which no event announces, so that it seems to belong to the phone before. The event of
#             b, d, g is the beginning of the closure behind a vowel, and the release at the beginning of a word behind a
#             consonant or a pause. An event without a name is a pause, or a short vowel (Italian "pr").
# Seen:       level against the loudest 50 ms of the sentence, 30 to 10 ms before the event and 10 to 30 ms behind it:
#             p in "copper" -80 and -19 dB, b in "robber" -3 and -20 dB, b of "boy" in "bad boy" -80 and -10 dB.
# Why:        a closure taken from event to event is the burst of a p, when the lips are open again: 40 ms late. Labels of
#             closures, and everything that is measured on them, need the sound as well as the events.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check espeakng-loader==0.2.4 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import ctypes

import espeakng_loader
import numpy as np

SYNCHRONOUS, PHONEMES_AS_IPA, UTF8, PHONEME = 2, 3, 1, 7


class Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("milliseconds", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("name", ctypes.c_char * 8),
    ]


callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))
library = ctypes.CDLL(espeakng_loader.get_library_path())
library.espeak_Info.restype = ctypes.c_char_p
rate = library.espeak_Initialize(SYNCHRONOUS, 200, espeakng_loader.get_data_path().encode(), PHONEMES_AS_IPA)
print("eSpeak NG", library.espeak_Info(None).decode())
blocks, events = [], []


@callback_type
def receive(samples, count, found):
    if samples and count:
        blocks.append(np.ctypeslib.as_array(samples, (count,)).astype(float))
    index = 0
    while found[index].type:
        if found[index].type == PHONEME:
            events.append((found[index].name.decode().strip("ˈˌ"), found[index].sample))
        index += 1
    return 0


library.espeak_SetSynthCallback(receive)


def speak(language, text):
    blocks.clear(), events.clear()
    assert library.espeak_SetVoiceByName(language.encode()) == 0
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 1, 0, UTF8, None, None)
    return np.concatenate(blocks)


def around(language, text, phone, number=0):
    """Levels before and behind the event of a phone, in decibels against the loudest 50 ms."""
    sound = speak(language, text)
    place = [sample for name, sample in events if name == phone][number]
    power = np.convolve(sound**2, np.ones(rate // 20) / (rate // 20)).max()

    def level(start, end):
        part = sound[place + start * rate // 1000 : place + end * rate // 1000]
        return 10 * np.log10(np.mean(part**2) / power + 1e-8)

    before, behind = level(-30, -10), level(10, 30)
    print(f"{phone} in {text!r} ({language}): {before:.0f} dB before its event, {behind:.0f} dB behind it")
    return before, behind


for language, text in (("en", "copper"), ("de", "Suppe"), ("fr", "dupé"), ("es", "copa")):
    before, behind = around(language, text, "p")
    assert before < -60 < behind, "the event of p is no longer its release"
for language, text in (("en", "robber"), ("de", "Gabe"), ("fr", "habit")):
    before, behind = around(language, text, "b")
    assert before > -12 > behind > -40, "the event of b behind a vowel is no longer the beginning of its closure"
before, behind = around("en", "bad boy", "b", number=1)
assert before < -60 < -15 < behind, "the event of b behind a consonant is no longer its release"
sound = speak("it", "la preda")
index = next(i for i, (name, _) in enumerate(events) if name == "p")
(name, start), (_, end) = events[index + 1], events[index + 2]
duration, loudness = 1000 * (end - start) / rate, np.median(np.abs(sound[start:end]))
print(f"between p and r of 'la preda' (it): an event {name!r} of {duration:.0f} ms, median {loudness:.0f}")
assert name == "" and loudness > 100, "the short vowel has a name now, or no sound"
PYTHON
