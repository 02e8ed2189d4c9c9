"""Makes `tests/data/espeak`: short synthetic speech in eight languages, with the times of all phones.

    PYTHONPATH=espeak_ng .venv/bin/python -m tools.make_speech_fixtures [FOLDER]

`tools/espeak.py` says how to install eSpeak NG, and what its times mean. It is a tool of development and no dependency
of the project: only the WAV files, the labels and the scripts are kept. Every run writes the same bytes.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from audio2face.audio import resample_soxr
from audio2face.console import console, fail
from audio2face.errors import UserError
from audio2face.io.atomic import atomic_write, write_text
from tools.espeak import Synthesiser, label_phones

FOLDER = Path(__file__).parents[1] / "tests/data/espeak"
SENTENCES = {
    "de": "Oma pumpt fünf bunte Bälle auf, Papa mag das Boot.",
    "en": "Move the big pump, Bob, and wipe foam off my purple van.",
    "es": "Mamá pone un plato de sopa, fui por un buen pan.",
    "fr": "Papa boit une bonne soupe, ma femme veut un peu de beau vin.",
    "hi": "मेरा भाई बापू के पास फूल और आम लाया, पंप वापस दो।",
    "it": "La mamma beve un po' di vino, il papà prepara la zuppa.",
    "pl": "Babcia kupiła mapę i pompę, mój wujek bawi się.",
    "tr": "Babam pembe kapıyı boyadı, ufuk mavi, pamuk bol.",
}
# The language's own voice, and a variant of a woman. Of the other variants those with breath have noise of another seed
# in each run, and those with echo fill the closures of stops with it.
VOICES = {"low": "", "high": "+f1"}
SAMPLE_RATE = 16_000
_MARGIN_SECONDS = 0.2  # of silence before and after a sentence


def write_fixture(folder: Path, shot: str, synthesiser: Synthesiser, voice: str, text: str) -> None:
    """Writes `<shot>.wav`, 16 kHz mono 16 bit, and `<shot>.txt`, the table of phoneme times.

    Raises:
        UserError: there is no such voice, or a file cannot be written.
    """
    spoken, rate, events = synthesiser.speak(voice, text)
    margin = np.zeros(round(_MARGIN_SECONDS * rate), np.float32)
    samples = np.concatenate([margin, spoken, margin])
    phones = label_phones(
        [replace(event, seconds=event.seconds + len(margin) / rate) for event in events], samples, rate
    )
    with atomic_write(folder / f"{shot}.wav") as handle:
        soundfile.write(handle, resample_soxr(samples, rate, SAMPLE_RATE), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    rows = [f"{phone.start:.4f}\t{phone.end:.4f}\t{phone.symbol}\n" for phone in phones]
    write_text(folder / f"{shot}.txt", "start\tend\tphone\n" + "".join(rows))


def main(argv: list[str]) -> int:
    """Writes the recordings of all sentences and voices."""
    folder = Path(argv[0]) if argv else FOLDER
    try:
        synthesiser = Synthesiser()
        folder.mkdir(parents=True, exist_ok=True)
        for language, text in SENTENCES.items():
            for name, variant in VOICES.items():
                write_fixture(folder, f"{language}_{name}", synthesiser, language + variant, text)
    except UserError as error:
        fail(error)
    console().print(f"{len(SENTENCES) * len(VOICES)} recordings in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
