"""The sentences of the example, and the timing of their phones from the speech model's durations.

Maps the alphabet of the stored sentences and the model's durations to phones with times. A trained network is judged
on the unseen sentences, which are stored with their true motion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audio2face.dataset import ActorDataset

SILENCE = "SIL"
FRAME_SECONDS = 0.0125  # per column of the model's spectra
_UNIT = 2 * FRAME_SECONDS  # seconds that one unit of the model's durations lasts
# The audio is ahead of the model's own boundaries: over many sentences at speeds from 0.85 to 1.2, phone labels
# explain the log-mel spectrum best when moved by 50 to 55 ms.
_LEAD = 2 * _UNIT
_STRESS_MARKS = "ˈˌ"
_IPA = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ᵊ": "ə", "ᵻ": "ɪ"}
_SHORTEST_FINAL = 0.04  # seconds
_TRIM_DB = -38.0  # relative to the loud part of the sentence; below it, the last phone has ended


@dataclass(frozen=True)
class Phone:
    """One phone in IPA, or `SILENCE`; times in seconds from the start of the audio."""

    symbol: str
    start: float
    end: float
    stressed: bool = False

    @property
    def centre(self) -> float:
        """Midpoint, in seconds."""
        return (self.start + self.end) / 2


def time_phones(
    letters: Sequence[str], units: npt.NDArray[np.float32], power: npt.NDArray[np.float32]
) -> tuple[Phone, ...]:
    """Converts letters and their durations to phones without gaps over the whole audio.

    The time of a stress mark belongs to the following vowel, that of a space half to each neighbour; punctuation is
    silence.

    Args:
        letters: one per id of the model, `SILENCE` for its pads.
        units: the model's duration of each, in units of two spectral frames.
        power: of the audio, `[spectral frames]`.
    """
    spans: list[tuple[str, float, bool]] = []  # symbol, seconds, stressed
    pending, stressed = 0.0, False
    for letter, seconds in zip(letters, units.astype(float) * _UNIT, strict=True):
        if letter in _STRESS_MARKS:
            pending, stressed = pending + seconds, stressed or letter == "ˈ"
        elif letter == " " and spans[-1][0] != SILENCE:
            symbol, before, accent = spans[-1]
            spans[-1] = (symbol, before + seconds / 2, accent)
            pending += seconds / 2
        elif letter == SILENCE or not letter.isalpha():
            before = spans.pop()[1] if spans and spans[-1][0] == SILENCE else 0.0
            spans.append((SILENCE, before + seconds, False))
        else:
            spans.append((_IPA.get(letter, letter), pending + seconds, stressed))
            pending, stressed = 0.0, False
    ends = np.cumsum([seconds for _, seconds, _ in spans]) - _LEAD
    ends[-1] += _LEAD
    starts = [0.0, *ends[:-1]]
    phones = [
        Phone(symbol, float(start), float(end), accent)
        for (symbol, _, accent), start, end in zip(spans, starts, ends, strict=True)
    ]
    return tuple(_trim_finals(phones, power))


def delay_phones(phones: Sequence[Phone], delay: float, length: float) -> tuple[Phone, ...]:
    """Delays phones by `delay` seconds; the silences at both ends extend to 0 and to `length` seconds."""
    moved = [replace(phone, start=phone.start + delay, end=phone.end + delay) for phone in phones]
    moved[0] = replace(moved[0], start=0.0)
    moved[-1] = replace(moved[-1], end=length)
    return tuple(moved)


def _trim_finals(phones: list[Phone], power: npt.NDArray[np.float32]) -> list[Phone]:
    """Ends each phone before a silence at the end of its audio: the model's final durations include silence."""
    level = 10 * np.log10(power + 1e-12)
    loud = level > np.percentile(level, 95) + _TRIM_DB
    trimmed = list(phones)
    for index in range(len(phones) - 1):
        phone, following = trimmed[index], trimmed[index + 1]
        if phone.symbol == SILENCE or following.symbol != SILENCE:
            continue
        first, last = round(phone.start / FRAME_SECONDS), round(phone.end / FRAME_SECONDS)
        sounding = np.flatnonzero(loud[first:last])
        length = (float(sounding[-1]) + 1.5) * FRAME_SECONDS if len(sounding) else 0.0
        end = min(phone.start + max(_SHORTEST_FINAL, length), phone.end)
        trimmed[index], trimmed[index + 1] = replace(phone, end=end), replace(following, start=end)
    return trimmed


