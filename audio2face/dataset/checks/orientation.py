"""Reports a face in another unit than centimetres, or in other axes than +y up and +z to the front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audio2face.dataset.checks.face_frame import UPRIGHT, FaceFrame, FaceMotion, Orientation, find_factor, find_frame
from audio2face.dataset.checks.report import AXES, Findings, axes_formula, scale_remedy, unit_words

_POINTS_UP = "+y must point up, +z out of the face"


@dataclass(frozen=True)
class SkinFrame:
    """Detected unit and axes of the face.

    Attributes:
        face: mouth and axes; None if nothing moves like a face.
        factor: factor from its lengths to centimetres; 1 unless a unit was reported.
        reported: whether unit or axes were reported as an error, which invalidates dependent measurements.
        doubtful: whether axes were reported as a warning.
    """

    face: FaceFrame | None
    factor: float = 1.0
    reported: bool = False
    doubtful: bool = False


def check_skin_frame(motion: FaceMotion | None, path: Path, findings: Findings) -> SkinFrame:
    """Finds unit and axes of the skin, and reports those that are wrong.

    Args:
        motion: motion of the skin; None if no cache could be read.
        path: the file or folder of the finding.
        findings: receives the findings.
    """
    if motion is None:
        return SkinFrame(None)
    face = find_frame(motion)
    factor, decisive = find_factor(motion.rest.size, None if face is None else face.mouth_size)
    if factor != 1:
        _report_unit(motion, face, factor, decisive, path, findings)
    wrong, doubtful = face is not None and face.wrong_axes, face is not None and face.doubtful_axes
    if face is not None and (wrong or doubtful):
        _report_axes(face, motion, path, findings)
    wrong_unit = factor != 1 and decisive
    return SkinFrame(face, factor if wrong_unit else 1.0, wrong_unit or wrong, doubtful)


def _report_unit(
    motion: FaceMotion, face: FaceFrame | None, factor: float, decisive: bool, path: Path, findings: Findings
) -> None:
    mouth = "" if face is None else f", what moves in speech {2 * face.mouth_size:.3g} (in centimetres about 6)"
    message = (
        f"the face measures {motion.rest.size:.3g} from corner to corner, a head takes about 30 to 60 centimetres"
        f"{mouth}: its lengths are {unit_words(factor)}"
    )
    if decisive:
        findings.error("units", message, f"{scale_remedy(factor)} {_ALL_PARTS}", file=path)
    else:
        findings.warning(
            "units",
            message.replace("its lengths are", "its lengths may be"),
            f"{scale_remedy(factor)} Thresholds and losses rely on it.",
            file=path,
        )


def _report_axes(face: FaceFrame, motion: FaceMotion, path: Path, findings: Findings) -> None:
    low = motion.rest.points.min(axis=0)
    extent = motion.rest.points.max(axis=0) - low
    places = ", ".join(f"{share:.0%} of {axis}" for share, axis in zip((face.mouth - low) / extent, AXES, strict=True))
    sizes = " x ".join(f"{value:.3g}" for value in extent)
    message = (
        f"{describe(face.orientation)}: the mesh measures {sizes} along x, y, z, and what moves in speech, the mouth, "
        f"lies at {places}; {_POINTS_UP}"
    )
    remedy = _axes_remedy(face.orientation)
    if face.wrong_axes:
        findings.error("axes", message, f"{remedy} {_ALL_PARTS}", file=path)
    else:
        findings.warning("axes", f"perhaps {message}", f"Look at it: if so, {remedy[0].lower()}{remedy[1:]}", file=path)


_ALL_PARTS = "Do the same to every other file with positions or offsets; lists of vertices stay as they are."


def describe(axes: Orientation) -> str:
    """Describes wrong axes in words."""
    up, front = _signed(axes.up, axes.up_sign), _signed(axes.front, axes.front_sign)
    if (axes.up, axes.front) == (UPRIGHT.up, UPRIGHT.front):
        if axes.up_sign < 0 and axes.front_sign < 0:
            return "the face is upside down and looks along -z (turned by 180 degrees about x)"
        if axes.up_sign < 0:
            return "the face is upside down (+y points down)"
        return "the face is back to front (turned or mirrored): it looks along -z"
    if up == "+y":
        return f"the face looks along {front} instead of +z"
    return f"{up} points up instead of +y, and the face looks along {front} instead of +z"


def _axes_remedy(axes: Orientation) -> str:
    matrix = axes.matrix()
    remedy = f"Replace (x, y, z) of every vertex by {axes_formula(matrix)}"
    if matrix[0].sum() < 0:
        mirrored = matrix.copy()
        mirrored[0] *= -1
        return (
            f"{remedy} if the face was turned, or by {axes_formula(mirrored)} if it was mirrored, "
            f"so that the character's left is at +x."
        )
    return f"{remedy}."


def _signed(axis: int, sign: int) -> str:
    return f"{'+' if sign > 0 else '-'}{AXES[axis]}"
