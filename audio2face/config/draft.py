"""The sections of a configuration while they are being checked: what is set, what is right, what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from audio2face.config.merge import explain_unknown, merge, unknown_names, without_unknown
from audio2face.config.paths import Roots
from audio2face.config.user_file import UserFile
from audio2face.config.values import Values, check_values
from audio2face.config_base.tables import SECTIONS, Base, NetworkType, SectionName, base_of
from audio2face.config_base.types import Stage


class Unavailable(Exception):  # noqa: N818 - a signal, no error
    """A rule asked for a value that is wrong itself, or for a section that there is not."""


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: which one.
        base: the parameters that the user may set.
        written: what the user wrote, unknown names left out.
        values: the merged values that passed the type check.
    """

    name: SectionName
    base: Base
    written: Values
    values: Values


@dataclass
class Draft:
    """A configuration under examination.

    Attributes:
        stage: the stage that it is for.
        roots: where paths lead.
        users: the user's files, empty ones for those that there are not.
        actors: the actors that were asked for; empty means all of ACTOR_NAMES.
        network_type: the network type that config_train.py names; None without any file that depends on it.
        sections: the sections.
        warnings: what may be as it is meant.
    """

    stage: Stage
    roots: Roots
    users: dict[SectionName, UserFile]
    actors: tuple[str, ...] = ()
    network_type: NetworkType | None = None
    sections: dict[SectionName, Section] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _problems: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def problems(self) -> tuple[str, ...]:
        """What must be mended, in the order of files and lines."""
        return tuple(text for _, _, text in sorted(self._problems, key=lambda problem: problem[:2]))

    def report(self, section: SectionName, name: str, text: str, line: int | None = None) -> None:
        """Adds a problem of a parameter; the line is that of its assignment unless given."""
        line = line or self.users[section].lines.get(name)
        self._problems.append((SECTIONS.index(section), line or 0, f"{self._place(section, line)}: {text}"))

    def warn(self, section: SectionName, name: str, text: str) -> None:
        """Notes something about a parameter that may be as it is meant."""
        self.warnings.append(f"{self._place(section, self.users[section].lines.get(name))}: {text}")

    def _place(self, section: SectionName, line: int | None) -> str:
        file = self.users[section].path.name
        return file if line is None else f"{file}:{line}"

    def apply(self, rule: Rule) -> None:
        """Reports what a rule finds, as far as what it needs is there."""
        with suppress(Unavailable):
            for section, name, text in rule(self):
                self.report(section, name, text)

    def value(self, section: SectionName, name: str) -> Any:
        """A merged value that passed the type check.

        Raises:
            Unavailable: it did not, or there is no such section.
        """
        try:
            return self.sections[section].values[name]
        except KeyError:
            raise Unavailable from None


# A rule between parameters; it yields the section, parameter and message of what it finds wrong.
Found = Iterator[tuple[SectionName, str, str]]
Rule = Callable[[Draft], Found]


def add_section(draft: Draft, name: SectionName, complete: Callable[[Draft, Section, Values], None]) -> None:
    """Merges and checks one section; adds it, and its problems, to the configuration.

    Args:
        draft: the configuration.
        name: which section.
        complete: fills in, before the check, what follows from other values.
    """
    user, base = draft.users[name], base_of(name, draft.network_type)
    broken = {parameter for _, parameter, _ in user.problems}
    for line, parameter, text in user.problems:
        if not parameter or parameter in base.types:
            draft.report(name, parameter, text, line)
    for path, known in unknown_names(base.defaults, user.values):
        draft.report(name, path[0], explain_unknown(path, known, name, draft.network_type))
    if user.failed:
        return
    written = without_unknown(base.defaults, user.values)
    merged = merge(base.defaults, written)
    section = Section(name, base, written, {})
    complete(draft, section, merged)
    values, problems = check_values(name, draft.network_type, merged, draft.roots)
    section.values.update({key: value for key, value in values.items() if key not in broken})
    draft.sections[name] = section
    for parameter, text in problems:
        if parameter not in broken:
            draft.report(name, parameter, text)


ENCODER_WIDTH_AT_60_FPS = 768  # one step of the speech encoder per frame; two steps at 30 fps
BODY_PARTS = ("skin", "tongue", "jaw", "eye")
NO_AUGMENT = {"timeshift": 0.0, "pitch_shift": None}


def complete(draft: Draft, section: Section, merged: Values) -> None:
    """Fills in the merged values of a section; what does not have the expected type is left for the type check."""
    if section.name == "dataset":
        _complete_scales(merged)
    if section.name == "train":
        _complete_training(section, merged)
    if section.name == "inference" and "NUM_DIFFUSION_STEPS" in merged:
        steps = draft.sections["train"].values.get("DIFFUSION_STEPS") if "train" in draft.sections else None
        _complete_steps(section, merged, steps)


def _complete_scales(merged: Values) -> None:
    """Gives the parts that an actor's scales leave out the scale 1."""
    scales, ones = merged["TRANSFORM_SCALE"], dict.fromkeys(BODY_PARTS, 1.0)
    if isinstance(scales, dict):
        merged["TRANSFORM_SCALE"] = {
            actor: ones | scale if isinstance(scale, dict) else scale for actor, scale in scales.items()
        }


def _complete_training(section: Section, merged: Values) -> None:
    """Reads AUGMENT = None as no augmentation, and derives the width of speech features from the frame rate."""
    if merged["AUGMENT"] is None:
        merged["AUGMENT"] = {key: NO_AUGMENT[key] for key in section.base.defaults["AUGMENT"]}
    network, written = merged["NETWORK_HYPER_PARAMS"], section.written.get("NETWORK_HYPER_PARAMS", {})
    tables = isinstance(network, dict) and isinstance(written, dict)
    if tables and "hubert_feature_dim" in network.keys() - written.keys():
        network["hubert_feature_dim"] = encoder_width(merged["TARGET_FPS"]) or ENCODER_WIDTH_AT_60_FPS


def _complete_steps(section: Section, merged: Values, all_steps: int | None) -> None:
    """Makes respacing and number of steps agree where only one of them is given."""
    respacing = merged["TIMESTEP_RESPACING"]
    if respacing is None:
        merged["TIMESTEP_RESPACING"] = str(merged["NUM_DIFFUSION_STEPS"])
    elif "NUM_DIFFUSION_STEPS" not in section.written:
        count = respaced_steps(respacing, all_steps)
        if count is not None:
            merged["NUM_DIFFUSION_STEPS"] = count


def encoder_width(fps: Any) -> int | None:
    """Width of the speech features of one frame of the diffusion network; None for a rate that it does not have."""
    widths = {60.0: ENCODER_WIDTH_AT_60_FPS, 30.0: 2 * ENCODER_WIDTH_AT_60_FPS}
    return widths.get(fps) if isinstance(fps, int | float) else None


def respaced_steps(respacing: Any, all_steps: int | None) -> int | None:
    """How many noise levels a respacing leaves; None when that cannot be told."""
    if respacing == "":
        return all_steps
    if not isinstance(respacing, str):
        return None
    counts = respacing.removeprefix("ddim").split(",")
    return sum(map(int, counts)) if all(count.isdecimal() and count.isascii() for count in counts) else None
