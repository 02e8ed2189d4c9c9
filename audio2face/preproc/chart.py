"""Line charts with a logarithmic scale, as SVG text: drawn without a library, whose import would take longer than small
data to preprocess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

COLOURS = ("#1f77b4", "#d95f02", "#2a9d3a")
_WIDTH, _HEIGHT = 560.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 78.0, 16.0, 40.0, 52.0
_MOST_STEPS = 8  # of the horizontal axis
_LEGEND_LINE = 20.0
_STYLE = "font-family:sans-serif;font-size:13px;fill:#222"


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        label: its text in the legend.
        first: position of the first value on the horizontal axis; the others follow at distances of 1.
        values: positive numbers.
        limit: a value that is marked by a dotted line; None without.
    """

    label: str
    first: int
    values: Sequence[float]
    limit: float | None = None


@dataclass(frozen=True)
class LogChart:
    """A chart with a logarithmic vertical axis.

    Attributes:
        title: above the chart.
        across: what the horizontal axis counts.
        up: what the vertical axis shows.
        lines: the lines; those without values are left out.
    """

    title: str
    across: str
    up: str
    lines: Sequence[Line] = field(default_factory=tuple)

    def draw(self, left: float) -> str:
        """Returns SVG elements of a chart of 560 x 400 whose left edge is at `left`."""
        lines = [line for line in self.lines if len(line.values)]
        parts = [
            _text(_WIDTH / 2, 24, self.title, "middle", "font-size:15px"),
            _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, self.across, "middle"),
            _text(0, 0, self.up, "middle", extra=f' transform="translate(18 {_HEIGHT / 2:g}) rotate(-90)"'),
        ]
        if lines:
            frame = _Frame.around(lines)
            parts += [*frame.grid(), *(element for pair in enumerate(lines) for element in frame.curve(*pair))]
        return f'<g transform="translate({left:g} 0)" style="{_STYLE}">{"".join(parts)}</g>'


def side_by_side(charts: Sequence[LogChart]) -> str:
    """Returns an SVG file with these charts beside each other."""
    size = f'width="{_WIDTH * len(charts):g}" height="{_HEIGHT:g}"'
    drawn = "\n".join(chart.draw(_WIDTH * index) for index, chart in enumerate(charts))
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n{ground}\n{drawn}\n</svg>\n'


@dataclass(frozen=True)
class _Frame:
    """The axes: the horizontal range, and powers of ten below and above all values."""

    first: int
    last: int
    low: int
    high: int

    @classmethod
    def around(cls, lines: Sequence[Line]) -> _Frame:
        values = [value for line in lines for value in [*line.values, line.limit] if value]
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        last = max(line.first + len(line.values) - 1 for line in lines)
        first = min(line.first for line in lines)
        return cls(first, max(last, first + 1), low, max(high, low + 1))

    def x(self, position: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (position - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * (self.high - math.log10(value)) / (self.high - self.low)

    def grid(self) -> list[str]:
        """Returns grid lines with their numbers."""
        right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
        parts = []
        for power in range(self.low, self.high + 1):
            height = self.y(10.0**power)
            parts += [_stroke(_LEFT, height, right, height), _text(_LEFT - 8, height + 4, f"{10.0**power:g}", "end")]
        step = _round_step((self.last - self.first) / _MOST_STEPS)
        for position in range(-(-self.first // step) * step, self.last + 1, step):
            along = self.x(position)
            parts += [_stroke(along, _TOP, along, bottom), _text(along, bottom + 18, str(position), "middle")]
        return parts

    def curve(self, index: int, line: Line) -> list[str]:
        """Returns a line, its limit, and its row of the legend."""
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(
            f"{self.x(line.first + place):.1f},{self.y(value):.1f}" for place, value in enumerate(line.values)
        )
        right, row = _WIDTH - _RIGHT, _TOP + _LEGEND_LINE * (index + 1)
        parts = [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>']
        if line.limit is not None:
            height = self.y(line.limit)
            parts.append(_stroke(_LEFT, height, right, height, f'stroke="{colour}" stroke-dasharray="2 4"'))
        return [*parts, _text(right - 8, row, line.label, "end", f"fill:{colour}")]


def _round_step(least: float) -> int:
    """Returns 1, 2 or 5 times a power of ten, not below `least`."""
    power = int(10 ** max(math.floor(math.log10(max(least, 1))), 0))
    return next(step for step in (power, 2 * power, 5 * power, 10 * power) if step >= least)


def _stroke(x1: float, y1: float, x2: float, y2: float, look: str = 'stroke="#ddd"') -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'


def _text(x: float, y: float, text: str, anchor: str, style: str = "", extra: str = "") -> str:
    look = f' style="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{look}{extra}>{escape(text)}</text>'
