"""Writes what follows from the base modules: docs/config_details.md and audio2face/config/sections.py.

python tools/document_config.py          writes both
python tools/document_config.py --check  exit status 1 when one of them is stale
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from annotated_types import Interval  # noqa: E402
from typing_extensions import is_typeddict  # noqa: E402

from audio2face.config_base import train_common  # noqa: E402
from audio2face.config_base import types as vocabulary  # noqa: E402
from audio2face.config_base.tables import Base, all_bases  # noqa: E402
from audio2face.config_base.types import MemberOf, OneOf, PathRule, TextRule  # noqa: E402
from audio2face.io.atomic import write_text  # noqa: E402

CHANGE, READ = "Change it when ", "Read by: "
HEADING = re.compile(r"# --- (.*?) -+$")
INTRODUCTION = """# Configuration parameters

Written by `tools/document_config.py` from the modules in `audio2face/config_base/`; change those, not this file.

A configuration is a folder `configs/<name>/` with up to four files: `config_dataset.py`, `config_preproc.py`,
`config_train.py` and `config_inference.py`. Each sets only what differs from the defaults below. Dictionaries merge
with the default, key by key; anything else replaces it. Names that begin with `_` are your own helpers.
`EXTENDS = "example-diffusion"` starts a file from that configuration's file of the same name.

*Per actor* means a dictionary with one entry per actor name; an actor without an entry has no such data. Relative paths
of data start from the datasets folder, other relative paths from the workspace folder; `/datasets/...` and
`/workspace/...` always mean these two.
"""


@dataclass(frozen=True)
class Comment:
    """Returns the text of the comment above a parameter."""

    heading: str | None
    meaning: str
    change: str
    read: str


# --- Reading the base modules ----------------------------------------------------------------------------------


def comment_above(lines: list[str], line: int) -> list[str]:
    """The lines of the comment that ends just above a line (counted from 1), without their marks."""
    start = line - 1
    while start > 0 and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return [text.lstrip()[2:] for text in lines[start : line - 1]]


def read_comments(source: str) -> dict[str, Comment]:
    """The comment of every parameter of a base module; for `NAME = common.NAME`, that of the common module."""
    lines, heading, found = source.splitlines(), None, {}
    headings = {number: match[1] for number, text in enumerate(lines, 1) if (match := HEADING.match(text))}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, comment = node.target.id, split_comment(comment_above(lines, node.lineno))
        elif isinstance(node, ast.Assign) and is_common(node.value):
            name = ast.unparse(node.targets[0])
            comment = common_comments()[name]
        else:
            continue
        latest = max((number for number in headings if number < node.lineno), default=None)
        title = headings[latest] if latest else None
        found[name] = replace(comment, heading=None if title == heading else title)
        heading = title
    return found


def split_comment(lines: list[str]) -> Comment:
    """The parts of a comment, which has no heading yet."""
    meaning, change, read = re.split(f"{CHANGE}|{READ}", " ".join(lines))
    return Comment(None, meaning.strip(), change.strip(), read)


def is_common(value: ast.expr) -> bool:
    """Whether a parameter takes its declaration from the common module."""
    return isinstance(value, ast.Attribute) and ast.unparse(value.value) == "common"


@cache
def common_comments() -> dict[str, Comment]:
    """The comments of the parameters that all types of network share."""
    return read_comments(inspect.getsource(train_common))


def read_keys(source: str, parameter: str) -> dict[tuple[str, ...], str]:
    """What the comments inside a parameter's dictionary say of its keys, nested ones included."""
    lines, found = source.splitlines(), {}

    def visit(table: ast.Dict, prefix: tuple[str, ...]) -> None:
        for key, value in zip(table.keys, table.values, strict=True):
            assert isinstance(key, ast.Constant)
            path = (*prefix, str(key.value))
            found[path] = " ".join(comment_above(lines, key.lineno))
            if isinstance(value, ast.Dict):
                visit(value, path)

    for node in ast.parse(source).body:
        if (
            isinstance(node, ast.AnnAssign)
            and ast.unparse(node.target) == parameter
            and isinstance(node.value, ast.Dict)
        ):
            visit(node.value, ())
    return found


# --- Types in words ----------------------------------------------------------------------------------------------

WORDS = {bool: "True or False", int: "whole number", float: "number", str: "text"}


def describe(kind: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return describe_marked(arguments[0], arguments[1:])
    if origin in (Union, UnionType):
        return " or ".join("None" if option is NoneType else describe(option) for option in arguments)
    if origin is Literal:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in arguments)
    if origin is list:
        return f"list of: {describe(arguments[0])}"
    if origin is tuple:
        return "(" + ", ".join(describe(item) for item in arguments) + ")"
    if origin is dict:
        key = describe(arguments[0])
        item = describe(arguments[1])
        return f"per actor: {item}" if key == "actor" else f"dictionary of {key} to {item}"
    return "dictionary with the keys below" if is_typeddict(kind) else WORDS[kind]


def describe_marked(kind: Any, marks: tuple[Any, ...]) -> str:
    """A type with its marks in words; the last mark that says all wins."""
    words = describe(kind)
    for mark in marks:
        if isinstance(mark, Interval):
            words += describe_interval(mark)
        elif isinstance(mark, TextRule):
            words = mark.words
        elif isinstance(mark, OneOf):
            words = " or ".join(f"{value:g}" for value in mark.values)
        elif isinstance(mark, MemberOf):
            words = "actor" if mark.parameter == "ACTOR_NAMES" else "emotion"
        elif isinstance(mark, PathRule):
            words = " ".join(filter(None, ("path of", f"a `{mark.suffix}`" if mark.suffix else "a", mark.kind)))
    return words


