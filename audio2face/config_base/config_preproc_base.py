"""Parameters of `config_preproc.py`: how raw animation becomes PCA components and coefficients.

A configuration overrides the defaults; this file stays as it is.
"""

from __future__ import annotations

from typing import Annotated

from audio2face.config_base.types import (
    Actor,
    Count,
    Identifier,
    NonNegative,
    OutputFolder,
    PcaShape,
    SkinBasis,
    UnitShare,
    dataset_file,
    dataset_folder,
)

# --- The run ----------------------------------------------------------------------------------------------

# The name of the run: the last part of the run folder's name, after date and time.
# Change it when you want to tell runs apart, by actor or by purpose.
# Read by: preprocessing.
RUN_NAME: Identifier = "default"

# A note for yourself, kept in the run folder as `configs/info.txt`.
# Change it when a run has a purpose worth remembering.
# Read by: preprocessing.
RUN_INFO: str = ""

# The folder in which run folders are created.
# Change it when artifacts should be written outside the workspace.
# Read by: preprocessing.
PREPROC_OUTPUT_ROOT: OutputFolder = "/workspace/output_preproc"

# --- Skin: basis ------------------------------------------------------------------------------------------

# The shapes that the skin's motion is combined from: "pca" computes principal components of the recorded poses;
# "blendshapes" takes the shapes of BLENDSHAPE_SKIN_FPATH, so that coefficients are their weights, and a network
# that predicts coefficients gives weights and the very mesh that they pose, without a solver.
# Change it when the animation was made with those shapes, as by a rig or a capture app, and weights are wanted.
# Read by: check, preprocessing.
SKIN_BASIS: SkinBasis = "pca"

# --- Skin: selection of poses -----------------------------------------------------------------------------

# Per actor: caches of a coarser mesh with the same shots and frames, on which similar poses are found
# faster. By default SKIN_CACHE_ROOT.
# Change it when the mesh is very dense and a decimated copy exists.
# Read by: preprocessing.
SKIN_PRUNE_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the vertices of the pruning mesh on which poses are compared: indices, integer [n], or a
# boolean array [verts]. By default all vertices.
# Change it when irrelevant parts (neck, scalp) move and would keep too many poses.
# Read by: preprocessing.
SKIN_PRUNE_MESH_MASK_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: the shots from which PCA components and coefficients are computed. By default all shots of
# SKIN_CACHE_ROOT, sorted.
# Change it when shots should be excluded, such as bad takes or validation sentences.
# Read by: preprocessing.
SKIN_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# Per actor: the shots in which similar poses are pruned; they must include SKIN_CACHE_SHOTS, which is the
# default.
# Change it when SKIN_CACHE_SHOTS is given for an actor with SKIN_PRUNE_CACHE_ROOT.
# Read by: preprocessing.
SKIN_PRUNE_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# The distance below which one of two poses of a shot is dropped: Euclidean, over all coordinates of the
# chosen vertices, in the mesh's unit. 4.0 is 0.026 cm per vertex on a mesh of 24,000.
# Change it when the mesh is much coarser (smaller value) or preprocessing takes too long (larger).
# Read by: preprocessing.
SKIN_PRUNE_SIM_DIST: NonNegative = 4.0

# Stride of pruning: every n-th of the remaining poses is the anchor that similar poses are compared with,
# for skin and tongue.
# Change it when nearly identical poses survive (smaller) or pruning takes too long (larger).
# Read by: preprocessing.
PRUNE_STRIDE: Count = 10

# The maximum number of poses selected for the PCA, one at a time, each the one that the poses selected
# before explain worst. The selection ends earlier when all poses are explained.
# Change it when the dataset is small (fewer suffice) or rich in expressions (more keep rare ones).
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_MAX_ITER: Count = 787

# The number of poses, evenly spread over all shots, that the selection starts with.
# Change it when you study the selection itself; the result depends little on it.
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_NUM_SEEDS: Count = 4

