"""The faces that a server animates: an actor of a deployed model, and its weights under the names of the service."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np

from audio2face import __version__
from audio2face.console import LOGGER
from audio2face.dataset.arkit_names import ARKIT_NAMES, TONGUE_NAMES, listed, match_arkit, match_names
from audio2face.errors import UserError
from audio2face.inference import EmotionNames, GraphDevice, NetworkSession, open_graph
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.inference.sessions import JointSession
from audio2face.inference.weights import PoseSpace, WeightFrame, WeightStream
from audio2face.model_folder import DeployedActor, DeployedModel
from audio2face.serve.emotion import RequestedEmotion
from audio2face.serve.parameters import Request, WeightTuning, camel_cased
from audio2face.types import MESHES, Float32Array, Mesh

NUM_NAMES = (52, 55, 68)
Names = Literal[52, 55, 68]
HEAD_NAMES = ("HeadRoll", "HeadPitch", "HeadYaw")  # no network moves the head: always 0
_ZERO_EMOTION = "neutral"
_KEPT_SPACES = 16


def wire_names(count: Names) -> tuple[str, ...]:
    """The names of the weights in a stream's header: ARKit's 52, with the head 55, with the tongue's shapes 68."""
    skin = tuple(name[0].upper() + name[1:] for name in ARKIT_NAMES)
    tongue = tuple(name[0].upper() + name[1:] for name in TONGUE_NAMES)
    return skin + (HEAD_NAMES if count == 55 else tongue if count == 68 else ())


@dataclass(frozen=True)
class FaceOptions:
    """What all faces of a server have in common.

    Attributes:
        names: number of weights of a frame.
        fps: frames per second.
        blinks: whether to add blinks.
        seed: of noise and blinks.
        device: of the networks.
    """

    names: Names = 52
    fps: Fraction = Fraction(30)
    blinks: bool = True
    seed: int = 0
    device: GraphDevice = "cpu"


