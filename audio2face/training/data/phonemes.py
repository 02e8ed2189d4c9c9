"""Phones of recordings, recognised once and kept on disk.

A table is filed under all that it depends on: the bytes of the recording, what is said in it, and the recogniser.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric

from audio2face.audio import read_header, read_track
from audio2face.config import Dataset, TrainRegression
from audio2face.config_base.types import PhonemeLanguage
from audio2face.console import LOGGER, track
from audio2face.dataset.actor import PHONEME_TIMES_SUFFIX
from audio2face.dataset.shots import TRANSCRIPT_SUFFIX, read_phoneme_times, read_transcript
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
from audio2face.models.phonemes.registry import open_detector
from audio2face.training.data.clips import TrainingClip
from audio2face.training.distributed import wait_for_all
from audio2face.types import Float32Array, Int64Array

FOLDER = "phonemes"


@dataclass(frozen=True)
class PhonemeCache:
    """Tables in a folder.

    Attributes:
        folder: where they are kept.
    """

    folder: Path

    def table(self, detector: Detector, audio: Path) -> Float32Array:
        """The table of a recording, see `Detector`: read, or recognised and kept.

        Words that lie beside the recording, in `<recording>.txt`, are given to the recogniser.

        Args:
            detector: the recogniser.
            audio: the recording.

        Raises:
            UserError: recording or words cannot be read, or the table cannot be written.
        """
        text = read_transcript(audio.with_suffix(TRANSCRIPT_SUFFIX))
        path = self.folder / f"{_key(detector, audio, text)}.npy"
        kept = _read_table(path, len(detector.phones))
        if kept is not None:
            return kept
        table = detector.detect(read_track(audio, SAMPLE_RATE).data, text)
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
    """A table that was kept; None where there is none, or no whole one."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.dtype == np.float32 and table.ndim == 2 and table.shape[1] == phones else None


UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class PhonemeTables:
    """Phones over time, of all clips.

    Attributes:
        phones: the phones of each language, in the order of PHONEME_FORCING_LANGS; languages of which nothing could be
            found out are left out.
        values: float32 `[rows, widest]`: a row of zeros, a row of silence for each language, then the recordings. The
            columns of a language are its phones, followed by zeros up to the widest set.
        language_of_clip: `[clips]`, the place of its language in `phones`, or -1.
        first_row: `[clips]`, where its recording begins in `values`.
        num_rows: `[clips]`, rows of its recording; 0 for a held pose, which is silence throughout.
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

    def rows(self, clips: npt.ArrayLike, times: npt.ArrayLike) -> Int64Array:
        """Where in `values` the windows around frames stand.

        Args:
            clips: of each item, `[items]`: an index into the clips that the tables were made for.
            times: of its frames, `[items, frames]`: seconds from the start of the clip's recording; for a held pose
                anything.

        Returns:
            `[items, frames, WINDOW_ROWS]`.
        """
        clips = np.asarray(clips, np.int64)
        sizes = self.num_rows[clips][:, None]
        within = window_rows(times, np.broadcast_to(sizes, np.shape(times)))
        silence = self.language_of_clip[clips][:, None, None] + 1  # the row of zeros where nothing is known
        rows: Int64Array = np.where(within < 0, silence, self.first_row[clips][:, None, None] + within)
        return rows


@dataclass(frozen=True)
class _Recording:
    """What a table is made from: the recording, and its phone times where they are given."""

    audio: Path
    times: Path | None


_Key = tuple[str, _Recording]  # with the language


def phoneme_tables(
    clips: Sequence[TrainingClip], dataset: Dataset, train: TrainRegression, fabric: Fabric
) -> PhonemeTables | None:
    """Finds the phones of all clips.

    The times in PHONEME_TIMES_ROOT go before the first of PHONEME_DETECTORS that can be had. A held pose is silent, in
    the first language. For each language of which clips stay without phones there is one warning.

    Args:
        clips: all clips.
        dataset: PHONEME_TIMES_ROOT.
        train: the PHONEME parameters; what was recognised is kept below TORCH_CACHE_ROOT.
        fabric: device and processes. Each process recognises its share of the recordings on its device, waits for the
            others, and reads theirs.

    Returns:
        None where phonemes are switched off, or nothing could be found out of any clip.

    Raises:
        UserError: a file is damaged, a symbol is no phone of its language, or a recogniser is unknown.
    """
    if not train.PHONEME_FORCING_LANGS or train.LOSS_PHONEME_ALPHA is None:
        return None
    sources = [_recording(clip, dataset) for clip in clips]
    phones: dict[str, PhoneSet] = {}
    tables: dict[_Key, Float32Array] = {}
    for language in train.PHONEME_FORCING_LANGS:
        spoken = [source for source, clip in zip(sources, clips, strict=True) if source and clip.language == language]
        found = _tables_of(language, list(dict.fromkeys(spoken)), train, fabric)
        if found is not None:
            phones[language], own = found
            tables |= {(language, source): table for source, table in own.items()}
    _warn_of_other_languages(clips, train.PHONEME_FORCING_LANGS)
    if not phones:
        LOGGER.warning("No phonemes are learnt: there is no clip whose phones are known.")
        return None
    keys = [None if source is None else (clip.language, source) for source, clip in zip(sources, clips, strict=True)]
    return _assemble(phones, tables, keys, train)


def _recording(clip: TrainingClip, dataset: Dataset) -> _Recording | None:
    """What the phones of a clip are found from; None for a held pose."""
    if clip.audio is None:
        return None
    root = dataset.PHONEME_TIMES_ROOT.get(clip.shot.actor)
    times = None if root is None else root / f"{clip.shot.name}{PHONEME_TIMES_SUFFIX}"
    return _Recording(clip.audio, times if times is not None and times.is_file() else None)


def _tables_of(
    language: PhonemeLanguage, sources: Sequence[_Recording], train: TrainRegression, fabric: Fabric
) -> tuple[PhoneSet, dict[_Recording, Float32Array]] | None:
    """The phones of a language and the tables of its recordings; None where there are none."""
    heard = [source for source in sources if source.times is None]
    spans = {source: _read_spans(source.times, language) for source in sources if source.times is not None}
    detector = _first_detector(language, len(heard), train, fabric.device) if heard else None
    cache = PhonemeCache(train.TORCH_CACHE_ROOT / FOLDER)
    if heard and fabric.world_size > 1:
        _recognise_share(detector, cache, heard, language, fabric)
    if detector is not None:
        phones = detector.phones
    elif spans:
        phones = phones_of((span.symbol for own in spans.values() for span in own), language)
    else:
        return None
    tables = {source: _given(source, own, phones, language) for source, own in spans.items()}
    if detector is not None:
        for source in track(heard, len(heard), f"phonemes ({language})"):
            tables[source] = cache.table(detector, source.audio)
    return phones, tables


def _recognise_share(
    detector: Detector | None,
    cache: PhonemeCache,
    recordings: Sequence[_Recording],
    language: str,
    fabric: Fabric,
) -> None:
    """Recognises the recordings that are this process's, and waits until all processes have done so.

    The share does not depend on what is kept already, of which processes would not see the same.
    """
    own = recordings[fabric.global_rank :: fabric.world_size]
    for source in track(own, len(own), f"phonemes ({language})") if detector else ():
        assert detector is not None
        cache.table(detector, source.audio)
    wait_for_all()


def _read_spans(path: Path, language: str) -> list[Span]:
    return [Span(plain_symbol(time.symbol, language), time.start, time.end) for time in read_phoneme_times(path)]


def _given(source: _Recording, spans: Sequence[Span], phones: PhoneSet, language: str) -> Float32Array:
    strange = sorted({span.symbol for span in spans} - set(phones.symbols))
    if strange:
        raise UserError(
            f"{', '.join(map(repr, strange[:5]))} is no phone of {language!r}",
            path=source.times,
            hint=f"Phones: {' '.join(phones.symbols)}" + (", or IPA." if language == "en" else "."),
        )
    return spans_to_rows(spans, read_header(source.audio).duration, phones)


def _first_detector(
    language: PhonemeLanguage, recordings: int, train: TrainRegression, device: torch.device
) -> Detector | None:
    """The first configured recogniser that can be had."""
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
        "From %d recordings in %r no phonemes are learnt: %s",
        recordings,
        language,
        " ".join(reasons) or "PHONEME_DETECTORS names no recogniser, and PHONEME_TIMES_ROOT has no times of them.",
    )
    return None


def _warn_of_other_languages(clips: Sequence[TrainingClip], languages: Sequence[str]) -> None:
    for language in sorted({clip.language for clip in clips if clip.audio is not None} - set(languages)):
        LOGGER.warning("From clips in %r no phonemes are learnt: PHONEME_FORCING_LANGS does not name it.", language)


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
    places = [_place(key, languages, starts, tables) for key in keys]
    language_of_clip, first_row, num_rows = np.array(places, np.int64).reshape(-1, 3).T
    return PhonemeTables(phones, values, language_of_clip, first_row, num_rows)


def _place(
    key: _Key | None, languages: Sequence[str], starts: Mapping[_Key, int], tables: Mapping[_Key, Float32Array]
) -> tuple[int, int, int]:
    """Language, first row and number of rows of a clip."""
    if key is None:
        return 0, 0, 0
    return (languages.index(key[0]), starts[key], len(tables[key])) if key in tables else (UNKNOWN, 0, 0)
