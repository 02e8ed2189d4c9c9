"""Whether memory and open files grow with the number of shots and with their length, and training with its data.

    .venv/bin/python -m benchmarks.growth SCRATCH_FOLDER [--shots 5000] [--hours 2]
    .venv/bin/python -m benchmarks.growth SCRATCH_FOLDER --training

Makes two synthetic actors in the folder given, once: one of many short shots (5 frames each), and one of a single take
at 60 frames per second. Both have a small face (60 vertices of skin, 12 of tongue), so that what grows is not hidden
behind the size of a block. Then it runs the check, preprocessing and the opening of training data, each in a process
of its own under the usual limit of 1,024 handles, and prints seconds, the peak of anonymous memory (`RssAnon`) and the
most open handles, sampled meanwhile. A figure above 1.5 GB ends it with status 1.

`--training` makes a preprocessed actor of 54 clips (12 minutes), 540 and 5,400 (20 hours) with 272 shapes of the skin,
where motion and sound of all clips are the same (4 GB on disk). For each it opens the training data of a diffusion
network in a process of its own, with `AUDIO_DATA_CACHING = False`, and reads 100 batches of 4 segments of 30 to 390
frames. It prints the seconds until the first batch, and then the milliseconds of processor time that reading a frame
takes and the peak of anonymous memory, which should not grow. The network is left out: it sees batches alone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]
import soundfile

from audio2face.config import Configuration, Roots, Stage, load
from audio2face.dataset import ActorDataset
from audio2face.dataset.checks import check_actor
from audio2face.geometry import write_cache
from audio2face.preproc.run import preprocess
from audio2face.types import FloatArray

ACTOR = "m"
SKIN_VERTS, TONGUE_VERTS, MODES = 60, 12, 6
SHORT_FRAMES, SHORT_FPS, LONG_FPS = 5, 30, 60
SAMPLERATE = 16_000
BLOCK = 4_096  # frames
MOST_HANDLES = 1_024
LIMIT_BYTES = 1_500_000_000
SAMPLES_PER_SECOND = 20
STAGES = ("check", "preproc", "train")
CLIPS, TIMES, CLIP_FRAMES = 54, (1, 10, 100), 400
BATCHES, BATCH_SIZE = 100, 4
READING = "reading"


@dataclass(frozen=True)
class Usage:
    """What a process took: seconds, most anonymous memory in bytes, most open handles, exit status."""

    seconds: float
    anonymous: int
    handles: int
    status: int


def motion(verts: int, num_frames: int, seed: int) -> Iterator[FloatArray]:
    """Blocks of frames `[frames, verts, 3]` that move smoothly in a few directions, and never quite repeat."""
    random = np.random.default_rng(seed)
    rest = neutral(verts)
    moves = random.standard_normal((MODES, verts, 3)) * 0.15
    rates, phases = random.uniform(0.05, 0.6, MODES), random.uniform(0, 2 * np.pi, MODES)
    for start in range(0, num_frames, BLOCK):
        frames = np.arange(start, min(start + BLOCK, num_frames))
        yield (rest + np.tensordot(np.sin(np.outer(frames, rates) + phases), moves, 1)).astype(np.float32)


def neutral(verts: int) -> FloatArray:
    """A neutral face, `[verts, 3]`, centimetres."""
    return np.random.default_rng(verts).uniform(-8, 8, (verts, 3)) * ([1, 1, 1] if verts == SKIN_VERTS else [0.2] * 3)


def make_actor(folder: Path, num_shots: int, num_frames: int, fps: int) -> None:
    """Writes an actor and a configuration of that name, unless they are there."""
    if (folder / "configs").is_dir():
        return
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(num_shots):
        shot = f"s{number:05d}_neutral"
        with soundfile.SoundFile(folder / "audio" / f"{shot}.wav", "w", SAMPLERATE, 1) as sound:
            left = round(num_frames / fps * SAMPLERATE)
            while left > 0:
                count = min(left, SAMPLERATE * 60)
                sound.write(random.standard_normal(count) * 0.05)
                left -= count
        for part, verts in (("skin", SKIN_VERTS), ("tongue", TONGUE_VERTS)):
            path = folder / part / shot / f"{shot}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_cache(path, motion(verts, num_frames, number), fps=fps, num_frames=num_frames, num_verts=verts)
    np.save(folder / "tongue_neutral.npy", neutral(TONGUE_VERTS).astype(np.float32))
    (folder / "rigid.json").write_text("[0, 1, 2, 3, 4, 5]")
    write_configuration(folder, fps)


def write_configuration(folder: Path, fps: int) -> None:
    """Writes the files that all three stages read."""
    places = {
        "AUDIO_ROOT": "audio",
        "SKIN_CACHE_ROOT": "skin",
        "TONGUE_CACHE_ROOT": "tongue",
        "TONGUE_NEUTRAL_FPATH": "tongue_neutral.npy",
        "TONGUE_RIGID_VERTEX_LIST_FPATH": "rigid.json",
    }
    lines = [f"{name} = {{{ACTOR!r}: {str(folder / place)!r}}}" for name, place in places.items()]
    lines += [f"ACTOR_NAMES = [{ACTOR!r}]", f"CACHE_FPS = {{{ACTOR!r}: {float(fps)}}}"]
    configs = folder / "configs" / "growth"
    configs.mkdir(parents=True)
    (configs / "config_dataset.py").write_text("\n".join(lines))
    (configs / "config_preproc.py").write_text('RUN_NAME = "growth"\n')
    train = ['NETWORK_TYPE = "regression"', 'RUN_NAME = "growth"', "LOSS_LIP_SIZE_ALPHA = None", "SEQ_LEN = 2"]
    (configs / "config_train.py").write_text("\n".join([*train, ""]))


def run_stage(stage: str, folder: Path) -> None:
    """Runs one stage in this process, with few handles."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_HANDLES, hard))
    if stage == READING:
        read_batches(folder)
    elif stage == "check":
        check_actor(ActorDataset.open(ACTOR, configuration(folder, "check").dataset))
    elif stage == "preproc":
        preprocess(configuration(folder, "preproc"), ACTOR)
    else:
        from audio2face.training.data.dataset import TrainingData

        opened = configuration(folder, "train")
        data = TrainingData.open(opened.dataset, opened.train)
        print(f"{len(data.training_clips) + len(data.validation_clips)} clips")


