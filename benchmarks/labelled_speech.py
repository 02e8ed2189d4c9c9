"""Speed of making labelled speech for the encoder `a2f-phonetic`: processor seconds for an hour of each source.

    OMP_NUM_THREADS=1 PYTHONPATH=espeak_ng:kokoro_voices .venv/bin/python -m benchmarks.labelled_speech

The sources take turns, one utterance each, in one process and one thread. An hour of the mix has the amounts that
`tools.labelled_speech` makes by default; it is divided among processes, so on two cores it takes half of its processor
time. The target is 180 s on two cores. `tools/espeak.py` and `tools/kokoro.py` say how to install eSpeak NG and Kokoro.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from audio2face.errors import UserError
from audio2face.phonetic.network import STEP_SAMPLES
from audio2face.synthesis.labels import STEPS_PER_SECOND, label_steps
from audio2face.synthesis.speakers import Speak
from tools.labelled_speech import MINUTES, SPEAKERS, log_mel

WORK = ("synthesis", "labels", "mel bands")


class Source:
    """One kind of speech: its utterances, and the processor time that each part of the work took.

    Attributes:
        seconds: of speech made so far.
        spent: processor seconds of each of `WORK`.
    """

    def __init__(self, speak: Speak) -> None:
        self._speak, self._rng = speak, np.random.default_rng(0)
        self.seconds, self.spent = 0.0, np.zeros(len(WORK))

    def make(self) -> None:
        """Makes one utterance; one that switches its language costs time and gives no speech."""
        times = [time.process_time()]
        try:
            spoken = self._speak(self._rng)
        except UserError:
            self.spent[0] += time.process_time() - times[0]
            return
        steps = len(spoken.samples) // STEP_SAMPLES
        times.append(time.process_time())
        label_steps(spoken.phones, steps)
        times.append(time.process_time())
        log_mel(spoken.samples[: steps * STEP_SAMPLES])
        times.append(time.process_time())
        self.seconds += steps / STEPS_PER_SECOND
        self.spent += np.diff(times)

    def of_an_hour(self) -> tuple[float, ...]:
        """Processor seconds for an hour of speech, of each of `WORK`."""
        return tuple((self.spent / self.seconds * 3600).tolist())


def main(argv: list[str]) -> int:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="of speech of each source (default: 120)")
    options = parser.parse_args(argv)
    sources = {kind: Source(speaker()) for kind, speaker in SPEAKERS.items()}
    for source in sources.values():
        source.make()  # loads what is loaded at the first use
        source.seconds, source.spent = 0.0, np.zeros(len(WORK))
    while unfinished := [source for source in sources.values() if source.seconds < options.seconds]:
        for source in unfinished:
            source.make()
    print(f"processor s for an hour: {'':12}{'whole':>8}" + "".join(f"{name:>12}" for name in WORK))
    mixed = 0.0
    for kind, source in sources.items():
        parts = source.of_an_hour()
        mixed += sum(parts) * MINUTES[kind] / sum(MINUTES.values())
        print(f"{kind:<37}{sum(parts):8.0f}" + "".join(f"{part:12.1f}" for part in parts))
    print(f"{'the mix':<37}{mixed:8.0f}")
    print(f"{'the mix, s on two cores':<37}{mixed / 2:8.0f}   (target: 180)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
