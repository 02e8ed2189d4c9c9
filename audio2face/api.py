"""Animates speech in Python: `load` opens a deployed model, `Model` animates, `SpeechAnimation` is saved or read.

`load_rig` opens a face that was never recorded, which `RiggedFace` animates by rules.

Everything here is also found as `audio2face.load`, `audio2face.Model` and so on, and runs without PyTorch.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
import soundfile

from audio2face.animation import SolverMethod
from audio2face.animation.animation import Animation
from audio2face.animation.timecode import Start, start_facts
from audio2face.audio import Resampler, float_samples
from audio2face.config_base.types import GraphPrecision
from audio2face.errors import UserError, check_file_stem
from audio2face.inference import GraphDevice, graph_device
from audio2face.inference.actor import exact_rate
from audio2face.inference.animate import AnimationOptions, AnimationPipeline, find_actor
from audio2face.inference.live import LiveSession
from audio2face.inference.precision import open_network
from audio2face.inference.streaming import AnimationStream
from audio2face.io.claims import temporary_folder
from audio2face.model_folder import DeployedModel
from audio2face.runs import deployed_model

if TYPE_CHECKING:  # loads in half a second
    from audio2face.rigs import Rig, RigPipeline

EmotionInput = str | PathLike[str] | Mapping[str, float] | None
_NO_EMOTION = "neutral"


def load(
    model: str | PathLike[str],
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: GraphPrecision = "float32",
) -> Model:
    """Opens a deployed model.

    Args:
        model: the folder that `run_deploy.py` made, or its name in `output_deploy` of the workspace: in full, an end or
            a part of it, or "latest".
        device: what the network runs on; "auto" takes a GPU where ONNX Runtime can use one.
        precision: "float32", or "int8", which is faster on a processor, which "auto" then is, and some hundredths of a
            millimetre away; the first call makes the network and logs how far.

    Raises:
        UserError: there is no such model, something in its folder is wrong, the device is not there, or the model
            cannot be run in int8.
    """
    folder = deployed_model(str(model))
    return Model(DeployedModel.open(folder), graph_device(device, precision), precision)


class Model:
    """A deployed model, whose network is loaded once and animates any number of recordings and streams.

    Args:
        deployed: the folder, opened.
        device: what the network runs on.
        precision: as in `load`.

    Raises:
        UserError: the network cannot be loaded, or the device or precision is not there.
    """

    def __init__(
        self, deployed: DeployedModel, device: GraphDevice = "cpu", precision: GraphPrecision = "float32"
    ) -> None:
        self.deployed = deployed
        self._device = device
        self._precision = precision
        self._graph = open_network(deployed, device, precision)

    def __repr__(self) -> str:
        return f"Model({str(self.deployed.folder)!r}, actors={self.actors}, emotions={self.emotions})"

    @property
    def actors(self) -> tuple[str, ...]:
        """Names of the actors, whose faces can be animated."""
        return self.deployed.info.identities

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the emotions; "neutral" stands for none of them."""
        return self.deployed.info.emotions

    @property
    def samplerate(self) -> int:
        """Sample rate of the audio that the network takes, in Hz; other recordings are resampled."""
        return self.deployed.info.samplerate

    def parameters(self, actor: str | None = None) -> dict[str, float]:
        """The animation parameters that the model was deployed with; `animate` and `stream` can change each.

        Args:
            actor: whose; None where the model has only one.

        Raises:
            UserError: there is no such actor, or there are several.
        """
        return dict(find_actor(self.deployed, actor).config.parameters)

    def animate(
        self,
        audio: str | PathLike[str] | npt.ArrayLike,
        samplerate: int | None = None,
        *,
        actor: str | None = None,
        emotion: EmotionInput = None,
        fps: float | Fraction | None = None,
        parameters: Mapping[str, float] | None = None,
        seed: int = 0,
        blinks: bool = True,
        solver: SolverMethod | None = "cpu",
        normalize: bool = False,
    ) -> SpeechAnimation:
        """Animates a whole recording.

        Frames lie in nameless files of the temporary folder (TMPDIR) while the animation is in use, so that an hour of
        audio takes no more memory than a minute.

        Args:
            audio: the path of a recording or of a film with sound; or samples `[samples]` or `[samples, channels]`,
                floats whose full scale is 1, or integers.
            samplerate: sample rate of samples, in Hz; None for a path.
            actor: whose face it is; None where the model has only one.
            emotion: a name such as "joy"; a mixture such as "joy=0.7,anger=0.2" or `{"joy": 0.7, "anger": 0.2}`; the
                path of a `.csv` or `.json` file of an emotion over time; None for the model's default.
            fps: frames per second; 29.97 stands for 30000/1001. None: those of the network, or for a regression
                network of the actor's recordings.
            parameters: animation parameters in place of the deployed ones, such as `{"lower_face_strength": 1.2}`.
            seed: chooses the noise of a diffusion network, and the pauses between blinks.
            blinks: whether the face blinks.
            solver: how weights of blend shapes are found: "cpu" or "admm" as the SDK does on CPUs and on GPUs, "qp" for
                the closest surface; None: they are not solved.
            normalize: whether the recording is first brought to full scale.

        Raises:
            UserError: the recording cannot be read, or the model has no such actor, emotion or parameter.
            TypeError: samples came without their rate, or a path with one.
        """
        pipeline = self._pipeline(
            emotion, fps, parameters, actor=actor, seed=seed, blinks=blinks, solver=solver, normalize=normalize
        )
        return _animate(pipeline, audio, samplerate)

    def stream(
        self,
        samplerate: int | None = None,
        *,
        actor: str | None = None,
        emotion: EmotionInput = None,
        fps: float | Fraction | None = None,
        parameters: Mapping[str, float] | None = None,
        seed: int = 0,
        blinks: bool = True,
        solver: SolverMethod | None = "cpu",
        resampler: Resampler | None = None,
    ) -> AnimationStream:
        """Opens a stream, which animates audio while it arrives; a model may have several at a time.

        Args:
            samplerate: sample rate of what arrives, in Hz; None: the network's own.
            actor: whose face it is; None where the model has only one.
            emotion: a name, a mixture, or the path of a file, as `animate` takes it; None for the model's default.
            fps: frames per second; None: those of the network, or for a regression network of the actor's recordings.
            parameters: animation parameters in place of the deployed ones.
            seed: chooses the noise of a diffusion network, and the pauses between blinks.
            blinks: whether the face blinks.
            solver: how weights of blend shapes are found; None, where they are not needed, saves time.
            resampler: filter for a rate other than the network's: "soxr", or "hann", which holds back less; None:
                that of training.

        Raises:
            UserError: as `animate`, or the sample rate is too low or too uncommon.
        """
        pipeline = self._pipeline(emotion, fps, parameters, actor=actor, seed=seed, blinks=blinks, solver=solver)
        return AnimationStream(pipeline, samplerate, resampler)

    def live(self, samplerate: int | None = None, *, slack: float = 0.04, **options: Any) -> LiveSession:
        """Opens a live session, which gives a frame for each moment of a clock, whether or not audio has arrived.

        Samples may arrive `slack` seconds late; all else is as in `stream`, but that `fps` is that of the network.
        """
        return LiveSession(self.stream(samplerate, **options).pipeline, samplerate, options.get("resampler"), slack)

    def _pipeline(
        self,
        emotion: EmotionInput,
        fps: float | Fraction | None,
        parameters: Mapping[str, float] | None,
        **options: Any,
    ) -> AnimationPipeline:
        given: dict[str, Any] = {
            "emotion": _emotion_text(emotion),
            "fps": _exact_fps(fps),
            "parameters": dict(parameters or {}),
        }
        settings = AnimationOptions(**given, **options, device=self._device, precision=self._precision)
        return AnimationPipeline(self.deployed, settings, self._graph)


