"""Writes the page of a report: one HTML file that stands alone, with tables, plots and the program of `web/`.

Text and tables are HTML, which reads and prints without the program. The program draws distributions and curves from
the numbers inside the page, and opens the player at the worst moments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources
from urllib.parse import quote

from audio2face.evaluator.markup import Markup, joined, tag, text
from audio2face.evaluator.page_data import page_data
from audio2face.evaluator.page_tables import (
    RESULTS,
    behaviour_figure,
    behaviour_section,
    paired_section,
    scores_section,
    table,
    unit_and_best,
    variants_section,
    worst_section,
)
from audio2face.evaluator.results import SCHEMA, Behaviour, Flag, Report, Subject
from audio2face.evaluator.wording import (
    behaviour_count,
    judgement,
    leading_subjects,
    model_label,
    ridge_of,
    sentences,
)
from audio2face.player.page import bundled, script_json, web_text

_WEB = resources.files("audio2face.evaluator") / "web"
_SIGNS = {"better": "▲", "worse": "▼", "undecided": "◆"}
_LINKS = (
    ("scores", "Scores"),
    ("variants", "Raw and finished"),
    ("paired", "Paired differences"),
    ("behaviour", "Behaviour tests"),
    ("distributions", "Distributions"),
    ("curves", "Curves"),
    ("worst", "Worst moments"),
    ("facts", "Definitions and data"),
)
_RIDGE = (
    "The ridge is a linear map from the sound to the face, fitted in seconds to the same training data: a network that "
    "is no better has learned little."
)
_QUICK = "This is a quick report: it has no behaviour tests, and no players at the worst moments."


def render_page(report: Report) -> str:
    """The page of a report as HTML.

    Names, which come from users' files, are text in it, never markup.
    """
    sections = {
        "scores": scores_section(report),
        "variants": variants_section(report),
        "paired": paired_section(report),
        "behaviour": behaviour_section(report),
        "distributions": _drawn_section("distributions", "Distributions", _DISTRIBUTIONS) if report.scores else None,
        "curves": _drawn_section("curves", "Curves", _CURVES) if report.curves else None,
        "worst": worst_section(report),
        "facts": _facts_section(report),
    }
    body = joined(
        _header(report),
        _navigation([(name, label) for name, label in _LINKS if sections[name]]),
        tag("main", _summary_section(report), *filter(None, sections.values())),
    )
    contents = {
        "<!--title-->": text(report.title),
        "/*style*/": web_text("report.css", _WEB),
        "<!--body-->": body,
        "/*data*/": script_json(page_data(report)),
        "/*program*/": bundled("report.js", _WEB),
    }
    marks = re.compile("|".join(re.escape(mark) for mark in contents))
    return marks.sub(lambda found: contents[found.group()], web_text("report.html", _WEB))


def _header(report: Report) -> Markup:
    seconds = sum(recording.seconds for recording in report.recordings)
    voices = len({recording.voice for recording in report.recordings})
    facts = [
        f"{len(report.recordings)} recordings",
        f"{seconds:.0f} s",
        f"{voices} {'voice' if voices == 1 else 'voices'}",
        report.created[:16].replace("T", " "),
        f"audio2face {report.framework}",
    ]
    return tag(
        "header",
        tag("p", "Evaluation", class_="kicker"),
        tag("h1", report.title),
        tag("p", *(tag("span", fact) for fact in facts), class_="meta"),
    )


def _navigation(links: Sequence[tuple[str, str]]) -> Markup:
    items = (tag("li", tag("a", label, href=f"#{name}")) for name, label in links)
    return tag("nav", tag("ul", *items), aria_label="Parts of this page")


def _summary_section(report: Report) -> Markup:
    flags = sorted(report.flags, key=lambda flag: flag.level != "warning")
    quick = (Flag(level="note", text=_QUICK),) if report.quick else ()
    return tag(
        "section",
        tag("h2", "Summary"),
        _lead(report),
        *(_flag(flag) for flag in (*flags, *quick)),
        tag("div", *(_card(report, subject) for subject in leading_subjects(report)), class_="cards"),
        id="summary",
    )


def _lead(report: Report) -> Markup:
    models = len(leading_subjects(report))
    baselines = [subject.name for subject in report.subjects if subject.kind == "baseline"]
    what = f"{models} {'model was' if models == 1 else 'models were'} tested on {report.evaluated_set}"
    beside = (
        f", beside simple methods ({', '.join(baselines)}) that show what the numbers are worth" if baselines else ""
    )
    least = f" {_RIDGE}" if ridge_of(report) else ""
    return tag("p", f"{what}{beside}.{least} {report.chosen_by}", class_="lead")


def _flag(flag: Flag) -> Markup:
    label = "Warning" if flag.level == "warning" else "Note"
    about = joined(tag("b", flag.subject), ": ") if flag.subject and flag.subject not in flag.text else ""
    return tag("p", tag("strong", label, class_="label"), tag("span", about, flag.text), class_=f"flag {flag.level}")


def _card(report: Report, subject: Subject) -> Markup:
    found = judgement(report, subject)
    variant = "" if subject.variant in (None, "finished") else f", {subject.variant}"
    verdict = ""
    if found is not None:
        sign = tag("span", _SIGNS[found.verdict], class_="sign", aria_hidden="true")
        verdict = joined(
            tag("p", sign, found.headline, class_=f"verdict {found.verdict}"),
            tag("p", found.reason, class_="reason"),
        )
    return tag(
        "article",
        tag("h3", model_label(subject)),
        tag("p", f"{subject.network_type or 'model'}{variant}", class_="kind"),
        verdict,
        tag("ul", *(tag("li", sentence) for sentence in sentences(report, subject)), class_="plain"),
        _tests(report, subject),
        class_="card",
    )


def _tests(report: Report, subject: Subject) -> Markup:
    tests = report.behaviours.get(subject.name, ())
    if not tests:
        return text("")
    passed, failed, unknown = behaviour_count(report, [subject.name])
    counts = f"Behaviour tests: {passed} passed, {failed} failed" + (f", {unknown} not measured" if unknown else "")
    return joined(tag("p", counts, class_="tests"), tag("ul", *map(_light, tests), class_="lights"))


def _light(test: Behaviour) -> Markup:
    kind, word = RESULTS[test.passed]
    figure = f" ({behaviour_figure(test)})" if test.value is not None else ""
    return tag("li", tag("b", word, class_=f"light {kind}"), f" {test.label}{figure}")


_DISTRIBUTIONS = (
    "How a metric differs between recordings. A box holds the middle half of the recordings of an emotion, its line is "
    "the median."
)
_CURVES = (
    "How far the mouth is open over time, recorded and animated, and how well the two agree when the animation is "
    "shifted: a peak on the right means that the lips are late."
)


def _drawn_section(name: str, title: str, about: str) -> Markup:
    """A section that the program of the page fills."""
    needs = tag("noscript", tag("p", "These plots need JavaScript; the numbers are in scores.csv and report.json."))
    return tag("section", tag("h2", title), tag("p", about), needs, tag("div", id=f"{name}-plots"), id=name)


def _facts_section(report: Report) -> Markup:
    """Definitions of all metrics, recordings and regions with checksums, schema and version."""
    definitions = [
        tag(
            "tr",
            tag("th", facts.label, tag("small", unit_and_best(facts)), scope="row", id=f"metric-{quote(name)}"),
            tag("td", tag("code", name)),
            tag("td", facts.definition, tag("em", f" Source: {facts.source}.") if facts.source else "", class_="prose"),
        )
        for name, facts in report.metrics.items()
    ]
    recordings = [
        tag(
            "tr",
            tag("th", recording.name, scope="row"),
            *(tag("td", value) for value in (recording.actor, recording.voice, recording.emotion)),
            *(
                tag("td", value, class_="num")
                for value in (f"{recording.seconds:.2f}", recording.frames, f"{recording.fps:g}")
            ),
            tag("td", tag("code", recording.sha256[:16], title=recording.sha256)),
        )
        for recording in report.recordings
    ]
    regions = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", f"{region.vertices:,}", class_="num"),
            tag("td", region.source, class_="prose"),
            tag("td", tag("code", region.sha256[:16], title=region.sha256)),
        )
        for name, region in report.regions.items()
    ]
    numeric = [tag("th", label, scope="col", class_="num") for label in ("Seconds", "Frames", "Frames/s")]
    counted = tag("th", "Vertices", scope="col", class_="num")
    return tag(
        "section",
        tag("h2", "Definitions and data"),
        tag("h3", "Metrics"),
        table(["Metric", "Name in files", "Definition"], definitions, "Definitions of the metrics"),
        tag("h3", "Recordings"),
        table(["Recording", "Actor", "Voice", "Emotion", *numeric, "SHA-256"], recordings, "Recordings"),
        tag("h3", "Regions of the mesh"),
        table(["Region", counted, "From", "SHA-256"], regions, "Regions of the mesh"),
        tag(
            "p",
            f"Schema {SCHEMA}, audio2face {report.framework}, {report.created}. Whole checksums, and every number, are "
            "in report.json; tables in scores.csv and summary.csv.",
            class_="colophon",
        ),
        id="facts",
    )
