"""Emotions: does every shot have the one that was meant, and does every listed one occur?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from audio2face.dataset.actor import DEFAULT_EMOTION, ActorDataset
from audio2face.dataset.report import Findings
from audio2face.dataset.shots import infer_emotion

# Words that tell an emotion or a manner when they stand in the name of a shot.
_EMOTION_WORDS = frozenset(
    """
    admiration afraid amazed amazement amusement anger angry annoyance annoyed anxiety anxious awe bored boredom calm
    cheekiness cheeky cheerful confused confusion contempt content contentment crying curious delight depressed
    despair desperate determination disappointed disappointment disbelief disgust disgusted dislike doubt
    ecstasy embarrassed embarrassment enthusiasm envy euphoria excited excitement fear fearful frustrated frustration
    fury furious grief guilt happiness happy hate hatred hope horror hysteria irritated irritation jealous jealousy
    joy joyful laugh laughing laughter loathing love melancholy nervous nostalgia outofbreath pain panic
    playful pleading pride proud rage relief relieved remorse sad sadness sarcasm sarcastic scared scream
    screaming serenity shame shock shocked shout shouting shy sorrow surprise surprised suspicion
    suspicious sympathy tender terror tired trust whisper whispering worried yelling
    """.split()
)
_TYPO = 0.8  # similarity from which a word is taken for a misspelt emotion


def check_emotions(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> dict[str, str]:
    """The emotion of every shot; reports unknown, unused and doubtful ones."""
    names = tuple(shots)
    vocabulary = dataset.emotion_names
    for shot, emotion in dataset.emotion_overrides.items():
        if emotion not in vocabulary:
            findings.error(
                "emotion-unknown",
                f"SHOT_EMOTION_MAP gives this shot the emotion {emotion!r}, which SHOT_EMOTION_NAMES lacks",
                f"Use one of {', '.join(vocabulary)}, or add {emotion!r} to SHOT_EMOTION_NAMES.",
                shot=shot,
            )
        if shot not in names:
            findings.error(
                "emotion-shot",
                f"SHOT_EMOTION_MAP names the shot {ascii(shot)}, which actor {dataset.actor!r} does not have",
                "Correct the name, or remove the row.",
                shot=shot,
                file=dataset.paths["SKIN_CACHE_ROOT"],
            )
    emotions = {shot: _emotion_of(dataset, shot) for shot in names}
    for shot in names:
        if shot not in dataset.emotion_overrides and infer_emotion(shot, vocabulary) is None:
            _check_default(dataset, shot, findings)
    for emotion in vocabulary if names else ():
        if emotion not in emotions.values():
            findings.warning(
                "emotion-unused",
                f"no shot has the emotion {emotion!r} of SHOT_EMOTION_NAMES: the network could not learn it",
                "Record at least three shots of it, or remove it from the list.",
                file=dataset.paths["SKIN_CACHE_ROOT"],
            )
    return emotions


def unlisted_emotion(shot: str, vocabulary: Iterable[str]) -> str | None:
    """The word in a shot's name that seems to tell an emotion outside the vocabulary, or a misspelt one of it."""
    words = re.findall(r"[a-z]+", shot.lower())
    for word in words:
        if word in _EMOTION_WORDS:
            return word
    lowered = [emotion.lower() for emotion in vocabulary]
    return next((word for word in words if difflib.get_close_matches(word, lowered, n=1, cutoff=_TYPO)), None)


def _emotion_of(dataset: ActorDataset, shot: str) -> str:
    """As `ActorDataset.emotion_of`, with an unknown emotion left as it was given."""
    given = dataset.emotion_overrides.get(shot)
    return given or infer_emotion(shot, dataset.emotion_names) or DEFAULT_EMOTION


def _check_default(dataset: ActorDataset, shot: str, findings: Findings) -> None:
    """Reports a shot that is taken for neutral because its name tells no emotion of the vocabulary."""
    word = unlisted_emotion(shot, dataset.emotion_names)
    place = {"shot": shot, "file": dataset.paths["SKIN_CACHE_ROOT"] / shot}
    one_emotion = len(dataset.emotion_names) == 1
    if word is not None and not one_emotion:
        findings.error(
            "emotion-unknown",
            f"the name speaks of {word!r}, which is not in SHOT_EMOTION_NAMES: the shot would be trained as "
            f"{DEFAULT_EMOTION!r}",
            f"Add {word!r} to SHOT_EMOTION_NAMES, or give the shot an emotion in SHOT_EMOTION_MAP.",
            **place,
        )
    elif word is not None or DEFAULT_EMOTION not in dataset.emotion_names:
        findings.warning(
            "emotion-default",
            f"the name tells no emotion of SHOT_EMOTION_NAMES ({', '.join(dataset.emotion_names)}): the shot is "
            f"trained as {DEFAULT_EMOTION!r}",
            "Give the shot an emotion in SHOT_EMOTION_MAP.",
            **place,
        )