def load_rig(rig: str | PathLike[str]) -> RiggedFace:
    """Opens a face that was never recorded.

    Args:
        rig: "example" or "example:ben" for a built-in head, else the path of a character with ARKit's blend
            shapes or visemes: glTF, USD, .npz, a folder of .obj files, or, through Blender, .fbx and .blend.

    Raises:
        UserError: there is no such head or file, or the file holds no face that can speak.
    """
    from audio2face.rigs import open_rig

    return RiggedFace(open_rig(rig))


class RiggedFace:
    """A face that speaks by rules: from the sounds of speech to the shapes of its rig, without recordings of it.

    Args:
        rig: the rig.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def __repr__(self) -> str:
        return f"RiggedFace({self.rig.source!r}, {len(self.rig.columns)} shapes)"

    @property
    def shapes(self) -> tuple[str, ...]:
        """The rig's own names of the shapes that it is animated with."""
        return self.rig.pose_names

    @property
    def emotions(self) -> tuple[str, ...]:
        """Names of the emotions; "neutral" stands for none of them."""
        from audio2face.rigs import RIG_EMOTIONS

        return RIG_EMOTIONS

    def animate(
        self,
        audio: str | PathLike[str] | npt.ArrayLike,
        samplerate: int | None = None,
        *,
        emotion: EmotionInput = None,
        fps: float | Fraction | None = None,
        parameters: Mapping[str, float] | None = None,
        seed: int = 0,
        blinks: bool = True,
    ) -> SpeechAnimation:
        """Animates a whole recording.

        Args:
            audio: a path or samples, as `Model.animate` takes them.
            samplerate: sample rate of samples, in Hz; None for a path.
            emotion: a name, a mixture or the path of a file, as `Model.animate` takes it; None: neutral.
            fps: frames per second; None: 30.
            parameters: values in place of the defaults of `audio2face.rigs.RIG_PARAMETERS`.
            seed: chooses gaze, stirrings, and the pauses between blinks.
            blinks: whether the face blinks.

        Raises:
            UserError: the recording cannot be read, or there is no such emotion or parameter.
            TypeError: samples came without their rate, or a path with one.
        """
        from audio2face.rigs import RigOptions, RigPipeline

        options = RigOptions(
            emotion=_emotion_text(emotion),
            fps=_exact_fps(fps),
            parameters=dict(parameters or {}),
            seed=seed,
            blinks=blinks,
        )
        return _animate(RigPipeline(self.rig, options), audio, samplerate)


