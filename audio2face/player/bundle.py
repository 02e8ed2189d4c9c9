"""The page's own program: small ES modules joined into one, so that a file opened by double click needs no other.

Each module becomes a function that is called once and gives what it exports. Two forms are understood, and tests see
to it that there are no others: `import { names } from "./module.js";` and `export` before a function, class or const.
"""

from __future__ import annotations

import re
from importlib import resources

_WEB = resources.files("audio2face.player") / "web"
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./([\w.]+)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)


def web_text(name: str) -> str:
    """A file of the folder `web`."""
    return (_WEB / name).read_text(encoding="utf-8")


def bundled(entry: str = "main.js") -> str:
    """A module and all it imports, each after those that it imports itself."""
    done: dict[str, str] = {}
    _gather(entry, done)
    return "\n".join(["const modules = {};", *done.values()])


def _gather(name: str, done: dict[str, str]) -> None:
    if name in done:
        return
    text = web_text(name)
    for _, imported in _IMPORT.findall(text):
        _gather(imported, done)
    exported = ", ".join(_EXPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub(r'const \1 = modules["\2"];', text))
    done[name] = f'modules["{name}"] = (() => {{\n{body}return {{ {exported} }};\n}})();'
