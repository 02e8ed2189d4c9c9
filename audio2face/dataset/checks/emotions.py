"""Checks that every shot has the intended emotion, that every listed emotion occurs, and the parts for rendering."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from audio2face.dataset.actor import DEFAULT_EMOTION, ActorDataset
from audio2face.dataset.checks.blendshapes import check_names
from audio2face.dataset.checks.report import Findings, first_few
from audio2face.dataset.phoneme_times import SUFFIXES, find_phoneme_times, read_phoneme_times
from audio2face.dataset.shots import infer_emotion
from audio2face.dataset.splits import unknown_shots
from audio2face.geometry import canonical_polygons
from audio2face.io.arrays import Archive
from audio2face.models.phonemes import ENGLISH, plain_symbol
from audio2face.types import AnyArray

# Words in the name of a shot that indicate an emotion or a manner of speech.
# fmt: off
EMOTION_WORDS = frozenset({
    "afraid", "amazed", "amazement", "amused", "amusement", "anger", "angry", "annoyed", "anxiety", "anxious", "bored",
    "boredom", "cheekiness", "cheeky", "cheerful", "contempt", "crying", "depressed", "despair", "disappointed",
    "disappointment", "disgust", "disgusted", "ecstasy", "embarrassed", "euphoria", "excited", "excitement", "fear",
    "fearful", "frustrated", "frustration", "furious", "fury", "grief", "happiness", "happy", "hatred", "horror",
    "irritated", "jealous", "joy", "joyful", "laughing", "laughter", "loathing", "melancholy", "nervous", "outofbreath",
    "pain", "panic", "playful", "rage", "sad", "sadness", "sarcasm", "sarcastic", "scared", "screaming", "shocked",
    "shouting", "sorrow", "surprise", "surprised", "terror", "whisper", "whispering", "worried", "yelling",
})
# fmt: on
_TYPO = 0.8  # similarity from which a word counts as a misspelt emotion


def check_emotions(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> dict[str, str]:
    """Returns the emotion of every shot; reports unknown, unused and doubtful ones."""
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


def check_test_set(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> None:
    """Reports names in TEST_SHOTS that do not exist, and a test set of all shots."""
    known, named = tuple(shots), dataset.split.named or ()
    root = dataset.paths["SKIN_CACHE_ROOT"]
    for shot in unknown_shots(named, known) if known else ():
        findings.error(
            "split-unknown",
            f"TEST_SHOTS[{dataset.actor!r}]: there is no shot {shot!a}",
            "Correct the name: a shot that was meant for the test set would be trained on.",
            file=root,
        )
    if known and set(known) <= set(named):
        findings.error(
            "split-empty",
            f"TEST_SHOTS[{dataset.actor!r}] names all {len(known)} shots: none is left to train with",
            "Name fewer; one in ten is usual.",
            file=root,
        )


def unlisted_emotion(shot: str, vocabulary: Iterable[str]) -> str | None:
    """Returns the word in a shot's name that indicates an emotion outside the vocabulary, or a misspelt one."""
    words: list[str] = re.findall(r"[a-z]+", shot.lower())
    for word in words:
        if word in EMOTION_WORDS:
            return word
    lowered = [emotion.lower() for emotion in vocabulary]
    return next((word for word in words if difflib.get_close_matches(word, lowered, n=1, cutoff=_TYPO)), None)


def _emotion_of(dataset: ActorDataset, shot: str) -> str:
    """Returns `ActorDataset.emotion_of`, or an unknown emotion as configured."""
    given = dataset.emotion_overrides.get(shot)
    return given or infer_emotion(shot, dataset.emotion_names) or DEFAULT_EMOTION


def _check_defaults(dataset: ActorDataset, shots: Iterable[str], findings: Findings) -> None:
    """Reports shots that count as neutral because their names contain no emotion of the vocabulary."""
    root = dataset.paths["SKIN_CACHE_ROOT"]
    unsure = []
    for shot in shots:
        word = unlisted_emotion(shot, dataset.emotion_names)
        # A single listed emotion means that the actor is trained without emotions, regardless of the names.
        if word is None or len(dataset.emotion_names) == 1:
            unsure.append(shot)
            continue
        findings.error(
            "emotion-unknown",
            f"the name contains {word!r}, which is not in SHOT_EMOTION_NAMES: the shot would be trained as "
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
            "Give them an emotion in SHOT_EMOTION_MAP if this is unintended.",
            shot=unsure[0] if len(unsure) == 1 else None,
            file=root,
        )


_MOSTLY_ENGLISH = 0.8