@dataclass(frozen=True, eq=False, kw_only=True)
class SpeechAnimation(Animation):
    """A finished animation that can be saved, read as arrays, and gone through frame by frame.

    As arrays, all float32 with one row for each frame; those of skin and tongue are mapped from a file, and slices of
    them are read when they are used:

        animation.fps, animation.num_frames, animation.seconds
        animation.skin.frames           [frames, verts, 3]  positions in centimetres; .neutral [verts, 3], .faces
        animation.tongue.frames         [frames, tongue verts, 3]; animation.tongue is None without a tongue
        animation.jaw                   [frames, 4, 4]  maps the neutral lower teeth to each frame
        animation.eyes                  [frames, 4]  degrees: pitch and yaw of the right eye, then of the left
        animation.skin_weights.values   [frames, poses]  weights of blend shapes; their .names
        animation.emotion               [frames, emotions]; animation.emotions are their names

    Frame by frame, a few at a time in memory (`for frame in animation`): an `AnimationFrame` with the same arrays
    without the first axis, and its time in seconds.

    Attributes:
        name: what its folder and files are called: recording, actor and emotion.
    """

    name: str

    def save(
        self,
        folder: str | PathLike[str],
        formats: str | Sequence[str] | None = None,
        *,
        name: str | None = None,
        compare: Animation | None = None,
        labels: tuple[str, str] = ("Result", "Comparison"),
        start: int | str | None = None,
    ) -> list[Path]:
        """Writes the animation into a folder of its own, as `run_inference.py` does.

        The folder is `folder/<name>`; beside the files it holds the sound as WAV and `animation.json`, which tells how
        the animation was made. Files that an earlier call wrote there and this one does not are removed.

        Args:
            folder: where that folder goes; made where it is missing.
            formats: one or several of "page", "video" and the keys of `audio2face.export.FORMATS`: "maya", "pc2",
                "mdd", "npy", "csv", "arkit", "glb", "usd". None: page, Maya caches, and ARKit weights where the actor's
                blend shapes are those of ARKit.
            name: what folder and files are called, in place of the attribute `name`.
            compare: a second animation, which page and video show beside this one.
            labels: the names of both in page and video.
            start: where the first frame lies on a time line: its number, or an SMPTE time code such as "01:00:00:00" or
                "01:00:00;00" (drop frame); None: the time reference of a Broadcast Wave recording, if it has one.

        Returns:
            The files to open, in the order of the formats, and the sound.

        Raises:
            UserError: a format is unknown, needs what the animation or this machine lacks, or a file cannot be written.
        """
        from audio2face.outputs import default_formats, write_outputs  # the exporters take half a second to load

        stem = check_file_stem(self.name if name is None else name, "recording, actor and emotion")
        if formats is None:
            formats = default_formats(self)
        chosen = [formats] if isinstance(formats, str) else list(formats)
        animation: Animation = self
        if start is not None:
            at = Start.of(start, self.fps)
            animation = replace(self, start=at, facts={**self.facts, **start_facts(at, self.fps)})
        return write_outputs(animation, Path(folder) / stem, stem, chosen, compare, labels)


