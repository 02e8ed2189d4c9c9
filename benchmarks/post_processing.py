"""Does calibrated post-processing carry over to shots that it was not calibrated on?

    .venv/bin/python -m benchmarks.post_processing datasets/example/ada RUN DEPLOYED

Takes a raw dataset folder with `geom/skin/lip_dist_vertex_list.json`, a training run that holds out at least four shots
of its first actor, and the folder it was deployed to. The held-out shots are divided in two by turns. Processing is
calibrated on one half and measured on the other, and the other way round: with the marked lips, and once more as if no
list marked them. Printed are lip error (distance of the worst marked vertex, mean over frames, then shots), correlation
of the lip distance, and its 95th percentile above rest, of the network's output, of the finished animation with the
defaults of CONFIG, and of the finished animation as calibrated.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio2face.config_base.tables import base_of
from audio2face.dataset import ActorDataset
from audio2face.dataset.shots import EmotionVectors
from audio2face.deploy.calibration import Choice, PostProcessing, calibrate, values_of
from audio2face.deploy.calibration_report import DEFAULTS, FINISHED, NETWORK, ActorCalibration, measure
from audio2face.deploy.held_out_motion import HeldOutMotion, HeldOutReader, choose_clips
from audio2face.inference import open_graph
from audio2face.model_folder import DeployedModel
from audio2face.preproc.artifacts import PreprocArtifacts
from audio2face.training.data.actors import ActorSource
from audio2face.training.run_folder import TrainingRun, ValidationClip, read_origins, read_validation

LIPS = "geom/skin/lip_dist_vertex_list.json"


def read_motion(
    folder: Path, run: TrainingRun, model: DeployedModel, clips: tuple[ValidationClip, ...], start: Mapping[str, Any]
) -> HeldOutMotion:
    """Animates clips of the first actor; lips are those that the dataset folder lists."""
    configuration, actor = run.configuration, model.info.identities[0]
    origin = read_origins(run.path, configuration.roots, configuration.train.PREPROC_ROOT)[actor]
    assert origin.folder is not None  # deployment made sure
    raw = ActorDataset.open(actor, configuration.dataset)
    raw = replace(raw, paths={**raw.paths, "SKIN_LIP_DIST_VERTEX_LIST_FPATH": folder / LIPS})
    source = ActorSource(actor, PreprocArtifacts.open(origin.folder), origin.files, raw)
    emotions = EmotionVectors.from_vocabulary(
        configuration.dataset.SHOT_EMOTION_NAMES, configuration.train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS
    )
    motion = HeldOutReader(model, source, emotions, open_graph(model)).read(clips, start)
    if motion is None:
        raise SystemExit("no held-out shot can be read")
    return motion


def show(what: str, found: ActorCalibration) -> None:
    """Prints one block of the table."""
    print(f"{what}; recorded opening {found.true_opening_mm:.1f} mm")
    for name, score in found.scores.items():
        print(f"  {name:<28} {score.error_mm:7.2f} mm {score.correlation:8.3f} {score.opening_mm:8.1f} mm", flush=True)
    chosen = [f"{name} {choice.value:g}" for name, choice in found.choices.items() if choice.source == "calibrated"]
    print(f"  calibrated: {', '.join(chosen) or 'nothing'}")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="raw dataset of one actor")
    parser.add_argument("run", type=Path, help="folder of the training run")
    parser.add_argument("deployed", type=Path, help="folder that it was deployed to")
    args = parser.parse_args()
    run, model = TrainingRun.open(args.run), DeployedModel.open(args.deployed)
    defaults = base_of("inference", model.info.type).defaults["CONFIG"]
    start = PostProcessing(defaults, calibrate=True).start()
    clips = read_validation(run.path, run.configuration.roots) or ()
    actor = model.info.identities[0]
    own = sorted({clip.shot for clip in clips if clip.actor == actor})
    if len(own) < 4:
        parser.error(f"{args.run} holds out {len(own)} shots of {actor}, expected four at least")
    halves = []
    for first in (0, 1):
        part = [clip for clip in clips if clip.shot in own[first::2]]
        chosen = choose_clips(part, actor, frame_by_frame=model.info.windows().hop == 1)
        halves.append(read_motion(args.folder, run, model, chosen, values_of(start)))
    for one, other, name in ((halves[0], halves[1], "first on second"), (halves[1], halves[0], "second on first")):
        _compare(one, other, f"{name} half", start, defaults)


def _compare(
    one: HeldOutMotion, other: HeldOutMotion, name: str, start: Mapping[str, Choice], defaults: Mapping[str, Any]
) -> None:
    """Calibrates on one half, with and without its list of lips, and measures the other."""
    unmarked = replace(one, marked=replace(one.marked, lips=None))
    for words, motion in (("lips marked", one), ("no list of lips", unmarked)):
        found = measure(other, calibrate(motion, start), defaults)
        kept = {key: found.scores[key] for key in (NETWORK, DEFAULTS, FINISHED)}
        show(f"{name}, {words}", replace(found, scores=kept))


if __name__ == "__main__":
    main()