class Face:
    """One actor, ready to be animated for any number of streams at the same time.

    Args:
        name: by which clients choose it.
        model: the deployed folder.
        actor: name of the actor.
        graph: the network, which streams share.
        options: of the server.

    Raises:
        UserError: the actor has no blend shapes under ARKit's names, or a file is damaged.
    """

    def __init__(
        self, name: str, model: DeployedModel, actor: str, graph: NetworkSession, options: FaceOptions
    ) -> None:
        self.name, self.options, self.graph = name, options, graph
        found = model.actor(actor)
        if "skin" not in found.blendshapes:
            raise UserError(
                f"actor {actor!r} has no blend shapes, whose weights the service returns",
                path=model.folder,
                hint="Put bs_skin.npz and its settings beside the actor's data (docs/preparing_data.md), preprocess, "
                "and deploy again.",
            )
        self.names = wire_names(options.names)
        self._columns = _columns(found, self.names)
        self._missing = [place for place in range(len(ARKIT_NAMES)) if place not in self._columns["skin"][0]]
        self._multipliers, self._offsets = self._own_tuning(found)
        self._actor, self._model = actor, _without_tuning(model, actor, self._columns)
        self._emotions = EmotionNames(
            model.info.emotions, model.info.default_emotion, _ZERO_EMOTION, model.info.samplerate, options.fps
        )
        self._spaces: OrderedDict[tuple[tuple[str, float], ...], PoseSpace] = OrderedDict()
        self._opening = Lock()

    @property
    def is_joint(self) -> bool:
        """Whether one call of the network animates several streams."""
        return isinstance(self.graph, JointSession)

    @property
    def fps(self) -> Fraction:
        """Frames per second."""
        return self.options.fps

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the model's emotions."""
        return self._emotions.names

    def warm_up(self) -> None:
        """Animates a moment of silence: the first client waits for nothing, and damage shows when the server starts.

        Raises:
            UserError: a file is damaged, or the network outputs NaN or infinity.
        """
        stream = WeightStream(self._space({}))
        stream.push(np.zeros(stream.samplerate // 4, np.float32))
        stream.finish()
        for _ in stream.frames():
            pass

    def log_missing(self) -> None:
        """Says which weights are always 0."""
        if self._missing:
            names = [self.names[place] for place in self._missing]
            LOGGER.warning("%s has no shapes for %s: these weights stay 0", self.name, listed(names))

    def open(
        self, request: Request, samplerate: int, longest: float
    ) -> tuple[WeightStream, RequestedEmotion, WeightMap]:
        """Opens the animation of one stream.

        Args:
            request: what the client asks for.
            samplerate: of its sound, Hz.
            longest: the latest time of an emotion, seconds.

        Returns:
            The animation, its emotion, and the weights of its frames.

        Raises:
            UserError: a blend shape is unknown, or the sample rate is too uncommon.
        """
        weights = self.weights(request.weights)
        emotion = RequestedEmotion(self._emotions, request.emotion, longest)
        return WeightStream(self._space(request.face), samplerate, emotion=emotion), emotion, weights

    def weights(self, tuning: WeightTuning) -> WeightMap:
        """The weights of frames, tuned as a client asks.

        Raises:
            UserError: a blend shape is unknown.
        """
        multipliers = self._tuned(self._multipliers, tuning.multipliers)
        return WeightMap(self._columns, multipliers, self._tuned(self._offsets, tuning.offsets), tuning.clamp)

    def config(self) -> dict[str, Any]:
        """The settings in the form of the service's configuration files."""
        tuned = {"multipliers": self._multipliers, "offsets": self._offsets}
        by_name = {key: dict(zip(self.names, values.tolist(), strict=True)) for key, values in tuned.items()}
        info, actor = self._model.info, self._model.actor(self._actor)
        return {
            "name": self.name,
            "server": f"audio2face {__version__}",
            "a2e": {"enabled": False, "live_transition_time": 0.5},
            "default_beginning_emotions": dict(zip(info.emotions, info.default_emotion, strict=True)),
            "a2f": {
                "inference_type": info.type,
                "version": info.version,
                "fps": float(self.fps),
                "face_params": camel_cased(actor.config.parameters),
                "blendshape_params": {
                    "weight_multipliers": by_name["multipliers"],
                    "weight_offsets": by_name["offsets"],
                },
            },
        }

    def _space(self, parameters: Mapping[str, float]) -> PoseSpace:
        """What weights depend on, with a client's parameters; those of the last clients are kept."""
        key = tuple(sorted(parameters.items()))
        with self._opening:
            if key not in self._spaces:
                self._spaces[key] = PoseSpace(self._pipeline(parameters))
            self._spaces.move_to_end(key)
            while len(self._spaces) > _KEPT_SPACES:
                self._spaces.popitem(last=False)
            return self._spaces[key]

    def _pipeline(self, parameters: Mapping[str, float]) -> AnimationPipeline:
        own = dict(parameters)
        blink_offset = own.pop("blink_offset", 0.0)
        settings = AnimationOptions(
            actor=self._actor,
            fps=self.fps,
            parameters=own,
            blink_offset=blink_offset,
            seed=self.options.seed,
            blinks=self.options.blinks,
            device=self.options.device,
        )
        return AnimationPipeline(self._model, settings, self.graph)

    def _own_tuning(self, actor: DeployedActor) -> tuple[Float32Array, Float32Array]:
        multipliers, offsets = np.ones(len(self.names), np.float32), np.zeros(len(self.names), np.float32)
        for part, (places, poses) in self._columns.items():
            settings = actor.blendshapes[part].settings
            multipliers[places] = np.array(settings.multipliers)[poses]
            offsets[places] = np.array(settings.offsets)[poses]
        return multipliers, offsets

    def _tuned(self, own: Float32Array, changes: Mapping[str, float]) -> Float32Array:
        tuned = own.copy()
        known = {name.lower(): place for place, name in enumerate(self.names)}
        every = {name.lower() for name in (*wire_names(68), *HEAD_NAMES)}
        for name, value in changes.items():
            if name.lower() in known:
                tuned[known[name.lower()]] = value
            elif name.lower() not in every:  # those of a longer list than this server's may be given
                raise UserError(f"there is no blend shape {name[:80]!r}", hint=f"There are: {', '.join(self.names)}.")
        return tuned


class WeightMap:
    """Weights of frames in the order of the service's names.

    Args:
        columns: by part, the places among the names, and the poses that fill them.
        multipliers: `[names]`.
        offsets: `[names]`.
        clamp: whether to clip to 0 to 1.
    """

    def __init__(
        self,
        columns: Mapping[Mesh, tuple[list[int], list[int]]],
        multipliers: Float32Array,
        offsets: Float32Array,
        clamp: bool,
    ) -> None:
        self._columns, self._multipliers, self._offsets, self._clamp = columns, multipliers, offsets, clamp

    def __call__(self, frame: WeightFrame) -> Float32Array:
        """The weights of a frame, float32 `[names]`."""
        solved = np.zeros(len(self._multipliers), np.float32)
        for part, (places, poses) in self._columns.items():
            weights = frame.skin_weights if part == "skin" else frame.tongue_weights
            if weights is not None:
                solved[places] = weights[poses]
        values: Float32Array = solved * self._multipliers + self._offsets
        return np.clip(values, 0, 1) if self._clamp else values


def open_faces(folders: Sequence[Path], options: FaceOptions) -> dict[str, Face]:
    """Opens all actors of deployed models, by name; the first one is the server's default.

    Raises:
        UserError: a folder is damaged, or an actor has no blend shapes.
    """
    models = [DeployedModel.open(folder) for folder in folders]
    actors = [name for model in models for name in model.info.identities]
    faces: dict[str, Face] = {}
    for model in models:
        graph = open_graph(model, options.device)
        for actor in model.info.identities:
            name = actor if actors.count(actor) == 1 else f"{model.folder.resolve().name}/{actor}"
            if name in faces:
                raise UserError(f"the model is given twice: {name}", path=model.folder, hint="Give each model once.")
            faces[name] = Face(name, model, actor, graph, options)
            faces[name].log_missing()
    return faces


def config_text(config: Mapping[str, Any], is_json: bool) -> str:
    """A configuration as JSON, or as YAML, whose scalars are JSON's."""
    if is_json:
        return json.dumps(config, indent=2) + "\n"
    return "\n".join(_yaml_lines(config)) + "\n"


def _yaml_lines(values: Mapping[str, Any], indent: str = "") -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{json.dumps(key)}:", *_yaml_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{json.dumps(key)}: {json.dumps(value)}")
    return lines


def _columns(actor: DeployedActor, names: Sequence[str]) -> dict[Mesh, tuple[list[int], list[int]]]:
    """By part, the places among the names, and the poses that fill them."""
    standard = [name[0].lower() + name[1:] for name in names]
    columns: dict[Mesh, tuple[list[int], list[int]]] = {}
    for part in MESHES:
        if part not in actor.blendshapes:
            continue
        poses = actor.blendshapes[part].names
        found = (match_arkit(poses) if part == "skin" else match_names(poses, TONGUE_NAMES)).columns
        kept = {standard.index(name): pose for name, pose in found.items() if name in standard}
        if kept:
            columns[part] = (list(kept), list(kept.values()))
    return columns


def _without_tuning(model: DeployedModel, actor: str, parts: Collection[Mesh]) -> DeployedModel:
    """A model with one actor's parts that are asked for, whose solvers give weights as they are solved: multipliers and
    offsets are those of each stream.
    """
    actors = tuple(_untuned(found, parts) if found.name == actor else found for found in model.actors)
    return replace(model, actors=actors)


def _untuned(actor: DeployedActor, parts: Collection[Mesh]) -> DeployedActor:
    shapes = {}
    for part, own in actor.blendshapes.items():
        if part not in parts:
            continue
        count = len(own.names)
        settings = replace(own.settings, multipliers=(1.0,) * count, offsets=(0.0,) * count)
        shapes[part] = replace(own, settings=settings)
    return replace(actor, blendshapes=shapes)