# The fraction of the variance that the poses selected so far must explain when the next one is selected.
# Change it when noise is selected instead of expressions (smaller value).
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD: UnitShare = 0.9999

# --- Skin: PCA components ---------------------------------------------------------------------------------

# The fraction of the variance of the selected poses that the PCA components explain; it determines the
# number of components.
# Change it when fine detail is missing (nearer to 1) or the network should have fewer outputs (smaller).
# Read by: preprocessing.
SKIN_PCA_VARIANCE_THRESHOLD: UnitShare = 0.9995

# Per actor: a fixed number of components instead of SKIN_PCA_VARIANCE_THRESHOLD.
# Change it when several actors are trained together, which needs equal counts.
# Read by: preprocessing.
SKIN_FORCE_COMPONENTS: dict[Actor, Count] = {}

# --- Tongue -----------------------------------------------------------------------------------------------

# Per actor: the shots whose tongue is used. By default all shots of TONGUE_CACHE_ROOT.
# Change it when the tongue was animated in some shots only, or badly in some.
# Read by: preprocessing.
TONGUE_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# The distance below which one of two tongue poses of a shot is dropped, after stabilisation: Euclidean,
# over all coordinates, in the mesh's unit.
# Change it when the tongue's mesh has many more or fewer vertices than 5,000.
# Read by: preprocessing.
TONGUE_PRUNE_SIM_DIST: NonNegative = 10.0

# The fraction of the variance of the tongue's poses that its PCA components explain.
# Change it when the tongue's tip lacks detail (nearer to 1).
# Read by: preprocessing.
TONGUE_PCA_VARIANCE_THRESHOLD: UnitShare = 0.9995

# Per actor: a fixed number of tongue components instead of TONGUE_PCA_VARIANCE_THRESHOLD.
# Change it when several actors are trained together, which needs equal counts.
# Read by: preprocessing.
TONGUE_FORCE_COMPONENTS: dict[Actor, Count] = {}

# --- Defaults for missing data ----------------------------------------------------------------------------

# Array shape of the jaw's key points, [points, 3], for an actor without JAW_KEYPOINTS_NEUTRAL_FPATH.
# Change it when it is trained together with actors that have another number of points.
# Read by: preprocessing.
DEFAULT_JAW_KEYPOINTS_SHAPE: tuple[Count, Count] = (5, 3)

# Array shape of the blink, [frames], for an actor without EYE_BLINK_KEYS_FPATH.
# Change it when the consumer expects another length.
# Read by: preprocessing.
DEFAULT_EYE_BLINK_KEYS_SHAPE: tuple[Count] = (10,)

# Array shape of the saccades, [frames, 2 angles], for an actor without EYE_SACCADE_ROTATIONS_FPATH.
# Change it when the consumer expects another length.
# Read by: preprocessing.
DEFAULT_EYE_SACCADE_ROT_SHAPE: tuple[Count, Count] = (5000, 2)

# Array shape of the tongue's PCA components, [components, vertices, 3], for an actor without a tongue.
# Change it when it is trained together with actors that have a tongue: the array shapes must agree.
# Read by: preprocessing.
DEFAULT_TONGUE_PCA_SHAPE: PcaShape = (10, 520, 3)

# --- Runtime ----------------------------------------------------------------------------------------------

# Whether intermediate results of the selection are logged and written to the run folder.
# Change it when you want to see which poses were selected, and when.
# Read by: preprocessing.
VERBOSE: bool = False

# Whether the pruned poses and the stabilised tongue stay in the run folder. They take gigabytes on dense
# meshes; the later stages work without them.
# Change it when you study preprocessing or compare with another implementation.
# Read by: preprocessing.
KEEP_INTERMEDIATES: bool = False

# Number of threads that read caches in parallel; None uses one per core, up to 4.
# Change it when memory is short or the machine is shared.
# Read by: preprocessing.
NUM_WORKERS: Count | None = None