EMOTIONS: tuple[str, ...] = ("neutral", "joy", "anger", "sadness", "amazement")


@dataclass(frozen=True)
class Sentence:
    """One sentence and its delivery.

    Attributes:
        text: the words.
        phonemes: the phonemes in hibari's alphabet.
        emotion: one of `EMOTIONS`.
        speed: rate of speech relative to the emotion's own.
        loudness: level in decibels relative to the emotion's own.
    """

    text: str
    phonemes: str
    emotion: str
    speed: float = 1.0
    loudness: float = 0.0


# fmt: off
SENTENCES: tuple[Sentence, ...] = (
    Sentence("My boxy blue van jolted past five quiet houses, then zigzagged up the hill.",
             "mˌI bˈɑksi blˈu vˈæn ʤˈOltᵻd pˈæst fˈIv kwˈIət hˈWsᵻz, ðˈɛn zˈɪɡzˌæɡd ˌʌp ðə hˈɪl.",
             "neutral", speed=1.0, loudness=0),
    Sentence("What a beautiful morning, I could sing all the way to the village!",
             "wˌʌt ɐ bjˈuTəfəl mˈɔɹnɪŋ, ˌI kʊd sˈɪŋ ˈɔl ðə wˈA tə ðə vˈɪlɪʤ!",
             "joy", speed=0.92, loudness=-3),
    Sentence("Stop moving my papers about, I have told you five times before!",
             "stˈɑp mˈuvɪŋ mI pˈApəɹz əbˈWt, ˌI hæv tˈOld ju fˈIv tˈImz bəfˈɔɹ!",
             "anger", speed=1.08, loudness=2),
    Sentence("I miss my mother, and the house feels empty without her.",
             "ˌI mˈɪs mI mˈʌðəɹ, ænd ðə hˈWs fˈilz ˈɛmpti wɪðˈWt hˌɜɹ.",
             "sadness", speed=1.0, loudness=0),
    Sentence("Wow, is that really a whale, up there above the clouds?",
             "wˈW, ɪz ðˈæt ɹˈiᵊli ɐ wˈAl, ˌʌp ðɛɹ əbˈʌv ðə klˈWdz?",
             "amazement", speed=0.86, loudness=-6),
    Sentence("Perhaps the best map of the valley belongs to my brother's museum.",
             "pəɹhˈæps ðə bˈɛst mˈæp ʌv ðə vˈæli bəlˈɔŋz tə mI bɹˈʌðəɹz mjuzˈiəm.",
             "neutral", speed=1.15, loudness=3),
    Sentence("We won, we won, and everybody jumped up and hugged my mother!",
             "wˌi wˈʌn, wi wˈʌn, ænd ˈɛvɹibədi ʤˈʌmpt ˌʌp ænd hˈʌɡd mI mˈʌðəɹ!",
             "joy", speed=1.0, loudness=1),
    Sentence("Why on earth did nobody bother to phone the police?",
             "wˌI ˌɔn ˈɜɹθ dˈɪd nˈObˌɑdi bˈɑðəɹ tə fˈOn ðə pəlˈis?",
             "anger", speed=0.92, loudness=0),
    Sentence("Maybe we should have been kinder, but now it is over.",
             "mˈAbi wi ʃˌʊd hæv bɪn kˈIndəɹ, bˌʌt nˈW ɪt ɪz ˈOvəɹ.",
             "sadness", speed=1.08, loudness=-3),
    Sentence("I had no idea your voice could fill a room that big!",
             "ˌI hæd nˈO Idˈiə jʊɹ vˈYs kʊd fˈɪl ɐ ɹˈum ðæt bˈɪɡ!",
             "amazement", speed=1.0, loudness=2),
    Sentence("Put both thick books above the cupboard, beneath the other things.",
             "pˌʊt bˈOθ θˈɪk bˈʊks əbˈʌv ðə kˈʌbəɹd, bənˈiθ ði ˈʌðəɹ θˈɪŋz.",
             "neutral", speed=0.86, loudness=0),
    Sentence("Oh, how lovely, you have brought me a puppy and a purple balloon!",
             "ˈO, hˌW lˈʌvli, ju hæv bɹˈɔt mˌi ɐ pˈʌpi ænd ɐ pˈɜɹpᵊl bəlˈun!",
             "joy", speed=1.15, loudness=-6),
    Sentence("That is a shameful, vicious lie, and both of you know it!",
             "ðˈæt ɪz ɐ ʃˈAmfᵊl, vˈɪʃəs lˈI, ænd bˈOθ ʌv ju nˈO ɪt!",
             "anger", speed=1.0, loudness=3),
    Sentence("The poor boy waited by the bridge, and nobody ever came.",
             "ðə pˈʊɹ bˈY wˈATᵻd bI ðə bɹˈɪʤ, ænd nˈObˌɑdi ˈɛvəɹ kˈAm.",
             "sadness", speed=0.92, loudness=1),
    Sentence("Look, the bubbles are floating up, and each one is a different shape!",
             "lˈʊk, ðə bˈʌbᵊlz ɑɹ flˈOTɪŋ ˌʌp, ænd ˈiʧ wˈʌn ɪz ɐ dˈɪfəɹənt ʃˈAp!",
             "amazement", speed=1.08, loudness=0),
    Sentence("We usually measure the beige wool with a wooden ruler.",
             "wˌi jˈuʒəwəli mˈɛʒəɹ ðə bˈAʒ wˈʊl wɪð ɐ wˈʊdᵊn ɹˈuləɹ.",
             "neutral", speed=1.0, loudness=-3),
    Sentence("Thank you so much, that was the best birthday party of my life!",
             "θˈæŋk ju sˌO mˈʌʧ, ðˈæt wʌz ðə bˈɛst bˈɜɹθdˌA pˈɑɹTi ʌv mI lˈIf!",
             "joy", speed=0.86, loudness=2),
    Sentence("Give me back my money, or I will be forced to call the judge!",
             "ɡˈɪv mˌi bˈæk mI mˈʌni, ɔɹ ˌI wɪl bi fˈɔɹst tə kˈɔl ðə ʤˈʌʤ!",
             "anger", speed=1.15, loudness=0),
    Sentence("All of the leaves have fallen, and the pond is bare and grey.",
             "ˈɔl ʌv ðə lˈivz hæv fˈɔlən, ænd ðə pˈɑnd ɪz bˈɛɹ ænd ɡɹˈA.",
             "sadness", speed=1.0, loudness=-6),
    Sentence("How on earth did both of them fit inside that tiny box?",
             "hˌW ˌɔn ˈɜɹθ dˈɪd bˈOθ ʌv ðˌɛm fˈɪt ɪnsˈId ðˈæt tˈIni bˈɑks?",
             "amazement", speed=0.92, loudness=3),
    Sentence("The judge chose a large orange chair beside the kitchen window.",
             "ðə ʤˈʌʤ ʧˈOz ɐ lˈɑɹʤ ˈɔɹᵊnʤ ʧˈɛɹ bəsˈId ðə kˈɪʧᵊn wˈɪndO.",
             "neutral", speed=1.08, loudness=1),
    Sentence("Come on, bring your family over, we have plum pie and fresh bread!",
             "kˈʌm ˌɔn, bɹˈɪŋ jʊɹ fˈæmᵊli ˈOvəɹ, wi hæv plˈʌm pˈI ænd fɹˈɛʃ bɹˈɛd!",
             "joy", speed=1.0, loudness=0),
    Sentence("How dare you push my brother off the path and just walk away!",
             "hˌW dˈɛɹ ju pˈʊʃ mI bɹˈʌðəɹ ˈɔf ðə pˈæθ ænd ʤˈʌst wˈɔk əwˈA!",
             "anger", speed=0.86, loudness=-3),
    Sentence("I gave him every bit of love I had, and he forgot my name.",
             "ˌI ɡˈAv hˌɪm ˈɛvəɹi bˈɪt ʌv lˈʌv ˌI hˌæd, ænd hi fəɹɡˈɑt mI nˈAm.",
             "sadness", speed=1.15, loudness=2),
    Sentence("My goodness, the treasure was here, beneath our very own porch!",
             "mˌI ɡˈʊdnəs, ðə tɹˈɛʒəɹ wʌz hˈɪɹ, bənˈiθ ˌWəɹ vˈɛɹi ˈOn pˈɔɹʧ!",
             "amazement", speed=1.0, loudness=0),
    Sentence("Five pupils have moved from maple furniture to a family farm.",
             "fˈIv pjˈupᵊlz hæv mˈuvd fɹʌm mˈApəl fˈɜɹnəʧəɹ tə ɐ fˈæmᵊli fˈɑɹm.",
             "neutral", speed=0.92, loudness=-6),
    Sentence("I love the way you laugh, it makes the whole room feel warm.",
             "ˌI lˈʌv ðə wˈA ju lˈæf, ɪt mˌAks ðə hˈOl ɹˈum fˈil wˈɔɹm.",
             "joy", speed=1.08, loudness=3),
    Sentence("I am fed up with broken promises, so pack up and leave.",
             "ˌI ɐm fˈɛd ˌʌp wɪð bɹˈOkən pɹˈɑməsᵻz, sˌO pˈæk ˌʌp ænd lˈiv.",
             "anger", speed=1.0, loudness=1),
    Sentence("Please, put the photograph away, I cannot bear to look at it.",
             "plˈiz, pˌʊt ðə fˈOTəɡɹˌæf əwˈA, ˌI kənˈɑt bˈɛɹ tə lˈʊk æt ɪt.",
             "sadness", speed=0.86, loudness=0),
    Sentence("You baked a cake as big as a bathtub, in one afternoon?",
             "jˌu bˈAkt ɐ kˈAk æz bˈɪɡ æz ɐ bˈæθtˌʌb, ɪn wˈʌn ˌæftəɹnˈun?",
             "amazement", speed=1.15, loudness=-3),
    Sentence("Pay for the film by phone, or buy a paper pass from him.",
             "pˈA fɔɹ ðə fˈɪlm bI fˈOn, ɔɹ bˈI ɐ pˈApəɹ pˈæs fɹʌm hˌɪm.",
             "neutral", speed=1.0, loudness=2),
    Sentence("Hooray, the shop is open, and they still have vanilla fudge!",
             "həɹˈA, ðə ʃˈɑp ɪz ˈOpᵊn, ænd ðA stˈɪl hæv vənˈɪlə fˈʌʤ!",
             "joy", speed=0.92, loudness=0),
    Sentence("You chose to ruin the picture, the mirror, and the vase as well!",
             "jˌu ʧˈOz tə ɹˈuˌɪn ðə pˈɪkʧəɹ, ðə mˈɪɹəɹ, ænd ðə vˈAs æz wˈɛl!",
             "anger", speed=1.08, loudness=-6),
    Sentence("We buried the bird beneath a bush, and the whole family wept.",
             "wˌi bˈɛɹid ðə bˈɜɹd bənˈiθ ɐ bˈʊʃ, ænd ðə hˈOl fˈæmᵊli wˈɛpt.",
             "sadness", speed=1.0, loudness=3),
    Sentence("Imagine, five thousand people, all of them humming the same vowel!",
             "ɪmˈæʤən, fˈIv θˈWzᵊnd pˈipᵊl, ˈɔl ʌv ðˌɛm hˈʌmɪŋ ðə sˈAm vˈWᵊl!",
             "amazement", speed=0.86, loudness=1),
    Sentence("Are you sure the pure water from the lower well is ours?",
             "ˌɑɹ ju ʃˈʊɹ ðə pjˈʊɹ wˈɔTəɹ fɹʌm ðə lˈOəɹ wˈɛl ɪz ˈWəɹz?",
             "neutral", speed=1.15, loudness=0),
    Sentence("Believe me, Phoebe, every wave on that beach was pure magic!",
             "bəlˈiv mˌi, fˈibˌi, ˈɛvəɹi wˈAv ˌɔn ðˈæt bˈiʧ wʌz pjˈʊɹ mˈæʤɪk!",
             "joy", speed=1.0, loudness=-3),
    Sentence("Nobody put the bins out, and the whole place smells of fish!",
             "nˈObˌɑdi pˌʊt ðə bˈɪnz ˈWt, ænd ðə hˈOl plˈAs smˈɛlz ʌv fˈɪʃ!",
             "anger", speed=0.92, loudness=2),
    Sentence("It is usual to feel numb, they told me, after such a loss.",
             "ˌɪt ɪz jˈuʒəwəl tə fˈil nˈʌm, ðA tˈOld mˌi, ˈæftəɹ sˈʌʧ ɐ lˈɔs.",
             "sadness", speed=1.08, loudness=0),
    Sentence("What, the moon is moving, and we can see behind its shadow?",
             "wˌʌt, ðə mˈun ɪz mˈuvɪŋ, ænd wi kæn sˈi bəhˈInd ɪts ʃˈædO?",
             "amazement", speed=1.0, loudness=-6),
    Sentence("The boy's voice annoyed the employees, so he enjoyed his toys outside.",
             "ðə bˈYz vˈYs ənˈYd ði ˌɛmplˌYˈiz, sˌO hi ɪnʤˈYd hɪz tˈYz ˌWtsˈId.",
             "neutral", speed=0.86, loudness=3),
    Sentence("Bob, Pam and Mabel climbed up, paused, and came home by tram.",
             "bˈɑb, pˈæm ænd mˈAbᵊl klˈImd ˌʌp, pˈɔzd, ænd kˈAm hˈOm bI tɹˈæm.",
             "neutral", speed=1.15, loudness=1),
    Sentence("Nothing breathes beneath those smooth, thin, northern feathers.",
             "nˈʌθɪŋ bɹˈiðz bənˈiθ ðOz smˈuð, θˈɪn, nˈɔɹðəɹn fˈɛðəɹz.",
             "neutral", speed=1.0, loudness=0),
    Sentence("King Hugh is singing along, hanging pink string among young trees.",
             "kˈɪŋ hjˈu ɪz sˈɪŋɪŋ əlˈɔŋ, hˈæŋɪŋ pˈɪŋk stɹˈɪŋ əmˈʌŋ jˈʌŋ tɹˈiz.",
             "neutral", speed=0.92, loudness=-3),
)
"""Training sentences, with alternating emotions."""

