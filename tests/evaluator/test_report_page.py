"""The page of a report in a browser: what it says, what its controls do, that it stands alone and fits a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made_reports import made_report

from audio2face.evaluate.metrics import METRICS
from audio2face.evaluator.page import render_page
from audio2face.evaluator.report_files import write_report
from audio2face.evaluator.results import Interval, Moment, Report
from audio2face.evaluator.wording import MAIN_METRICS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)><!--\"'&amp;"
FIRST, SECOND = "261130_120109_mary", "261130_142233_mary"
OpenReport = Callable[..., "Page"]


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[OpenReport]:
    """Writes and opens the page of a report; afterwards it may not have complained, nor asked for another file."""
    complaints: list[str] = []
    pages: list[Page] = []

    def open_it(report: Report, width: int = 1280, dark: bool = False) -> Page:
        path = write_report(report, tmp_path)[-1]
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light")
        pages.append(page)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: note_request(request.url))
        page.goto(path.as_uri())
        return page

    def note_request(url: str) -> None:
        if not url.startswith(("data:", tmp_path.as_uri())):
            complaints.append(f"asked for {url}")

    yield open_it
    for page in pages:
        page.close()
    assert not complaints


def test_summary_says_what_matters(open_report: OpenReport) -> None:
    report = made_report(6)
    summary = {name: dict(row) for name, row in report.summary.items()}
    summary[f"{FIRST}, finished"] |= {
        "lip_distance_correlation": Interval(mean=0.8234, low=0.781, high=0.852, recordings=6),
        "opening_retention": Interval(mean=0.84, low=0.8, high=0.88, recordings=6),
        "lip_lag": Interval(mean=-12.3, low=-15.0, high=-9.0, recordings=6),
    }
    summary["ridge"]["lip_distance_correlation"] = Interval(mean=0.8101, low=0.79, high=0.83, recordings=6)
    page = open_report(replace(report, summary=summary))
    text = page.locator("#summary").inner_text()
    assert "2 models were tested on test shots of mary" in text
    assert "Nothing was chosen on these recordings." in text
    assert text.index("Warning") < text.index("Note")
    card = page.locator(".card", has_text=FIRST).inner_text()
    assert "correlation 0.823 (0.781 to 0.852), where 1 is perfect; a linear map of the sound reaches 0.810." in card
    assert "The mouth opens 84 % (80 to 88 %) as far as the actor's." in card
    assert "The lips are 12 ms early (95 % interval −15 to −9 ms)." in card
    assert "Behaviour tests: 4 passed, 0 failed, 1 not measured" in card
    assert "2 failed" in page.locator(".card", has_text=SECOND).inner_text()


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        (("better", "better"), "Better than a linear map"),
        (("better", "undecided"), "Not shown to be better than a linear map"),
        (("worse", "undecided"), "Worse than a linear map"),
        (("better", "worse"), "in some ways, worse in others"),
        (("undecided", "undecided"), "Not shown to be better than a linear map"),
    ],
)
def test_verdict_is_about_the_ridge(verdicts: tuple[str, str], headline: str) -> None:
    report = made_report(6)
    ours = [found for found in report.comparisons if found.subject == f"{FIRST}, finished" and found.against == "ridge"]
    comparisons = [replace(found, verdict=verdict) for found, verdict in zip(ours, verdicts, strict=False)]
    page = render_page(replace(report, comparisons=comparisons))
    assert headline in page
    assert page.count('class="verdict') == 1


def test_few_shots_have_no_verdict() -> None:
    page = render_page(made_report(5))
    assert "5 shots are too few for a verdict; it takes 6 or more." in page
    assert "Better than" not in page


def test_summary_speaks_of_metrics_that_exist() -> None:
    assert set(MAIN_METRICS) <= set(METRICS)


def test_best_is_marked_by_the_metric_and_not_where_all_are_equal(open_report: OpenReport) -> None:
    report = made_report(3)
    means = {f"{FIRST}, finished": (0.8, 0.9), f"{SECOND}, finished": (0.7, 1.05), "ridge": (0.7, 0.3)}
    summary = {
        name: {
            "lip_vertex_error": Interval(mean=error, low=None, high=None, recordings=1),
            "opening_retention": Interval(mean=opening, low=None, high=None, recordings=1),
            "lip_lag": Interval(mean=0.0, low=None, high=None, recordings=1),
        }
        for name, (error, opening) in means.items()
    }
    page = open_report(replace(report, summary=summary))
    best = page.locator("#scores > .scroll tr:has(.best)")
    assert [line.split("\t")[0] for line in best.all_inner_texts()] == [f"{SECOND}, finished", "ridge"]
    assert page.locator("#scores > .scroll td.best").count() == 3  # two share the smallest error


def test_still_face_is_never_best() -> None:
    report = made_report(3)
    shut = {"closure_hits": Interval(mean=1.0, low=None, high=None, recordings=1)}
    most = {"closure_hits": Interval(mean=0.9, low=None, high=None, recordings=1)}
    least = {"closure_hits": Interval(mean=0.5, low=None, high=None, recordings=1)}
    page = render_page(replace(report, summary={"neutral": shut, f"{FIRST}, finished": most, "ridge": least}))
    best = page.split('best-mark">best</span>')[1:]
    assert {text[:12] for text in best} == {"<b>0.90</b><"}


def test_recorded_face_is_beside_the_subjects(open_report: OpenReport) -> None:
    page = open_report(made_report(3))
    page.locator("#scores summary").click()
    heads = page.locator("#scores details thead th").all_inner_texts()
    row = page.locator("#scores details tbody tr", has_text="jitter in pauses")
    assert row.locator("td").nth(heads.index("recorded face") - 1).inner_text().startswith("0.46")


def test_controls(open_report: OpenReport) -> None:
    report = made_report(6)
    page = open_report(report)
    strips = page.locator("#distributions-plots")
    marks = strips.locator(".dots .mark")
    assert marks.count() == 18  # two models and the ridge
    strips.get_by_role("button", name="nearest neighbour").click()
    assert marks.count() == 24
    strips.get_by_label("Metric").select_option("closure_hits")
    assert marks.count() == 16  # four recordings have the metric
    strips.locator("summary").click()
    rows = strips.locator("tbody tr")
    strips.get_by_role("button", name="ridge", exact=True).last.click()
    values = [float(text) for text in rows.locator("td:nth-child(6)").all_inner_texts() if text != "–"]
    assert values == sorted(values)
    assert len(values) == 4
    assert rows.locator("td:nth-child(6)").all_inner_texts()[-2:] == ["–", "–"]
    curves = page.locator("#curves-plots")
    path = curves.locator(".curve.truth").last.get_attribute("d")
    curves.get_by_label("Recording").select_option("cp2_joy")
    assert curves.locator(".curve.truth").last.get_attribute("d") != path
    curves.locator(".area").first.hover()
    shown = curves.locator(".readout").first.inner_text()
    truth = report.curves["cp2_joy"].truth
    assert "recorded face" in shown
    assert any(f"{truth[frame]:.1f}" in shown for frame in (179, 180, 181))


def test_definition_is_beside_the_label(open_report: OpenReport) -> None:
    page = open_report(made_report(3))
    term = page.locator("#scores .term", has_text="upper-face").first
    page.locator("#scores summary").click()
    page.mouse.move(0, 0)  # a label that comes to lie under the pointer shows its own definition
    term.focus()
    tip = page.get_by_role("tooltip")
    assert "standard deviations over time" in tip.inner_text()
    assert "CodeTalker" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_player_opens_at_the_moment(open_report: OpenReport, tmp_path: Path) -> None:
    (tmp_path / "players").mkdir()
    for index in range(3):
        (tmp_path / f"players/{index} 0.html").write_text(f"<!doctype html><title>{index}</title><p>player {index}")
    page = open_report(made_report(3))
    assert page.locator("iframe").count() == 0
    links = page.locator(".worst-of").first.locator("a.moment")
    for place in (1, 2):
        links.nth(place).click()
        frame = page.frame_locator("iframe")
        assert frame.locator("p").inner_text() == f"player {place}"
    assert page.locator("iframe").count() == 1
    assert page.frames[1].url.endswith("/players/2%200.html#t=1.140")
    page.get_by_role("button", name="Close the player").click()
    assert page.locator("iframe").count() == 0


@pytest.mark.parametrize("width", [400, 1280])
def test_page_is_as_wide_as_its_window_and_small(open_report: OpenReport, width: int, tmp_path: Path) -> None:
    page = open_report(made_report(20), width=width, dark=width == 400)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for details in page.locator("summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert (tmp_path / "report.html").stat().st_size < 1_000_000


def test_quick_report_says_what_it_lacks(open_report: OpenReport) -> None:
    page = open_report(made_report(3, quick=True))
    assert "no behaviour tests, and no players" in page.locator("#summary").inner_text()
    assert page.get_by_role("link", name="Behaviour tests").count() == 0
    assert page.locator("a.moment").count() == 0
    assert page.locator(".worst-of tbody tr").count() == 20


def test_names_are_text(open_report: OpenReport) -> None:
    report = made_report(3, prefix=MARKUP)
    worst = {
        name: [Moment(recording=MARKUP, seconds=1.0, error_mm=2.0, page="javascript:alert(1)")] for name in report.worst
    }
    page = open_report(replace(report, worst=worst))
    assert page.title() == report.title
    assert page.locator("h1").inner_text() == report.title
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 2
    href = page.locator("a.moment").first.get_attribute("href")
    assert href is not None
    assert href.startswith("javascript%3Aalert")
    assert MARKUP in page.locator("#distributions-plots").inner_text()
    assert MARKUP in page.locator("#facts").inner_text()
