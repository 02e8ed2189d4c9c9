"""SMPTE time code: converts between labels such as `01:00:00;00` and numbers of frames, and the start of an animation.

A time code labels frames, not seconds: it counts the nominal rate, 30 for 29.97. Drop frame (SMPTE ST 12-1) leaves out
the labels ;00 and ;01 of every minute except each tenth, and twice as many at 59.94, so that labels follow the clock to
within a few frames; no frame is lost. Numbers of frames count from 00:00:00:00 and wrap at 24 hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from audio2face.errors import UserError

_LABEL = re.compile(r"([0-9]{1,2}):([0-9]{2}):([0-9]{2})([:;.,])([0-9]{2,3})")
_NTSC = Fraction(1000, 1001)
_NEAR = Fraction(1, 20_000)  # tells 29.97 and 23.976, as people write them, from 30 and 24
_MOST_FRAMES = 120  # nominal frames per second
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True)
class TimecodeRate:
    """How a rate counts.

    Attributes:
        nominal: frames of a labelled second.
        exact: frames per second, as a fraction: 30000/1001 for 29.97.
        drop: whether labels are dropped.
    """

    nominal: int
    exact: Fraction
    drop: bool = False

    @classmethod
    def of(cls, fps: float | Fraction, *, drop: bool = False) -> TimecodeRate:
        """The counting of a rate.

        Args:
            fps: 24, 25, 30 and other whole numbers up to 120, or 1000/1001 of one; 29.97, 23.976 and 59.94 are taken as
                these.
            drop: whether labels are dropped.

        Raises:
            UserError: there is no time code at this rate, or none with drop frame.
        """
        given = Fraction(fps)
        for nominal in (round(given), round(given / _NTSC)):
            for exact in (Fraction(nominal), nominal * _NTSC):
                if 0 < nominal <= _MOST_FRAMES and abs(given / exact - 1) < _NEAR:
                    rate = cls(nominal, exact, drop)
                    if drop and not rate.can_drop:
                        raise UserError(
                            f"there is no drop frame time code at {float(fps):g} frames per second",
                            hint="Write ':' before the frames; ';' belongs to 29.97 and 59.94.",
                        )
                    return rate
        raise UserError(
            f"there is no time code at {float(fps):g} frames per second",
            hint="Choose a rate such as 24, 25, 30 or 30000/1001, or give a number of frames (--start-frame).",
        )

    @property
    def can_drop(self) -> bool:
        """Whether the rate has a drop frame count: 29.97, 59.94 and 119.88."""
        return self.exact != self.nominal and self.nominal % 30 == 0

    @property
    def _dropped(self) -> int:
        """Labels that a minute leaves out."""
        return 2 * self.nominal // 30 if self.drop else 0

    @property
    def day(self) -> int:
        """Frames of 24 labelled hours."""
        return _DAY_MINUTES * 60 * self.nominal - self._dropped * (_DAY_MINUTES - _DAY_MINUTES // 10)

    def frame(self, hours: int, minutes: int, seconds: int, frames: int) -> int:
        """The number of the frame of a label.

        Raises:
            UserError: there is no such label.
        """
        is_left_out = self._dropped > frames and seconds == 0 and minutes % 10 != 0
        if hours > 23 or minutes > 59 or seconds > 59 or frames >= self.nominal or is_left_out:
            reason = ", which drop frame leaves out" if is_left_out else ""
            raise UserError(
                f"there is no time code {hours:02d}:{minutes:02d}:{seconds:02d}{self._mark}{frames:02d} at "
                f"{float(self.exact):.6g} frames per second{reason}",
                hint=f"Expected 00:00:00{self._mark}00 to 23:59:59{self._mark}{self.nominal - 1:02d}.",
            )
        passed = 60 * hours + minutes
        return (60 * passed + seconds) * self.nominal + frames - self._dropped * (passed - passed // 10)

    def fields(self, frame: int) -> tuple[int, int, int, int]:
        """Hours, minutes, seconds and frames of the label of a frame, which wraps at 24 hours."""
        frame %= self.day
        if self._dropped:
            ten_minutes = 600 * self.nominal - 9 * self._dropped
            tens, rest = divmod(frame, ten_minutes)
            # The first minute of ten is whole, the other nine lack the dropped labels.
            dropped_minutes = max(0, (rest - self._dropped) // (60 * self.nominal - self._dropped))
            frame += self._dropped * (9 * tens + dropped_minutes)
        seconds, frames = divmod(frame, self.nominal)
        return seconds // 3600, seconds // 60 % 60, seconds % 60, frames

    def label(self, frame: int) -> str:
        """The label of a frame, `01:00:00:00`, or `01:00:00;00` with drop frame."""
        hours, minutes, seconds, frames = self.fields(frame)
        return f"{hours:02d}:{minutes:02d}:{seconds:02d}{self._mark}{frames:02d}"

    @property
    def _mark(self) -> str:
        return ";" if self.drop else ":"


@dataclass(frozen=True)
class Start:
    """Where an animation begins on a time line.

    Attributes:
        frame: number of its first frame.
        drop: whether its time code drops labels.
    """

    frame: int
    drop: bool = False

    @classmethod
    def of(cls, start: int | str, fps: float | Fraction) -> Start:
        """A start given as the number of a frame or as a time code.

        Raises:
            UserError: the number is negative, or the text is no time code of this rate.
        """
        if isinstance(start, str):
            return cls.parse(start, fps)
        if start < 0:
            raise UserError(f"the first frame is number {start}", hint="Give a number of 0 or above.")
        return cls(start)

    @classmethod
    def parse(cls, text: str, fps: float | Fraction) -> Start:
        """Reads a time code: `01:00:00:00`, or `01:00:00;00` for drop frame.

        Raises:
            UserError: it is no time code, or there is none such at this rate.
        """
        match = _LABEL.fullmatch(text.strip())
        if match is None:
            raise UserError(
                f"{text[:60]!r} is no time code",
                hint="Write hours:minutes:seconds:frames, such as 01:00:00:00, or 01:00:00;00 for drop frame.",
            )
        hours, minutes, seconds, mark, frames = match.groups()
        rate = TimecodeRate.of(fps, drop=mark != ":")
        return cls(rate.frame(int(hours), int(minutes), int(seconds), int(frames)), rate.drop)

    @classmethod
    def at(cls, seconds: Fraction, fps: float | Fraction) -> Start:
        """The start at a time of the day, in seconds since midnight, to the nearest frame.

        Drop frame is used where the rate has it, because it follows the clock. A rate without time code counts frames.
        """
        try:
            rate = TimecodeRate.of(fps)
        except UserError:
            return cls(round(seconds * Fraction(fps)))
        return cls(round(seconds * rate.exact), rate.can_drop)

    def label(self, index: int, fps: float | Fraction) -> str | None:
        """The time code of frame `index` of the animation; None at a rate without time code."""
        try:
            rate = TimecodeRate.of(fps, drop=self.drop)
        except UserError:
            return None
        return rate.label(self.frame + index)


def start_facts(start: Start | None, fps: float | Fraction) -> dict[str, int | str | None]:
    """A start as the record beside an animation states it; empty without one."""
    return {} if start is None else {"start_frame": start.frame, "start_timecode": start.label(0, fps)}
