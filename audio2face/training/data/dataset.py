"""All the data of a training, opened from a configuration, for all kinds of network.

How the diffusion task uses it::

    data = TrainingData.open(configuration.dataset, train)
    record(folder, configuration, **{ORIGINS_STEM: describe(data.sources, configuration.roots)})
    loader, sampler = data.segments(train, batch_size=train.BATCH_SIZE * world_size, rank=rank, world_size=world_size)
    poses = PcaDecoder(data.sources, train.TARGET_CHANNELS, train.RESCALE_TARGET_CHANNEL_DATA).to(device)
    for batch in loader.batches(sampler.epoch(epoch, first_batch)):
        target = poses(batch.to(device))
    loader, plans = data.validation_segments(train)     # the same for every process: take plans[rank::world_size]

The streaming task does the same with coefficients; the regression task uses `sequences` and `validation_sequences`, and
trains on coefficients. All add synthetic talking (`with_synthetic_talking`) and the motion of a teacher where they are
asked for (`training.distillation`); everything else knows recorded clips alone.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from audio2face.config import Dataset, TrainDiffusion, TrainRegression, TrainSection, TrainStreaming
from audio2face.console import LOGGER
from audio2face.dataset.shots import LEAST_CLIP_SECONDS, EmotionVectors
from audio2face.errors import UserError
from audio2face.preproc.network_data import ClipRow as ClipRow
from audio2face.training.data.actors import ActorSource, open_sources
from audio2face.training.data.audio import AudioWindows, NoiseSettings, Recordings, check_recordings
from audio2face.training.data.clips import (
    TrainingClip,
    TrainingShot,
    choose_shots,
    drop_short_clips,
    listed,
    make_clips,
    make_shots,
    split_clips,
)
from audio2face.training.data.motion import JoinedMotions, ShotMotion, add_muted_shots, fit_shots, read_motions
from audio2face.training.data.pseudo_labels import Mixture, PseudoLabelled
from audio2face.training.data.samplers import (
    SegmentBatchSpec,
    SegmentSampler,
    SequenceBatchSpec,
    SequenceSampler,
    TimeShiftGrid,
    frames_in_order,
    whole_clips,
)
from audio2face.training.data.segments import BatchLoader, SegmentReader
from audio2face.training.data.sequences import MotionBuffer, SequenceLoader
from audio2face.training.data.synthetic import is_used, open_recordings, synthetic_talking
from audio2face.training.distributed import wait_for_all
from audio2face.training.signals import interruptible
from audio2face.types import CHANNELS


@dataclass(frozen=True)
class TrainingData:
    """Training and validation data.

    Attributes:
        sources: the actors' data, in the order of the network.
        emotions: maps emotions to vectors.
        shots: all shots, muted shots last.
        motions: motion of every shot with clips, by its id.
        recordings: audio of all clips.
        training_clips: clips of the training set, muted clips last.
        validation_clips: clips of the validation set.
        pseudo_labelled: clips of speech whose motion was not recorded, which are in no set.
    """

    sources: tuple[ActorSource, ...]
    emotions: EmotionVectors
    shots: tuple[TrainingShot, ...]
    motions: Mapping[str, ShotMotion]
    recordings: Recordings
    training_clips: tuple[TrainingClip, ...]
    validation_clips: tuple[TrainingClip, ...]
    pseudo_labelled: tuple[PseudoLabelled, ...] = ()

    @property
    def pseudo_labelled_clips(self) -> tuple[TrainingClip, ...]:
        """Clips of speech whose motion was not recorded, which follow the training clips in samplers and loaders."""
        return tuple(clip for made in self.pseudo_labelled for clip in made.clips)

    @property
    def next_global_frame(self) -> int:
        """The global index of the first frame behind all shots."""
        shots = (*self.shots, *(clip.shot for clip in self.pseudo_labelled_clips))
        return max(shot.first_global_frame + shot.num_frames for shot in shots)

    @classmethod
    def open(
        cls,
        dataset: Dataset,
        train: TrainSection,
        runs: Mapping[str, str] | None = None,
        sequence_frames: int | None = None,
    ) -> TrainingData:
        """Finds and checks all data; recordings are read lazily.

        Args:
            dataset: the dataset section of a configuration.
            train: its training section.
            runs: preprocessing runs by actor, which override PREPROC_RUN_NAME_FULL.
            sequence_frames: minimum length of a clip: the frames of a training sequence; None: `LEAST_CLIP_SECONDS`.

        Raises:
            UserError: data are missing or inconsistent.
        """
        sources = open_sources(dataset, train, runs)
        emotions = EmotionVectors.from_vocabulary(dataset.SHOT_EMOTION_NAMES, train.SHOT_EMOTION_NAME_FOR_ALL_ZEROS)
        test_shots = _test_shots(sources, train)
        shots, motions = _read_shots(sources, dataset, train, test_shots)
        by_id = {shot.id: shot for shot in shots}
        every = make_clips(_clip_rows(sources, train), by_id, dataset.AUDIO_ROOT, len(sources), test_shots)
        if sequence_frames is None:
            clips = drop_short_clips(every, LEAST_CLIP_SECONDS, "seconds")
        else:
            clips = drop_short_clips(every, sequence_frames, "frames")
        _check_emotions(clips, emotions)
        check_recordings(clips)
        validation_shots = choose_shots(
            clips, by_id, train.VALIDATION_SHOTS, train.VALIDATION_FRACTION, train.RNG_SEED_DATASET, dataset.ACTOR_NAMES
        )
        training, validation = split_clips(clips, validation_shots)
        return cls(
            sources=sources,
            emotions=emotions,
            shots=shots,
            motions=add_muted_shots(
                {clip.shot.id: clip.shot for clip in clips}.values(),
                motions,
                zero_emotion=emotions.zero,
                neutral_skin_for_neutral_emotion=train.AUG_MUTED_SKIN_IS_NEUTRAL_FOR_NEUTRAL_EMO,
                neutral_tongue=train.AUG_MUTED_TONGUE_IS_NEUTRAL,
            ),
            recordings=Recordings(
                train.AUDIO_PARAMS["samplerate"],
                train.AUDIO_PREPROC_METHOD,
                train.AUDIO_RESAMPLER,
                train.AUDIO_DATA_CACHING,
            ),
            training_clips=training,
            validation_clips=validation,
        )

    def with_synthetic_talking(self, train: TrainSection, rank: int = 0, world_size: int = 1) -> TrainingData:
        """The data with synthetic talking, where SYNTHETIC_SHARE or SYNTHETIC_EPOCHS asks for it.

        Args:
            train: the training section.
            rank: index of this process; the first makes the recordings that are missing.
            world_size: number of processes; each waits for the first.

        Raises:
            UserError: the recordings cannot be read or made.
        """
        if not is_used(train):
            return self
        with interruptible():  # every finished recording is kept
            labelled = open_recordings(train) if rank == 0 else ()
            if world_size > 1:
                wait_for_all()
            labelled = labelled or open_recordings(train)
            made = synthetic_talking(
                labelled,
                self.sources,
                self.training_clips,
                self.motions,
                self.recordings,
                train,
                self.next_global_frame,
            )
        return self.with_pseudo_labelled(made)

    def with_pseudo_labelled(self, made: PseudoLabelled) -> TrainingData:
        """The data with more clips of speech whose motion was not recorded."""
        motions = JoinedMotions((self.motions, made.motions))
        return replace(self, motions=motions, pseudo_labelled=(*self.pseudo_labelled, made))

    def segments(
        self,
        train: TrainDiffusion | TrainStreaming,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        margins: tuple[int, int] = (0, 0),
    ) -> tuple[BatchLoader, SegmentSampler]:
        """Loader and sampler for training on segments.

        Args:
            train: the training section.
            batch_size: global batch size, over all processes.
            rank: index of this process.
            world_size: number of processes.
            margins: samples that are read before and after each segment.
        """
        clips = (*self.training_clips, *self.pseudo_labelled_clips)
        loader = self._loader(train, clips, margins)
        sampler = SegmentSampler.from_config(
            train,
            loader.reader.clip_frames,
            [clip.shot.is_muted for clip in clips],
            batch_size=batch_size,
            rank=rank,
            world_size=world_size,
            mixture=self._mixture,
        )
        return loader, sampler

    def validation_segments(
        self, train: TrainDiffusion | TrainStreaming, margins: tuple[int, int] = (0, 0)
    ) -> tuple[BatchLoader, tuple[SegmentBatchSpec, ...]]:
        """The validation clips, one whole clip per batch, without augmentation; for the arguments see `segments`."""
        loader = self._loader(train, self.validation_clips, margins)
        return loader, whole_clips(loader.reader.clip_frames)

    def sequences(
        self, train: TrainRegression, shifts: TimeShiftGrid, *, batch_size: int, rank: int = 0, world_size: int = 1
    ) -> tuple[SequenceLoader, SequenceSampler]:
        """Loader and sampler for training a regression network; the task adds features and phonemes to the loader.

        Args:
            train: the training section.
            shifts: grid of the random time shifts.
            batch_size: global batch size, over all processes.
            rank: index of this process.
            world_size: number of processes.
        """
        clips = (*self.training_clips, *self.pseudo_labelled_clips)
        loader = self._sequence_loader(train, clips, train.SEQ_LEN)
        sampler = SequenceSampler(
            clip_frames=loader.clip_frames,
            clip_muted=[clip.shot.is_muted for clip in clips],
            length=train.SEQ_LEN,
            stride=train.SEQ_STRIDE,
            shifts=shifts,
            batch_size=batch_size,
            order_seed=train.RNG_SEED_TORCH,
            draw_seed=train.RNG_SEED_DATASET,
            rank=rank,
            world_size=world_size,
            mixture=self._mixture,
        )
        return loader, sampler

    @property
    def _mixture(self) -> Mixture | None:
        return Mixture(tuple(made.share for made in self.pseudo_labelled)) if self.pseudo_labelled else None

    def validation_sequences(
        self, train: TrainRegression, most_frames: int
    ) -> tuple[SequenceLoader, tuple[SequenceBatchSpec, ...]]:
        """The validation clips frame by frame, at most `most_frames` per batch, without augmentation."""
        loader = self._sequence_loader(train, self.validation_clips, 1)
        return loader, frames_in_order(loader.clip_frames, most_frames)

    def _sequence_loader(self, train: TrainRegression, clips: tuple[TrainingClip, ...], length: int) -> SequenceLoader:
        scale = self.sources[0].info.scale
        rescaled = train.RESCALE_TARGET_CHANNEL_DATA
        # Coefficients have a scale of 1.
        scales = [scale[part] if rescaled and part in ("jaw", "eye") else 1.0 for part in CHANNELS]
        windows = AudioWindows(
            clips,
            self.recordings,
            train.AUDIO_PARAMS["buffer_len"],
            train.AUDIO_PARAMS["buffer_ofs"],
            NoiseSettings(
                train.AUG_MUTED_AUDIO_NOISE_TYPE,
                train.AUG_MUTED_AUDIO_NOISE_SCALE,
                train.AUG_MUTED_AUDIO_NOISE_LOCAL_SCALE_RANGE or (1.0, 1.0),
                train.RNG_SEED_DATASET,
            ),
        )
        return SequenceLoader(
            clips,
            length,
            MotionBuffer.from_clips(clips, self.motions, scales),
            windows,
            self.emotions,
            lip_distance_weights=train.LOSS_LIP_DIST_EMO_WEIGHTS,
            lip_size_weights=train.LOSS_LIP_SIZE_EMO_WEIGHTS,
        )

    def _loader(
        self, train: TrainDiffusion | TrainStreaming, clips: tuple[TrainingClip, ...], margins: tuple[int, int]
    ) -> BatchLoader:
        reader = SegmentReader(
            clips=clips,
            motions=self.motions,
            recordings=self.recordings,
            fps=train.TARGET_FPS,
            noise_kind=train.AUG_MUTED_AUDIO_NOISE_TYPE,
            noise_scale=train.AUG_MUTED_AUDIO_NOISE_SCALE,
            margins=margins,
        )
        return BatchLoader(reader, self.emotions, [source.actor for source in self.sources])


def _clip_rows(sources: Sequence[ActorSource], train: TrainSection) -> Sequence[ClipRow]:
    """The configured clips, or the tables written by preprocessing."""
    return train.CLIPS or [row for source in sources for row in source.clip_rows]


def _test_shots(sources: Sequence[ActorSource], train: TrainSection) -> frozenset[tuple[str, str]]:
    """Actor and name of each test shot, which training leaves out; none may be wanted for validation."""
    shots = {source.actor: source.raw.test_shots for source in sources}
    for actor, names in train.VALIDATION_SHOTS.items():
        both = [name for name in names if name in shots.get(actor, ())]
        if both:
            raise UserError(
                f"VALIDATION_SHOTS[{actor!r}] names {both[0]!r}, which is in the test set (TEST_SHOTS, TEST_FRACTION)",
                hint="Name another shot for validation, or name the test set in TEST_SHOTS without this one.",
            )
    for actor, names in shots.items():
        if names:
            LOGGER.info("Test set of %s, left out: %s", actor, listed(names))
    return frozenset((actor, name) for actor, names in shots.items() for name in names)


def _read_shots(
    sources: Sequence[ActorSource], dataset: Dataset, train: TrainSection, test_shots: Container[tuple[str, str]]
) -> tuple[tuple[TrainingShot, ...], dict[tuple[str, str], ShotMotion]]:
    """All shots, and the motion of the used ones by actor and name."""
    rows = [row for source in sources for row in source.shots]
    shots = make_shots(rows, train.AUG_MUTED_SHOTS, dataset.CACHE_FPS, len(sources), test_shots)
    known = {(row.actor, row.shot) for row in rows}
    used = [row[:2] for row in _clip_rows(sources, train)]
    used += [(actor, source) for actor, (source, _), *_ in train.AUG_MUTED_SHOTS]
    motions = read_motions(sources, filter(known.__contains__, used))  # a wrong name is reported with its row
    return fit_shots(shots, motions), motions


def _check_emotions(clips: tuple[TrainingClip, ...], emotions: EmotionVectors) -> None:
    """Checks that every emotion of a clip has a vector."""
    for clip in clips:
        try:
            emotions.index(clip.shot.emotion)
        except UserError as error:
            raise UserError(
                f"{error.problem}, under which shot {clip.shot.name!r} of actor {clip.shot.actor!r} was preprocessed",
                hint=f"{error.hint} Add it there, or give the shot another in SHOT_EMOTION_MAP and preprocess again.",
            ) from error
