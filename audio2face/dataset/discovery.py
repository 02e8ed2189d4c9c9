"""Finds the data of an actor in a folder of any layout: recordings, caches of the same names, and single files.

Only headers are read. A folder of recordings belongs to a folder of caches by the names that both hold; single files
are recognised by their names, and poses of the skin and tongue by their number of vertices.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from audio2face.audio.reading import read_header
from audio2face.dataset.actor import BLENDSHAPE_PATHS, DEFAULT_EMOTION, TONGUE_PATHS
from audio2face.dataset.checks.emotions import EMOTION_WORDS
from audio2face.dataset.phoneme_times import READERS
from audio2face.dataset.shots import list_recordings
from audio2face.errors import UserError
from audio2face.geometry import PointCache, find_cache, list_shots, open_cache
from audio2face.geometry.cache_files import CACHE_EXTENSIONS
from audio2face.io.arrays import read_npy

# Names that single files have, without the ending, in order of preference. A file of a part other than the skin has
# the part's name in its path.
_FILES: dict[str, tuple[str, str | None, str]] = {
    "SKIN_NEUTRAL_FPATH": (".npy", "skin", r"neutral"),
    "SKIN_FACES_FPATH": (".npy", "skin", r"faces|polygons|triangles"),
    "SKIN_LIP_OPEN_POSE_DELTA_FPATH": (".npy", "skin", r"lips?_?open.*delta"),
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH": (".npy", "skin", r"eyes?_?close.*delta"),
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH": (".json", None, r"lip_?dist"),
    "SKIN_LIP_SIZE_VERTEX_LIST_FPATH": (".json", None, r"lip_?size"),
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH": (".json", None, r"eye_?dist"),
    "EXTRA_PARTS_FPATH": (".npz", None, r"extra_?parts"),
    "TONGUE_NEUTRAL_FPATH": (".npy", "tongue", r"neutral"),
    "TONGUE_RIGID_VERTEX_LIST_FPATH": (".json", None, r"rigid"),
    "TONGUE_FACES_FPATH": (".npy", "tongue", r"faces|polygons|triangles"),
    "JAW_KEYPOINTS_NEUTRAL_FPATH": (".npy", None, r"jaw.*neutral"),
    "JAW_ANIM_DATA_FPATH": (".npz", None, r"jaw"),
    "EYE_ANIM_DATA_FPATH": (".npz", None, r"eye"),
    "EYE_BLINK_KEYS_FPATH": (".npy", None, r"blink"),
    "EYE_SACCADE_ROTATIONS_FPATH": (".npy", None, r"saccade"),
    "BLENDSHAPE_SKIN_FPATH": (".npz", None, r"(bs|blendshapes?)_?skin"),
    "BLENDSHAPE_SKIN_CONFIG_FPATH": (".json", None, r"(bs|blendshapes?)_?skin"),
    "BLENDSHAPE_TONGUE_FPATH": (".npz", None, r"(bs|blendshapes?)_?tongue"),
    "BLENDSHAPE_TONGUE_CONFIG_FPATH": (".json", None, r"(bs|blendshapes?)_?tongue"),
}
_POSES = tuple(name for name, (suffix, part, _) in _FILES.items() if part and suffix == ".npy" and "FACES" not in name)
_TOGETHER = (TONGUE_PATHS, ("JAW_KEYPOINTS_NEUTRAL_FPATH", "JAW_ANIM_DATA_FPATH"), *BLENDSHAPE_PATHS.values())
_VOICES = "aug"  # folder of other voices, within a folder of recordings
_RATES = (24.0, 25.0, 30.0, 48.0, 50.0, 60.0, 90.0, 100.0, 120.0)
_STATED_RATES = (*_RATES, *(1000 * nominal / 1001 for nominal in (24, 30, 48, 60, 120)))
_NEAR = 0.015  # relative difference up to which lengths of recordings and caches imply a frame rate
_SAME = 0.002  # relative difference of rates that are one rate, not exactly written
_DEEPEST = 6  # folders below the data folder
_MOST_MEASURED = 40  # shots whose lengths are compared


@dataclass(frozen=True)
class FoundActor:
    """What a folder holds of one actor.

    Attributes:
        name: of the folder that contains all of it.
        folder: that folder.
        paths: by the name of the parameter.
        missing: why an optional parameter has no path, by its name.
        shots: names that recordings and caches share, sorted.
        unpaired: number of recordings without a cache, or caches without a recording.
        num_frames: of all shots.
        num_verts: of the skin.
        rate: frames per second that lengths and headers tell of; None where they tell of none.
        emotions: words of names of shots that name emotions, "neutral" first.
    """

    name: str
    folder: Path
    paths: Mapping[str, Path]
    missing: Mapping[str, str]
    shots: tuple[str, ...]
    unpaired: int
    num_frames: int
    num_verts: int
    rate: float | None
    emotions: tuple[str, ...]


@dataclass
class _Listing:
    """The folders below a data folder that hold recordings, caches and single files."""

    recordings: dict[Path, frozenset[str]] = field(default_factory=dict)
    caches: dict[Path, frozenset[str]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    texts: dict[Path, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Pair:
    recordings: Path
    caches: Path
    folder: Path  # that both lie in
    shots: frozenset[str]


def find_actors(folder: Path, known: Collection[str] = ()) -> list[FoundActor]:
    """Finds the actors of a data folder, sorted by name.

    Args:
        folder: the data folder.
        known: parameters whose files lie elsewhere: the folder's files are of use without them.

    Raises:
        UserError: there is no such folder, or it holds no recordings with caches of the same names.
    """
    if not folder.is_dir():
        raise UserError("there is no such data folder", path=folder, hint="Name the folder of an actor's recordings.")
    listing = _list(folder)
    pairs = _pairs(listing)
    if not pairs:
        raise _nothing_found(folder, listing)
    homes = {pair.folder for pair in pairs}
    outer = sorted(home for home in homes if not any(other in home.parents for other in homes))
    return [_actor(home, [pair for pair in pairs if pair.folder == home], listing, known) for home in outer]


def _list(folder: Path) -> _Listing:
    found = _Listing()
    for path, folders, files in os.walk(folder):
        here = Path(path)
        depth = len(here.relative_to(folder).parts)
        shots = frozenset(list_shots(here))
        recordings = frozenset(list_recordings(here))
        folders[:] = sorted(name for name in folders if name not in shots and not name.startswith("."))
        if depth >= _DEEPEST:
            folders.clear()
        if shots:
            found.caches[here] = shots
        if recordings and _VOICES not in here.parts[-2:]:
            found.recordings[here] = recordings
        texts = frozenset(Path(name).stem for name in files if name.endswith(tuple(READERS)))
        if texts and "phone" in here.name.lower():
            found.texts[here] = texts
        found.files += [here / name for name in sorted(files) if Path(name).suffix in (".npy", ".npz", ".json")]
    return found


def _nothing_found(folder: Path, listing: _Listing) -> UserError:
    flat = next((path for path in listing.files if path.suffix == ".npy" and _is_cache(path)), None)
    if not listing.recordings:
        problem = "no recordings are in it"
        hint = "AUDIO_ROOT is a folder of them: <shot>.wav, or another format."
    elif flat is not None and not listing.caches:
        problem = f"the cache {flat.relative_to(folder)} lies in no folder of its own"
        hint = f"SKIN_CACHE_ROOT holds a folder for each shot: move it to {flat.stem}/{flat.name}, and so on."
    elif not listing.caches:
        problem = "no animation caches are in it"
        endings = ", ".join(CACHE_EXTENSIONS)
        hint = (
            f"SKIN_CACHE_ROOT holds a folder for each shot with a cache of its name: <shot>/<shot>, ending {endings}."
        )
    else:
        recording = min(next(iter(listing.recordings.values())))
        cache = min(next(iter(listing.caches.values())))
        problem = f"recordings and caches have no names in common ({recording} and {cache}, for example)"
        hint = "Give a shot's recording and its cache the same name."
    return UserError(problem, path=folder, hint=hint)


def _is_cache(path: Path) -> bool:
    with suppress(UserError):
        return open_cache(path).num_frames > 1
    return False


def _pairs(listing: _Listing) -> list[_Pair]:
    """For each folder of caches, the folder of recordings that is nearest and shares most names."""
    pairs = []
    for caches, shots in listing.caches.items():
        candidates = [
            _Pair(recordings, caches, Path(os.path.commonpath([recordings, caches])), shots & names)
            for recordings, names in listing.recordings.items()
            if shots & names
        ]
        if candidates:
            pairs.append(max(candidates, key=lambda pair: (len(pair.folder.parts), len(pair.shots))))
    return pairs


def _actor(home: Path, pairs: Sequence[_Pair], listing: _Listing, known: Collection[str]) -> FoundActor:
    skin = _skin_of(pairs)
    shots = sorted(skin.shots)
    caches = {shot: open_cache(find_cache(skin.caches, shot).path) for shot in shots}
    num_verts = next(iter(caches.values())).num_verts
    paths = {"AUDIO_ROOT": skin.recordings, "SKIN_CACHE_ROOT": skin.caches}
    tongue = next((pair.caches for pair in pairs if _names_tongue(pair.caches, home)), None)
    if tongue is not None:
        paths["TONGUE_CACHE_ROOT"] = tongue
    phonemes = [folder for folder, names in listing.texts.items() if home in folder.parents and names >= skin.shots]
    if phonemes:
        paths["PHONEME_TIMES_ROOT"] = phonemes[0]
    missing: dict[str, str] = {} if tongue is not None else {"TONGUE_CACHE_ROOT": "not found"}
    own = [path for path in listing.files if home in path.parents and not _is_below_other(path, home, listing, paths)]
    for parameter in _FILES:
        _choose(parameter, own, home, num_verts, paths, missing)
    _drop_incomplete(paths, missing, known)
    unpaired = len(listing.recordings[skin.recordings] ^ listing.caches[skin.caches])
    return FoundActor(
        name=home.name,
        folder=home,
        paths=paths,
        missing=missing,
        shots=tuple(shots),
        unpaired=unpaired,
        num_frames=sum(cache.num_frames for cache in caches.values()),
        num_verts=num_verts,
        rate=_guess_rate(caches, skin.recordings),
        emotions=_emotions(shots),
    )


def _names_tongue(path: Path, home: Path) -> bool:
    return "tongue" in path.relative_to(home).as_posix().lower()


def _skin_of(pairs: Sequence[_Pair]) -> _Pair:
    """The caches of the skin: those called so, else those of the most vertices."""
    faces = [pair for pair in pairs if not _names_tongue(pair.caches, pair.folder)] or list(pairs)

    def rank(pair: _Pair) -> tuple[bool, int, int]:
        name = pair.caches.name.lower()
        with suppress(UserError):
            vertices = open_cache(find_cache(pair.caches, min(pair.shots)).path).num_verts
            return any(word in name for word in ("skin", "face", "head")), vertices, len(pair.shots)
        return False, 0, len(pair.shots)

    return max(faces, key=rank)


def _is_below_other(path: Path, home: Path, listing: _Listing, paths: Mapping[str, Path]) -> bool:
    """Whether a file belongs to another dataset within the folder, such as one of test sentences."""
    roots = {paths["AUDIO_ROOT"], paths["SKIN_CACHE_ROOT"]}
    inner = [folder.parent for folder in listing.recordings if folder not in roots and folder.parent != home]
    return any(folder in path.parents for folder in inner)


def _choose(
    parameter: str,
    files: Iterable[Path],
    home: Path,
    num_verts: int,
    paths: dict[str, Path],
    missing: dict[str, str],
) -> None:
    """Adds the file of a parameter to `paths`, or the reason why there is none to `missing`."""
    suffix, part, pattern = _FILES[parameter]
    fitting = []
    for path in files:
        name, text = path.stem.lower(), path.relative_to(home).as_posix().lower()
        is_config = "config" in name
        if path.suffix != suffix or not re.search(pattern, name) or is_config != ("CONFIG" in parameter):
            continue
        if part is not None and ("tongue" in text) != (part == "tongue"):
            continue
        if part is not None and "jaw" in text:
            continue
        if parameter in _POSES and part == "skin" and not _has_shape(path, num_verts):
            continue
        fitting.append(path)
    plain = [path for path in fitting if "inference" not in path.stem]
    if len(plain) == 1:
        paths[parameter] = plain[0]
    elif plain:
        listed = ", ".join(path.relative_to(home).as_posix() for path in plain[:3])
        missing[parameter] = f"several files could be it: {listed}"
    else:
        missing[parameter] = "not found"


def _has_shape(path: Path, num_verts: int) -> bool:
    with suppress(UserError):
        return tuple(read_npy(path).shape) == (num_verts, 3)
    return False


def _drop_incomplete(paths: dict[str, Path], missing: dict[str, str], known: Collection[str]) -> None:
    """Takes out files that are of use together only, where some of them are missing."""
    for group in _TOGETHER:
        lacking = [name for name in group if name not in paths and name not in known]
        for name in group if lacking else ():
            if paths.pop(name, None) is not None:
                missing[name] = f"found, of no use without {lacking[0]}"


def _guess_rate(caches: Mapping[str, PointCache], recordings: Path) -> float | None:
    """The usual rate nearest to frames by seconds of the recordings; that of all headers where both agree."""
    measured, stated = [], set()
    audio = list_recordings(recordings)
    for shot, cache in list(caches.items())[:_MOST_MEASURED]:
        with suppress(UserError):
            seconds = read_header(audio[shot][0]).duration
            if seconds > 0:
                measured.append(cache.num_frames / seconds)
        if cache.fps:
            stated.add(round(cache.fps, 3))
    if not measured:
        return None
    middle = median(measured)
    for rate in _rates_of_headers(stated):
        if abs(middle / rate - 1) < _NEAR:
            return rate
    nearest = min(_RATES, key=lambda rate: abs(middle / rate - 1))
    return nearest if abs(middle / nearest - 1) < _NEAR else None


def _rates_of_headers(stated: Collection[float]) -> list[float]:
    """The rate that all headers state, to three digits: the exact one that is meant, or one that is no usual rate."""
    if len(stated) != 1:
        return []
    (rate,) = stated
    exact = [usual for usual in _STATED_RATES if round(usual, 3) == rate]
    return exact or ([rate] if all(abs(rate / usual - 1) > _SAME for usual in _STATED_RATES) else [])


def _emotions(shots: Iterable[str]) -> tuple[str, ...]:
    """Words that name emotions, the most frequent first; "neutral" before them where a shot has no other."""
    counts: dict[str, int] = defaultdict(int)
    is_neutral = False
    for shot in shots:
        words = set(re.findall(r"[a-z]+", shot.lower())) & EMOTION_WORDS
        is_neutral |= not words
        for word in words:
            counts[word] += 1
    return (*([DEFAULT_EMOTION] if is_neutral else []), *sorted(counts, key=lambda word: (-counts[word], word)))
