"""Whether what a configuration names exists: actors, emotions, entries per actor, files, preprocessing runs."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from audio2face.config.draft import Draft, Found, Section, Unavailable
from audio2face.config.merge import nearest
from audio2face.config.typed_walk import walk
from audio2face.config_base.types import MemberOf, PathRule, Stage
from audio2face.errors import UserError
from audio2face.placeholders import find_placeholder

REQUIRED_PER_ACTOR: dict[str, tuple[Stage, ...]] = {
    "AUDIO_ROOT": ("check", "preproc", "train"),
    "SKIN_CACHE_ROOT": ("check", "preproc"),
    "CACHE_FPS": ("check", "preproc", "train"),
}
RUNS = "PREPROC_RUN_NAME_FULL"
LATEST = "latest"
PLACEHOLDER = "XXXXXX_XXXXXX"
MAX_LISTED = 10  # missing clips, beyond which only their number is told


def concerned_actors(draft: Draft) -> tuple[str, ...]:
    """The actors that a stage works on: those asked for, else all that training uses, else all that have data."""
    with suppress(Unavailable):
        names = draft.value("dataset", "ACTOR_NAMES") or list(draft.value("dataset", "SKIN_CACHE_ROOT"))
        return draft.actors or tuple(names)
    return draft.actors


def asked_actors(draft: Draft) -> None:
    """Reports actors that were asked for and that the dataset does not have, and goes on without them."""
    with suppress(Unavailable):
        known = draft.value("dataset", "ACTOR_NAMES") or list(draft.value("dataset", "SKIN_CACHE_ROOT"))
        for actor in sorted(set(draft.actors).difference(known)):
            draft.report("dataset", "ACTOR_NAMES", f"there is no actor {actor!r}{instead(actor, known)}")
        draft.actors = tuple(actor for actor in draft.actors if actor in known)


def instead(name: str, known: list[str]) -> str:
    """What may be meant instead of an unknown name."""
    close = nearest(name, known)
    return f"; did you mean {close!r}?" if close else f"; there are {', '.join(map(repr, known))}"


def members(draft: Draft) -> None:
    """Finds names of actors and emotions, anywhere, that the dataset does not list."""
    for section in draft.sections.values():
        for name, value in section.values.items():
            for parameter, strangers in _strangers(draft, section, name, value).items():
                if draft.stage == "check" and parameter == "SHOT_EMOTION_NAMES" and section.name == "dataset":
                    continue  # the dataset check lists it beside all else that is wrong with the data
                known = draft.value("dataset", parameter)
                for text, places in strangers.items():
                    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
                    said = f"{places[0]}{more}: {text!r} is not in {parameter}{instead(text, known)}"
                    draft.report(section.name, name, said)


def _strangers(draft: Draft, section: Section, name: str, value: Any) -> dict[Any, dict[str, list[str]]]:
    """For each list of names, those of a value that are not in it, with their places."""
    found: dict[Any, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))

    def look(mark: Any, text: Any, where: str) -> Any:
        if isinstance(mark, MemberOf):
            with suppress(Unavailable):
                known = draft.value("dataset", mark.parameter)
                if known and text not in known:
                    found[mark.parameter][text].append(where)
        return text

    walk(section.base.types[name], value, name, look)
    return found


def required_entries(draft: Draft) -> Found:
    """Finds actors without an entry that the stage cannot do without."""
    for name, stages in REQUIRED_PER_ACTOR.items():
        if draft.stage in stages:
            for actor in concerned_actors(draft):
                if actor not in draft.value("dataset", name):
                    yield "dataset", name, f"{name}: has no entry for actor {actor!r}"


def files(draft: Draft) -> None:
    """Finds files and folders that the stage reads, for the actors concerned, and that do not exist."""
    actors = concerned_actors(draft)
    for section in draft.sections.values():
        for name, value in section.values.items():
            kind = section.base.types[name]
            if _is_per_actor(kind):
                value = {actor: item for actor, item in value.items() if actor in actors}
            for text in _missing(draft, kind, value, name):
                draft.report(section.name, name, text)


def _is_per_actor(kind: Any) -> bool:
    key = get_args(kind)[0] if get_origin(kind) is dict else None
    return get_origin(key) is Annotated and MemberOf("ACTOR_NAMES") in get_args(key)


def _missing(draft: Draft, kind: Any, value: Any, name: str) -> list[str]:
    missing: list[str] = []

    def look(mark: Any, text: Any, where: str) -> Any:
        if isinstance(mark, PathRule) and isinstance(text, str) and draft.stage in mark.read_at:
            with suppress(UserError):  # a path that cannot be resolved has been reported
                path = draft.roots.resolve(text, mark.root)
                if not (_is_folder(path) if mark.kind == "folder" else _is_file(path)):
                    elsewhere = find_placeholder(path)
                    what = f"there is no {mark.suffix} {mark.kind} {path}".replace("  ", " ")
                    missing.append(f"{where}: {what}" + (f": it {elsewhere.problem}" if elsewhere else ""))
        return text

    walk(kind, value, name, look)
    return missing


def _is_file(path: Path) -> bool:
    with suppress(OSError):  # a name too long, a folder that may not be entered
        return path.is_file()
    return False


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


def placeholders(draft: Draft) -> Found:
    """Finds preprocessing runs that an example configuration leaves to be filled in."""
    if draft.stage != "train":
        return
    for actor, run in draft.value("train", RUNS).items():
        if run.startswith(PLACEHOLDER):
            said = "is a placeholder; give the run that preprocessing printed, or 'latest'"
            yield "train", RUNS, f"{RUNS}[{actor!r}]: {run!r} {said}"


def preproc_runs(draft: Draft) -> Found:
    """Finds preprocessing runs that do not exist."""
    if draft.stage != "train":
        return
    folder = draft.roots.resolve(draft.value("train", "PREPROC_ROOT"), "workspace")
    for actor in concerned_actors(draft):
        run = draft.value("train", RUNS).get(actor, LATEST)
        if run == LATEST or run.startswith(PLACEHOLDER) or _is_folder(folder / run):
            continue
        close = nearest(run, [path.name for path in folder.iterdir()] if _is_folder(folder) else [])
        meant = f"; did you mean {close!r}?" if close else ""
        yield "train", RUNS, f"{RUNS}[{actor!r}]: there is no run {folder / run}{meant}"


def clip_audio(draft: Draft) -> Found:
    """Finds clips whose recording does not exist."""
    if draft.stage != "train":
        return
    folders = {
        actor: draft.roots.resolve(folder, "datasets") for actor, folder in draft.value("dataset", "AUDIO_ROOT").items()
    }
    missing = []
    for index, (actor, _shot, _frames, _speaker, _language, file, _offset) in enumerate(draft.value("train", "CLIPS")):
        folder = folders.get(actor)
        if folder is not None and _is_folder(folder) and not _is_file(folder / file):
            missing.append(f"CLIPS[{index}][5]: there is no recording {folder / file}")
    if len(missing) > MAX_LISTED:
        missing[MAX_LISTED:] = [f"CLIPS: {len(missing) - MAX_LISTED} more recordings do not exist"]
    for text in missing:
        yield "train", "CLIPS", text
