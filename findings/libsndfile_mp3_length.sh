#!/bin/bash
# libsndfile ends in the middle of MP3 files that have no Info (Xing) tag.
#
# Versions:   soundfile 0.14.0 (libsndfile 1.2.2), av 18.1.0 (FFmpeg 8.1.2), numpy 2.4.6
# Behaviour:  without the tag the number of frames that libsndfile states is an estimate from the bit rate of the first
#             frames. For a variable bit rate it is far too small, and reading stops there: no error, no more samples.
#             For a constant bit rate it is too large, and the last read is shorter than promised.
# Seen:       88,200 samples, of which FFmpeg decodes 89,856 (with priming and padding). Variable bit rate: libsndfile
#             states and gives 40,701. Constant bit rate: it states 90,184 and gives 89,856.
# Why:        streaming encoders and cutters leave the tag out. "Fewer samples than stated" is no sign of damage, and
#             "as many as stated" no sign that the file was read to its end.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 soundfile==0.14.0 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'PYTHON'
import av
import numpy as np
import soundfile

RATE, COUNT = 44_100, 88_200
# A soft hum, then noise: the first frames need few bits and the others many.
times = np.arange(COUNT) / RATE
noise = np.random.default_rng(0).standard_normal(COUNT)
sound = np.where(times < 0.2, 0.001 * np.sin(2 * np.pi * 100 * times), 0.3 * noise).astype(np.float32)


def encode(path: str, options: dict[str, str]) -> int:
    """Writes the sound as MP3 without a tag; how many samples FFmpeg decodes from it."""
    with av.open(path, "w", options={"write_xing": "0"}) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.codec_context.options = options
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        resampler = av.AudioResampler("fltp", "mono", RATE, frame_size=1152)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    with av.open(path) as container:
        return sum(frame.samples for frame in container.decode(audio=0))


for name, options in (("constant", {"b": "128k"}), ("variable", {"flags": "+qscale", "global_quality": "472"})):
    decoded = encode(f"{name}.mp3", options)
    stated = soundfile.info(f"{name}.mp3").frames
    given = len(soundfile.read(f"{name}.mp3")[0])
    print(f"{name}: {COUNT} encoded, FFmpeg decodes {decoded}, libsndfile states {stated} and gives {given}")
    assert decoded >= COUNT
    if name == "variable":
        assert given == stated < COUNT, "libsndfile now reads variable bit rates to the end"
    else:
        assert stated != given, "libsndfile now knows the length of constant bit rates"
PYTHON
