"""Animates one recording after the other with the options of a call; the model is loaded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face.audio import read_header
from audio2face.cli.inference_options import ComparisonSource, InferenceOptions
from audio2face.cli.output_record import OutputInputs, RecordingState, discard
from audio2face.cli.recordings import Recording
from audio2face.cli.rig_options import FacePipeline, face_digest, face_name, load_network
from audio2face.console import LOGGER, hidden_progress
from audio2face.errors import UserError, check_file_stem
from audio2face.extras import install_hint
from audio2face.inference.animate import AnimationPipeline
from audio2face.model_folder import model_digest
from audio2face.outputs import default_formats, write_outputs
from audio2face.player.page import LABELS

if TYPE_CHECKING:
    from audio2face.training.inference.animate import RawInference


@dataclass(frozen=True)
class Outcome:
    """What became of a recording.

    Attributes:
        recording: the recording.
        opened: the files to open.
        problem: what is wrong with it; None for one that was animated.
        hint: how to fix it.
    """

    recording: Recording
    opened: tuple[Path, ...] = ()
    problem: str | None = None
    hint: str | None = None


class RecordingAnimator:
    """Animates recordings with the options of one call.

    Args:
        options: the options.

    Raises:
        UserError: the model is damaged, or an option is invalid.
    """

    def __init__(self, options: InferenceOptions) -> None:
        self.options = options
        self.pipeline = None if options.args.raw_only else options.open_pipeline()
        self.comparison = self._open_comparison()
        self.raw_inference = _open_raw_inference(options) if options.wants_raw else None

    def load(self) -> None:
        """Loads the networks now, so that an error shows before anything is written.

        Raises:
            UserError: a network is missing or damaged, or the device is not there.
        """
        for pipeline in (self.pipeline, None if self.comparison is None else self.comparison.pipeline):
            if pipeline is not None:
                load_network(pipeline)

    def output_names(self, recording: Recording) -> list[Path]:
        """Paths in the output folder: the animation's folder, and what names of files of network output begin with.

        Raises:
            UserError: the names of the recording or of its subfolder are not allowed in names of outputs.
        """
        for part in recording.subfolder.parts:
            check_file_stem(part, "the recording's folder")
        makers = [maker for maker in (self.pipeline, self.raw_inference) if maker is not None]
        names = [maker.output_name(recording.path) for maker in makers]
        return [recording.subfolder / check_file_stem(name, "recording, actor and emotion") for name in names]

    def is_current(self, recording: Recording, folder: Path) -> bool:
        """Whether the output folder contains the recording's complete animation of the same model and settings."""
        if self.inputs is None or self.options.args.force:
            return False
        return self.inputs.is_current(folder / self.output_names(recording)[0], recording.path)

    def animate(self, recording: Recording, folder: Path) -> list[Path]:
        """Animates a recording.

        Args:
            recording: the recording.
            folder: the output folder.

        Returns:
            The files to open.

        Raises:
            UserError: the recording cannot be read or animated, or a file cannot be written.
        """
        opened: list[Path] = []
        target = create(folder / recording.subfolder)
        if self.pipeline is not None:
            opened += self._write_animation(self.pipeline, recording, folder / self.output_names(recording)[0])
        if self.raw_inference is not None:
            from audio2face.cli.raw_inference import animate_raw

            animate_raw(self.raw_inference, recording.path, target)
        return opened

    @cached_property
    def inputs(self) -> OutputInputs | None:
        """What animations are made from; None where they are always made again: with network output, which is not
        recorded, and beside the ground truth of a dataset, which may change.
        """
        pipeline, comparison = self.pipeline, self.comparison
        if pipeline is None or self.raw_inference is not None:
            return None
        settings = self.options.settings(pipeline)
        if comparison is not None:
            if comparison.pipeline is None:
                return None
            settings["compared_sha256"] = model_digest(comparison.pipeline.model.folder)
        return OutputInputs(face_digest(pipeline), settings)

    def _open_comparison(self) -> ComparisonSource | None:
        name = self.options.args.compare_with
        if name is None or not isinstance(self.pipeline, AnimationPipeline):
            return None
        return ComparisonSource.parse(name, self.pipeline, self.options.configuration)

    def _write_animation(self, pipeline: FacePipeline, recording: Recording, folder: Path) -> list[Path]:
        """Animates a recording and writes its formats; returns the files to open."""
        path, comparison = recording.path, self.comparison
        LOGGER.info("%s: actor %s, emotion %s", path.name, face_name(pipeline), pipeline.emotion.label)
        read_header(path)
        state = None if self.inputs is None else RecordingState.read(path)  # before it is animated: it may change
        animation = pipeline.animate(path, folder.parent)
        compare = None if comparison is None else comparison.animate(path, folder.parent)
        formats = self.options.args.format or default_formats(animation)
        labels = LABELS
        if comparison is not None and isinstance(pipeline, AnimationPipeline):
            labels = (pipeline.model.folder.resolve().name, comparison.label)
        discard(folder)
        opened = write_outputs(animation, folder, folder.name, formats, compare, labels)
        if self.inputs is not None and state is not None:
            self.inputs.write(folder, state)
        LOGGER.info("wrote %s: %s", folder.name, ", ".join(file.name for file in opened))
        return opened


def animate_one(animator: RecordingAnimator, recording: Recording, folder: Path) -> Outcome:
    """Animates a recording; an error becomes its outcome."""
    try:
        with hidden_progress():
            return Outcome(recording, tuple(animator.animate(recording, folder)))
    except UserError as error:
        where = "" if error.path in (None, recording.path) else f"{error.path}: "
        return Outcome(recording, problem=f"{where}{error.problem}", hint=error.hint)
    except OSError as error:
        return Outcome(recording, problem=f"{error.filename or recording.path}: {error.strerror or error}")
    except Exception as error:  # a bug must not cost the other recordings
        LOGGER.exception("%s", recording.path)
        return Outcome(recording, problem=f"internal error: {type(error).__name__}: {error}")


def create(folder: Path) -> Path:
    """Makes a folder where it is missing, and returns it.

    Raises:
        UserError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot be created: {error.strerror}", path=folder) from error
    return folder


def _open_raw_inference(options: InferenceOptions) -> RawInference:
    """Opens the writer of network output; loads torch."""
    assert options.configuration is not None  # checked by the parser
    try:
        from audio2face.cli.raw_inference import open_raw_inference
    except ImportError as error:
        raise UserError(
            f"network output needs PyTorch, which cannot be loaded: {error}",
            hint=f"{install_hint('train')}\n  Or remove --mode, --output, --compare, --condition and --raw-only, and "
            "INFERENCE_MODE.",
        ) from error
    return open_raw_inference(options.configuration, options.args.training_run_name_full, options.args)
