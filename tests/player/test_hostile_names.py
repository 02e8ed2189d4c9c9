"""A page holds the names that files bring along as text, never as markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from speaking_heads import speaking_head

from audio2face.player import write_page

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "audio2face/player/web/page.html").read_text(encoding="utf-8")
MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--"


@pytest.mark.parametrize("marks", [MARKUP, "<!--title-->/*payload*/", "\u2028\u2029'\"&amp;"])
def test_names_are_text(tmp_path: Path, marks: str) -> None:
    face = speaking_head(tmp_path)
    parts = {name.replace("teeth", f"teeth{marks}"): array for name, array in face.parts.items()}
    hostile = replace(
        face,
        actor=marks,
        parts=parts,
        emotions=tuple(marks + name for name in face.emotions),
        facts={"version": marks, marks: {marks: marks}},
    )
    path = write_page(hostile, tmp_path / "a.html", title=marks, labels=(marks, marks))
    page = path.read_text(encoding="utf-8")
    assert page.count("</script") == TEMPLATE.count("</script")
    assert page.count("<img") == TEMPLATE.count("<img")
    assert page.count("<!--") == TEMPLATE.replace("<!--title-->", "").count("<!--")