def _animate(
    pipeline: AnimationPipeline | RigPipeline, audio: str | PathLike[str] | npt.ArrayLike, samplerate: int | None
) -> SpeechAnimation:
    if isinstance(audio, str | PathLike):
        if samplerate is not None:
            raise TypeError("samplerate belongs to samples; a recording tells its own")
        return _animate_file(pipeline, Path(audio))
    if samplerate is None:
        raise TypeError("samples need their samplerate")
    return _animate_samples(pipeline, audio, samplerate)


def _animate_file(pipeline: AnimationPipeline | RigPipeline, audio: Path) -> SpeechAnimation:
    made = pipeline.animate(audio, Path(tempfile.gettempdir()))
    attributes = {field.name: getattr(made, field.name) for field in fields(made)}
    return SpeechAnimation(**attributes, name=pipeline.output_name(audio))


def _animate_samples(
    pipeline: AnimationPipeline | RigPipeline, samples: npt.ArrayLike, samplerate: int
) -> SpeechAnimation:
    """Animates a temporary recording of the samples, which exports read the sound from; it lives with the result."""
    floats = float_samples(samples)
    if floats.ndim not in (1, 2):
        raise UserError(f"audio of the shape {list(floats.shape)} arrived, expected [samples] or [samples, channels]")
    with ExitStack() as stack:
        folder = stack.enter_context(temporary_folder(Path(tempfile.gettempdir()), "audio2face"))
        audio = folder / "speech.wav"
        try:
            soundfile.write(audio, floats, samplerate, subtype="FLOAT")
        except (OSError, ValueError, TypeError, soundfile.SoundFileError) as error:
            raise UserError(f"the samples cannot be kept as a recording: {error}", path=folder) from error
        animation = _animate_file(pipeline, audio)
        weakref.finalize(animation, stack.pop_all().close)
    return animation


def _emotion_text(emotion: EmotionInput) -> str | None:
    """An emotion as the command line writes it."""
    if isinstance(emotion, Mapping):
        return ",".join(f"{name}={float(value)!r}" for name, value in emotion.items()) or _NO_EMOTION
    return None if emotion is None else str(emotion)


def _exact_fps(fps: float | Fraction | None) -> Fraction | None:
    if fps is None or isinstance(fps, Fraction):
        return fps
    try:
        return exact_rate(float(fps))
    except (ValueError, OverflowError):
        raise UserError(f"{fps} frames per second are out of range", hint="Give a rate such as 30 or 60.") from None
