"""Defines the checked configuration that stages receive: typed, frozen, and stored as one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, make_dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from audio2face.config import sections
from audio2face.config.sections import (
    Dataset,
    InferenceDiffusion,
    InferenceRegression,
    InferenceStreaming,
    Preproc,
    TrainDiffusion,
    TrainRegression,
    TrainStreaming,
)
from audio2face.config.values import Roots, check_values, freeze, walk
from audio2face.config_base.tables import BY_NETWORK_TYPE, SECTIONS, NetworkType, SectionName, base_of
from audio2face.config_base.types import OWN_PARAMETERS, PathRule, Stage
from audio2face.errors import FileFormatError, UserError
from audio2face.families import FAMILIES
from audio2face.io.atomic import write_json

SCHEMA = 1
# The sections of the framework's families. Code for any family reads only parameters that all of them have.
TrainSection = TrainDiffusion | TrainRegression | TrainStreaming
InferenceSection = InferenceDiffusion | InferenceRegression | InferenceStreaming
SectionClass = TypeVar("SectionClass")
# What runs did before a parameter existed, where its default is another.
_BEFORE: Mapping[str, Any] = MappingProxyType({"AUDIO_RESAMPLER": "hann"})


class ConfigError(UserError):
    """A configuration has problems, all of which are listed.

    Args:
        config_name: the configuration.
        stage: the stage that it was loaded for.
        folder: the folder of its files.
        problems: each with file, line where known, parameter and what is wrong.
    """

    def __init__(self, config_name: str, stage: Stage, folder: Path, problems: tuple[str, ...]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        listed = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"configuration {config_name!r} has {count} at stage {stage}:{listed}", path=folder)


@dataclass(frozen=True)
class Configuration:
    """The checked configuration of a stage; immutable.

    Attributes:
        name: name of the configuration.
        stage: the stage that it was checked for.
        actors: the actors to work on.
        network_type: the network type; None without a config_train.py.
        roots: folders of datasets and workspace.
        modifiers: values that the user's files (with those that they extend) and arguments set, by section, as JSON
            values.
        full: all values by section, as JSON values; paths as configured, so that the file is portable.
        warnings: possible problems for the user to review.
        overrides: the arguments, each as `NAME=VALUE`.
    """

    name: str
    stage: Stage
    actors: tuple[str, ...]
    network_type: NetworkType | None
    roots: Roots
    modifiers: Mapping[str, Mapping[str, Any]]
    full: Mapping[str, Mapping[str, Any]]
    warnings: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()

    @cached_property
    def dataset(self) -> Dataset:
        """Raw data. All four sections raise AttributeError where the stage lacks the section."""
        return self.section("dataset", Dataset)

    @cached_property
    def preproc(self) -> Preproc:
        """Preprocessing."""
        return self.section("preproc", Preproc)

    @cached_property
    def train(self) -> TrainSection:
        """Training."""
        section: TrainSection = self.section("train", section_class("train", self.network_type))
        return section

    @cached_property
    def inference(self) -> InferenceSection:
        """Sampling, export, animation parameters."""
        section: InferenceSection = self.section("inference", section_class("inference", self.network_type))
        return section

    def optional(self, section: SectionName, name: str) -> Any:
        """The value of a parameter that not every network has; None where this one has not."""
        return getattr(getattr(self, section), name, None)

    def section(self, name: SectionName, kind: type[SectionClass]) -> SectionClass:
        """Builds a typed section: frozen, every path resolved.

        Args:
            name: the section.
            kind: its class, for the configuration's network type.

        Raises:
            AttributeError: the stage has no such section.
        """
        if name not in self.full:
            raise AttributeError(f"stage {self.stage} of configuration {self.name!r} has no section {name!r}")

        def resolve(mark: Any, value: Any, where: str) -> Any:
            return self.roots.resolve(value, mark.root) if isinstance(mark, PathRule) else value

        types = base_of(name, self.network_type).types
        values = {key: walk(types[key], value, key, resolve) for key, value in self.full[name].items()}
        return kind(**values)

    def save(self, path: Path) -> None:
        """Writes the configuration as one JSON file, without the roots, so that it is valid in a container as well."""
        portable = {key.name: getattr(self, key.name) for key in fields(self) if key.name != "roots"}
        write_json(path, {"schema": SCHEMA, **portable})

    @staticmethod
    def open(path: Path, roots: Roots | None = None) -> Configuration:
        """Reads a configuration written by `save`.

        Args:
            path: the file.
            roots: folders of datasets and workspace; by default from the environment.

        Raises:
            FileFormatError: the file is not a configuration of this version.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("schema") != SCHEMA:
                raise ValueError(f"its schema is not {SCHEMA}")
            _complete(content)
            found = Configuration(roots=roots or Roots.from_environment(), **{k: freeze(v) for k, v in content.items()})
            problems = [text for name in SECTIONS if name in found.full for text in found._check(name)]
        except OSError as error:
            raise UserError(f"cannot be read: {error.strerror}", path=path) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise FileFormatError(f"is not a configuration of this version ({error})", path=path) from error
        if problems:
            raise FileFormatError(f"is not a configuration of this version: {problems[0]}", path=path)
        return found

    def _check(self, name: SectionName) -> list[str]:
        """Returns the problems of a section that was read from a file."""
        if name in BY_NETWORK_TYPE and self.network_type not in FAMILIES:
            raise ValueError("no network type")
        values, base = self.full[name], base_of(name, self.network_type)
        if set(values) != set(base.types):
            raise ValueError(f"section {name} has other parameters")
        return [text for _, text in check_values(name, self.network_type, dict(values), self.roots)[1]]


def section_class(name: SectionName, network_type: NetworkType | None) -> type[Any]:
    """The frozen class of a section of a network type: that of `sections`, or, for a family of another package, one
    with the parameters of its base module.
    """
    generated = getattr(sections, name.capitalize() + str(network_type).capitalize(), None)
    if isinstance(generated, type):
        return generated
    types = base_of(name, network_type).types
    return make_dataclass(name.capitalize(), list(types.items()), frozen=True, slots=True, kw_only=True)


def _complete(content: dict[str, Any]) -> None:
    """Adds parameters that a later version introduced, so that old run folders stay readable."""
    known = content["network_type"] in FAMILIES
    for name, values in content["full"].items():
        if known or name not in BY_NETWORK_TYPE:
            defaults = base_of(name, content["network_type"]).defaults
            before = {key: value for key, value in _BEFORE.items() if key in defaults}
            content["full"][name] = {**defaults, **before, **values}
    inference = content["full"].get("inference", {})
    if isinstance(inference.get("CONFIG"), dict):
        inference["CONFIG"] = {**dict.fromkeys(OWN_PARAMETERS, 0.0), **inference["CONFIG"]}
