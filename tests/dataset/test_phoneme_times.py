"""Phoneme times in the own table, TextGrid and CTM: what is read, and the messages about what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio2face.dataset.phoneme_times import PhonemeTime, find_phoneme_times, read_phoneme_times
from audio2face.errors import FileFormatError, UserError

PHONES = (PhonemeTime("SIL", 0.0, 0.5), PhonemeTime("aɪ", 0.5, 0.527), PhonemeTime('"', 0.527, 1.25))

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0 
xmax = 1.25 
tiers? <exists> 
size = 3 
item []: 
    item [1]:
        class = "IntervalTier" 
        name = "words" 
        xmin = 0 
        xmax = 1.25 
        intervals: size = 1 
        intervals [1]:
            xmin = 0 
            xmax = 1.25 
            text = "two
lines" 
    item [2]:
        class = "TextTier" 
        name = "clicks" 
        xmin = 0 
        xmax = 1.25 
        points: size = 1 
        points [1]:
            number = 0.3 
            mark = "click" 
    item [3]:
        class = "IntervalTier" 
        name = "mary - phones" 
        xmin = 0 
        xmax = 1.25 
        intervals: size = 3 
        intervals [1]:
            xmin = 0 
            xmax = 0.5 
            text = "" 
        intervals [2]:
            xmin = 0.5 
            xmax = 0.527 
            text = "aɪ" 
        intervals [3]:
            xmin = 0.527 
            xmax = 1.25 
            text = """" 
'''  # noqa: W291 - Praat ends its lines with spaces

SHORT = '''File type = "ooTextFile"
Object class = "TextGrid"

0
1.25
<exists>
2
"TextTier"
"clicks"
0
1.25
1
0.3
"click"
"IntervalTier"
"anything" ! the only tier of intervals
0
1.25
3
0
0.5
""
0.5
0.527
"aɪ"
0.527
1.25
""""
'''

CTM = """;; of an aligner
other 1 0.0 9.0 B_S
shot 1 0.0 0.5 SIL
shot 1 0.5 0.027 aɪ_B 0.98

shot 1 0.527 0.723 "_E
"""


@pytest.mark.parametrize("text", [LONG, SHORT, LONG.replace("\n", "\r\n"), SHORT.replace("\n", "\r")])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_textgrid(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "shot.TextGrid"
    mark = "\ufeff" if encoding.startswith("utf-16") else ""
    path.write_bytes((mark + text).encode(encoding))
    assert read_phoneme_times(path) == PHONES


def test_table_and_ctm(tmp_path: Path) -> None:
    table, ctm = tmp_path / "shot.txt", tmp_path / "shot.ctm"
    table.write_text('start\tend\tphone\n0.000000\t0.5\tSIL\n0.5\t0.527\taɪ\n0.527\t1.25\t"\n', encoding="utf-8")
    ctm.write_text(CTM, encoding="utf-8")
    assert read_phoneme_times(table) == PHONES == read_phoneme_times(ctm)


@pytest.mark.parametrize(
    ("suffix", "text", "problem"),
    [
        (".txt", "", "the file is empty"),
        (".txt", "start,end,phone\n", "does not start with the columns"),
        (".txt", "start\tend\tphone\n0.1\tm\n", "line 2 is not start"),
        (".txt", "start\tend\tphone\n0.5\t0.1\tm\n", "line 2 ends at 0.1 s"),
        (".txt", "start\tend\tphone\nnan\t0.1\tm\n", "line 2 ends"),
        (".ctm", ";; nothing\n", "holds no phone"),
        (".ctm", "a 1 0.1 0.2 m\nb 1 0.3 0.1 p\n", "holds 2 recordings, and none of them is 'shot'"),
        (".ctm", "a 1 0.1 0.2 m\na 2 0.3 0.1 p\n", "holds the channels '1', '2'"),
        (".ctm", ";;\na 1 0.1 <ALT>\n", "line 2 is not a line of CTM"),
        (".ctm", "a 1 0.1 -0.2 m\n", "line 1 ends at -0.1 s"),
        (".TextGrid", "ooBinaryFile\x08TextGrid", "ends before the file type"),
        (".TextGrid", LONG.replace('"TextGrid"', '"Pitch"'), "is no TextGrid"),
        (".TextGrid", LONG.replace("<exists>", "<absent>"), "holds no tier"),
        (".TextGrid", SHORT.replace("IntervalTier", "TextTier"), "line 21 holds '0.5' in place of the mark of a point"),
        (".TextGrid", LONG.replace("IntervalTier", "Tier"), "line 11: tier 'words' has the class 'Tier'"),
        (
            ".TextGrid",
            LONG.replace("mary - phones", "a").replace("words", "b"),
            "holds 2 tiers that could be the phones",
        ),
        (".TextGrid", LONG.replace("words", "tom - phones"), "holds 2 tiers that could be the phones: 'tom - phones'"),
        (".TextGrid", LONG.replace("xmax = 0.527", "xmax = 0.4"), "line [0-9]+ ends at 0.4 s"),
        (".TextGrid", LONG.replace("size = 3", "size = 4"), "ends before the start of an interval"),
        (".TextGrid", LONG.replace('"aɪ"', '"a'), "a text without its closing quotation mark"),
        (".TextGrid", LONG.replace("size = 1", "size = 1e300"), "in place of the start"),
    ],
)
def test_faults_name_the_line(suffix: str, text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / f"shot{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=problem):
        read_phoneme_times(path)


def test_the_file_of_a_shot(tmp_path: Path) -> None:
    assert find_phoneme_times(tmp_path, "shot") is None
    (tmp_path / "shot.textgrid").write_text(SHORT, encoding="utf-8")
    found = find_phoneme_times(tmp_path, "shot")
    assert found is not None
    assert read_phoneme_times(found) == PHONES
    for suffix in (".ctm", ".txt"):
        (tmp_path / f"shot{suffix}").write_text(CTM, encoding="utf-8")
    with pytest.raises(UserError, match=r"2 files of phoneme times: shot\.txt, shot\.ctm"):
        find_phoneme_times(tmp_path, "shot")
    with pytest.raises(UserError, match="no such phoneme times"):
        read_phoneme_times(tmp_path / "none.txt")
