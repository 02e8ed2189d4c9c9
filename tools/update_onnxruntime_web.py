"""Copies ONNX Runtime Web from a package of npm to where pages that listen have it.

    npm pack onnxruntime-web@VERSION && tar xzf onnxruntime-web-VERSION.tgz
    .venv/bin/python tools/update_onnxruntime_web.py package

Version and checksums in `LICENCE.md` beside the files follow.
"""

from __future__ import annotations

import argparse
import json
import lzma
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from audio2face.io.atomic import atomic_write, file_sha256, write_text
from audio2face.live_page.folder import RUNTIME_FILES

TARGET = Path(__file__).parents[1] / "audio2face/live_page/onnxruntime"
MAP_COMMENT = re.compile(rb"^//# sourceMappingURL=.*\n?", re.MULTILINE)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path, help="the unpacked package")
    package: Path = parser.parse_args(argv).package
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    program, binary = (package / "dist" / name for name in RUNTIME_FILES.values())
    with atomic_write(TARGET / "ort.js") as file:
        file.write(MAP_COMMENT.sub(b"", program.read_bytes()))
    with atomic_write(TARGET / "ort.wasm.xz") as file:
        file.write(lzma.compress(binary.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
    text = (TARGET / "LICENCE.md").read_text(encoding="utf-8")
    text = re.sub(r"Web \d[\w.-]*, package", f"Web {version}, package", text)
    for source in (program, binary):
        text = re.sub(rf"(`{re.escape(source.name)}` \| `)\w+", rf"\g<1>{file_sha256(source)}", text)
    write_text(TARGET / "LICENCE.md", text)


if __name__ == "__main__":
    main()
