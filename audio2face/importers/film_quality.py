"""What is worth knowing about a film of a face: lost frames, other faces, light, sharpness, a turned head.

Everything is told in sentences with times, and with what to do about it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audio2face.dataset.arkit_names import ARKIT_NAMES, listed
from audio2face.importers.face_track import FaceTrack
from audio2face.importers.film import FrameRate
from audio2face.importers.smoothing import SmoothingFigures, runs_of
from audio2face.importers.take import HeadMotion
from audio2face.types import BoolArray, Float32Array, Float64Array

_SMALL_FACE = 160.0  # pixels: the network sees 256 around the face
_FAR_YAW, _FAR_PITCH = 30.0, 25.0  # degrees, beyond which the far side of the mouth is guessed
_JUMP_CM = 2.0  # of the head from one picture to the next
_DARK, _BRIGHT = 0.2, 0.85  # mean level of the face
_ONE_SIDED = 0.35  # difference of its halves, relative to their mean
_CLIPPED = 0.2  # share of the face that is black or white
_BLURRED = 0.01  # see `FaceTrack.sharpness`; a film of 360 x 288 pixels in focus has 0.1
_SLOW = 24  # frames per second, below which p and b are missed
_MOST_SPANS = 4  # listed in a sentence
_MUCH_REST, _UNMOVED = 0.1, 0.02  # of a weight


def head_motion(poses: Float32Array) -> HeadMotion:
    """Angles and positions of the head from poses `[frames, 4, 4]`, see `Face.pose`; NaN where those are."""
    turn = poses[:, :3, :3].astype(np.float64)
    # The axes of the face are the columns: turn = Ry(yaw) Rx(pitch) Rz(-roll).
    yaw = np.arctan2(turn[:, 0, 2], turn[:, 2, 2])
    pitch = np.arcsin(np.clip(-turn[:, 1, 2], -1, 1))
    roll = -np.arctan2(turn[:, 1, 0], turn[:, 1, 1])
    places = poses[:, :3, 3]
    known = np.flatnonzero(np.isfinite(places).all(axis=1))
    first = places[known[0]] if len(known) else np.zeros(3, np.float32)
    angles = np.degrees(np.stack([yaw, pitch, roll], axis=1)).astype(np.float32)
    return HeadMotion(angles=angles, positions=np.asarray(places - first, np.float32))


def describe_film(track: FaceTrack, rate: FrameRate) -> list[str]:
    """Sentences about a film.

    Args:
        track: what was measured.
        rate: of its pictures.
    """
    return [*_rate(track, rate), *_lost(track), *_faces(track), *_pose(track), *_picture(track)]


def describe_weights(rest: Float32Array, largest: Float32Array, figures: SmoothingFigures, seconds: float) -> list[str]:
    """Sentences about what was done to the weights.

    Args:
        rest: of each shape, `[52]`, which was removed; zeros where it was kept.
        largest: weight of each shape, `[52]`.
        figures: of the smoothing.
        seconds: width of its filter; 0 without one.
    """
    found = [*_resting(rest), *_unmoved(largest)]
    before, after = figures.jitter
    if not seconds:
        found.append(f"weights are as measured, without smoothing: those of the mouth jitter by {before:.4f} at rest")
        return found
    found.append(
        f"weights were smoothed over {seconds:g} s without delay: jitter of the mouth at rest {before:.4f}, "
        f"{after:.4f} after it"
    )
    if figures.peaks:
        found.append(f"{figures.peaks} openings of the jaw keep {figures.peak_retention:.1%} of their height")
    if figures.closures:
        raw, alone, kept = figures.opening
        found.append(
            f"the lips meet {figures.closures} times: in these frames those of the example head are {raw:.2f} mm apart "
            f"by the weights as measured, {kept:.2f} mm after smoothing ({alone:.2f} mm had it not kept closures); the "
            "data set's face closes them"
        )
    else:
        found.append("the lips were never seen to meet: check that the film shows p, b and m with the mouth in view")
    if figures.blinks:
        found.append(f"{figures.blinks} blinks keep {figures.blink_retention:.1%} of their depth")
    return found


def _rate(track: FaceTrack, rate: FrameRate) -> Iterator[str]:
    fps = f"{float(rate.fps):.3f}".rstrip("0").rstrip(".")
    count = len(track.times)
    if rate.is_constant:
        yield f"its {count} pictures come at {fps} frames per second throughout"
    else:
        yield (
            f"its rate varies (pictures up to {1000 * rate.spread:.0f} ms from their places at {fps} frames per "
            f"second): {count} pictures were resampled by their times"
        )
    if rate.fps < _SLOW:
        yield f"{fps} frames per second miss short closures of the lips: film with 50 or 60 where the camera can"


def _lost(track: FaceTrack) -> Iterator[str]:
    lost = ~np.isfinite(track.lips)
    if lost.any():
        share = float(lost.mean())
        yield (
            f"{int(lost.sum())} of {len(lost)} pictures ({share:.1%}) show no face: {_spans(lost, track.times)}; hands "
            "and a turned head hide it"
        )


def _faces(track: FaceTrack) -> Iterator[str]:
    several = track.num_faces > 1
    if several.any():
        yield (
            f"more than one face is seen at {_spans(several, track.times)}: that which was largest at first was "
            "followed; cut the film where it is another person"
        )


def _pose(track: FaceTrack) -> Iterator[str]:
    head = head_motion(track.poses)
    turned = np.nan_to_num(np.abs(head.angles[:, 0]) > _FAR_YAW) | np.nan_to_num(np.abs(head.angles[:, 1]) > _FAR_PITCH)
    if turned.any():
        yield f"the head is turned away at {_spans(turned, track.times)}: weights of the far side are guesses there"
    assert head.positions is not None
    step = np.linalg.norm(np.diff(head.positions, axis=0, prepend=head.positions[:1]), axis=1)
    jumps = np.nan_to_num(step) > _JUMP_CM
    if jumps.any():
        yield f"the face jumps at {_spans(jumps, track.times)}: something passed before it, or the film was cut there"
    width, height = track.size
    box = np.nan_to_num(track.boxes, nan=1.0)
    cut = (box[:, 0] < 0) | (box[:, 1] < 0) | (box[:, 2] > width) | (box[:, 3] > height)
    if cut.any():
        yield f"the edge of the picture cuts the face at {_spans(cut, track.times)}: go back from the camera"


def _picture(track: FaceTrack) -> Iterator[str]:
    tall = track.boxes[:, 3] - track.boxes[:, 1]
    if np.isfinite(tall).any() and (middle := float(np.nanmedian(tall))) < _SMALL_FACE:
        yield (
            f"the face is {middle:.0f} pixels high, of {track.size[1]}: more than {_SMALL_FACE:.0f} are better, come "
            "nearer to the camera or film at a higher resolution"
        )
    looked = np.isfinite(track.sharpness)
    if not looked.any():
        return
    left, right, clipped = (float(value) for value in np.median(track.light[looked], axis=0))
    level = (left + right) / 2
    if level < _DARK:
        yield f"the face is dark (mean level {level:.0%}): light it from the front"
    elif level > _BRIGHT or clipped > _CLIPPED:
        yield f"{clipped:.0%} of the face is black or white (mean level {level:.0%}): soften the light"
    if abs(left - right) > _ONE_SIDED * level:
        yield "the light comes from one side, which hides the lips of the other: light the face from the front"
    if (sharp := float(np.median(track.sharpness[looked]))) < _BLURRED:
        yield f"the face is blurred (sharpness {sharp:.3f}): focus on it, clean the lens, or give more light"


def _resting(rest: Float32Array) -> Iterator[str]:
    much = [place for place in np.argsort(-rest) if rest[place] >= _MUCH_REST]
    if rest.any():
        names = listed([f"{ARKIT_NAMES[place]} {rest[place]:.2f}" for place in much]) or "each below 0.1"
        yield f"the person's resting face was removed (5th percentile of each shape over the take): {names}"


def _unmoved(largest: Float32Array) -> Iterator[str]:
    still = [name for name, value in zip(ARKIT_NAMES, largest, strict=True) if value < _UNMOVED]
    if still:
        yield f"{len(still)} shapes do not move, most of which the landmarker rarely sees: {listed(still)}"


def _spans(mask: BoolArray, times: Float64Array) -> str:
    """Times of runs, the longest first where there are many."""
    runs = runs_of(mask)
    shown = sorted(sorted(runs, key=lambda run: run[0] - run[1])[:_MOST_SPANS])
    texts = []
    for start, end in shown:
        begin, last = float(times[start]), float(times[end - 1])
        texts.append(f"{begin:.2f} s" if end - start == 1 else f"{begin:.2f} to {last:.2f} s")
    rest = len(runs) - len(shown)
    return ", ".join(texts) + (f" and {rest} shorter" if rest else "")
