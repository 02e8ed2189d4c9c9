"""The table of metrics: unit, best value, exact definition and source of each. The order is that of reports.

Lengths are true millimetres. Publications print the squared lip error of data in metres, in 10^-5 m^2 and the like,
often labelled "mm": 1 mm^2 is 10^-6 m^2, wherever the mesh is in metres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Better = Literal["lower", "higher", "zero", "one", "descriptive"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric.

    Attributes:
        name: identifier.
        label: short name for tables and axes.
        unit: such as "mm"; empty for a number without unit.
        better: the direction or the value that is best.
        definition: one exact sentence.
        source: the publication or library whose definition it is; empty for one of this framework.
    """

    name: str
    label: str
    unit: str
    better: Better
    definition: str
    source: str = ""


_LIPS = (
    Metric(
        name="lip_vertex_error",
        label="lip error",
        unit="mm",
        better="lower",
        definition="Distance of the lip vertex that is furthest from its recorded position, mean over frames.",
        source="MeshTalk (Richard et al. 2021), without the square",
    ),
    Metric(
        name="lip_vertex_error_calibrated",
        label="lip error, calibrated",
        unit="mm",
        better="lower",
        definition="Lip error after the animated lips of each recording are given the recorded mean position, and "
        "deviations from it are scaled by one gain for all recordings, the least-squares gain between 0 and 4.",
    ),
    Metric(
        name="common_gain",
        label="common gain",
        unit="",
        better="descriptive",
        definition="Least-squares gain, between 0 and 4, from animated to recorded deviations of lip vertices from "
        "their mean position in a recording, one for all recordings; missing for a still face.",
    ),
    Metric(
        name="lip_vertex_error_rms",
        label="lip error, RMS",
        unit="mm",
        better="lower",
        definition="Square root of the squared lip error.",
    ),
    Metric(
        name="lip_vertex_error_squared",
        label="lip error, squared",
        unit="mm²",
        better="lower",
        definition="Squared distance of the lip vertex that is furthest from its recorded position, mean over frames.",
        source="LVE of FaceFormer (Fan et al. 2022) and CodeTalker (Xing et al. 2023); torchmetrics LipVertexError",
    ),
    Metric(
        name="lip_vertex_error_95",
        label="lip error, 95 %",
        unit="mm",
        better="lower",
        definition="95th percentile over frames of the distance of the furthest lip vertex.",
    ),
    Metric(
        name="worst_lip_vertex",
        label="worst lip vertex",
        unit="mm",
        better="lower",
        definition="Largest distance of any lip vertex from its recorded position in any frame.",
    ),
    Metric(
        name="landmark_warped_distance",
        label="lip distance, time-warped",
        unit="mm",
        better="lower",
        definition="Mean distance of the mouth's marked vertices along the alignment of frames at most 0.3 s apart "
        "that has the smallest total cost; what remains when timing is forgiven.",
        source="dynamic time warping (Sakoe and Chiba 1978)",
    ),
)
_MOUTH = (
    Metric(
        name="lip_distance_correlation",
        label="lip correlation",
        unit="",
        better="higher",
        definition="Pearson correlation over frames of the mouth opening with the recorded one.",
    ),
    Metric(
        name="lip_lag",
        label="lag",
        unit="ms",
        better="zero",
        definition="Shift in time within 300 ms at which the mouth opening correlates best with the recorded one, "
        "correlations being interpolated between whole frames; positive: the animation is late; missing if it lies at "
        "an end or the correlation is under 0.3.",
    ),
    Metric(
        name="mouth_opening_difference",
        label="opening difference",
        unit="mm",
        better="lower",
        definition="Absolute difference of the mouth opening from the recorded one, mean over frames.",
        source="MOD",
    ),
    Metric(
        name="opening_retention",
        label="opening retention",
        unit="",
        better="one",
        definition="95th percentile over frames of the mouth opening divided by the recorded one's; missing where that "
        "is under 0.5 mm.",
    ),
    Metric(
        name="closure_hits",
        label="closed on p, b, m",
        unit="",
        better="higher",
        definition="Share of the phones p, b and m during which, or within a frame of which, the mouth opening is at "
        "most 1 mm.",
    ),
    Metric(
        name="closure_contact_error",
        label="gap on p, b, m",
        unit="mm",
        better="lower",
        definition="Smallest mouth opening within a frame of each p, b and m, counted as 0 below the neutral one, mean "
        "over the phones.",
    ),
    Metric(
        name="closure_depth",
        label="depth on p, b, m",
        unit="mm",
        better="zero",
        definition="Smallest mouth opening within a frame of each p, b and m minus the smallest recorded one, mean "
        "over the phones; positive: less closed than recorded.",
    ),
    Metric(
        name="loudness_correlation",
        label="loudness correlation",
        unit="",
        better="descriptive",
        definition="Pearson correlation over frames of the mouth opening with the loudness in decibels.",
        source="after SLCC of Chae-Yeon et al. 2025",
    ),
)
_RHYTHM = (
    Metric(
        name="velocity_error",
        label="lip velocity error",
        unit="mm/s",
        better="lower",
        definition="Distance of the velocity of a lip vertex from the recorded one, mean over lip vertices and frames.",
    ),
    Metric(
        name="jerk_ratio",
        label="lip jerk",
        unit="",
        better="one",
        definition="Root mean square of the third differences of the lip vertices divided by the recorded one's.",
    ),
    Metric(
        name="pause_jitter",
        label="jitter in pauses",
        unit="mm",
        better="lower",
        definition="Root mean square distance of the lip vertices from their moving average over 0.2 s, in pauses: "
        "stretches of at least 0.4 s, less 0.1 s at either end, over 35 dB below the loudness that 5 % of the frames "
        "exceed (without a recording, in which the recorded lip vertices move at less than 5 mm/s).",
    ),
    Metric(
        name="viseme_hold_time",
        label="hold time",
        unit="ms",
        better="descriptive",
        definition="Mean length of stretches in which the lip vertices are within 1 mm (root of the mean square "
        "distance) of their positions in the first frame of the stretch.",
    ),
    Metric(
        name="viseme_hold_ratio",
        label="hold time, relative",
        unit="",
        better="one",
        definition="The hold time divided by that of the recorded lips.",
    ),
    Metric(
        name="viseme_changes",
        label="mouth swings",
        unit="1/s",
        better="descriptive",
        definition="Openings and closings of the mouth by at least 1 mm, per second.",
    ),
    Metric(
        name="viseme_change_ratio",
        label="mouth swings, relative",
        unit="",
        better="one",
        definition="Openings and closings of the mouth by at least 1 mm divided by the number of recorded ones.",
    ),
)
_FACE = (
    Metric(
        name="mean_vertex_error",
        label="vertex error",
        unit="mm",
        better="lower",
        definition="Distance of a vertex of the skin from its recorded position, mean over vertices and frames.",
        source="mean vertex error of FaceDiffuser (Stan et al. 2023)",
    ),
    Metric(
        name="upper_face_dynamics_deviation",
        label="upper-face dynamics",
        unit="mm",
        better="zero",
        definition="Standard deviation over time of a vertex's distance from neutral, recorded minus animated, mean "
        "over the vertices of the upper face; positive: too still.",
        source="FDD as the text of CodeTalker (Xing et al. 2023) defines it",
    ),
    Metric(
        name="upper_face_dynamics_deviation_absolute",
        label="upper-face dynamics, absolute",
        unit="mm",
        better="lower",
        definition="Absolute difference of the standard deviations over time of a vertex's distance from neutral, mean "
        "over the vertices of the upper face.",
    ),
    Metric(
        name="upper_face_dynamics_deviation_squared",
        label="upper-face dynamics, squared",
        unit="mm²",
        better="zero",
        definition="Standard deviation over time of a vertex's squared distance from neutral, recorded minus animated, "
        "mean over the vertices of the upper face.",
        source="FDD as the code of CodeTalker and torchmetrics' UpperFaceDynamicsDeviation compute it",
    ),
    Metric(
        name="emotion_separability",
        label="emotions told apart",
        unit="",
        better="descriptive",
        definition="Share of the recordings whose mean upper-face pose is nearest to the mean pose of the other "
        "recordings of its emotion, among emotions with two recordings or more.",
    ),
    Metric(
        name="diversity",
        label="diversity",
        unit="mm",
        better="descriptive",
        definition="Distance of a lip vertex between two animations of one recording under different noise, mean over "
        "vertices, frames and pairs of animations.",
        source="diversity of FaceDiffuser (Stan et al. 2023) and ProbTalk3D (Wu et al. 2024), on the lips",
    ),
)
_PARTS = (
    Metric(
        name="jaw_error",
        label="jaw error",
        unit="mm",
        better="lower",
        definition="Distance of a key point of the lower jaw from its recorded position, mean over points and frames.",
    ),
    Metric(
        name="tongue_error",
        label="tongue error",
        unit="mm",
        better="lower",
        definition="Distance of a vertex of the tongue, without the motion of the jaw, from its recorded position, "
        "mean over vertices and frames.",
    ),
    Metric(
        name="eye_error",
        label="eye error",
        unit="°",
        better="lower",
        definition="Length of the difference of an eye's two angles from the recorded ones, mean over eyes and frames.",
    ),
    Metric(
        name="weight_error",
        label="blend-shape error",
        unit="",
        better="lower",
        definition="Absolute difference of a blend-shape weight from that of the recorded face, mean over shapes and "
        "frames; it rewards a still face, because most weights are near 0.",
    ),
    Metric(
        name="weight_opening_retention",
        label="jawOpen retention",
        unit="",
        better="one",
        definition="95th percentile over frames of the weight jawOpen divided by the recorded face's; missing where "
        "that is under 0.05.",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType(
    {metric.name: metric for metric in (*_LIPS, *_MOUTH, *_RHYTHM, *_FACE, *_PARTS)}
)
TARGETS: Mapping[Better, float] = MappingProxyType({"zero": 0.0, "one": 1.0})  # the best value, where it is one number
