"""Options of run_inference: the command line merged over the configuration."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from audio2face.animation.animation import Animation
from audio2face.cli.recordings import Recording, collect, find_file, is_single_file, search
from audio2face.cli.rig_options import FacePipeline, face_settings, open_rig_pipeline, rig_folder
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.arkit_names import match_arkit
from audio2face.errors import FileFormatError, UserError
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.inference import Noise, graph_device, read_noise
from audio2face.inference.actor import exact_rate
from audio2face.inference.animate import AnimationOptions, AnimationPipeline, merged_parameters
from audio2face.io.atomic import file_sha256
from audio2face.model_folder import DeployedModel, NetworkInfo, parameter_ranges
from audio2face.model_folder.model import MODEL_FILE
from audio2face.run_names import find_model, resolve_training_run, run_folders
from audio2face.runs import deployed_model

TRUTH = "truth"  # --compare-with: the recorded motion of the dataset
_STANDARD_ZERO = "neutral"  # default name of the zero emotion
# Arguments that an animation does not depend on, or only through what `InferenceOptions.settings` resolves.
_NO_SETTINGS = frozenset(
    (
        *("config_name", "training_run_name_full", "config_file", "model", "rig", "audio", "watch", "jobs", "force"),
        *("to", "device", "precision", "parameters", "overrides", "mode", "output", "compare", "condition", "raw_only"),
    )
)


@dataclass(frozen=True)
class InferenceOptions:
    """Options of one call.

    Attributes:
        args: the command line.
        configuration: for stage "inference"; None if a deployed folder is given instead.
    """

    args: argparse.Namespace
    configuration: Configuration | None

    @property
    def wants_raw(self) -> bool:
        """Whether network output is written, alone or beside the animation."""
        args = self.args
        if args.raw_only or args.mode or args.output or args.compare or args.condition:
            return True
        if self._configured("INFERENCE_MODE") is None:
            return False
        return bool(self._configured("OUTPUT_MAYA_CACHE") or self._configured("OUTPUT_NPY_FILE"))

    @property
    def roots(self) -> Roots:
        """Root folders of datasets and workspace."""
        return Roots.from_environment() if self.configuration is None else self.configuration.roots

    def folder(self) -> Path:
        """The output folder of the animations."""
        args = self.args
        if args.to is not None:
            return Path(args.to)
        if self.configuration is None:
            name = Path(args.model).resolve().name if args.rig is None else rig_folder(args.rig)
            return self.roots.workspace / "output_inference" / name
        return self.configuration.inference.INFERENCE_OUTPUT_ROOT / str(args.training_run_name_full)

    def recordings(self) -> list[Recording]:
        """The recordings to animate; of --watch, those that are in the folder now.

        Raises:
            UserError: there are none, or an argument names nothing.
        """
        if self.args.watch is not None:
            return search(self.watched_folder(), self.folder())
        words = self._audio
        if not words:
            raise UserError(
                "there is nothing to animate", hint="Give --audio FILE, or AUDIO_PATH in config_inference.py."
            )
        return collect(words, self.roots.datasets, self.folder())

    @property
    def _audio(self) -> list[str]:
        """The values of --audio, or AUDIO_PATH."""
        if self.args.audio is not None:
            return list(self.args.audio)
        configured = None if self.configuration is None else self.configuration.inference.AUDIO_PATH
        return [] if configured is None else [str(configured)]

    @property
    def is_single(self) -> bool:
        """Whether one file is animated, whose error ends the command at once."""
        return self.args.watch is None and is_single_file(self._audio, self.roots.datasets)

    def watched_folder(self) -> Path:
        """The folder of --watch.

        Raises:
            UserError: there is no such folder.
        """
        folder = find_file(self.args.watch, self.roots.datasets)
        if not folder.is_dir():
            raise UserError("there is no such folder to watch", path=folder, hint="Make it, then watch it.")
        return folder

    def settings(self, pipeline: FacePipeline) -> dict[str, Any]:
        """All settings that a finished animation depends on, beside the model and the recording, as JSON values."""
        settings, configuration = pipeline.settings, self.configuration
        arguments = {name: value for name, value in vars(self.args).items() if name not in _NO_SETTINGS}
        noise = self._configured("DETERMINISTIC_NOISE_PATH")
        emotions = Path(settings.emotion or "")
        return {
            **arguments,
            **({} if self.args.precision == "float32" else {"precision": self.args.precision}),
            **face_settings(pipeline),
            "emotion": pipeline.emotion.description,
            "emotion_file": file_sha256(emotions) if emotions.suffix and emotions.is_file() else None,
            "fps": str(pipeline.fps),
            "parameters": dict(pipeline.parameters),
            "noise_file": None if noise is None else file_sha256(noise),
            "configuration": {} if configuration is None else _without_paths(configuration.full["inference"]),
        }

    def open_pipeline(self) -> FacePipeline:
        """Opens the animation pipeline; its network is loaded when it is used.

        Raises:
            UserError: the model is not deployed or damaged, there is no such rig, or an option is invalid.
        """
        if self.args.rig is not None:
            fps = None if self.args.fps is None else parse_rate(self.args.fps)
            return open_rig_pipeline(self.args, fps, self.roots.datasets)
        model = DeployedModel.open(self._model_folder())
        pipeline = AnimationPipeline(model, self._settings(model))
        if "arkit" in (self.args.format or ()):
            if "skin" not in pipeline.weight_parts:
                raise UserError(
                    f"there are no blend-shape weights of actor {pipeline.actor.name!r} to write as ARKit weights",
                    hint="Remove arkit, or --solver none; or give BLENDSHAPE_SKIN_FPATH in config_dataset.py.",
                )
            match_arkit(pipeline.actor.blendshapes["skin"].names)
        return pipeline

    def _model_folder(self) -> Path:
        if self.configuration is None:
            return Path(self.args.model)
        folder = deployed_folder(self.configuration, self.args.training_run_name_full)
        if folder is None:
            command = f"python run_deploy.py {self.configuration.name} {self.args.training_run_name_full}"
            raise UserError(
                f"training run {self.args.training_run_name_full!r} is not deployed",
                path=self.configuration.train.FINAL_DEPLOY_ROOT,
                hint=f"Run: {command}\n  Or use --raw-only for the network output.",
            )
        return folder

    def _settings(self, model: DeployedModel) -> AnimationOptions:
        args, emotion, zero = self.args, self.args.emotion, None
        if self.configuration is not None:
            emotion = emotion or self.configuration.inference.EMOTION_LABEL
            zero = self.configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS
            self._warn_about_condition()
        return AnimationOptions(
            actor=self._actor,
            emotion=emotion,
            zero_emotion=zero or _STANDARD_ZERO,
            fps=None if args.fps is None else parse_rate(args.fps),
            parameters=self._parameters(model),
            seed=args.seed,
            noise=self._noise(model.info),
            blinks=not args.no_blinks,
            solver=None if args.solver == "none" else args.solver,
            normalize=args.normalize,
            start=args.start if args.start_frame is None else args.start_frame,
            device=graph_device(args.device, args.precision),
            precision=args.precision,
        )

    def _configured(self, name: str) -> Any:
        """A parameter of config_inference.py; None without a configuration, or if its network has no such parameter."""
        return None if self.configuration is None else self.configuration.optional("inference", name)

    def _warn_about_condition(self) -> None:
        """Warns that the condition of another actor only applies to network output."""
        condition = self.args.condition or (None if self.args.actor else self._configured("CONDITION"))
        if condition is not None and self._actor not in (None, condition):
            LOGGER.warning(
                "%s is animated with its own condition; %s as condition applies to network output only",
                self._actor,
                condition,
            )

    @property
    def _actor(self) -> str | None:
        configured = None if self.configuration is None else self.configuration.inference.ACTOR_NAME
        given: str | None = self.args.actor
        return given or configured

    def _parameters(self, model: DeployedModel) -> dict[str, float]:
        """Animation parameters changed in the configuration since deployment, then those of the command line.

        Raises:
            UserError: an argument names no animation parameter, or its value is out of range.
        """
        changed: dict[str, float] = {}
        if self.configuration is not None:
            given = self.configuration.modifiers.get("inference", {}).get("CONFIG", {})
            unused = set() if model.info.applies_input_strength else {"input_strength"}
            deployed = model.actors[0].config.parameters
            for name in sorted(parameter_ranges().keys() & given.keys() - unused):
                if given[name] != deployed[name]:
                    LOGGER.info("%s is %g as configured, %g as deployed", name, given[name], deployed[name])
                    changed[name] = float(given[name])
        for name, value in self.args.parameters:
            try:
                merged_parameters(model.actors[0], {name: value})
            except UserError as error:
                raise UserError(f"--set {name}: {error.problem}", hint=error.hint) from error
        return changed | dict(self.args.parameters)

    def _noise(self, info: NetworkInfo) -> Noise | None:
        """Noise from DETERMINISTIC_NOISE_PATH."""
        path = self._configured("DETERMINISTIC_NOISE_PATH")
        if path is None or info.noise_shape is None:
            return None
        draws, window_frames, values = info.noise_shape
        noise, frames = read_noise(path, draws - 1, values)
        if frames < window_frames:
            raise FileFormatError(f"contains noise for {frames} frames, a window has {window_frames}", path=path)
        return noise


@dataclass(frozen=True)
class ComparisonSource:
    """Source of the second animation of a recording.

    Attributes:
        label: its caption.
        source: the actor's dataset, or the pipeline of another model.
        fps: frames per second of the first animation.
    """

    label: str
    source: ActorDataset | AnimationPipeline
    fps: Fraction

    @classmethod
    def parse(cls, name: str, pipeline: AnimationPipeline, configuration: Configuration | None) -> ComparisonSource:
        """Parses --compare-with: "truth", a deployed folder, or a deployed training run.

        Raises:
            UserError: it does not exist, or cannot be animated with the options of the first.
        """
        if name == TRUTH:
            if configuration is None:
                raise UserError("the ground truth is part of a configuration's dataset", hint="Give CONFIG_NAME.")
            return cls("Ground truth", ActorDataset.open(pipeline.actor.name, configuration.dataset), pipeline.fps)
        if configuration is None:
            folder = deployed_model(name)
        else:
            folder = find_model(name, configuration.train.FINAL_DEPLOY_ROOT)
        model = DeployedModel.open(folder)
        has_actor = pipeline.actor.name in model.info.identities
        settings = replace(
            pipeline.settings,
            actor=pipeline.actor.name if has_actor else None,
            parameters={},
            noise=None,
            fps=pipeline.fps,
        )
        return cls(folder.resolve().name, AnimationPipeline(model, settings), pipeline.fps)

    @property
    def pipeline(self) -> AnimationPipeline | None:
        """The pipeline of the other model; None for the ground truth."""
        return self.source if isinstance(self.source, AnimationPipeline) else None

    def animate(self, recording: Path, folder: Path) -> Animation | None:
        """The second animation of a recording; None, with a warning, if the dataset has no such shot.

        Raises:
            UserError: the recording or the dataset cannot be read, or the disk is full.
        """
        if isinstance(self.source, AnimationPipeline):
            return self.source.animate(recording, folder)
        if recording.stem not in self.source.shot_names:
            LOGGER.warning("actor %r has no shot %r to compare with", self.source.actor, recording.stem)
            return None
        return ground_truth_animation(self.source, recording.stem, folder, float(self.fps))


def name_in_full(args: argparse.Namespace, configuration: Configuration | None) -> None:
    """Puts the full name of the run, or the folder of the model, in the place of what was typed.

    Raises:
        UserError: there is no such run or model, or there are several.
    """
    if args.rig is not None:
        return
    if configuration is None:
        args.model = str(deployed_model(args.model))
        return
    train = configuration.train
    deployed = [folder for folder in run_folders(train.FINAL_DEPLOY_ROOT) if (folder / MODEL_FILE).is_file()]
    found = resolve_training_run(
        args.training_run_name_full, train.TRAIN_OUTPUT_ROOT, configuration.name, also=deployed
    )
    args.training_run_name_full = found.name
    LOGGER.info("training run %s, configuration %s", found.name, configuration.name)


def _without_paths(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of config_inference.py, without those that name recordings and output."""
    return {name: value for name, value in parameters.items() if name not in ("AUDIO_PATH", "INFERENCE_OUTPUT_ROOT")}


def deployed_folder(configuration: Configuration, run_name: str) -> Path | None:
    """The deployed folder of a training run; None if it is not deployed."""
    folder = configuration.train.FINAL_DEPLOY_ROOT / run_name
    return folder if (folder / MODEL_FILE).is_file() else None


def parse_rate(text: str) -> Fraction:
    """Parses a frame rate: 24, 29.97 (meaning 30000/1001), 30000/1001.

    Raises:
        UserError: it is not a rate.
    """
    try:
        return Fraction(text) if "/" in text else exact_rate(float(text))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise UserError(f"--fps is {text!a}", hint="Give a number such as 24, 29.97 or 30000/1001.") from None
