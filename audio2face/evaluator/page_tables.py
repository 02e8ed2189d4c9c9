"""The tables of the page: scores, variants of a model, paired differences, behaviour tests, worst moments, facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote

from audio2face.evaluate.baselines import MEAN_FACE, NEUTRAL
from audio2face.evaluate.intervals import MIN_SHOTS
from audio2face.evaluator.markup import Markup, joined, tag, text
from audio2face.evaluator.page_data import styles
from audio2face.evaluator.results import Behaviour, Comparison, Interval, MetricFacts, Moment, Report
from audio2face.evaluator.wording import MISSING, clock, decimals_for, main_metrics, model_label, number, range_words

_BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "0 is best",
    "one": "1 is best",
    "descriptive": "neither is better",
}
_STEPS = ("network output", "uncalibrated", "finished")  # from the network on
_WORDS = {"better": "▲ better", "worse": "▼ worse", "undecided": "◆ undecided"}
RESULTS = {True: ("pass", "passed"), False: ("fail", "failed"), None: ("open", "not measured")}


def table(head: Sequence[object], rows: Iterable[Markup], label: str, class_: str = "") -> Markup:
    """A table that scrolls sideways where it is wider than the page."""
    cells = (
        cell if isinstance(cell, Markup) and cell.startswith("<th") else tag("th", cell, scope="col") for cell in head
    )
    inner = tag("table", tag("thead", tag("tr", *cells)), tag("tbody", *rows), class_=class_ or None)
    return tag("div", inner, class_="scroll", role="region", aria_label=label, tabindex="0")


def metric_term(name: str, facts: MetricFacts) -> Markup:
    """The label of a metric: a link to its definition, which the program shows beside it."""
    return tag("a", facts.label, href=f"#metric-{quote(name)}", class_="term", data_metric=name)


def _metric_head(name: str, facts: MetricFacts, **attributes: object) -> Markup:
    return tag("th", metric_term(name, facts), tag("small", unit_and_best(facts)), **attributes)


def unit_and_best(facts: MetricFacts) -> str:
    return f"{facts.unit}, {_BETTER[facts.better]}" if facts.unit else _BETTER[facts.better]


def _swatch(style: str) -> Markup:
    return tag("i", class_=f"swatch {style}", aria_hidden="true")


def _subject_heads(report: Report, **attributes: object) -> list[Markup]:
    found = zip(report.subjects, styles(report), strict=True)
    return [tag("th", _swatch(style), subject.name, **attributes) for subject, style in found]


def _score_cell(interval: Interval | None, decimals: int, *, is_best: bool) -> Markup:
    if interval is None:
        return tag("td", MISSING, class_="num")
    best = tag("span", "best", class_="best-mark") if is_best else ""
    mean = tag("b", number(interval.mean, decimals))
    return tag("td", best, mean, tag("small", range_words(interval, decimals)), class_="num best" if is_best else "num")


def _decimals(report: Report, metric: str) -> int:
    return decimals_for(row[metric].mean for row in report.summary.values() if metric in row)


def _best(report: Report, metric: str) -> set[str]:
    """The subjects whose mean is best as it is printed; nobody where all are equal, or no direction is better.

    A face that stands still is left out: a shut mouth closes on every p.
    """
    better, decimals = report.metrics[metric].better, _decimals(report, metric)
    means = {
        name: round(row[metric].mean, decimals)
        for name, row in report.summary.items()
        if metric in row and number(row[metric].mean, 0) != MISSING and name not in (NEUTRAL, MEAN_FACE)
    }
    distances = {
        "higher": {name: -mean for name, mean in means.items()},
        "lower": means,
        "zero": {name: abs(mean) for name, mean in means.items()},
        "one": {name: abs(mean - 1) for name, mean in means.items()},
        "descriptive": {},
    }[better]
    if len(set(distances.values())) < 2:
        return set()
    return {name for name, distance in distances.items() if distance == min(distances.values())}


def scores_section(report: Report) -> Markup:
    """The main metrics of all subjects, and all metrics in a table that opens."""
    names = main_metrics(report)
    decimals = {name: _decimals(report, name) for name in report.metrics}
    best = {name: _best(report, name) for name in report.metrics}

    def cell(subject: str, metric: str) -> Markup:
        interval = report.summary.get(subject, {}).get(metric)
        return _score_cell(interval, decimals[metric], is_best=subject in best[metric])

    by_subject = [
        tag("tr", head, *(cell(subject.name, name) for name in names), class_=subject.kind)
        for subject, head in zip(report.subjects, _subject_heads(report, scope="row"), strict=True)
    ]
    heads = [_metric_head(name, report.metrics[name], scope="col", class_="num") for name in names]
    by_metric = [
        tag(
            "tr",
            _metric_head(name, facts, scope="row"),
            _score_cell(report.recorded.get(name), decimals[name], is_best=False) if report.recorded else "",
            *(cell(subject.name, name) for subject in report.subjects),
        )
        for name, facts in report.metrics.items()
    ]
    recorded = [tag("th", "recorded face", scope="col", class_="num")] if report.recorded else []
    head = ["Metric", *recorded, *_subject_heads(report, scope="col", class_="num")]
    everything = table(head, by_metric, "All metrics", "wide")
    return tag(
        "section",
        tag("h2", "Scores"),
        tag("p", "Mean over recordings, and below it the 95 % interval (bootstrap over shots)."),
        table(["Subject", *heads], by_subject, "Main metrics"),
        tag("details", tag("summary", f"All {len(report.metrics)} metrics"), everything),
        id="scores",
    )


def variants_section(report: Report) -> Markup | None:
    """The variants of each model side by side: what post-processing costs or gains; None where no model has two."""
    models: dict[str, list[str]] = {}
    for subject in report.subjects:
        if subject.kind == "model":
            models.setdefault(model_label(subject), []).append(subject.name)
    tables = [_variants_table(report, run, names) for run, names in models.items() if len(names) > 1]
    if not tables:
        return None
    about = (
        "What post-processing costs or gains: the output of the network beside the finished animation. The change is "
        "finished minus network output."
    )
    return tag("section", tag("h2", "Raw and finished"), tag("p", about), *tables, id="variants")


def _variants_table(report: Report, run: str, names: Sequence[str]) -> Markup:
    labels = {subject.name: subject.variant or subject.name for subject in report.subjects}
    order = sorted(names, key=lambda name: _STEPS.index(labels[name]) if labels[name] in _STEPS else len(_STEPS))
    rows = []
    for metric in main_metrics(report):
        found = [report.summary.get(name, {}).get(metric) for name in order]
        decimals = _decimals(report, metric)
        first, last = found[0], found[-1]
        change = None if first is None or last is None else last.mean - first.mean
        cells = [_score_cell(interval, decimals, is_best=False) for interval in found]
        effect = _effect(report.metrics[metric], first, last)
        rows.append(
            tag(
                "tr",
                _metric_head(metric, report.metrics[metric], scope="row"),
                *cells,
                tag("td", tag("b", number(change, decimals, signed=True)), tag("small", effect), class_="num"),
            )
        )
    heads = [tag("th", labels[name], scope="col", class_="num") for name in order]
    head = ["Metric", *heads, tag("th", "Change", scope="col", class_="num")]
    return joined(tag("h3", run), table(head, rows, f"Variants of {run}"))


def _effect(facts: MetricFacts, first: Interval | None, last: Interval | None) -> str:
    """Whether the mean became better or worse, in a word."""
    if first is None or last is None or facts.better == "descriptive":
        return ""
    target = {"zero": 0.0, "one": 1.0}.get(facts.better)
    if target is not None:
        gain = abs(first.mean - target) - abs(last.mean - target)
    else:
        gain = last.mean - first.mean if facts.better == "higher" else first.mean - last.mean
    return "better" if gain > 0 else "worse" if gain < 0 else "same"


def paired_section(report: Report) -> Markup | None:
    """A forest plot for each main metric, and the other metrics in a table that opens."""
    if not report.comparisons:
        return None
    names = main_metrics(report)
    by_metric: dict[str, list[Comparison]] = {}
    for comparison in report.comparisons:
        if comparison.metric in report.metrics:
            by_metric.setdefault(comparison.metric, []).append(comparison)
    plots = [_forest(report, name, by_metric[name]) for name in names if name in by_metric]
    rest = [_forest(report, name, found) for name, found in by_metric.items() if name not in names]
    about = (
        "Differences on the same recordings, mean and 95 % interval; of a metric whose best value is 0 or 1, of the "
        "distances from it. Where the interval holds 0, these recordings cannot tell the two apart; fewer than "
        f"{MIN_SHOTS} shots never can."
    )
    more = tag("details", tag("summary", f"{len(rest)} more metrics"), *rest) if rest else ""
    return tag("section", tag("h2", "Paired differences"), tag("p", about), *plots, more, id="paired")


def _forest(report: Report, metric: str, comparisons: Sequence[Comparison]) -> Markup:
    facts = report.metrics[metric]
    ends = [
        end for found in comparisons for end in (found.difference.mean, found.difference.low, found.difference.high)
    ]
    finite = [end for end in ends if end is not None and number(end, 0) != MISSING]
    reach = 1.08 * max(map(abs, finite), default=0.0) or 1.0
    decimals = max(decimals_for(finite), _decimals(report, metric))
    rows = [
        tag(
            "tr",
            tag("th", tag("b", found.subject), tag("small", "minus ", found.against), scope="row"),
            tag("td", _forest_bar(found, reach), class_="plot"),
            tag(
                "td",
                tag("b", number(found.difference.mean, decimals, signed=True)),
                tag("small", range_words(found.difference, decimals, signed=True)),
                class_="num",
            ),
            tag("td", _WORDS[found.verdict], class_=f"word {found.verdict}"),
        )
        for found in comparisons
    ]
    title = tag("h3", metric_term(metric, facts), tag("small", unit_and_best(facts)))
    head = [
        "Difference",
        tag("th", _forest_axis(facts), scope="col"),
        tag("th", "Mean", scope="col", class_="num"),
        "Verdict",
    ]
    return joined(title, table(head, rows, f"Paired differences: {facts.label}", "forest"))


def _forest_axis(facts: MetricFacts) -> Markup:
    """Which side of 0 is better; of distances from a best value, the negative one."""
    if facts.better == "descriptive":
        return tag("span", tag("span", "less"), tag("span", "0"), tag("span", "more"), class_="axis")
    sides = ("worse", "better") if facts.better == "higher" else ("better", "worse")
    return tag("span", tag("span", f"← {sides[0]}"), tag("span", "0"), tag("span", f"{sides[1]} →"), class_="axis")


def _forest_bar(comparison: Comparison, reach: float) -> Markup:
    """An interval as a line around the mean; positions are percent of the width, 0 is in the middle."""
    difference = comparison.difference

    def place(value: float) -> str:
        return f"{50 + 50 * value / reach:.2f}%"

    parts = [tag("line", x1="50%", x2="50%", y1="0", y2="100%", class_="zero")]
    if difference.low is not None and difference.high is not None:
        parts.append(
            tag("line", x1=place(difference.low), x2=place(difference.high), y1="50%", y2="50%", class_="span")
        )
    if number(difference.mean, 0) != MISSING:
        parts.append(tag("circle", cx=place(difference.mean), cy="50%", r="5", class_="mean"))
    return tag("svg", *parts, class_=f"bar {comparison.verdict}", aria_hidden="true")


def behaviour_section(report: Report) -> Markup | None:
    """The behaviour tests, a row each, with the models side by side."""
    tests: dict[str, Behaviour] = {}
    for found in report.behaviours.values():
        tests |= {test.name: test for test in found if test.name not in tests}
    if not tests:
        return None
    by_model = {subject: {test.name: test for test in found} for subject, found in report.behaviours.items()}
    rows = [
        tag(
            "tr",
            tag("th", test.label, tag("small", f"passes with {_threshold(test)}"), scope="row"),
            *(_behaviour_cell(found.get(name)) for found in by_model.values()),
            tag("td", test.definition, class_="prose"),
        )
        for name, test in tests.items()
    ]
    about = "What people complain about, measured on changed and made-up sounds. Each test has a threshold."
    head = ["Test", *by_model, "How it is measured"]
    return tag(
        "section", tag("h2", "Behaviour tests"), tag("p", about), table(head, rows, "Behaviour tests"), id="behaviour"
    )


def _threshold(test: Behaviour) -> str:
    side = "at most" if test.passes_if == "below" else "at least"
    return f"{side} {test.threshold:g} {test.unit}".rstrip()


def _behaviour_cell(test: Behaviour | None) -> Markup:
    if test is None:
        return tag("td", MISSING)
    kind, word = RESULTS[test.passed]
    return tag(
        "td", tag("b", word, class_=f"light {kind}"), tag("small", behaviour_figure(test), test.note, class_="under")
    )


def behaviour_figure(test: Behaviour) -> str:
    """What was measured, with its unit; empty where nothing was."""
    if test.value is None:
        return ""
    return f"{number(test.value, min(2, decimals_for([test.value])))} {test.unit}".rstrip()


def worst_section(report: Report) -> Markup | None:
    """The worst moments of each model; those with a player open it in the page."""
    tables = [_worst_table(name, moments) for name, moments in report.worst.items() if moments]
    if not tables:
        return None
    about = "Where a model is furthest from the recorded face: the largest distance of a lip vertex."
    player = " Choose a moment to see it." if any(m.page for moments in report.worst.values() for m in moments) else ""
    return tag(
        "section", tag("h2", "Worst moments"), tag("p", about, player), tag("div", *tables, class_="worst"), id="worst"
    )


def _worst_table(name: str, moments: Sequence[Moment]) -> Markup:
    top = max((moment.error_mm for moment in moments), default=1.0) or 1.0
    rows = [
        tag(
            "tr",
            tag("td", str(rank), class_="num rank"),
            tag("td", _moment_link(moment)),
            tag("td", clock(moment.seconds), class_="num"),
            tag("td", tag("b", number(moment.error_mm, 1)), class_="num"),
            tag("td", _error_bar(moment.error_mm / top), class_="plot short"),
        )
        for rank, moment in enumerate(moments, 1)
    ]
    ends = [tag("th", label, scope="col", class_="num") for label in ("Time", "Error, mm")]
    head = [
        tag("th", "No.", scope="col", class_="num rank"),
        "Recording",
        *ends,
        tag("th", scope="col", aria_label="Error as a bar"),
    ]
    frame = tag("div", class_="player", hidden=True, data_label=name)
    return tag("div", tag("h3", name), table(head, rows, f"Worst moments of {name}"), frame, class_="worst-of")


def _moment_link(moment: Moment) -> Markup:
    if not moment.page:
        return text(moment.recording)
    # A colon in a path is encoded, so that no path can be an address of its own.
    address = f"{quote(moment.page.lstrip('/'), safe='/')}#t={moment.seconds:.3f}"
    label = f"{moment.recording} at {clock(moment.seconds)}: open the player"
    return tag("a", moment.recording, href=address, class_="moment", target="_blank", rel="noopener", aria_label=label)


def _error_bar(share: float) -> Markup:
    bar = tag("rect", x="0", y="35%", height="30%", width=f"{100 * share:.1f}%", rx="2")
    return tag("svg", bar, class_="bar error", aria_hidden="true")
