"""HTML from Python: text is escaped unless it is markup already, so that no name can become a tag."""

from __future__ import annotations

import html

VOID = ("br", "circle", "line", "path", "rect", "col")  # elements that are closed in themselves


class Markup(str):
    """Finished HTML, which `tag` takes as it is."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Plain text as HTML."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def joined(*parts: object) -> Markup:
    """Texts and markup in a row."""
    return Markup("".join(map(text, parts)))


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: of the element.
        *children: markup, or text, which is escaped.
        **attributes: `class_` is class, `data_name` is data-name; None and False leave an attribute out, True gives one
            without a value.
    """
    written = [name]
    for key, value in attributes.items():
        label = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(label)
        elif value is not None and value is not False:
            written.append(f'{label}="{html.escape(str(value))}"')
    inner = joined(*children)
    if name in VOID:
        return Markup(f"<{' '.join(written)}/>")
    return Markup(f"<{' '.join(written)}>{inner}</{name}>")
