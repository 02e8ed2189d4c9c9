"""What a call of run_inference asks for: the command line, over what the configuration says."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from audio2face.animation.animation import Animation
from audio2face.audio import read_header
from audio2face.config import Configuration, Roots
from audio2face.console import LOGGER
from audio2face.dataset import ActorDataset
from audio2face.dataset.arkit_names import match_arkit
from audio2face.errors import FileFormatError, UserError
from audio2face.evaluate.ground_truth import ground_truth_animation
from audio2face.inference import Noise, graph_device, read_noise
from audio2face.inference.actor import exact_rate
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.model_folder import DeployedModel, NetworkInfo, parameter_ranges
from audio2face.model_folder.model import MODEL_FILE
from audio2face.run_names import find_model, resolve_training_run, run_folders

TRUTH = "truth"  # value of --compare-with for the motion of the dataset
_STANDARD_ZERO = "neutral"  # the word for no emotion where no configuration tells another


@dataclass(frozen=True)
class InferenceOptions:
    """One call.

    Attributes:
        args: the command line.
        configuration: for stage "inference"; None where a deployed folder was named instead.
    """

    args: argparse.Namespace
    configuration: Configuration | None

    @property
    def wants_raw(self) -> bool:
        """Whether the network's own output is written, too or only."""
        args = self.args
        if args.raw_only or args.mode or args.output or args.compare or args.condition:
            return True
        if self._configured("INFERENCE_MODE") is None:
            return False
        return bool(self._configured("OUTPUT_MAYA_CACHE") or self._configured("OUTPUT_NPY_FILE"))

    @property
    def roots(self) -> Roots:
        """Where datasets and workspace lie."""
        return Roots.from_environment() if self.configuration is None else self.configuration.roots

    def folder(self) -> Path:
        """The folder that receives the animations."""
        args = self.args
        if args.to is not None:
            return Path(args.to)
        if self.configuration is None:
            return self.roots.workspace / "output_inference" / Path(args.model).resolve().name
        return self.configuration.inference.INFERENCE_OUTPUT_ROOT / str(args.training_run_name_full)

    def recordings(self) -> list[Path]:
        """The recordings to animate, every one readable as far as its header tells.

        Raises:
            UserError: there is none, or one cannot be read.
        """
        configured = None if self.configuration is None else self.configuration.inference.AUDIO_PATH
        paths = [] if configured is None else [configured]
        if self.args.audio is not None:
            paths = [_found(Path(name), self.roots.datasets) for name in self.args.audio]
        if not paths:
            raise UserError(
                "there is nothing to animate", hint="Give --audio FILE, or AUDIO_PATH in config_inference.py."
            )
        for path in paths:
            read_header(path)
        return paths

    def open_pipeline(self) -> AnimationPipeline:
        """What makes the finished animations.

        Raises:
            UserError: the model is not deployed or damaged, or something that is asked of it cannot be done.
        """
        model = DeployedModel.open(self._model_folder())
        pipeline = AnimationPipeline(model, self._settings(model))
        if "arkit" in (self.args.format or ()):
            if "skin" not in pipeline.solved_parts:
                raise UserError(
                    f"there are no weights of blend shapes of actor {pipeline.actor.name!r} to write for ARKit",
                    hint="Leave out arkit, or --solver none; or give BLENDSHAPE_SKIN_FPATH in config_dataset.py.",
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
                hint=f"Run: {command}\n  Or give --raw-only for the output of the network itself.",
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
            device=graph_device(args.device),
        )

    def _configured(self, name: str) -> Any:
        """A parameter of `config_inference.py`; None without a configuration, or where its network has none such."""
        return None if self.configuration is None else self.configuration.optional("inference", name)

    def _warn_about_condition(self) -> None:
        """Finished animations move a face in its own way; another actor's way is left to the network's own output."""
        condition = self.args.condition or (None if self.args.actor else self._configured("CONDITION"))
        if condition is not None and self._actor not in (None, condition):
            LOGGER.warning(
                "%s moves in its own way; that of %s is for the network's own output", self._actor, condition
            )

    @property
    def _actor(self) -> str | None:
        configured = None if self.configuration is None else self.configuration.inference.ACTOR_NAME
        given: str | None = self.args.actor
        return given or configured

    def _parameters(self, model: DeployedModel) -> dict[str, float]:
        """Parameters that the configuration was given since deployment, then those of the command line."""
        changed: dict[str, float] = {}
        if self.configuration is not None:
            given = self.configuration.modifiers.get("inference", {}).get("CONFIG", {})
            unused = set() if model.info.applies_input_strength else {"input_strength"}
            deployed = model.actors[0].config.parameters
            for name in sorted(parameter_ranges().keys() & given.keys() - unused):
                if given[name] != deployed[name]:
                    LOGGER.info("%s is %g as configured, %g as deployed", name, given[name], deployed[name])
                    changed[name] = float(given[name])
        return changed | dict(self.args.set)

    def _noise(self, info: NetworkInfo) -> Noise | None:
        """That of DETERMINISTIC_NOISE_PATH."""
        path = self._configured("DETERMINISTIC_NOISE_PATH")
        if path is None or info.noise_shape is None:
            return None
        draws, window_frames, values = info.noise_shape
        noise, frames = read_noise(path, draws - 1, values)
        if frames < window_frames:
            raise FileFormatError(f"holds noise for {frames} frames, a window has {window_frames}", path=path)
        return noise


