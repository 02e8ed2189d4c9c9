"""Counts of a server in the text format of Prometheus, and the small HTTP server that shows them with the health.

No value tells anything about a person: streams are counted, not named.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from audio2face.errors import UserError

_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # seconds
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Times in seconds, counted in buckets.

    Args:
        name: of the metric.
        text: what it measures.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts = [0] * (len(_BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Counts a time."""
        place = next((place for place, bound in enumerate(_BUCKETS) if seconds <= bound), len(_BUCKETS))
        self._counts[place] += 1
        self._sum += seconds

    def lines(self) -> list[str]:
        """The lines of the text format."""
        result, total = _head(self._name, self._text, "histogram"), 0
        for bound, count in zip((*map(str, _BUCKETS), "+Inf"), self._counts, strict=True):
            total += count
            result.append(f'{self._name}_bucket{{le="{bound}"}} {total}')
        return [*result, f"{self._name}_sum {self._sum:.6f}", f"{self._name}_count {total}"]


class Metrics:
    """What a server counts; written by its event loop alone.

    Attributes:
        active: streams that are open.
        ended: streams by the name of their status.
        frames: frames that were sent.
        sound: seconds of sound that arrived.
        underruns: how often a paced stream had no frame 0.1 s after its time.
        lateness: of frames of paced streams, after their sound had arrived and they were due.
        first_frame: from the first sound that a stream needs to its first frame.
    """

    def __init__(self) -> None:
        self.active = 0
        self.ended: Counter[str] = Counter()
        self.frames = self.underruns = 0
        self.sound = 0.0
        self.lateness = Histogram(
            "audio2face_frame_lateness_seconds", "Seconds after a frame was due and its sound had arrived."
        )
        self.first_frame = Histogram(
            "audio2face_first_frame_seconds", "Seconds from the sound of the first frame to the frame."
        )

    def text(self, is_serving: bool) -> str:
        """All metrics in the text format."""
        lines = []
        for name, kind, text, value in (
            ("serving", "gauge", "1 where new streams are taken.", int(is_serving)),
            ("streams_active", "gauge", "Streams that are open.", self.active),
            ("frames_total", "counter", "Frames that were sent.", self.frames),
            ("sound_seconds_total", "counter", "Seconds of sound that arrived.", round(self.sound, 3)),
            ("underruns_total", "counter", "Times at which a frame came over 0.1 s late.", self.underruns),
        ):
            lines += [*_head(f"audio2face_{name}", text, kind), f"audio2face_{name} {value}"]
        lines += _head("audio2face_streams_total", "Streams that ended, by gRPC status.", "counter")
        lines += [f'audio2face_streams_total{{code="{code}"}} {count}' for code, count in sorted(self.ended.items())]
        lines += self.lateness.lines() + self.first_frame.lines()
        return "\n".join(lines) + "\n"


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


class MetricsServer:
    """Serves `/metrics` and `/healthz` over HTTP in a thread: 200 while streams are taken, else 503.

    Args:
        metrics: what to show.
        is_serving: whether new streams are taken.
        host: address to listen on.
        port: port; 0 for a free one.

    Raises:
        UserError: the port is in use or not allowed.
    """

    def __init__(self, metrics: Metrics, is_serving: Callable[[], bool], host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                serving = is_serving()
                if self.path.partition("?")[0] == "/metrics":
                    _reply(self, 200, metrics.text(serving), _CONTENT_TYPE)
                elif self.path == "/healthz":
                    _reply(self, 200 if serving else 503, "serving\n" if serving else "not serving\n", "text/plain")
                else:
                    _reply(self, 404, "there are /metrics and /healthz\n", "text/plain")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Keeps addresses of clients out of the log."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise UserError(
                f"metrics cannot be served on {host}:{port}: {error.strerror or error}",
                hint="Choose another --metrics-port.",
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Ends the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _reply(handler: BaseHTTPRequestHandler, code: int, text: str, kind: str) -> None:
    data = text.encode()
    handler.send_response(code)
    headers: Sequence[tuple[str, str]] = (("Content-Type", kind), ("Content-Length", str(len(data))))
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)
