"""The text of `about.md`, which says what a data set holds, where it is from, and what was derived."""

from __future__ import annotations

from collections.abc import Sequence

from a2f_dcc.scene import ExportOptions, FaceScene, Report
from a2f_dcc.shots import SceneShot

_HEAD = """\
# {actor}

Exported from {scene} with {program}: {count} shots, {minutes:.1f} minutes at {fps:.6g} frames per second.

Lengths are centimetres, +y up, +z out of the face (the scene's {front}); angles are degrees. Frame i of a cache
is frame i of the shot, counted from 0. It is at (i + 0.5) / fps of the recording, which begins half a frame early.

| shot | frames of the scene | seconds |
|---|---|---|
"""
_OPTIONS = ("skin", "tongue", "jaw", "head", "lower_teeth", "upper_teeth", "right_eye", "left_eye", "neutral", "sound")


def about_text(scene: FaceScene, options: ExportOptions, shots: Sequence[SceneShot], front: str, report: Report) -> str:
    """The record of an export, Markdown."""
    text = _HEAD.format(
        actor=options.actor,
        scene=scene.file or "a scene without a file",
        program=scene.program,
        count=len(shots),
        minutes=sum(shot.num_frames for shot in shots) / scene.fps / 60,
        fps=scene.fps,
        front=front,
    )
    text += "".join(
        f"| {shot.name} | {shot.first} to {shot.last} | {shot.num_frames / scene.fps:.2f} |\n" for shot in shots
    )
    text += "\n## Taken from the scene\n\n"
    text += "".join(f"- {name}: {value}\n" for name in _OPTIONS if (value := getattr(options, name)))
    if report.made:
        text += "\n## Derived, not given\n\n" + "".join(f"- {line}\n" for line in report.made)
    if report.warnings:
        text += "\n## Look at these\n\n" + "".join(f"- {line}\n" for line in report.warnings)
    return text
