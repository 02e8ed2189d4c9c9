"""The raw dataset of one actor: configured paths are resolved once, files are opened on request.

Preprocessing, training and the checks read a dataset only through this object. It refuses unreadable files;
`audio2face.dataset.checks` judges the quality of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from audio2face.config import Dataset
from audio2face.dataset.shots import (
    DEFAULT_SUFFIX,
    CacheFolder,
    Shot,
    infer_emotion,
    list_recordings,
    only_recording,
    unusual_names,
)
from audio2face.dataset.splits import SplitSettings
from audio2face.dataset.vertex_lists import LipSize, VertexPairs, read_faces, read_indices
from audio2face.errors import UserError, check_identifier
from audio2face.geometry import list_shots, list_strays
from audio2face.io.arrays import Archive, read_npy, read_points
from audio2face.types import Float32Array, Int32Array, Int64Array

Value = TypeVar("Value")

# Parameters of config_dataset.py that hold one path per actor.
REQUIRED_PATHS = ("AUDIO_ROOT", "SKIN_CACHE_ROOT")
TONGUE_PATHS = ("TONGUE_CACHE_ROOT", "TONGUE_NEUTRAL_FPATH", "TONGUE_RIGID_VERTEX_LIST_FPATH")
BLENDSHAPE_PATHS = {
    "skin": ("BLENDSHAPE_SKIN_FPATH", "BLENDSHAPE_SKIN_CONFIG_FPATH"),
    "tongue": ("BLENDSHAPE_TONGUE_FPATH", "BLENDSHAPE_TONGUE_CONFIG_FPATH"),
}
OPTIONAL_PATHS = (
    "SKIN_NEUTRAL_FPATH",
    "SKIN_NEUTRAL_INFERENCE_FPATH",
    "SKIN_LIP_OPEN_POSE_DELTA_FPATH",
    "SKIN_EYE_CLOSE_POSE_DELTA_FPATH",
    "SKIN_LIP_DIST_VERTEX_LIST_FPATH",
    "SKIN_LIP_SIZE_VERTEX_LIST_FPATH",
    "SKIN_EYE_DIST_VERTEX_LIST_FPATH",
    "SKIN_FACES_FPATH",
    *TONGUE_PATHS,
    "TONGUE_NEUTRAL_INFERENCE_FPATH",
    "TONGUE_FACES_FPATH",
    "JAW_KEYPOINTS_NEUTRAL_FPATH",
    "JAW_ANIM_DATA_FPATH",
    "EYE_ANIM_DATA_FPATH",
    "EYE_BLINK_KEYS_FPATH",
    "EYE_SACCADE_ROTATIONS_FPATH",
    *BLENDSHAPE_PATHS["skin"],
    *BLENDSHAPE_PATHS["tongue"],
    "EXTRA_PARTS_FPATH",
    "PHONEME_TIMES_ROOT",
)
DEFAULT_EMOTION = "neutral"


@dataclass(frozen=True)
class BlendshapeFiles:
    """The two files of a set of blend shapes.

    Attributes:
        data: archive of the poses.
        config: settings of the solver that uses them.
    """

    data: Path
    config: Path


@dataclass(frozen=True)
class ActorDataset:
    """The raw data of one actor.

    Lengths are centimetres with +y up and +z forward, angles degrees. Arrays that are not configured are None; access
    to a configured file that is missing or broken raises a UserError (FileFormatError).

    Attributes:
        actor: name of the actor.
        fps: frames per second of all animation of the actor.
        paths: every path configured for the actor, by the name of its parameter.
        emotion_names: the vocabulary of emotions, in order.
        emotion_overrides: emotions that the configuration assigns to shots; they override inference from names.
        channels: names of channels in Maya caches of several meshes, by part ("skin", "tongue").
        split: parameters of the test set.
    """

    actor: str
    fps: float
    paths: Mapping[str, Path]
    emotion_names: tuple[str, ...]
    emotion_overrides: Mapping[str, str]
    channels: Mapping[str, str] = field(default_factory=dict)
    split: SplitSettings = field(default_factory=SplitSettings)

    @classmethod
    def open(cls, actor: str, section: Dataset) -> ActorDataset:
        """Resolves the paths of one actor without opening files.

        Args:
            actor: name of the actor.
            section: the checked dataset section of a configuration.

        Raises:
            UserError: the actor lacks a required parameter, or its frame rate is not a positive number.
        """
        check_identifier(actor, "actor name")
        fps = float(_required(section, "CACHE_FPS", actor))
        if not 0 < fps < float("inf"):
            raise UserError(f"CACHE_FPS of actor {actor!r} is {fps}", hint="Give the frames per second, such as 30.0.")
        paths = {name: Path(_required(section, name, actor)) for name in REQUIRED_PATHS}
        optional = {name: getattr(section, name).get(actor) for name in OPTIONAL_PATHS}
        paths |= {name: Path(path) for name, path in optional.items() if path is not None}
        return cls(
            actor=actor,
            fps=fps,
            paths=paths,
            emotion_names=section.SHOT_EMOTION_NAMES,
            emotion_overrides={shot: emotion for name, shot, emotion in section.SHOT_EMOTION_MAP if name == actor},
            channels={
                part: values[actor]
                for part, values in (("skin", section.SKIN_CACHE_CHANNEL), ("tongue", section.TONGUE_CACHE_CHANNEL))
                if actor in values
            },
            split=SplitSettings.of_actor(actor, section),
        )

    # --- shots -----------------------------------------------------------------------------------------------------

    @cached_property
    def shot_names(self) -> tuple[str, ...]:
        """The actor's shots in byte order: the folders under SKIN_CACHE_ROOT that hold a cache of their own name.

        Raises:
            UserError: there is no such folder.
        """
        return tuple(list_shots(self.paths["SKIN_CACHE_ROOT"]))

    @cached_property
    def test_shots(self) -> tuple[str, ...]:
        """The shots of the test set, in byte order; everything but evaluation leaves them out.

        Raises:
            UserError: TEST_SHOTS names a shot that does not exist, or leaves none to train with.
        """
        if self.split.asks_for_none:
            return ()
        return self.split.choose(self.actor, {shot: self.emotion_of(shot) for shot in self.shot_names})

    @cached_property
    def stray_entries(self) -> tuple[Path, ...]:
        """Other entries of SKIN_CACHE_ROOT: files, folders without a cache, names that are not allowed.

        Raises:
            UserError: there is no such folder.
        """
        return tuple(list_strays(self.paths["SKIN_CACHE_ROOT"]))

    @property
    def has_tongue(self) -> bool:
        """Whether a tongue is fully configured: its caches, neutral pose and rigid vertices."""
        return all(name in self.paths for name in TONGUE_PATHS)

    @cached_property
    def skin_caches(self) -> CacheFolder:
        """Caches of the skin, by shot."""
        return self._cache_folder("skin", "SKIN_CACHE_ROOT", "SKIN_NEUTRAL_FPATH")

    @cached_property
    def tongue_caches(self) -> CacheFolder | None:
        """Caches of the tongue, by shot; None for an actor without a tongue."""
        return self._cache_folder("tongue", "TONGUE_CACHE_ROOT", "TONGUE_NEUTRAL_FPATH") if self.has_tongue else None

    def _cache_folder(self, part: str, root: str, neutral: str) -> CacheFolder:
        num_verts = None
        with suppress(UserError):  # readers of the pose itself report its errors
            shape = () if neutral not in self.paths else read_npy(self.paths[neutral]).shape
            num_verts = shape[0] if len(shape) == 2 else None
        return CacheFolder(self.paths[root], self.channels.get(part), num_verts)

    def shot(self, name: str) -> Shot:
        """Returns the data of one shot.

        Raises:
            UserError: the actor has no such shot, its name is not allowed, or its emotion is unknown.
        """
        check_identifier(name, "shot name")
        if name not in self.shot_names:
            raise UserError(
                f"actor {self.actor!r} has no shot {name!r}",
                path=self.paths["SKIN_CACHE_ROOT"],
                hint="A shot is a folder there that holds a cache of the same name.",
            )
        return Shot(
            name=name,
            emotion=self.emotion_of(name),
            audio=self.audio_path(name),
            skin_caches=self.skin_caches,
            tongue_caches=self.tongue_caches,
            jaw=self.jaw_animation,
            eyes=self.eye_animation,
        )

    def audio_path(self, shot: str) -> Path:
        """Returns the recording of a shot, or for a shot without one its default path, ending in `.wav`.

        Raises:
            UserError: the shot has several recordings of different suffixes.
        """
        found = self._recordings.get(shot)
        return only_recording(found, shot) if found else self.paths["AUDIO_ROOT"] / f"{shot}{DEFAULT_SUFFIX}"

    @cached_property
    def _recordings(self) -> Mapping[str, tuple[Path, ...]]:
        return list_recordings(self.paths["AUDIO_ROOT"])

    def has_recording(self, shot: str) -> bool:
        """Returns whether a shot has a recording, of any suffix."""
        return shot in self._recordings

    @property
    def unusual_recordings(self) -> Mapping[str, str]:
        """Recordings of shots with a suffix other than `.wav`, also in other voices: the path below AUDIO_ROOT without
        suffix, mapped to the path with it.

        Raises:
            UserError: a shot has several recordings of different suffixes.
        """
        root = self.paths["AUDIO_ROOT"]
        names = unusual_names(root, {shot: self.audio_path(shot) for shot in self.shot_names})
        for recordings in self.augmented_voices.values():
            names |= unusual_names(root, recordings)
        return names

    def emotion_of(self, shot: str) -> str:
        """Returns the emotion of a shot: as configured, else inferred from its name, else "neutral".

        Raises:
            UserError: SHOT_EMOTION_MAP assigns an emotion that SHOT_EMOTION_NAMES lacks.
        """
        given = self.emotion_overrides.get(shot)
        if given is None:
            return infer_emotion(shot, self.emotion_names) or DEFAULT_EMOTION
        if given not in self.emotion_names:
            raise UserError(
                f"SHOT_EMOTION_MAP gives shot {shot!r} of actor {self.actor!r} the emotion {given!r}",
                hint=f"Use one of SHOT_EMOTION_NAMES ({', '.join(self.emotion_names)}), or add it there.",
            )
        return given

    @cached_property
    def augmented_voices(self) -> Mapping[str, Mapping[str, Path]]:
        """Recordings of the shots in other voices: voice to shot to file, for `aug/<voice>/<shot>.wav`, sorted.

        Raises:
            UserError: a shot has several recordings of different suffixes in a voice.
        """
        shots, voices = set(self.shot_names), {}
        for folder in sorted(self.paths["AUDIO_ROOT"].glob("aug/*")):
            found = list_recordings(folder)
            spoken = {shot: only_recording(paths, shot) for shot, paths in found.items() if shot in shots}
            if spoken:
                voices[folder.name] = spoken
        return voices

    # --- skin ------------------------------------------------------------------------------------------------------

    @cached_property
    def skin_neutral(self) -> Float32Array | None:
        """Neutral pose of the face, float32 `[verts, 3]`."""
        return self._points("SKIN_NEUTRAL_FPATH", None, 3)

    @cached_property
    def skin_neutral_inference(self) -> Float32Array | None:
        """Neutral pose of the face for a deployed model, float32 `[verts, 3]`."""
        return self._points("SKIN_NEUTRAL_INFERENCE_FPATH", None, 3)

    @cached_property
    def skin_lip_open_delta(self) -> Float32Array | None:
        """Deltas from the neutral pose that open the lips, float32 `[verts, 3]`."""
        return self._points("SKIN_LIP_OPEN_POSE_DELTA_FPATH", None, 3)

    @cached_property
    def skin_eye_close_delta(self) -> Float32Array | None:
        """Deltas from the neutral pose that close the eyes, float32 `[verts, 3]`."""
        return self._points("SKIN_EYE_CLOSE_POSE_DELTA_FPATH", None, 3)

    @cached_property
    def lip_dist(self) -> VertexPairs | None:
        """Vertices of the inner edges of the lips."""
        return self._optional("SKIN_LIP_DIST_VERTEX_LIST_FPATH", VertexPairs.read)

    @cached_property
    def eye_dist(self) -> VertexPairs | None:
        """Vertices of the edges of the lids, one pair per eye."""
        return self._optional("SKIN_EYE_DIST_VERTEX_LIST_FPATH", VertexPairs.read)

    @cached_property
    def lip_size(self) -> LipSize | None:
        """Vertices of the upper and lower edge of each lip."""
        return self._optional("SKIN_LIP_SIZE_VERTEX_LIST_FPATH", LipSize.read)

    @cached_property
    def skin_faces(self) -> Int32Array | None:
        """Polygons of the skin, int32 `[faces, 3 or 4]`."""
        return self._optional("SKIN_FACES_FPATH", read_faces)

    # --- tongue ----------------------------------------------------------------------------------------------------

    @cached_property
    def tongue_neutral(self) -> Float32Array | None:
        """Neutral pose of the tongue, float32 `[verts, 3]`."""
        return self._points("TONGUE_NEUTRAL_FPATH", None, 3)

    @cached_property
    def tongue_neutral_inference(self) -> Float32Array | None:
        """Neutral pose of the tongue for a deployed model, float32 `[verts, 3]`."""
        return self._points("TONGUE_NEUTRAL_INFERENCE_FPATH", None, 3)

    @cached_property
    def tongue_rigid_vertices(self) -> Int64Array | None:
        """Vertices of the tongue that move with the jaw only, `[vertices]`."""
        return self._optional("TONGUE_RIGID_VERTEX_LIST_FPATH", read_indices)

    @cached_property
    def tongue_faces(self) -> Int32Array | None:
        """Polygons of the tongue, int32 `[faces, 3 or 4]`."""
        return self._optional("TONGUE_FACES_FPATH", read_faces)

    # --- jaw and eyes ----------------------------------------------------------------------------------------------

    @cached_property
    def jaw_keypoints_neutral(self) -> Float32Array | None:
        """Key points of the lower jaw in the neutral pose, float32 `[points, 3]`."""
        return self._points("JAW_KEYPOINTS_NEUTRAL_FPATH", None, 3)

    @cached_property
    def jaw_animation(self) -> Archive | None:
        """Deltas of the jaw's key points from the neutral pose, per shot `[frames, points, 3]`."""
        return self._optional("JAW_ANIM_DATA_FPATH", Archive.open)

    @cached_property
    def eye_animation(self) -> Archive | None:
        """Rotations of the eyes, per shot `[frames, 2 eyes, 2 angles]` in degrees."""
        return self._optional("EYE_ANIM_DATA_FPATH", Archive.open)

    @cached_property
    def eye_blink_keys(self) -> Float32Array | None:
        """Blink curve at 30 frames per second, 0 open to 1 closed, float32 `[keys]`."""
        return self._points("EYE_BLINK_KEYS_FPATH", None)

    @cached_property
    def eye_saccade_rotations(self) -> Float32Array | None:
        """Saccades of the eyes at 30 frames per second, float32 `[frames, 2 angles]` in degrees."""
        return self._points("EYE_SACCADE_ROTATIONS_FPATH", None, 2)

    # --- for rendering and deployment ------------------------------------------------------------------------------

    @cached_property
    def extra_parts(self) -> Archive | None:
        """Teeth and eyes for rendering: arrays of vertices and of faces."""
        return self._optional("EXTRA_PARTS_FPATH", Archive.open)

    def blendshapes(self, part: str) -> BlendshapeFiles | None:
        """Returns the files of the blend shapes of a part, "skin" or "tongue"; None unless both are configured."""
        data, config = (self.paths.get(name) for name in BLENDSHAPE_PATHS[part])
        return None if data is None or config is None else BlendshapeFiles(data, config)

    def _optional(self, parameter: str, read: Callable[[Path], Value]) -> Value | None:
        path = self.paths.get(parameter)
        return None if path is None else read(path)

    def _points(self, parameter: str, *shape: int | None) -> Float32Array | None:
        return self._optional(parameter, lambda path: read_points(path, shape))


def _required(section: Dataset, parameter: str, actor: str) -> Any:
    values = getattr(section, parameter)
    if actor not in values:
        known = ", ".join(values) or "no actor at all"
        raise UserError(
            f"{parameter} has no entry for actor {actor!r}; it has {known}",
            hint=f'Add "{actor}" to {parameter} in config_dataset.py, or name another actor.',
        )
    return values[actor]
