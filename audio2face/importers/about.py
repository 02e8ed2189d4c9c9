"""The page `about.md` of an imported data set: what is in it, what was made, and what to record next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from audio2face.dataset.actor import DEFAULT_EMOTION
from audio2face.dataset.arkit_names import listed
from audio2face.importers.coverage import ENGLISH, FEWEST, rare_sounds, words_with
from audio2face.importers.naming import plain_name
from audio2face.importers.record import ImportRecord, TakeRecord

_FEW_MINUTES, _MANY_MINUTES = 3.0, 10.0
_FEWEST_SHOTS = 3  # of an emotion
_MOST_LOST = 0.02
_MOST_LISTED = 12
_MUTED_SECONDS = 4.0


def about_text(name: str, record: ImportRecord, face: str, made: Sequence[str], missing: Sequence[str]) -> str:
    """The page.

    Args:
        name: of the data set.
        record: its takes.
        face: what the takes are shown on, in words.
        made: what of the whole data set was made, not captured.
        missing: shapes that the face lacks.
    """
    takes = record.takes
    sections = [
        f"# {name}",
        f"An import of the kind {record.kind}, on {face}, {float(record.fps):g} frames per second. Lengths "
        "are centimetres (+y up, +z out of the face), angles degrees.",
        f"{minutes_of(record):.1f} minutes in {num_shots(record)} shots of {len(takes)} takes.",
        "## Takes",
        _takes_table(takes, float(record.fps)),
        *_notes(takes),
        "## Made, not captured",
        _listed([*made, *_made_of_takes(takes)], "Nothing: everything was captured."),
        "## Emotions",
        _emotions_table(takes, float(record.fps)),
        "## Sounds of English",
        "As the encoder a2f-phonetic detects them, counted together where they look alike. Times each occurs:",
        _sounds_table(sounds_of_takes(record)),
        *_silence(name, record),
        "## What to record next",
        _listed(advice(record, missing), "Nothing is missing by these counts."),
    ]
    return "\n\n".join(sections) + "\n"


def minutes_of(record: ImportRecord) -> float:
    """Minutes of all shots."""
    frames = sum(count for take in record.takes.values() for count in take.shots.values())
    return frames / float(record.fps) / 60


def num_shots(record: ImportRecord) -> int:
    """Number of shots."""
    return sum(len(take.shots) for take in record.takes.values())


def sounds_of_takes(record: ImportRecord) -> Counter[str]:
    """How often each sound occurs in all takes."""
    total: Counter[str] = Counter()
    for take in record.takes.values():
        total.update(take.sounds)
    return total


def advice(record: ImportRecord, missing: Sequence[str] = ()) -> list[str]:
    """What to record next, the most useful first, one sentence each."""
    found = []
    minutes = minutes_of(record)
    if minutes < _FEW_MINUTES:
        found.append(f"More speech: {minutes:.1f} minutes are few; {_FEW_MINUTES:g} make a usable mouth.")
    elif minutes < _MANY_MINUTES:
        found.append(f"More speech: from {minutes:.1f} to {_MANY_MINUTES:g} minutes the mouth still gains much.")
    rare = rare_sounds(sounds_of_takes(record))
    if rare:
        words = "; ".join(f"{letters} ({words_with(letters)})" for letters in rare[:_MOST_LISTED])
        found.append(f"Sentences with sounds that occur fewer than {FEWEST} times: {words}.")
    shots = Counter(take.emotion for take in record.takes.values() for _ in take.shots)
    few = [emotion for emotion, count in shots.items() if count < _FEWEST_SHOTS and emotion != DEFAULT_EMOTION]
    if few:
        found.append(f"More takes in {', '.join(sorted(few))}: an emotion needs {_FEWEST_SHOTS} shots, better ten.")
    if set(shots) == {DEFAULT_EMOTION}:
        found.append("Takes with an emotion in their name (mary_joy_1), if the face should show any.")
    takes = record.takes.values()
    lost = sum(take.lost for take in takes) / max(1, sum(take.frames for take in takes))
    if lost > _MOST_LOST:
        found.append(f"The face was lost in {lost:.0%} of the frames: keep it in view, in even light.")
    if missing:
        found.append(f"The rig lacks {len(missing)} shapes, which captured weights cannot move: {listed(missing)}.")
    return found


def _silence(name: str, record: ImportRecord) -> list[str]:
    """Rows of AUG_MUTED_SHOTS: for each emotion the frame that is most at rest."""
    calmest: dict[str, tuple[str, int, float]] = {}
    for take in record.takes.values():
        if take.rest is not None and take.rest[2] < calmest.get(take.emotion, take.rest)[2] + 1e-9:
            calmest[take.emotion] = take.rest
    if not calmest:
        return []
    length = round(_MUTED_SECONDS * float(record.fps))
    rows = [
        f'    ("{plain_name(name)}", ("{shot}", {frame}), {length}, "{emotion}"),'
        for emotion, (shot, frame, _) in sorted(calmest.items())
    ]
    return [
        "## Silence",
        "A network that moves in pauses learns to be still from muted shots. These frames are the most relaxed of each "
        "emotion; look at them, then add to `config_train.py`:",
        "\n".join(["```python", "AUG_MUTED_SHOTS = [", *rows, "]", "```"]),
    ]


def _takes_table(takes: Mapping[str, TakeRecord], fps: float) -> str:
    rows = ["| take | source | shots | seconds | not tracked | left out | emotion |", "|---|---|---|---|---|---|---|"]
    for name, take in sorted(takes.items()):
        rows.append(
            f"| {name} | {take.source} | {len(take.shots)} | {sum(take.shots.values()) / fps:.1f} | "
            f"{take.lost} of {take.frames} frames | {take.left_out / fps:.1f} s | {take.emotion} |"
        )
    return "\n".join(rows)


def _notes(takes: Mapping[str, TakeRecord]) -> list[str]:
    notes = [f"{name}: {note}" for name, take in sorted(takes.items()) for note in take.notes]
    return [_listed(notes, "")] if notes else []


def _made_of_takes(takes: Mapping[str, TakeRecord]) -> list[str]:
    """What was made of takes, each once with the takes that it concerns where they are not all."""
    concerned: dict[str, list[str]] = {}
    for name, take in sorted(takes.items()):
        for made in take.made:
            concerned.setdefault(made, []).append(name)
    return [
        made if len(names) == len(takes) else f"{made} (in {', '.join(names)})" for made, names in concerned.items()
    ]


def _emotions_table(takes: Mapping[str, TakeRecord], fps: float) -> str:
    frames: Counter[str] = Counter()
    shots: Counter[str] = Counter()
    for take in takes.values():
        frames[take.emotion] += sum(take.shots.values())
        shots[take.emotion] += len(take.shots)
    rows = ["| emotion | shots | minutes |", "|---|---|---|"]
    rows += [f"| {name} | {shots[name]} | {count / fps / 60:.1f} |" for name, count in frames.most_common()]
    return "\n".join(rows)


def _sounds_table(counts: Mapping[str, int]) -> str:
    cells = [f"{letters} {counts.get(letters, 0)}" for letters in ENGLISH]
    return ", ".join(cells)


def _listed(lines: Sequence[str], otherwise: str) -> str:
    return "\n".join(f"- {line}" for line in lines) or otherwise
