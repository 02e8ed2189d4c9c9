"""Phone probabilities of recordings, recognised once and cached on disk.

The cache key of a table covers everything it depends on: the bytes of the recording, its transcript, the recogniser.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from audio2face.audio import Resampler, read_header, read_track
from audio2face.config import Dataset, TrainRegression
from audio2face.config_base.types import PhonemeLanguage
from audio2face.console import LOGGER, track
from audio2face.dataset.phoneme_times import find_phoneme_times, read_phoneme_times
from audio2face.dataset.shots import TRANSCRIPT_SUFFIX, read_transcript
from audio2face.errors import UserError
from audio2face.export import buffer_frames
from audio2face.io.atomic import write_npy
from audio2face.models.encoders import MODELS_ROOT_VARIABLE, MissingWeightsError
from audio2face.models.phonemes import (
    SAMPLE_RATE,
    Detector,
    PhoneSet,
    Span,
    phones_of,
    plain_symbol,
    spans_to_rows,
    window_rows,
)
from audio2face.models.phonemes.recognisers import open_detector
from audio2face.training.data.clips import TrainingClip
from audio2face.training.distributed import wait_for_all
from audio2face.types import Float32Array, Int64Array

if TYPE_CHECKING:  # loads in two seconds, which deployment is spared
    from lightning_fabric import Fabric

FOLDER = "phonemes"
_RESAMPLER: Resampler = "hann"  # independent of the network: cached tables stay valid


@dataclass(frozen=True)
class PhonemeCache:
    """Tables of phone probabilities in a folder.

    Attributes:
        folder: the cache folder.
    """

    folder: Path

    def table(self, detector: Detector, audio: Path) -> Float32Array:
        """The phone probabilities of a recording, float32 `[rows, phones]`: read from the cache, or recognised.

        The transcript `<recording>.txt` beside the recording, if present, is passed to the recogniser.

        Args:
            detector: the recogniser.
            audio: the recording.

        Raises:
            UserError: recording or transcript cannot be read, or the table cannot be written.
        """
        text = read_transcript(audio.with_suffix(TRANSCRIPT_SUFFIX))
        path = self.folder / f"{_key(detector, audio, text)}.npy"
        kept = _read_table(path, len(detector.phones))
        if kept is not None:
            return kept
        table = detector.detect(read_track(audio, SAMPLE_RATE, resampler=_RESAMPLER).data, text)
        write_npy(path, table)
        return table


def _key(detector: Detector, audio: Path, text: str | None) -> str:
    digest = hashlib.sha256(f"{detector.identity}\0{' '.join(detector.phones.symbols)}\0{text}\0".encode())
    try:
        with audio.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=audio) from error
    return digest.hexdigest()


def _read_table(path: Path, phones: int) -> Float32Array | None:
    """A cached table; None if it is missing or incomplete."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.dtype == np.float32 and table.ndim == 2 and table.shape[1] == phones else None


UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class PhonemeTables:
    """Phone probabilities over time, for all clips.

    Attributes:
        phones: the phones of each language, in the order of PHONEME_FORCING_LANGS; languages without any phonemes are
            skipped.
        values: float32 `[rows, widest]`: a row of zeros, a row of silence for each language, then the recordings. The
            columns of a language are its phones, zero-padded to the widest set.
        language_of_clip: `[clips]`, index of the clip's language in `phones`; -1: unknown.
        first_row: `[clips]`, first row of the clip's recording in `values`.
        num_rows: `[clips]`, rows of the clip's recording; 0 for a muted clip, which is silence throughout.
    """

    phones: Mapping[str, PhoneSet]
    values: Float32Array
    language_of_clip: Int64Array
    first_row: Int64Array
    num_rows: Int64Array

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in order."""
        return tuple(self.phones)

    def with_unknown_clips(self, count: int) -> PhonemeTables:
        """The tables with clips behind all others whose language is unknown."""
        added = np.zeros(count, np.int64)
        return replace(
            self,
            language_of_clip=np.concatenate([self.language_of_clip, added + UNKNOWN]),
            first_row=np.concatenate([self.first_row, added]),
            num_rows=np.concatenate([self.num_rows, added]),
        )

    def rows(self, clips: npt.ArrayLike, times: npt.ArrayLike) -> Int64Array:
        """Indices into `values` of the windows around frames.

        Args:
            clips: clip index of each item, `[items]`.
            times: times of its frames, `[items, frames]`, seconds from the start of the clip's recording; ignored for
                muted clips.

        Returns:
            `[items, frames, WINDOW_ROWS]`.
        """
        clips = np.asarray(clips, np.int64)
        sizes = self.num_rows[clips][:, None]
        within = window_rows(times, np.broadcast_to(sizes, np.shape(times)))
        silence = self.language_of_clip[clips][:, None, None] + 1  # unknown: the row of zeros
        rows: Int64Array = np.where(within < 0, silence, self.first_row[clips][:, None, None] + within)
        return rows


@dataclass(frozen=True)
class _Recording:
    """The source of a table: the recording, and its phone times if present."""

    audio: Path
    times: Path | None


_Key = tuple[str, _Recording]  # with the language


def phoneme_tables(
    clips: Sequence[TrainingClip], dataset: Dataset, train: TrainRegression, fabric: Fabric
) -> PhonemeTables | None:
    """Finds the phones of all clips.

    Phone times in PHONEME_TIMES_ROOT take precedence over the first available recogniser of PHONEME_DETECTORS. A muted
    clip is silence in the first language. Each language with clips without phones causes one warning.

    Args:
        clips: all clips.
        dataset: PHONEME_TIMES_ROOT.
        train: the PHONEME parameters; tables are cached below TORCH_CACHE_ROOT.
        fabric: device and processes. Each process recognises its share of the recordings on its device, waits for the
            others, and reads their tables.

    Returns:
        None if the phoneme losses are disabled, or no clip has phonemes.

    Raises:
        UserError: a file is damaged, a symbol is not a phone of its language, or a recogniser is unknown.
    """
    if not train.PHONEME_FORCING_LANGS or train.LOSS_PHONEME_ALPHA is None:
        return None
    sources = [_recording(clip, dataset) for clip in clips]
    phones: dict[str, PhoneSet] = {}
    tables: dict[_Key, Float32Array] = {}
    for language in train.PHONEME_FORCING_LANGS:
        spoken = [source for source, clip in zip(sources, clips, strict=True) if source and clip.language == language]
        found = _language_tables(language, list(dict.fromkeys(spoken)), train, fabric)
        if found is not None:
            phones[language], own = found
            tables |= {(language, source): table for source, table in own.items()}
    _warn_of_other_languages(clips, train.PHONEME_FORCING_LANGS)
    if not phones:
        LOGGER.warning("Training without phoneme loss: the phones of all clips are unknown.")
        return None
    keys = [None if source is None else (clip.language, source) for source, clip in zip(sources, clips, strict=True)]
    return _assemble(phones, tables, keys, train)


def _recording(clip: TrainingClip, dataset: Dataset) -> _Recording | None:
    """The source of a clip's phones; None for a muted clip."""
    if clip.audio is None:
        return None
    root = dataset.PHONEME_TIMES_ROOT.get(clip.shot.actor)
    return _Recording(clip.audio, None if root is None else find_phoneme_times(root, clip.shot.name))


def _language_tables(
    language: PhonemeLanguage, sources: Sequence[_Recording], train: TrainRegression, fabric: Fabric
) -> tuple[PhoneSet, dict[_Recording, Float32Array]] | None:
    """The phones of a language and the tables of its recordings; None if no phones are available."""
    untimed = [source for source in sources if source.times is None]
    spans = {source: _read_spans(source.times, language) for source in sources if source.times is not None}
    detector = _first_detector(language, len(untimed), train, fabric.device) if untimed else None
    cache = PhonemeCache(train.TORCH_CACHE_ROOT / FOLDER)
    if untimed and fabric.world_size > 1:
        _recognise_local_recordings(detector, cache, untimed, language, fabric)
    if detector is not None:
        phones = detector.phones
    elif spans:
        phones = phones_of((span.symbol for own in spans.values() for span in own), language)
    else:
        return None
    tables = {source: _table_from_times(source, own, phones, language) for source, own in spans.items()}
    if detector is not None:
        for source in track(untimed, len(untimed), f"recognising phonemes ({language})"):
            tables[source] = cache.table(detector, source.audio)
    return phones, tables


