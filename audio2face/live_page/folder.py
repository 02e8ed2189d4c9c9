"""Writes the page as a folder of files, which works on any web server without special headers.

`program/` has the modules of this package and of the player under the paths that they have here, so that they import
each other as they stand; `onnxruntime/` the runtime, `model/` the network and the face.
"""

from __future__ import annotations

import html
import json
import lzma
import re
import shutil
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from audio2face.errors import UserError
from audio2face.io.claims import temporary_folder
from audio2face.live_page.face import PageFace
from audio2face.model_folder.trt_info import ONNX_FILE
from audio2face.player.describe import Description
from audio2face.player.motion_codec import Payload

INDEX_FILE, FACE_FILE, ARRAYS_FILE = "index.html", "model/face.json", "model/face.bin"
_ROOT = resources.files("audio2face")
_WEB = PurePosixPath("live_page/web")
_ENTRIES = ("main.js", "worker.js", "capture.js")
_STYLES = ("player/web/player.css", "live_page/web/live.css")
_IMPORT = re.compile(r'^import [^;]*? from "(\.[\w./-]+)";$', re.MULTILINE | re.DOTALL)
# Names in a folder of the page, and in `dist` of the package onnxruntime-web.
RUNTIME_FILES = {"ort.js": "ort.wasm.bundle.min.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}


def write_page_folder(
    face: PageFace,
    folder: Path,
    *,
    title: str | None = None,
    formats: Sequence[Description] = (),
    runtime: Path | None = None,
) -> Path:
    """Writes the page of a face; a page that is there is replaced.

    Args:
        face: the face.
        folder: of the page; made where it is missing.
        title: of the page; by default the name of the actor.
        formats: what the server behind the page exports, each with "key" and "help"; none on a server of files.
        runtime: a folder with ONNX Runtime Web (`dist` of the package onnxruntime-web), in place of the included one.

    Returns:
        `folder`.

    Raises:
        UserError: the folder holds something else, the runtime lacks a file, or a file cannot be written.
    """
    folder = Path(folder)
    _check_target(folder)
    sources = {name: _runtime_file(name, runtime) for name in RUNTIME_FILES}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder.parent, folder.name[:80]) as made:
            _write_program(made)
            _write_runtime(made / "onnxruntime", sources)
            _write_model(face, made, formats)
            shown = html.escape(title or f"{face.pipeline.actor.name} · live")
            (made / INDEX_FILE).write_text(_text(_WEB / INDEX_FILE).replace("<!--title-->", shown), encoding="utf-8")
            if folder.exists():
                shutil.rmtree(folder)
            made.chmod(0o755)  # a web server of another user reads it
            made.rename(folder)
    except OSError as error:
        raise UserError(
            f"could not be written: {error.strerror or error}",
            path=folder,
            hint="Check free disk space and permissions.",
        ) from error
    return folder


def _check_target(folder: Path) -> None:
    if not folder.exists():
        return
    is_page = (folder / INDEX_FILE).is_file() and (folder / FACE_FILE).is_file()
    if not folder.is_dir() or (any(folder.iterdir()) and not is_page):
        raise UserError(
            "is there already, and is no folder of such a page", path=folder, hint="Name a new folder, or an empty one."
        )


def _runtime_file(name: str, runtime: Path | None) -> Path | Traversable:
    if runtime is None:
        return _ROOT / "live_page/onnxruntime" / ("ort.wasm.xz" if name == "ort.wasm" else name)
    file = runtime / RUNTIME_FILES[name]
    if not file.is_file():
        raise UserError(
            f"there is no {RUNTIME_FILES[name]}",
            path=runtime,
            hint="--onnxruntime-web names the folder 'dist' of the package onnxruntime-web.",
        )
    return file


def _write_program(folder: Path) -> None:
    for path in (*program_files(), *_STYLES):
        file = folder / "program" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_text(PurePosixPath(path)), encoding="utf-8")


def program_files() -> list[str]:
    """Paths in the package of all modules that the page loads."""
    found: dict[str, None] = {}
    pending = [_WEB / entry for entry in _ENTRIES]
    while pending:
        path = pending.pop()
        if str(path) in found:
            continue
        found[str(path)] = None
        pending += [_joined(path.parent, imported) for imported in _IMPORT.findall(_text(path))]
    return sorted(found)


def _joined(folder: PurePosixPath, relative: str) -> PurePosixPath:
    """A path relative to a folder, without `..`."""
    parts = list(folder.parts)
    for part in PurePosixPath(relative).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def _text(path: PurePosixPath) -> str:
    return (_ROOT / str(path)).read_text(encoding="utf-8")


def _write_runtime(folder: Path, sources: dict[str, Path | Traversable]) -> None:
    folder.mkdir()
    for name, source in sources.items():
        content = source.read_bytes()
        (folder / name).write_bytes(lzma.decompress(content) if source.name.endswith(".xz") else content)
    licence = _ROOT / "live_page/onnxruntime/LICENCE.md"
    (folder / "LICENCE.md").write_bytes(licence.read_bytes())


def _write_model(face: PageFace, folder: Path, formats: Sequence[Description]) -> None:
    (folder / "model").mkdir()
    payload = Payload()
    description = face.describe(payload) | {"formats": list(formats)}
    (folder / FACE_FILE).write_text(json.dumps(description, allow_nan=False), encoding="utf-8")
    (folder / ARRAYS_FILE).write_bytes(payload.packed())
    shutil.copyfile(face.pipeline.model.folder / ONNX_FILE, folder / "model" / ONNX_FILE)
