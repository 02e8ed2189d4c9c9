"""Serves or exports a page that listens: the part of run_serve.py that needs neither gRPC nor the extra `serve`."""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path

from audio2face.console import LOGGER, fields
from audio2face.inference.animate import AnimationOptions, AnimationPipeline
from audio2face.io.claims import temporary_folder
from audio2face.live_page.face import PageFace
from audio2face.live_page.folder import write_page_folder
from audio2face.live_page.server import PageServer, offered_formats, serve_page
from audio2face.model_folder import DeployedModel
from audio2face.runs import deployed_model


def main(args: argparse.Namespace) -> int:
    """Runs the page of parsed arguments of `serve`; returns the exit status.

    Raises:
        UserError: the model has no streaming network, or a folder or port cannot be used.
    """
    face = _open_face(args)
    runtime = None if args.onnxruntime_web is None else Path(args.onnxruntime_web)
    if args.export_page is not None:
        folder = write_page_folder(face, Path(args.export_page), runtime=runtime)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
        LOGGER.info("page of %s: %s (%.1f MB)", face.pipeline.actor.name, folder, size)
        LOGGER.info("  any web server can serve it, such as: python -m http.server --directory %s", folder)
        LOGGER.info("  for the microphone, browsers want https, or localhost")
        return 0
    with temporary_folder(Path(tempfile.gettempdir()), "audio2face-page") as parent:
        folder = write_page_folder(face, parent / "page", formats=offered_formats(), runtime=runtime)
        certificate = None if args.tls_cert is None else (Path(args.tls_cert), Path(args.tls_key))
        server = PageServer((args.host, args.port), folder, face, certificate)
        _say_start(server, face, args.no_browser)
        try:
            serve_page(server, None if args.no_browser else webbrowser.open)
        except KeyboardInterrupt:
            LOGGER.info("ended", extra=fields(event="end"))
    return 0


def _open_face(args: argparse.Namespace) -> PageFace:
    model = DeployedModel.open(deployed_model(args.models[0]))
    options = AnimationOptions(
        actor=args.actor,
        emotion=args.emotion,
        parameters=dict(args.parameters),
        seed=args.seed,
        blinks=not args.no_blinks,
    )
    return PageFace.of(AnimationPipeline(model, options))


def _say_start(server: PageServer, face: PageFace, is_quiet: bool) -> None:
    if not server.is_local and server.scheme == "http":
        LOGGER.warning(
            "browsers give their microphone to pages of other machines over https only: give --tls-cert and --tls-key"
        )
    LOGGER.info(
        "page of %s on %s%s; Ctrl-C ends",
        face.pipeline.actor.name,
        server.url,
        "" if is_quiet else " (opening in the browser)",
        extra=fields(event="start", url=server.url, port=server.server_port),
    )