UNSEEN_SENTENCES: tuple[Sentence, ...] = (
    Sentence("Please bring my brother's blue vase from above the fireplace, before mum comes home.",
             "plˈiz bɹˈɪŋ mI bɹˈʌðəɹz blˈu vˈAs fɹʌm əbˈʌv ðə fˈIəɹplˌAs, bəfˈɔɹ mˈʌm kˈʌmz hˈOm.",
             "neutral"),
    Sentence("Fabulous, we may both move to a bigger farm by the river!",
             "fˈæbjələs, wi mˈA bˈOθ mˈuv tə ɐ bˈɪɡəɹ fˈɑɹm bI ðə ɹˈɪvəɹ!",
             "joy"),
)
"""Unseen sentences, excluded from training, for the evaluation of a trained network."""
# fmt: on


VOICES = ("ada", "ben")  # of the quickstart: a network is trained on one of them, the other is new to it

# Where a folder of unseen sentences holds what a dataset's parameters name.
_PATHS = {
    "AUDIO_ROOT": "audio",
    "SKIN_CACHE_ROOT": "cache/skin",
    "TONGUE_CACHE_ROOT": "cache/tongue",
    "JAW_ANIM_DATA_FPATH": "xform/jaw_keypoints_cache_all.npz",
    "EYE_ANIM_DATA_FPATH": "xform/eye_rotations_all.npz",
    "PHONEME_TIMES_ROOT": "phonemes",
}


def unseen_folder(datasets: Path, voice: str) -> Path:
    """The folder of a voice's unseen sentences, laid out as a dataset.

    Args:
        datasets: where datasets lie.
        voice: of the example.
    """
    return datasets / "example" / voice / "unseen"


def unseen_sentences(datasets: Path, voice: str) -> list[Path]:
    """Recordings of a voice's unseen sentences, sorted by name.

    Args:
        datasets: where datasets lie.
        voice: of the example.
    """
    return sorted((unseen_folder(datasets, voice) / "audio").glob("*.wav"))


def unseen_dataset(dataset: ActorDataset, datasets: Path) -> ActorDataset:
    """The dataset of an example actor, whose shots are the unseen sentences.

    Args:
        dataset: the actor's.
        datasets: where datasets lie.
    """
    folder = unseen_folder(datasets, dataset.actor)
    return replace(dataset, paths={**dataset.paths, **{name: folder / path for name, path in _PATHS.items()}})


def emotion_of(sentence: str) -> str:
    """The emotion in which a sentence of the example is said: the last word of its name."""
    return sentence.rpartition("_")[2]
