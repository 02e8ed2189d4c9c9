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
from audio2face.config_base.tables import NETWORK_TYPES, Base, NetworkType, SectionName, base_of
from audio2face.config_base.types import Stage


class Unavailable(Exception):  # noqa: N818 - a signal, no error
    """A rule asked for a value that is wrong itself, or for a section that there is not."""


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        name: which one.
        user: the user's file.
        base: the parameters that it may set.
        written: what the user wrote, unknown names left out.
        values: the merged values that passed the type check.
    """

    name: SectionName
    user: UserFile
    base: Base
    written: Values
    values: Values


@dataclass
class Draft:
    """A configuration under examination.

    Attributes:
        stage: the stage that it is for.
        roots: where paths lead.
        actors: the actors that the stage works on; empty means all of ACTOR_NAMES.
        network_type: the network type that config_train.py names; None without any file that depends on it.
        sections: the sections.
        problems: what must be mended.
        warnings: what may be as it is meant.
    """

    stage: Stage
    roots: Roots
    actors: tuple[str, ...] = ()
    network_type: NetworkType | None = None
    sections: dict[SectionName, Section] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def value(self, section: SectionName, name: str) -> Any:
        """A merged value that passed the type check.

        Raises:
            Unavailable: it did not, or there is no such section.
        """
        try:
            return self.sections[section].values[name]
        except KeyError:
            raise Unavailable from None

    def wrote(self, section: SectionName, *path: str) -> bool:
        """Whether the user's file sets a parameter, or a key inside it."""
        level: Any = self.sections[section].written if section in self.sections else {}
        for key in path:
            if not isinstance(level, dict) or key not in level:
                return False
            level = level[key]
        return True

    def place(self, section: SectionName, name: str) -> str:
        """File and line at which a parameter is set."""
        return self.sections[section].user.place(name)

    def apply(self, rule: Callable[[Draft], Iterator[tuple[SectionName, str, str]]]) -> None:
        """Collects the problems that a rule finds, as far as what it needs is there."""
        with suppress(Unavailable):
            for section, name, text in rule(self):
                self.problems.append(f"{self.place(section, name)}: {text}")

    def warn(self, section: SectionName, name: str, text: str) -> None:
        """Notes something that may be as it is meant."""
        self.warnings.append(f"{self.place(section, name)}: {text}")


def add_section(
    draft: Draft, name: SectionName, user: UserFile, complete: Callable[[Draft, Section, Values], None]
) -> None:
    """Merges and checks one section.

    Args:
        draft: the configuration; the section and its problems are added.
        name: which section.
        user: the user's file, possibly an empty one.
        complete: fills in, before the check, what follows from other values.
    """
    draft.problems += user.problems
    if user.failed:
        return
    base = base_of(name, draft.network_type)
    for path, known in unknown_names(base.defaults, user.values):
        draft.problems.append(f"{user.place(path[0])}: {explain_unknown(path, known, name, draft.network_type)}")
    written = without_unknown(base.defaults, user.values)
    merged = merge(base.defaults, written)
    section = Section(name, user, base, written, {})
    complete(draft, section, merged)
    values, problems = check_values(name, draft.network_type, merged, draft.roots)
    section.values.update({key: value for key, value in values.items() if key not in user.broken})
    draft.sections[name] = section
    draft.problems += [f"{user.place(key)}: {text}" for key, text in problems if key not in user.broken]


def best_network_type(name: SectionName, user: UserFile) -> NetworkType:
    """The network type whose parameters fit a user's file best, where the file does not tell."""

    def strangers(candidate: NetworkType) -> int:
        return len(list(unknown_names(base_of(name, candidate).defaults, user.values)))

    return min(NETWORK_TYPES, key=strangers)
