"""Holds the sections of a configuration while they are checked, and completes values that follow from others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, get_args

from audio2face.config.overlay import Place, UserSection
from audio2face.config.values import Roots, Values, check_values, explain_unknown, merge, unknown_names, without_unknown
from audio2face.config_base.tables import SECTIONS, Base, NetworkType, SectionName, base_of
from audio2face.config_base.types import BodyPart, Stage


class Unavailable(Exception):  # noqa: N818 - a signal, not an error
    """A rule needs a value that is invalid itself, or a section that is missing."""


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: name of the section.
        base: the parameters that the user may set.
        written: values that the user set, without unknown names.
        values: the merged values that passed the type check.
    """

    name: SectionName
    base: Base
    written: Values
    values: Values


@dataclass
class Draft:
    """A configuration that is being checked.

    Attributes:
        stage: the stage that it is for.
        roots: folders that paths start from.
        users: the values that the user gives for each section; empty for a missing file.
        actors: the requested actors; empty means all of ACTOR_NAMES.
        network_type: the network type of config_train.py; None if no file depends on it.
        sections: the sections.
        warnings: possible problems.
    """

    stage: Stage
    roots: Roots
    users: dict[SectionName, UserSection]
    actors: tuple[str, ...] = ()
    network_type: NetworkType | None = None
    sections: dict[SectionName, Section] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    _problems: list[tuple[int, Place, str]] = field(default_factory=list)

    @property
    def problems(self) -> tuple[str, ...]:
        """All problems, in the order of files and lines."""
        ordered = sorted(self._problems, key=lambda problem: (problem[0], problem[1].rank, problem[1].line))
        return tuple(f"{place}: {text}" for _, place, text in ordered)

    def report(self, section: SectionName, name: str, text: str, place: Place | None = None) -> None:
        """Adds a problem of a parameter; the place is that of its assignment unless given."""
        self._problems.append((SECTIONS.index(section), place or self.users[section].place_of(name), text))

    def warn(self, section: SectionName, name: str, text: str) -> None:
        """Adds a warning about a parameter."""
        self.warnings.append(f"{self.users[section].place_of(name)}: {text}")

    def apply(self, rule: Rule) -> None:
        """Reports the problems that a rule finds; a rule whose inputs are unavailable is skipped."""
        with suppress(Unavailable):
            for section, name, text in rule(self):
                self.report(section, name, text)

    def value(self, section: SectionName, name: str) -> Any:
        """Returns a merged value that passed the type check.

        Raises:
            Unavailable: the value failed the check, or the section is missing.
        """
        try:
            return self.sections[section].values[name]
        except KeyError:
            raise Unavailable from None


# A rule between parameters; it yields section, parameter and message of each problem.
Found = Iterator[tuple[SectionName, str, str]]
Rule = Callable[[Draft], Found]


def add_section(draft: Draft, name: SectionName, complete: Callable[[Draft, Section, Values], None]) -> None:
    """Merges and checks one section, and adds it with its problems to the configuration.

    Args:
        draft: the configuration.
        name: the section.
        complete: fills in values that follow from others, before the check.
    """
    user, base = draft.users[name], base_of(name, draft.network_type)
    broken = {parameter for _, parameter, _ in user.problems}
    for place, parameter, text in user.problems:
        if not parameter or parameter in base.types:
            draft.report(name, parameter, text, place)
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
NO_AUGMENT = {"timeshift": 0.0, "pitch_shift": None}


def complete(draft: Draft, section: Section, merged: Values) -> None:
    """Fills in values that follow from others; values of a wrong type are left to the type check."""
    if section.name == "dataset":
        _complete_scales(merged)
    if section.name == "train":
        _complete_training(section, merged)
    if section.name == "inference" and "NUM_DIFFUSION_STEPS" in merged:
        steps = draft.sections["train"].values.get("DIFFUSION_STEPS") if "train" in draft.sections else None
        _complete_steps(section, merged, steps)


def _complete_scales(merged: Values) -> None:
    """Sets the scale 1 for parts without a scale."""
    scales, ones = merged["TRANSFORM_SCALE"], dict.fromkeys(get_args(BodyPart), 1.0)
    if isinstance(scales, dict):
        merged["TRANSFORM_SCALE"] = {
            actor: ones | scale if isinstance(scale, dict) else scale for actor, scale in scales.items()
        }


def _complete_training(section: Section, merged: Values) -> None:
    """Reads AUGMENT = None as no augmentation, and derives the width of speech features from the frame rate."""
    if merged.get("AUGMENT", {}) is None:
        merged["AUGMENT"] = {key: NO_AUGMENT[key] for key in section.base.defaults["AUGMENT"]}
    network, written = merged.get("NETWORK_HYPER_PARAMS"), section.written.get("NETWORK_HYPER_PARAMS", {})
    if not (isinstance(network, dict) and isinstance(written, dict)):
        return
    if "hubert_feature_dim" in network.keys() - written.keys():
        network["hubert_feature_dim"] = encoder_width(merged["TARGET_FPS"]) or ENCODER_WIDTH_AT_60_FPS


def _complete_steps(section: Section, merged: Values, all_steps: int | None) -> None:
    """Derives respacing or number of steps from the other where only one is set."""
    respacing = merged["TIMESTEP_RESPACING"]
    if respacing is None:
        merged["TIMESTEP_RESPACING"] = str(merged["NUM_DIFFUSION_STEPS"])
    elif "NUM_DIFFUSION_STEPS" not in section.written:
        count = respaced_steps(respacing, all_steps)
        if count is not None:
            merged["NUM_DIFFUSION_STEPS"] = count


def encoder_width(fps: Any) -> int | None:
    """Returns the width of the speech features of one frame of the diffusion network; None for an unsupported rate."""
    widths = {60.0: ENCODER_WIDTH_AT_60_FPS, 30.0: 2 * ENCODER_WIDTH_AT_60_FPS}
    return widths.get(fps) if isinstance(fps, int | float) else None


def respaced_steps(respacing: Any, all_steps: int | None) -> int | None:
    """Returns the number of timesteps of a respacing; None for an invalid one."""
    if respacing == "":
        return all_steps
    if not isinstance(respacing, str):
        return None
    counts = respacing.removeprefix("ddim").split(",")
    return sum(map(int, counts)) if all(count.isdecimal() and count.isascii() for count in counts) else None