def describe_interval(interval: Interval) -> str:
    """The range of a number in words."""
    if interval.ge is not None and interval.le is not None:
        return f" from {interval.ge} to {interval.le}"
    lower = f", {interval.ge} or more" if interval.ge is not None else ""
    lower += f" above {interval.gt}" if interval.gt is not None else ""
    upper = f", {interval.le} or less" if interval.le is not None else ""
    upper += f" below {interval.lt}" if interval.lt is not None else ""
    return lower + upper


# --- docs/config_details.md --------------------------------------------------------------------------------------


def document() -> str:
    """The text of docs/config_details.md."""
    bases = [base for _, _, base in all_bases()]
    contents = "".join(f"- [{title(base)}](#{anchor(title(base))})\n" for base in bases)
    return INTRODUCTION + "\n" + contents + "".join(document_module(base) for base in bases)


def title(base: Base) -> str:
    return base.module.__name__.rsplit(".", 1)[1]


def anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def document_module(base: Base) -> str:
    """One chapter."""
    source = inspect.getsource(base.module)
    about = (base.module.__doc__ or "").splitlines()[0]
    parts = [f"\n## {title(base)}\n\n{about}\n"]
    for name, comment in read_comments(source).items():
        if comment.heading:
            parts.append(f"\n### {comment.heading}\n")
        default, keys = base.defaults[name], read_keys(source, name)
        shown = "see the table" if keys else f"`{json_as_python(getattr(base.module, name))}`"
        parts.append(f"\n#### `{name}`\n\n{comment.meaning}\n\n*Change it when* {comment.change}\n\n")
        parts.append(f"- Type: {describe(base.types[name])}\n- Default: {shown}\n- Read by: {comment.read}\n")
        if keys:
            parts.append("\n| key | type | default | meaning |\n|---|---|---|---|\n")
            parts += [f"| {row} |\n" for row in key_rows(base.types[name], default, keys)]
    return "".join(parts)


def key_rows(
    kind: Any, default: dict[str, Any], keys: dict[tuple[str, ...], str], prefix: tuple[str, ...] = ()
) -> Iterator[str]:
    """The rows of a table of keys, nested dictionaries after their own row."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(option for option in get_args(kind) if option is not NoneType)
    hints = get_type_hints(kind, include_extras=True) if is_typeddict(kind) else {}
    for key, value in default.items():
        path = (*prefix, key)
        item = hints.get(key, get_args(kind)[1] if get_origin(kind) is dict else None)
        nested = isinstance(value, dict)
        shown = "" if nested else f"`{json_as_python(value)}`"
        yield f"`{'.'.join(path)}` | {describe(item)} | {shown} | {keys[path]}"
        if nested:
            yield from key_rows(item, value, keys, path)


def json_as_python(value: Any) -> str:
    return repr(value).replace("'", '"')


# --- audio2face/config/sections.py -------------------------------------------------------------------------------

SECTIONS_HEAD = '''"""The sections of a configuration as code receives them.

Written by tools/document_config.py from `audio2face.config_base`; change that. Values are frozen: tuples for lists,
dictionaries that refuse changes, paths resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

'''


def sections() -> str:
    """The text of audio2face/config/sections.py."""
    used: set[str] = set()
    classes = []
    for section, kind, base in all_bases():
        name = section.capitalize() + (kind or "").capitalize()
        lines = ["@dataclass(frozen=True, slots=True, kw_only=True)", f"class {name}:"]
        lines += [f'    """The parameters of `{title(base)}`."""', ""]
        lines += [f"    {parameter}: {frozen(hint, used)}" for parameter, hint in base.types.items()]
        classes.append("\n".join(lines) + "\n")
    imports = "".join(f"    {name},\n" for name in sorted(used))
    head = f"{SECTIONS_HEAD}from audio2face.config_base.types import (\n{imports})\n"
    return head + "\n\n" + "\n\n".join(classes)


def frozen(kind: Any, used: set[str]) -> str:
    """The text of a type as it is after freezing; names that must be imported are added to `used`."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return "Path" if any(isinstance(mark, PathRule) for mark in arguments) else frozen(arguments[0], used)
    if origin in (Union, UnionType):
        return " | ".join(frozen(option, used) for option in arguments)
    if origin is Literal:
        names = [name for name, value in vars(vocabulary).items() if value == kind]
        used.update(names[:1])
        return names[0] if names else f"Literal[{', '.join(map(json.dumps, arguments))}]"
    if origin is list:
        return f"tuple[{frozen(arguments[0], used)}, ...]"
    if origin is tuple:
        return f"tuple[{', '.join(frozen(item, used) for item in arguments)}]"
    if origin is dict:
        return f"Mapping[{frozen(arguments[0], used)}, {frozen(arguments[1], used)}]"
    if is_typeddict(kind):
        used.add(kind.__name__)
    return "None" if kind is NoneType else str(kind.__name__)


def main(arguments: list[str]) -> int:
    wanted = {ROOT / "docs/config_details.md": document(), ROOT / "audio2face/config/sections.py": sections()}
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--check" not in arguments:
            write_text(path, wanted[path])
        print(f"{'stale: ' if '--check' in arguments else 'wrote '}{path.relative_to(ROOT)}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