def _recognise_local_recordings(
    detector: Detector | None,
    cache: PhonemeCache,
    recordings: Sequence[_Recording],
    language: str,
    fabric: Fabric,
) -> None:
    """Recognises this process's share of the recordings, and waits for all processes.

    The share is independent of the cache, whose state may differ between processes.
    """
    own = recordings[fabric.global_rank :: fabric.world_size]
    for source in track(own, len(own), f"phonemes ({language})") if detector else ():
        assert detector is not None
        cache.table(detector, source.audio)
    wait_for_all()


def _read_spans(path: Path, language: str) -> list[Span]:
    return [Span(plain_symbol(time.symbol, language), time.start, time.end) for time in read_phoneme_times(path)]


def _table_from_times(source: _Recording, spans: Sequence[Span], phones: PhoneSet, language: str) -> Float32Array:
    unknown = sorted({span.symbol for span in spans} - set(phones.symbols))
    if unknown:
        raise UserError(
            f"{', '.join(map(repr, unknown[:5]))} is no phone of {language!r}",
            path=source.times,
            hint=f"Phones: {' '.join(phones.symbols)}" + (", or IPA." if language == "en" else "."),
        )
    return spans_to_rows(spans, read_header(source.audio).duration, phones)


def _first_detector(
    language: PhonemeLanguage, recordings: int, train: TrainRegression, device: torch.device
) -> Detector | None:
    """The first configured recogniser that is available."""
    root = os.environ.get(MODELS_ROOT_VARIABLE)
    reasons = []
    for name in train.PHONEME_DETECTORS.get(language, ()):
        try:
            return open_detector(
                name,
                language,
                models_root=Path(root) if root else train.TORCH_CACHE_ROOT,
                temperature=train.PHONEME_PROB_TEMPERATURE,
                device=device,
            )
        except MissingWeightsError as error:
            reasons.append(f"{error.problem}. {error.hint}")
    LOGGER.warning(
        "%d recordings in %r have no phoneme loss: %s",
        recordings,
        language,
        " ".join(reasons) or "PHONEME_DETECTORS has no recogniser, and PHONEME_TIMES_ROOT has no phone times of them.",
    )
    return None


def _warn_of_other_languages(clips: Sequence[TrainingClip], languages: Sequence[str]) -> None:
    for language in sorted({clip.language for clip in clips if clip.audio is not None} - set(languages)):
        LOGGER.warning("Clips in %r have no phoneme loss: add it to PHONEME_FORCING_LANGS to include them.", language)


def _assemble(
    phones: Mapping[str, PhoneSet],
    tables: Mapping[_Key, Float32Array],
    keys: Sequence[_Key | None],
    train: TrainRegression,
) -> PhonemeTables:
    widest = max(map(len, phones.values()))
    languages = list(phones)
    first = np.cumsum([1 + len(languages), *(len(table) for table in tables.values())])
    starts = dict(zip(tables, first.tolist(), strict=False))

    def blocks() -> Iterator[Float32Array]:
        yield np.zeros((1, widest), np.float32)
        for own in phones.values():
            yield np.eye(widest, dtype=np.float32)[[own.silence]]
        for table in tables.values():
            yield np.pad(table, ((0, 0), (0, widest - table.shape[1])))

    if train.PHONEME_DATA_CACHING:
        values = np.concatenate(list(blocks()))
    else:
        train.TORCH_CACHE_ROOT.mkdir(parents=True, exist_ok=True)
        values = buffer_frames(blocks(), int(first[-1]), widest, train.TORCH_CACHE_ROOT)
    locations = [_clip_location(key, languages, starts, tables) for key in keys]
    language_of_clip, first_row, num_rows = np.array(locations, np.int64).reshape(-1, 3).T
    return PhonemeTables(phones, values, language_of_clip, first_row, num_rows)


def _clip_location(
    key: _Key | None, languages: Sequence[str], starts: Mapping[_Key, int], tables: Mapping[_Key, Float32Array]
) -> tuple[int, int, int]:
    """Language, first row and number of rows of a clip."""
    if key is None:
        return 0, 0, 0
    return (languages.index(key[0]), starts[key], len(tables[key])) if key in tables else (UNKNOWN, 0, 0)