@dataclass(frozen=True)
class ComparisonSource:
    """Makes the second animation of a recording.

    Attributes:
        label: what it is called.
        source: the actor's dataset, or another model.
        fps: of the first animation.
    """

    label: str
    source: ActorDataset | AnimationPipeline
    fps: Fraction

    @classmethod
    def parse(cls, wanted: str, pipeline: AnimationPipeline, configuration: Configuration | None) -> ComparisonSource:
        """Parses --compare-with: "truth", a deployed folder, or a deployed training run.

        Raises:
            UserError: there is no such thing, or it cannot be animated with the options of the first.
        """
        if wanted == TRUTH:
            if configuration is None:
                raise UserError("the true motion belongs to a configuration's dataset", hint="Give CONFIG_NAME.")
            return cls("Ground truth", ActorDataset.open(pipeline.actor.name, configuration.dataset), pipeline.fps)
        deployed = Roots.from_environment().workspace / "output_deploy"
        if configuration is not None:
            deployed = configuration.train.FINAL_DEPLOY_ROOT
        folder = find_model(wanted, deployed)
        model = DeployedModel.open(folder)
        known = pipeline.actor.name in model.info.identities
        settings = replace(
            pipeline.settings, actor=pipeline.actor.name if known else None, parameters={}, noise=None, fps=pipeline.fps
        )
        return cls(folder.resolve().name, AnimationPipeline(model, settings), pipeline.fps)

    def animate(self, recording: Path, folder: Path) -> Animation | None:
        """The second animation of a recording; None, with a log line, if it is not a shot of the dataset.

        Raises:
            UserError: the recording, the dataset or the disk fails.
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
    if configuration is None:
        args.model = str(find_model(args.model, Roots.from_environment().workspace / "output_deploy"))
        return
    train = configuration.train
    deployed = [folder for folder in run_folders(train.FINAL_DEPLOY_ROOT) if (folder / MODEL_FILE).is_file()]
    found = resolve_training_run(
        args.training_run_name_full, train.TRAIN_OUTPUT_ROOT, configuration.name, also=deployed
    )
    args.training_run_name_full = found.name
    LOGGER.info("training run %s, configuration %s", found.name, configuration.name)


def deployed_folder(configuration: Configuration, run_name: str) -> Path | None:
    """Where a training run was deployed; None where it was not."""
    folder = configuration.train.FINAL_DEPLOY_ROOT / run_name
    return folder if (folder / MODEL_FILE).is_file() else None


def parse_rate(text: str) -> Fraction:
    """Frames per second as people write them: 24, 29.97 (which stands for 30000/1001), 30000/1001.

    Raises:
        UserError: it is no such number.
    """
    try:
        return Fraction(text) if "/" in text else exact_rate(float(text))
    except (ValueError, OverflowError, ZeroDivisionError):
        raise UserError(f"--fps is {text!a}", hint="Give a number such as 24, 29.97 or 30000/1001.") from None


def _found(path: Path, datasets: Path) -> Path:
    return datasets / path if not path.exists() and (datasets / path).exists() else path
