"""Emotions: does every shot have the one that was meant, and does every listed one occur?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from audio2face.dataset.actor import DEFAULT_EMOTION, ActorDataset
from audio2face.dataset.report import Findings, first_few
from audio2face.dataset.shots import infer_emotion

# Words that tell an emotion or a manner of speech when they stand in the name of a shot.
# fmt: off
_EMOTION_WORDS = frozenset({
    "afraid", "amazed", "amazement", "amused", "amusement", "anger", "angry", "annoyed", "anxiety", "anxious", "bored",
    "boredom", "cheekiness", "cheeky", "cheerful", "contempt", "crying", "depressed", "despair", "disappointed",
    "disappointment", "disgust", "disgusted", "ecstasy", "embarrassed", "euphoria", "excited", "excitement", "fear",
    "fearful", "frustrated", "frustration", "furious", "fury", "grief", "happiness", "happy", "hatred", "horror",
    "irritated", "jealous", "joy", "joyful", "laughing", "laughter", "loathing", "melancholy", "nervous", "outofbreath",
    "pain", "panic", "playful", "rage", "sad", "sadness", "sarcasm", "sarcastic", "scared", "screaming", "shocked",
    "shouting", "sorrow", "surprise", "surprised", "terror", "whisper", "whispering", "worried", "yelling",
})
# fmt: on
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
                f"SHOT_EMOTION_MAP names the shot {shot!a}, which actor {dataset.actor!r} does not have",
                "Correct the name, or remove the row.",
                shot=shot,
                file=dataset.paths["SKIN_CACHE_ROOT"],
            )
    emotions = {shot: _emotion_of(dataset, shot) for shot in names}
    silent = (shot for shot in names if shot not in dataset.emotion_overrides and not infer_emotion(shot, vocabulary))
    _check_defaults(dataset, silent, findings)
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
    words: list[str] = re.findall(r"[a-z]+", shot.lower())
    for word in words:
        if word in _EMOTION_WORDS:
            return word
    lowered = [emotion.lower() for emotion in vocabulary]
    return next((word for word in words if difflib.get_close_matches(word, lowered, n=1, cutoff=_TYPO)), None)


def _emotion_of(dataset: ActorDataset, shot: str) -> str:
    """As `ActorDataset.emotion_of`, with an unknown emotion left as it was given."""
    given = dataset.emotion_overrides.get(shot)
    return given or infer_emotion(shot, dataset.emotion_names) or DEFAULT_EMOTION


def _check_defaults(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> None:
    """Reports shots that are taken for neutral because their names tell no emotion of the vocabulary."""
    root = dataset.paths["SKIN_CACHE_ROOT"]
    unsure = []
    for shot in shots:
        word = unlisted_emotion(shot, dataset.emotion_names)
        # A single listed emotion means that the actor is trained without emotions, whatever the names say.
        if word is None or len(dataset.emotion_names) == 1:
            unsure.append(shot)
            continue
        findings.error(
            "emotion-unknown",
            f"the name speaks of {word!r}, which is not in SHOT_EMOTION_NAMES: the shot would be trained as "
            f"{DEFAULT_EMOTION!r}",
            f"Add {word!r} to SHOT_EMOTION_NAMES, or give the shot an emotion in SHOT_EMOTION_MAP.",
            shot=shot,
            file=root / shot,
        )
    if unsure and dataset.emotion_names != (DEFAULT_EMOTION,):
        findings.warning(
            "emotion-default",
            f"no emotion of SHOT_EMOTION_NAMES is in the names {first_few(unsure)}: they are "
            f"trained as {DEFAULT_EMOTION!r}",
            "Give them an emotion in SHOT_EMOTION_MAP if that is not meant.",
            shot=unsure[0] if len(unsure) == 1 else None,
            file=root,
        )
