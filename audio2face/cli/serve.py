"""Serves deployed models over gRPC, or one as a page that listens; started by run_serve.py.

Exit status: 0 ended by Ctrl-C or SIGTERM after open streams finished; 2 a user error.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
from pathlib import Path

from audio2face import interrupts
from audio2face.cli import page, parsers
from audio2face.cli.inference_options import parse_rate
from audio2face.cli.process import run_stage
from audio2face.console import LOGGER, fields, start_logging
from audio2face.errors import UserError
from audio2face.extras import require
from audio2face.inference import graph_device, set_num_threads
from audio2face.live_page.server import is_loopback
from audio2face.runs import deployed_model
from audio2face.serve.access import Keys, Tls
from audio2face.serve.calls import Pace
from audio2face.serve.conversation import Limits
from audio2face.serve.faces import Face, FaceOptions, open_faces
from audio2face.serve.server import ServerOptions, SpeechServer, serve_until_stopped

_STANDARD_LEAD = 0.2  # seconds
# How long a thread that animates may keep the interpreter from the one that reads and writes all connections. Python's
# own 5 ms, waited for at every message, add up to seconds with a dozen streams.
_SWITCH_SECONDS = 0.0002


def main(argv: list[str]) -> int:
    """Returns the exit status; user errors raise UserError."""
    args = parsers.parse("serve", argv)
    start_logging()
    if args.page or args.export_page is not None:
        return page.main(args)
    require("The service", "serve")
    options = _server_options(args)
    set_num_threads(max(1, (os.cpu_count() or 1) // (args.workers or os.cpu_count() or 1)))
    faces = open_faces([deployed_model(model) for model in args.models], _face_options(args))
    for face in faces.values():
        face.warm_up()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what is loaded stays: a search through all of it would stop all streams for a tenth of a second
    # The supervisor of the host script waits until open streams have finished.
    with interrupts.unhurried():
        asyncio.run(serve_until_stopped(faces, options, lambda server: _say_start(server, faces, options)))
    LOGGER.info("ended", extra=fields(event="end"))
    return 0


def _server_options(args: argparse.Namespace) -> ServerOptions:
    tls = None
    if args.tls_cert is not None:
        tls = Tls(Path(args.tls_cert), Path(args.tls_key), None if args.client_ca is None else Path(args.client_ca))
        tls.credentials()  # what cannot be read is said before models are loaded
    return ServerOptions(
        host=args.host,
        port=args.port,
        metrics_port=args.metrics_port,
        limits=Limits(args.max_seconds, args.idle),
        max_streams=args.max_streams,
        max_message=args.max_message << 20,
        pace=Pace(None if args.burst else args.lead or _STANDARD_LEAD),
        drain=args.drain,
        keys=None if args.keys is None else Keys.read(Path(args.keys)),
        tls=tls,
        workers=args.workers,
    )


def _face_options(args: argparse.Namespace) -> FaceOptions:
    fps = parse_rate(args.fps)
    if not 1 <= fps <= 120:
        raise UserError(f"--fps is {args.fps}, expected 1 to 120", hint="Clients expect 30.")
    return FaceOptions(args.names, fps, not args.no_blinks, args.seed, graph_device(args.device))


def _say_start(server: SpeechServer, faces: dict[str, Face], options: ServerOptions) -> None:
    for name, face in faces.items():
        LOGGER.info("face %s: %d weights, emotions %s", name, len(face.names), ", ".join(face.emotions))
    if not is_loopback(options.host):
        if options.tls is None:
            LOGGER.warning("voices travel unencrypted over the network: give --tls-cert and --tls-key, or a proxy")
        if options.keys is None and (options.tls is None or options.tls.client_ca is None):
            LOGGER.warning("anybody who reaches %s may use this server: give --keys or --client-ca", options.host)
    LOGGER.info(
        "serving on %s:%d%s",
        options.host,
        server.port,
        "" if server.metrics_port is None else f", metrics on http://{options.host}:{server.metrics_port}/metrics",
        extra=fields(event="start", port=server.port, metrics_port=server.metrics_port, faces=list(faces)),
    )


if __name__ == "__main__":
    run_stage(main)
