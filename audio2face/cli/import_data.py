"""Imports captures of a face as a data set with its configuration; started by run_import.py.

Everything is read and checked before anything is written. `--train` goes on through all stages.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from rich.table import Table

from audio2face import log_settings
from audio2face.cli import parsers
from audio2face.cli.init import Project, configuration_files
from audio2face.cli.process import run_stage
from audio2face.config import Roots
from audio2face.config_base.tables import NetworkType
from audio2face.console import LOGGER, console, start_logging, track
from audio2face.dataset.actor import DEFAULT_EMOTION
from audio2face.dataset.arkit_names import listed
from audio2face.dataset.discovery import FoundActor, find_actors
from audio2face.errors import UserError
from audio2face.importers.about import about_text, advice, minutes_of, num_shots
from audio2face.importers.actor import Face, MeshFace, RigFace, missing_shapes
from audio2face.importers.kinds import KINDS, Importer, ImportOptions, new_importer
from audio2face.importers.naming import plain_name
from audio2face.importers.plan import check_take, seconds_without_face, seconds_without_sound
from audio2face.importers.sync import Offset, find_offsets, shifted
from audio2face.importers.take import Take, TakeSummary, summary_of
from audio2face.importers.writer import DatasetWriter, log_kept
from audio2face.io.atomic import write_text
from audio2face.rigs.opening import open_rig
from audio2face.runs import log_outputs

RESUME_HINT = "Run the same command again: takes that are written are kept."
ABOUT = "about.md"
_MUCH_SILENCE, _MUCH_SILENCE_SHARE = 1.0, 0.1  # s, and of a take: more without sound, or without face, is said


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("import", argv)
    start_logging()
    roots = Roots.from_environment()
    folder = roots.datasets / args.name
    importer = new_importer(args.kind, _options(args, roots))
    summaries = importer.inspect([_existing(text, roots) for text in args.sources])
    takes = [importer.read(summary.name) for summary in summaries]
    offsets = find_offsets(takes)
    _show([summary_of(take) for take in takes], offsets, always=args.dry_run)
    _say_offsets(offsets, given=args.offset)
    takes = _moved(takes, offsets, args.offset)
    _check(takes)
    face = _face(importer, args.rig)
    writer = DatasetWriter.open(folder, args.kind, face, takes[0].fps)
    if args.dry_run:
        LOGGER.info("nothing was written (--dry-run)")
        return 0
    _write(writer, takes)
    about = folder / ABOUT
    write_text(about, _about(args.name, writer, face))
    project = _project(args, folder, writer)
    written = _write_configuration(project, writer, roots, force=args.force)
    for line in advice(writer.record, _missing(face)):
        LOGGER.info("to record next: %s", line)
    if args.train:
        return _train(args.name)
    log_outputs(
        {"Data set:": folder, "What is in it:": about, "Configuration:": written},
        [f"python run_check.py {args.name}", f"audio2face run-all {args.name}    # all stages"],
    )
    return 0


def _options(args: argparse.Namespace, roots: Roots) -> ImportOptions:
    audio = None if args.audio is None else Path(args.audio)
    if audio is not None and not audio.exists():
        raise UserError("there is no such recording", path=audio, hint="Check the path of --audio.")
    typed = {option: getattr(args, option) for kind in KINDS.values() for option in kind.options}
    more = {option: str(value) for option, value in typed.items() if value is not None}
    scratch = roots.workspace / "import_measurements"
    return ImportOptions(audio=audio, emotion=args.emotion, fps=args.fps, more=more, scratch=scratch)


def _existing(text: str, roots: Roots) -> Path:
    """A source as typed, from the current folder or from the datasets folder."""
    path = Path(text).expanduser()
    return path if path.exists() or not (roots.datasets / path).exists() else roots.datasets / path


def _show(summaries: Sequence[TakeSummary], offsets: dict[str, Offset], *, always: bool) -> None:
    """Prints what was found, unless only warnings are asked for, and what is worth knowing of it."""
    table = Table("take", "seconds", "fps", "not tracked", "captured", "recording", "sound and face", "emotion")
    for row in summaries:
        table.add_row(
            row.name,
            f"{row.seconds:.1f}",
            f"{float(row.fps):.6g}",
            "?" if row.lost is None else str(row.lost),
            row.captured,
            "none" if row.audio is None else row.audio.name,
            str(offsets[row.name]) if row.name in offsets else "",
            row.emotion or DEFAULT_EMOTION,
        )
    if always or log_settings.level() <= logging.INFO:
        console().print(table)
    for row in summaries:
        for note in row.notes:
            LOGGER.info("%s: %s", row.name, note)


def _say_offsets(offsets: Mapping[str, Offset], given: str | float | None) -> None:
    """Says what was measured and is not applied, once for takes that were measured together."""
    alike: dict[Offset, list[str]] = {}
    for name, offset in offsets.items():
        alike.setdefault(offset, []).append(name)
    for offset, names in alike.items():
        if offset.is_foreign:
            LOGGER.warning(
                "%s: the face does not move as the recording sounds, at any offset (%.2f): check that they belong "
                "together",
                listed(names),
                offset.found,
            )
        elif offset.is_clear and given is None:
            LOGGER.warning(
                "%s: the face moves %.2f s %s the sound, to about 0.05 s (together %.2f there, %.2f as they are); "
                "--offset auto corrects it",
                listed(names),
                abs(offset.seconds),
                "before" if offset.seconds > 0 else "after",
                offset.found,
                offset.in_step,
            )


def _moved(takes: Sequence[Take], offsets: Mapping[str, Offset], given: str | float | None) -> list[Take]:
    """The takes with the offset that was given, or measured where it is "auto"."""
    if given == "auto":
        return [shifted(take, offsets[take.name].seconds if take.name in offsets else 0.0) for take in takes]
    return [shifted(take, float(given or 0.0)) for take in takes]


def _check(takes: Sequence[Take]) -> None:
    """Refuses takes that cannot be one data set, before anything is written.

    Raises:
        UserError: a take has no recording or does not overlap with it, or rates differ.
    """
    silent = [take.name for take in takes if take.audio is None]
    if silent:
        raise UserError(
            "no take has a recording"
            if len(silent) == len(takes)
            else f"these takes have no recording: {', '.join(silent)}",
            path=takes[0].source,
            hint="A network learns from sound: put a recording of the take's name beside it (.wav, .mov, ...), or give "
            "--audio FILE (a folder for several takes).",
        )
    rates = {take.fps: take.name for take in takes}
    if len(rates) > 1:
        listed = ", ".join(f"{name} has {float(fps):g}" for fps, name in rates.items())
        raise UserError(
            f"the takes have several frame rates: {listed}",
            hint="The takes of an actor have one rate: import those of each rate under a name of their own; a network "
            "trains on both as two actors.",
        )
    for take in takes:
        check_take(take)
        much = max(_MUCH_SILENCE, _MUCH_SILENCE_SHARE * take.seconds)
        without = seconds_without_sound(take)
        if without > much:
            LOGGER.warning("%s: %.1f of its %.1f s have no sound and are left out", take.name, without, take.seconds)
        more = seconds_without_face(take)
        if more > much:
            LOGGER.warning("%s: %.1f s of its recording show no face and are left out", take.name, more)


def _face(importer: Importer, rig: str) -> Face:
    geometry = importer.geometry()
    if geometry is not None:
        return MeshFace.of(geometry)
    face = RigFace(open_rig(rig).with_stiff_tongue_as_part())
    face.check()
    return face


def _missing(face: Face) -> list[str]:
    return missing_shapes(face.rig) if isinstance(face, RigFace) else []


def _write(writer: DatasetWriter, takes: Sequence[Take]) -> None:
    missing = writer.missing(takes)
    log_kept(takes, missing, writer.record)
    writer.check_space(missing)
    blocks = (count for take in missing for count in writer.write(take))
    for _ in track(blocks, sum(take.num_frames for take in missing), "writing frames", weigh=lambda count: count):
        pass
    writer.finish()


def _about(name: str, writer: DatasetWriter, face: Face) -> str:
    shown = f"the rig `{face.rig.source}`" if isinstance(face, RigFace) else "its own meshes"
    return about_text(name, writer.record, shown, writer.made, _missing(face))


def _project(args: argparse.Namespace, folder: Path, writer: DatasetWriter) -> Project:
    found = _found(folder, writer)
    network, fps = cast(NetworkType, args.network), float(writer.record.fps)
    return Project(args.name, plain_name(args.name), found, fps, network, minutes_of(writer.record))


def _found(folder: Path, writer: DatasetWriter) -> FoundActor:
    """What the data set holds, with the emotions of its takes, the neutral one first."""
    emotions = {take.emotion for take in writer.record.takes.values()}
    ordered = sorted(emotions, key=lambda emotion: (emotion != DEFAULT_EMOTION, emotion))
    return replace(find_actors(folder)[0], emotions=tuple(ordered))


def _write_configuration(project: Project, writer: DatasetWriter, roots: Roots, *, force: bool) -> Path:
    """Writes the configuration; files that were edited since an earlier import stay as they are."""
    folder = roots.framework / "configs" / project.name
    for kind, text in configuration_files(project, roots).items():
        path = folder / f"config_{kind}.py"
        written = writer.record.configuration.get(path.name)
        if path.exists() and not force and _digest(path) not in (written, _text_digest(text)):
            LOGGER.warning("%s was edited or is of another project, and is kept; --force replaces it", path)
            continue
        write_text(path, text)
        writer.record.configuration[path.name] = _text_digest(text)
    writer.record.save(writer.folder)
    minutes, shots = minutes_of(writer.record), num_shots(writer.record)
    LOGGER.info("%.1f minutes in %d shots; settings of training for that much (docs/quality.md)", minutes, shots)
    return folder


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _train(name: str) -> int:
    """All stages, and the evaluation of the run."""
    from audio2face.cli import evaluate, run_all

    status = run_all.main([name])
    return status or evaluate.main([name, "latest", "--quick"])


if __name__ == "__main__":
    run_stage(main, RESUME_HINT)