def read_batches(folder: Path) -> None:
    """Opens the training data of a preprocessed actor and reads batches as training does; prints what that took."""
    from audio2face.config import TrainDiffusion
    from audio2face.training.data.dataset import TrainingData
    from benchmarks.large_actor import configuration as large_configuration

    began = time.perf_counter()
    settings = {"AUDIO_DATA_CACHING": False, "SUBSEGMENT_MAX_FRAME": 390}
    opened = large_configuration(folder, "diffusion", settings)
    train = opened.train
    assert isinstance(train, TrainDiffusion)
    data = TrainingData.open(opened.dataset, train)
    loader, sampler = data.segments(train, batch_size=BATCH_SIZE)
    frames, cpu_began, seconds = 0, 0.0, 0.0
    for number, batch in enumerate(loader.batches(sampler.epoch(0, 0))):
        if number == 0:
            seconds, cpu_began = time.perf_counter() - began, time.process_time()
        else:
            frames += batch.skin.shape[0] * batch.skin.shape[1]
        if number == BATCHES or number + 1 == len(data.training_clips) // BATCH_SIZE:
            break
    print(f"{seconds:.2f} {1000 * (time.process_time() - cpu_began) / frames:.4f}")


def training(folder: Path) -> int:
    """Makes actors of 1, 10 and 100 times as many clips, reads batches of each, and prints a table."""
    from benchmarks.large_actor import Sizes
    from benchmarks.large_actor import make_actor as make_large_actor

    print("| clips | hours | s to the first batch | ms of processor a frame read | peak anonymous memory, MB |")
    print("|---|---|---|---|---|", flush=True)
    for times in TIMES:
        own = folder / f"clips_{CLIPS * times}"
        sizes = Sizes(shots=CLIPS * times, frames=CLIP_FRAMES, skin_verts=2_000, tongue_verts=500)
        if not (own / "data").is_dir():
            make_large_actor(own, sizes, alike=True)
        usage = watch(READING, own)
        if usage.status != 0:
            return usage.status
        seconds, each = (own / f"{READING}.log").read_text().split()[-2:]
        hours = sizes.shots * CLIP_FRAMES / 30 / 3600
        print(f"| {sizes.shots:,} | {hours:.1f} | {seconds} | {each} | {usage.anonymous / 1e6:,.0f} |", flush=True)
    return 0


def configuration(folder: Path, stage: Stage) -> Configuration:
    """The configuration of an actor's folder."""
    roots = Roots(datasets=folder, workspace=folder / "workspace")
    return load("growth", stage=stage, actors=[ACTOR], roots=roots, configs_folder=folder / "configs")


def watch(stage: str, folder: Path) -> Usage:
    """Runs one stage in a process of its own, and looks at it meanwhile."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.growth", str(folder), "--stage", stage]
    with (folder / f"{stage}.log").open("w") as log:
        child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        process, anonymous, handles = psutil.Process(child.pid), 0, 0
        while child.poll() is None:
            try:
                handles = max(handles, process.num_fds())
                anonymous = max(anonymous, anonymous_bytes(child.pid))
            except (psutil.Error, OSError):
                break
            time.sleep(1 / SAMPLES_PER_SECOND)
    return Usage(time.perf_counter() - began, anonymous, handles, child.wait())


def anonymous_bytes(pid: int) -> int:
    """Memory of its own that a process has in RAM; pages of mapped files do not count."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:")), 0)


def main() -> int:
    """Makes the actors, runs the stages and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shots", type=int, default=5_000)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--training", action="store_true", help="read training data instead")
    parser.add_argument("--stage", choices=(*STAGES, READING), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage is not None:
        run_stage(args.stage, args.folder.resolve())
        return 0
    if args.training:
        return training(args.folder.resolve())
    many, take = args.folder.resolve() / f"shots_{args.shots}", args.folder.resolve() / f"hours_{args.hours:g}"
    make_actor(many, args.shots, SHORT_FRAMES, SHORT_FPS)
    make_actor(take, 1, round(args.hours * 3600 * LONG_FPS), LONG_FPS)
    print("| data | stage | seconds | peak anonymous memory | most open handles |\n|---|---|---|---|---|", flush=True)
    failed = False
    for words, folder in ((f"{args.shots:,} shots", many), (f"one take of {args.hours:g} hours", take)):
        for stage in STAGES:
            usage = watch(stage, folder)
            ended = "" if usage.status == 0 else f" (failed, see {folder.name}/{stage}.log)"
            memory = f"{usage.anonymous / 1e6:,.0f} MB"
            print(f"| {words} | {stage}{ended} | {usage.seconds:.0f} | {memory} | {usage.handles} |", flush=True)
            failed |= usage.status != 0 or usage.anonymous > LIMIT_BYTES
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
