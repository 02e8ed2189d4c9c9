"""Parameters of `config_preproc.py`: how raw animation becomes shapes and coefficients.

This file is not edited: a configuration overrides what differs.
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
    UnitShare,
    dataset_file,
    dataset_folder,
)

# --- The run ----------------------------------------------------------------------------------------------

# Last part of the run folder's name, after date and time.
# Change it when you want to tell runs apart, by actor or by purpose.
# Read by: preprocessing.
RUN_NAME: Identifier = "default"

# A note for yourself, kept in the run folder as `configs/info.txt`.
# Change it when a run has a purpose worth remembering.
# Read by: preprocessing.
RUN_INFO: str = ""

# The folder that receives run folders.
# Change it when artifacts should lie elsewhere than in the workspace.
# Read by: preprocessing.
PREPROC_OUTPUT_ROOT: OutputFolder = "/workspace/output_preproc"

# --- Skin: which poses make the shapes --------------------------------------------------------------------

# Per actor: caches of a coarser mesh of the same shots and lengths, on which similar poses are found
# faster. Without it SKIN_CACHE_ROOT is used.
# Change it when the mesh is very dense and a decimated copy exists.
# Read by: preprocessing.
SKIN_PRUNE_CACHE_ROOT: dict[Actor, Annotated[str, dataset_folder("preproc")]] = {}

# Per actor: the vertices of the pruning mesh that decide whether two poses are alike: indices, integer [n],
# or a boolean array [verts]. Without it all vertices count.
# Change it when parts that do not matter (neck, scalp) move and would keep too many poses.
# Read by: preprocessing.
SKIN_PRUNE_MESH_MASK_FPATH: dict[Actor, Annotated[str, dataset_file(".npy", "preproc")]] = {}

# Per actor: the shots that become shapes and coefficients. Without it all shots of SKIN_CACHE_ROOT, sorted.
# Change it when shots are to be left out, bad takes or held-out sentences.
# Read by: preprocessing.
SKIN_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# Per actor: the shots in which similar poses are pruned; it must contain SKIN_CACHE_SHOTS, which take its
# place where it is not given.
# Change it when SKIN_CACHE_SHOTS is given for an actor with SKIN_PRUNE_CACHE_ROOT.
# Read by: preprocessing.
SKIN_PRUNE_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# How near two poses of a shot are, as Euclidean distance over all coordinates of the chosen vertices, for
# one of them to be dropped. In the mesh's unit; 4.0 is 0.026 cm per vertex on a mesh of 24,000.
# Change it when the mesh is much coarser (smaller value) or preprocessing takes too long (larger).
# Read by: preprocessing.
SKIN_PRUNE_SIM_DIST: NonNegative = 4.0

# Every which pose of those left is the anchor that similar ones are compared with, for skin and tongue.
# Change it when nearly identical poses survive (smaller) or pruning takes too long (larger).
# Read by: preprocessing.
PRUNE_STRIDE: Count = 10

# How many poses are picked for the shapes, one at a time, each the worst explained by those before it. It
# ends earlier when nothing is left to explain.
# Change it when the data are few (less is enough) or rich in expressions (more keeps rare ones).
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_MAX_ITER: Count = 787

# With how many poses, evenly spread over all shots, the picking begins.
# Change it when you study the selection itself; the result depends little on it.
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_NUM_SEEDS: Count = 4

# The part of the variance that the poses picked so far must explain while the next one is picked.
# Change it when noise is picked instead of expressions (smaller value).
# Read by: preprocessing.
SKIN_SELECT_DISTINCT_VARIANCE_THRESHOLD: UnitShare = 0.9999

# --- Skin: shapes -----------------------------------------------------------------------------------------

# The part of the variance of the picked poses that the shapes explain; it decides how many shapes there
# are.
# Change it when fine detail is missing (nearer to 1) or the network should have fewer outputs (smaller).
# Read by: preprocessing.
SKIN_PCA_VARIANCE_THRESHOLD: UnitShare = 0.9995

# Per actor: exactly this many shapes, whatever the variance.
# Change it when several actors are trained together, which needs equal counts.
# Read by: preprocessing.
SKIN_FORCE_COMPONENTS: dict[Actor, Count] = {}

# --- Tongue -----------------------------------------------------------------------------------------------

# Per actor: the shots whose tongue is used. Without it all shots of TONGUE_CACHE_ROOT.
# Change it when the tongue was animated in some shots only, or badly in some.
# Read by: preprocessing.
TONGUE_CACHE_SHOTS: dict[Actor, list[Identifier]] = {}

# As SKIN_PRUNE_SIM_DIST, for the tongue after stabilisation.
# Change it when the tongue's mesh has many more or fewer vertices than 5,000.
# Read by: preprocessing.
TONGUE_PRUNE_SIM_DIST: NonNegative = 10.0

# As SKIN_PCA_VARIANCE_THRESHOLD, for the tongue.
# Change it when the tongue's tip lacks detail (nearer to 1).
# Read by: preprocessing.
TONGUE_PCA_VARIANCE_THRESHOLD: UnitShare = 0.9995

# Per actor: exactly this many tongue shapes.
# Change it when several actors are trained together, which needs equal counts.
# Read by: preprocessing.
TONGUE_FORCE_COMPONENTS: dict[Actor, Count] = {}

# --- Stand-ins for data that an actor lacks ---------------------------------------------------------------

# Shape of the jaw's key points, [points, 3], for an actor without JAW_KEYPOINTS_NEUTRAL_FPATH.
# Change it when it is trained together with actors that have another number of points.
# Read by: preprocessing.
DEFAULT_JAW_KEYPOINTS_SHAPE: tuple[Count, Count] = (5, 3)

# Shape of the blink, [frames], for an actor without EYE_BLINK_KEYS_FPATH.
# Change it when the consumer expects another length.
# Read by: preprocessing.
DEFAULT_EYE_BLINK_KEYS_SHAPE: tuple[Count] = (10,)

# Shape of the saccades, [frames, 2 angles], for an actor without EYE_SACCADE_ROTATIONS_FPATH.
# Change it when the consumer expects another length.
# Read by: preprocessing.
DEFAULT_EYE_SACCADE_ROT_SHAPE: tuple[Count, Count] = (5000, 2)

# Shape of the tongue's shapes, [components, vertices, 3], for an actor without a tongue.
# Change it when it is trained together with actors that have a tongue: the shapes must agree.
# Read by: preprocessing.
DEFAULT_TONGUE_PCA_SHAPE: PcaShape = (10, 520, 3)

# --- How it works -----------------------------------------------------------------------------------------

# Whether intermediate results of the selection are logged and written for study.
# Change it when you want to see which poses were picked, and when.
# Read by: preprocessing.
VERBOSE: bool = False

# Whether the pruned poses and the stabilised tongue stay in the run folder. They take gigabytes on dense
# meshes and no later stage reads them.
# Change it when you study preprocessing or compare with another implementation.
# Read by: preprocessing.
KEEP_INTERMEDIATES: bool = False

# How many threads read caches side by side; None takes one per core, up to 4.
# Change it when memory is short or the machine is shared.
# Read by: preprocessing.
NUM_WORKERS: Count | None = None
