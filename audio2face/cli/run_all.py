"""All stages of a configuration, one after the other: check, preproc, train, deploy, animate.

The configuration is checked once, for all stages, before the first one. Each stage then runs as its command does, on
the configuration as it was checked. What an earlier call completed is reused, and what it began is resumed. At the end
a held-out shot is shown beside its ground truth.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audio2face.cli import animate, parsers, stages
from audio2face.cli.local import temporary_folder
from audio2face.cli.process import run_stage
from audio2face.cli.recordings import collect
from audio2face.cli.reuse import KeptResults, deploy_once, exported_files, files_to_open, show_shot, trained_run
from audio2face.config import Configuration, Roots, Stage, load, stages_of_override
from audio2face.config.values import freeze
from audio2face.console import LOGGER, fields, start_logging
from audio2face.dataset import ActorDataset
from audio2face.extras import missing
from audio2face.preproc.run import preprocess
from audio2face.run_names import LATEST
from audio2face.runs import RunFolder, log_outputs
from audio2face.training.preproc_runs import find_run
from audio2face.training.run_folder import ValidationClip, read_validation

RESUME_HINT = "Run the same command again: complete results are reused, training resumes."
RECORD_FILE = "run_all.json"
_STAGES: tuple[Stage, ...] = ("check", "preproc", "train", "deploy", "inference")
_TITLES: dict[Stage, str] = {
    "check": "check of the data",
    "preproc": "preprocessing",
    "train": "training",
    "deploy": "deployment",
    "inference": "animation",
}
_ANIMATION_PARAMETER = re.compile(r"[a-z_]+=")  # parameters of configurations have capitals


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("run-all", argv)
    start_logging()
    parameters = [text for text in args.overrides if _ANIMATION_PARAMETER.match(text)]
    overrides = [text for text in args.overrides if text not in parameters]
    collect(args.audio, Roots.from_environment().datasets)  # one that is missing shows before hours of work
    with _Project.open(args.config_name, overrides) as project:
        return project.run(args.audio, parameters)


@dataclass(frozen=True)
class _Project:
    """The configuration of each stage, and a temporary folder to hand them over in."""

    name: str
    configurations: Mapping[Stage, Configuration]
    folder: Path
    began: float

    @staticmethod
    @contextmanager
    def open(name: str, overrides: Sequence[str]) -> Iterator[_Project]:
        """Checks the configuration for all stages.

        Raises:
            UserError: it is invalid.
        """
        given = {text: stages_of_override(text) for text in overrides}
        configurations: dict[Stage, Configuration] = {}
        for stage in _STAGES:
            own = [text for text, stages in given.items() if stage in stages]
            # Runs that later stages read are made first.
            configurations[stage] = load(name, stage=stage, overrides=own, check_files=stage in ("check", "preproc"))
        for warning in dict.fromkeys(text for each in configurations.values() for text in each.warnings):
            LOGGER.warning(warning)
        with temporary_folder() as folder:
            yield _Project(name, configurations, folder, time.monotonic())

    def run(self, audio: Sequence[str], parameters: Sequence[str]) -> int:
        """Runs all stages and returns the exit status."""
        self._title("check")
        status = stages.check([self.name, *self._handed_over("check")])
        if status != 0:
            LOGGER.error("the data have errors, see above: nothing was computed")
            return status
        self._title("preproc")
        preprocessed = self._preprocess()
        self._title("train")
        training = self._on_runs(preprocessed)
        run = trained_run(training, {actor: folder.name for actor, folder in preprocessed.items()})
        self._title("deploy")
        animated = self.configurations["inference"]
        output = animated.inference.INFERENCE_OUTPUT_ROOT / run.name
        kept = KeptResults(output / RECORD_FILE, self._inputs(run))
        model = deploy_once(animated, run, kept, [self.name, run.name, *self._handed_over("deploy")])
        self._title("inference")
        shown = self._show_held_out(run, model, output, kept)
        if audio:
            options = [word for text in parameters for word in ("--set", text)]
            words = [self.name, run.name, "--audio", *audio, *options, *self._handed_over("inference")]
            status = animate.main(words)
        self._log_results(run, model, output, preprocessed, shown)
        return status

    def _title(self, stage: Stage) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        number = _STAGES.index(stage) + 1
        LOGGER.info(
            "=== %d of %d: %s, after %d:%02d ===",
            number,
            len(_STAGES),
            _TITLES[stage],
            minutes,
            seconds,
            extra=fields(event="stage", stage=stage, seconds=round(time.monotonic() - self.began, 1)),
        )

    def _handed_over(self, stage: Stage) -> list[str]:
        """Arguments by which a command gets the configuration that was checked at the start."""
        path = self.folder / f"{stage}.json"
        self.configurations[stage].save(path)
        return ["--config-file", str(path)]

    def _preprocess(self) -> dict[str, RunFolder]:
        """Preprocesses all actors, or finds their finished runs."""
        configuration = self.configurations["preproc"]
        results = [preprocess(configuration, actor) for actor in configuration.actors]
        for result in results:
            stages.show_clips(result)
        return {result.actor: result.run for result in results}

    def _on_runs(self, preprocessed: Mapping[str, RunFolder]) -> Configuration:
        """The configuration of training, which names the runs where the newest ones of these data are others."""
        configuration = self.configurations["train"]
        named = dict(configuration.train.PREPROC_RUN_NAME_FULL)
        for actor, run in preprocessed.items():
            dataset = ActorDataset.open(actor, configuration.dataset)
            scale = {str(part): value for part, value in configuration.dataset.TRANSFORM_SCALE.get(actor, {}).items()}
            chosen = named.get(actor, LATEST)
            found = find_run(dataset, scale, LATEST, configuration.train.PREPROC_ROOT) if chosen == LATEST else None
            if (found.folder.name if found is not None else chosen) != run.name:
                named[actor] = run.name
        if named == configuration.train.PREPROC_RUN_NAME_FULL:
            return configuration
        train: dict[str, Any] = {**configuration.full["train"], "PREPROC_RUN_NAME_FULL": named}
        return replace(configuration, full=freeze({**configuration.full, "train": train}))

    def _inputs(self, run: RunFolder) -> dict[str, Any]:
        """Inputs of the deployed model and the held-out shot."""
        full = {stage: self.configurations[stage].full for stage in ("deploy", "inference")}
        return {"run": run.name, "exported": exported_files(run), "configuration": full}

    def _show_held_out(self, run: RunFolder, model: Path, output: Path, kept: KeptResults) -> dict[str, Path]:
        """Shows a shot of the validation set beside its ground truth; empty where nothing is held out."""
        configuration = self.configurations["inference"]
        clip = _held_out_clip(read_validation(run.path, configuration.roots) or ())
        if clip is None:
            LOGGER.warning(
                "no shot was held out (VALIDATION_FRACTION, VALIDATION_SHOTS): none is shown beside its truth"
            )
            return {}
        folder = output / f"held_out_{clip.shot}_{clip.actor}"
        if not kept.is_whole(folder.name, folder):
            dataset = ActorDataset.open(clip.actor, configuration.dataset)
            formats = ["page"] if missing("video") else ["page", "video"]
            show_shot(model, dataset, clip.shot, clip.emotion, folder, formats)
            kept.add(folder.name, folder)
        return {f"held-out shot: {title}": path for title, path in files_to_open(folder).items()}

    def _log_results(
        self,
        run: RunFolder,
        model: Path,
        output: Path,
        preprocessed: Mapping[str, RunFolder],
        shown: Mapping[str, Path],
    ) -> None:
        reports = {f"{actor}: report": each.path / "report" / "report.md" for actor, each in preprocessed.items()}
        places = {"animations": output, "deployed model": model, "training run": run.path}
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        LOGGER.info("all stages done after %d:%02d", minutes, seconds)
        log_outputs(
            {**shown, **places, **reports},
            [
                f"python run_inference.py {self.name} {run.name} --audio YOUR_SPEECH.wav",
                f"audio2face run-all {self.name} --set NUM_EPOCHS=NUMBER    # once more, with another parameter",
            ],
        )


def _held_out_clip(clips: Sequence[ValidationClip]) -> ValidationClip | None:
    """The longest validation clip in the actor's own voice."""
    own = [clip for clip in clips if clip.speaker == clip.actor]
    return max(own or clips, key=lambda clip: clip.num_frames / clip.fps, default=None)


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