def check_extras(dataset: ActorDataset, shots: tuple[str, ...], findings: Findings) -> None:
    """Checks the parts for rendering, and that every shot has phoneme times."""
    parts = dataset.paths.get("EXTRA_PARTS_FPATH")
    if parts is not None:
        _check_parts(dataset, findings)
    root = dataset.paths.get("PHONEME_TIMES_ROOT")
    if root is None:
        return
    lacking = _check_phonemes(root, shots, findings)
    if lacking:
        findings.warning(
            "phonemes-missing",
            f"has no file of phoneme times ({SUFFIXES}) for {first_few(lacking)}",
            "Add the phoneme times of these shots, or remove PHONEME_TIMES_ROOT.",
            file=root,
            shot=lacking[0] if len(lacking) == 1 else None,
        )


def _check_phonemes(root: Path, shots: Iterable[str], findings: Findings) -> list[str]:
    """Reads the phoneme times of all shots, and returns the shots without any."""
    lacking = []
    places: dict[str, tuple[Path, int]] = {}
    for shot in shots:
        paths = findings.attempt(functools.partial(_phoneme_files, root, shot), "phonemes-several", root, shot)
        if paths == ():
            lacking.append(shot)
        for path in paths or ():
            read = functools.partial(read_phoneme_times, path)
            for time in findings.attempt(read, "phonemes-unreadable", path, shot) or ():
                first, count = places.get(time.symbol, (path, 0))
                places[time.symbol] = (first, count + 1)
    _check_symbols(places, findings)
    return lacking


def _phoneme_files(root: Path, shot: str) -> tuple[Path, ...]:
    """The file of phoneme times of a shot, if there is one."""
    path = find_phoneme_times(root, shot)
    return () if path is None else (path,)


def _check_symbols(places: Mapping[str, tuple[Path, int]], findings: Findings) -> None:
    """If nearly all phones are English, the others are errors; each has its first file and its count."""
    strange = {symbol for symbol in places if plain_symbol(symbol, "en") not in ENGLISH.symbols}
    known = sum(count for symbol, (_, count) in places.items() if symbol not in strange)
    if not strange or known < _MOSTLY_ENGLISH * sum(count for _, count in places.values()):
        return
    path = places[min(strange)][0]
    findings.error(
        "phonemes-unknown",
        f"{first_few(sorted(strange))} is no phone of 'en', unlike {known} others",
        f"Phones: {' '.join(ENGLISH.symbols)}, or IPA.",
        file=path,
        shot=path.stem,
    )


def _check_parts(dataset: ActorDataset, findings: Findings) -> None:
    """Checks the arrays `<part>_vertices` and `<part>_faces`, and that all others are finite."""
    path = dataset.paths["EXTRA_PARTS_FPATH"]
    archive = findings.attempt(lambda: dataset.extra_parts, "file-unreadable", path)
    if archive is None:
        return
    check_names(archive.members, path, findings)
    for name in archive.members:
        array = findings.attempt(functools.partial(archive.read, name), "file-unreadable", path)
        if array is None or array.dtype.kind not in "fiu" or not array.size:
            continue
        if not np.isfinite(array).all():
            findings.error("not-finite", f"array {name!a} holds NaN or infinity", "Export it once more.", file=path)
        _check_shape(archive, name, array, findings)
        vertices = archive.members.get(f"{name.removesuffix('_faces')}_vertices")
        if not name.endswith("_faces") or vertices is None:
            continue
        count = vertices.shape[0] if vertices.shape else 0
        try:
            canonical_polygons(array, count)
        except ValueError as error:
            findings.error(
                "faces-range",
                f"array {name!a}: {error}",
                "Export vertices and faces of the part together, faces as vertex numbers counted from 0.",
                file=path,
            )


def _check_shape(archive: Archive, name: str, array: AnyArray, findings: Findings) -> None:
    """Reports vertices, colours and centres of eyes of a shape that rendering does not support."""
    vertices = archive.members.get(f"{name.removesuffix('_colours')}_vertices")
    expected: tuple[int | None, ...] | None = None
    if name.endswith("_vertices"):
        expected = (None, 3)
    elif name == "eye_centres":
        expected = (2, 3)
    elif name.endswith("_colours"):
        expected = (vertices.shape[0] if vertices is not None and vertices.shape else None, 3)
    fits = expected is None or (
        array.ndim == len(expected)
        and all(want in (None, have) for want, have in zip(expected, array.shape, strict=True))
    )
    if not fits:
        findings.error(
            "part-shape",
            f"array {name!a} has the shape {list(array.shape)}, expected "
            f"{['any' if length is None else length for length in expected or ()]}",
            "Export the part once more: <part>_vertices [n, 3], <part>_faces [faces, 3 or 4], <part>_colours [n, 3].",
            file=archive.path,
        )
    elif name.endswith("_colours") and not (0 <= array.min() <= array.max() <= 255):
        findings.error(
            "part-colours",
            f"array {name!a} goes from {array.min():g} to {array.max():g}, expected colours from 0 to 255",
            "Store sRGB colours as uint8.",
            file=archive.path,
        )
