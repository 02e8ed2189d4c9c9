"""Slower or faster speech at the same pitch: WSOLA, waveform similarity overlap-add (Verhelst and Roelands 1993).

The output is made of windows of 30 ms, half overlapped. Each is taken from the recording near the place that the
stretch asks for, where it continues the window before it best, so periods of the voice join in phase. Its error of
timing is at most the search range, 8 ms, in each window, does not add up, and is 0 to 3 ms on average.
"""

from __future__ import annotations

import numpy as np

from audio2face.types import Float32Array, Float64Array

_WINDOW_SECONDS = 0.03  # two or more periods of a voice
_SEARCH_SECONDS = 0.008  # a period of 63 Hz on both sides together
# Taken from the correlation at the ends of the search, less within it by the square of the distance. Periods of a voice
# are almost alike: without it windows stay near one end while a voice sounds, and speech comes 5 ms early or late.
_PENALTY = 0.6


def stretch(samples: Float32Array, samplerate: int, factor: float) -> Float32Array:
    """Stretches a recording in time.

    Args:
        samples: `[samples]`.
        samplerate: samples per second.
        factor: length of the result over that of the recording, above 0.

    Returns:
        Float32 `[round(samples * factor)]`.
    """
    hop = round(_WINDOW_SECONDS / 2 * samplerate)
    search = round(_SEARCH_SECONDS * samplerate)
    window = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * hop) + 0.5) / hop)  # half overlapped, it sums to 1
    length = round(len(samples) * factor)
    margin = 2 * hop + search
    padded = np.pad(np.asarray(samples, np.float64), (margin, 2 * margin))
    result = np.zeros(length + 4 * hop)  # begins a hop early
    continued = margin - hop
    for centre in range(0, length + hop, hop):  # of a window, in the stretched recording
        wanted = margin - hop + min(round(centre / factor), len(samples))
        place = _most_similar(padded, continued, wanted, search, 2 * hop)
        result[centre : centre + 2 * hop] += window * padded[place : place + 2 * hop]
        continued = place + hop
    return result[hop : hop + length].astype(np.float32)


def _most_similar(padded: Float64Array, continued: int, wanted: int, search: int, length: int) -> int:
    """The start near `wanted` of the window that is most like the one at `continued`."""
    template = padded[continued : continued + length]
    region = padded[wanted - search : wanted + search + length]
    products = np.correlate(region, template, "valid")
    sums = np.cumsum(np.concatenate([[0.0], np.square(region)]))
    energies = sums[length:] - sums[:-length]
    similarity = products / np.sqrt(energies * (template @ template) + 1e-12)
    distance = np.linspace(-1, 1, 2 * search + 1)
    similarity -= _PENALTY * np.square(distance)
    return wanted - search + int(np.argmax(similarity))
