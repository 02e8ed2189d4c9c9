"""The command line of the gRPC service, and of the page that listens.

Standard library only, readable by any Python from 3.8 on.
"""

from __future__ import annotations

import argparse
import re

from audio2face.cli.parsers.base import add_parameters, count, identifier, new_parser, seed

_FOREVER = 10_000_000.0
_GRPC_PORT, _PAGE_PORT = 52000, 8080


def serve() -> argparse.ArgumentParser:
    result = new_parser(
        "serve",
        "Serves deployed models over gRPC: clients of NVIDIA's Audio2Face-3D send speech and receive the weights of\n"
        "blend shapes with their times. Models of every kind, on the CPU or a GPU. Ends on Ctrl-C or SIGTERM, after\n"
        "open streams have finished. Needs the extra 'serve'.\n"
        "With --page it opens a page in the browser instead, whose face follows the microphone or a recording: the\n"
        "network (of the type streaming) runs in the browser, and sound does not leave it. The page needs no extra.",
        "python run_serve.py latest\n  python run_serve.py models/mary models/james --port 52000 --metrics-port 9464\n"
        "  python run_serve.py models/mary --host 0.0.0.0 --keys keys.txt --tls-cert server.pem --tls-key server.key\n"
        "  python run_serve.py latest --page\n"
        "  python run_serve.py latest --export-page www/mary",
    )
    result.add_argument(
        "models",
        metavar="MODEL",
        nargs="+",
        help="deployed models: folders, or names in workspace/output_deploy (the end or a part of one, or 'latest'); "
        "a client chooses an actor by the metadata 'function-id', else it gets the first one",
    )
    _add_listening(result)
    _add_answer(result)
    _add_limits(result)
    _add_page(result)
    return result


def check_serve(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """TLS needs both files; a page has one model, and another standard port."""
    is_page = args.page or args.export_page is not None
    if args.port is None:
        args.port = _PAGE_PORT if is_page else _GRPC_PORT
    if is_page and len(args.models) > 1:
        parser.error("--page and --export-page take one model")
    if args.page and args.export_page is not None:
        parser.error("argument --export-page: not allowed with argument --page")
    for option, value in (
        ("--actor", args.actor),
        ("--emotion", args.emotion),
        ("--set", args.parameters),
        ("--onnxruntime-web", args.onnxruntime_web),
        ("--no-browser", args.no_browser),
    ):
        if value and not is_page:
            parser.error(f"argument {option}: needs --page or --export-page")
    if (args.tls_cert is None) != (args.tls_key is None):
        parser.error("--tls-cert and --tls-key belong together")
    if args.client_ca is not None and args.tls_cert is None:
        parser.error("argument --client-ca: needs --tls-cert and --tls-key")
    if args.burst and args.lead is not None:
        parser.error("argument --burst: not allowed with argument --lead: it sends frames as soon as they are made")


def _add_listening(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connection")
    group.add_argument(
        "--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 for all (default: 127.0.0.1, this machine)"
    )
    group.add_argument("--port", type=_port, help="port (default: 52000; of a page 8080)")
    group.add_argument(
        "--metrics-port", metavar="PORT", type=_port, help="port of /metrics (Prometheus) and /healthz (default: none)"
    )
    group.add_argument(
        "--keys", metavar="FILE", help="a file with one key on each line: calls must have 'authorization: Bearer KEY'"
    )
    group.add_argument("--tls-cert", metavar="FILE", help="certificate of the server, PEM: connections are encrypted")
    group.add_argument("--tls-key", metavar="FILE", help="its private key, PEM")
    group.add_argument(
        "--client-ca", metavar="FILE", help="certificates, PEM, that those of clients are checked with (mTLS)"
    )


def _add_answer(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("animation")
    group.add_argument(
        "--names",
        type=int,
        choices=(52, 55, 68),
        default=52,
        help="weights of a frame: ARKit's 52, 55 with the head (always 0), 68 with the tongue's shapes (default: 52)",
    )
    group.add_argument("--fps", default="30", help="frames per second; clients expect 30 (default: 30)")
    group.add_argument("--no-blinks", action="store_true", help="add no blinks")
    group.add_argument("--seed", type=seed, default=0, help="seed of noise and blinks (default: 0)")
    group.add_argument(
        "--device", choices=("auto", "cuda", "cpu"), default="auto", help="device of the networks (default: auto)"
    )
    group.add_argument(
        "--lead",
        metavar="SECONDS",
        type=_seconds,
        help="how long before its time a frame is sent, at real time (default: 0.2)",
    )
    group.add_argument("--burst", action="store_true", help="send frames as soon as they are made")


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    group.add_argument(
        "--max-streams", metavar="N", type=count, default=64, help="streams at the same time (default: 64)"
    )
    group.add_argument(
        "--max-seconds", metavar="SECONDS", type=_seconds, default=600.0, help="sound of a stream (default: 600)"
    )
    group.add_argument(
        "--max-message",
        metavar="MB",
        type=count,
        default=32,
        help="size of a message (default: 32)",
    )
    group.add_argument(
        "--idle",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="a stream ends after so long in which nothing passes (default: 30)",
    )
    group.add_argument(
        "--drain",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="time for open streams to finish after Ctrl-C or SIGTERM (default: 30)",
    )
    group.add_argument(
        "--workers",
        metavar="N",
        type=count,
        help="threads that animate; streams of a streaming network share one call and need none (default: one for each "
        "core)",
    )


def _add_page(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "page that listens", "--host, --port, --tls-cert, --tls-key, --no-blinks and --seed apply to it too."
    )
    group.add_argument(
        "--page", action="store_true", help="serve a page with a face that follows the microphone, and open it"
    )
    group.add_argument(
        "--export-page",
        metavar="FOLDER",
        help="write that page as files, for any web server; browsers give the microphone over https, or on localhost",
    )
    group.add_argument("--no-browser", action="store_true", help="serve the page without opening it")
    group.add_argument("--actor", metavar="NAME", type=identifier, help="the actor (default: the model's only one)")
    group.add_argument(
        "--emotion",
        metavar="NAME",
        help="joy, or joy=0.7,anger=0.2: the emotion at the start (default: the model's own)",
    )
    add_parameters(group)
    group.add_argument(
        "--onnxruntime-web",
        metavar="FOLDER",
        help="ONNX Runtime Web of your own: 'dist' of the package onnxruntime-web (default: the included one)",
    )


def _port(text: str) -> int:
    if re.fullmatch("[0-9]{1,5}", text, re.ASCII) and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!a} is not a port from 0 to 65535 (0: a free one)")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value <= _FOREVER:
        return value
    raise argparse.ArgumentTypeError(f"{text!a} is not a number of seconds above 0")
