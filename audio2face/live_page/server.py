"""Serves the page on this machine, and exports the takes that it sends back. Standard library only."""

from __future__ import annotations

import ipaddress
import shutil
import ssl
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from audio2face.console import LOGGER
from audio2face.errors import UserError
from audio2face.export.formats import FORMATS
from audio2face.extras import missing
from audio2face.io.claims import temporary_folder
from audio2face.live_page.face import PageFace
from audio2face.live_page.take import LARGEST_TAKE, export_take
from audio2face.outputs import PAGE
from audio2face.player.describe import Description

_TIMEOUT = 60.0  # seconds that a connection may stay silent
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}
_HEADERS = {
    "Cache-Control": "no-cache",  # the page of another model may follow under the same address
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def offered_formats() -> list[Description]:
    """The formats in which takes are exported here: those whose packages are installed."""
    offered = [{"key": PAGE, "help": "a page that plays the take"}]
    for key, each in FORMATS.items():
        if each.extra is None or not missing(each.extra):
            offered.append({"key": key, "help": each.description})
    return offered


class PageServer(ThreadingHTTPServer):
    """Serves the files of a page and exports takes.

    Args:
        address: host and port; port 0 chooses a free one.
        folder: of the page.
        face: the face that it shows.
        certificate: files of certificate and private key, PEM: the page is served over https.

    Raises:
        UserError: the port is taken, the host is none of this machine, or the certificate cannot be read.
    """

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], folder: Path, face: PageFace, certificate: tuple[Path, Path] | None = None
    ) -> None:
        self.face = face
        self.is_local = is_loopback(address[0])
        self.exporting = threading.Lock()
        try:
            super().__init__(address, partial(_Handler, directory=str(folder)))
        except OSError as error:
            raise UserError(
                f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}",
                hint="Choose another --port, or 0 for a free one.",
            ) from error
        self.scheme = "http"
        if certificate is not None:
            self.scheme = "https"
            self.socket = _secured(self.socket, *certificate)

    @property
    def url(self) -> str:
        """The page's address for this machine."""
        host = "localhost" if self.is_local or self.server_address[0] == "0.0.0.0" else self.server_address[0]
        return f"{self.scheme}://{host!s}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away is no error."""
        LOGGER.debug("a connection of %s ended early", client_address, exc_info=True)


def _secured(socket: Any, certificate: Path, key: Path) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UserError(
            f"certificate and key cannot be used: {error}",
            path=certificate,
            hint="Give PEM files that belong together.",
        ) from error
    return context.wrap_socket(socket, server_side=True, do_handshake_on_connect=False)


class _Handler(SimpleHTTPRequestHandler):
    """Files of the page by GET, takes by POST."""

    server: PageServer
    timeout = _TIMEOUT
    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def guess_type(self, path: Any) -> str:
        """The type of a file; a system's own table may be wrong, and browsers then refuse modules."""
        return _TYPES.get(Path(path).suffix) or super().guess_type(path)

    def list_directory(self, path: Any) -> None:
        """Folders have no lists."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name of the standard library)
        LOGGER.debug("%s %s", self.client_address[0], format % args)

    def do_POST(self) -> None:
        """Exports a take."""
        address = urlsplit(self.path)
        length = self.headers.get("Content-Length", "")
        if address.path != "/take":
            self._answer(HTTPStatus.NOT_FOUND, b"there is no such address")
        elif not self._is_own_page():
            self._answer(HTTPStatus.FORBIDDEN, b"takes are accepted from the page of this server")
        elif not length.isdecimal() or int(length) > LARGEST_TAKE:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"the take is too long")
        else:
            self._export(self.rfile.read(int(length)), parse_qs(address.query).get("format", [""])[0])

    def _is_own_page(self) -> bool:
        """Whether the request is that of the own page: no page of another site, under whatever name it comes."""
        host = self.headers.get("Host", "")
        name = urlsplit(f"//{host}").hostname or ""
        is_known = not self.server.is_local or is_loopback(name)
        return is_known and self.headers.get("Origin") == f"{self.server.scheme}://{host}"

    def _export(self, message: bytes, key: str) -> None:
        if key not in {offered["key"] for offered in offered_formats()}:
            self._answer(HTTPStatus.BAD_REQUEST, b"there is no such format")
            return
        try:
            with self.server.exporting, temporary_folder(Path(tempfile.gettempdir()), "audio2face-take") as folder:
                archive = export_take(self.server.face, message, key, folder)
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/zip")
                self.send_header("Content-Length", str(archive.stat().st_size))
                self.end_headers()
                with archive.open("rb") as file:
                    shutil.copyfileobj(file, self.wfile)
        except UserError as error:
            self._answer(HTTPStatus.UNPROCESSABLE_ENTITY, error.problem.encode())

    def _answer(self, status: HTTPStatus, text: bytes) -> None:
        """Answers with a text, and closes: what the request still sends is not read."""
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text)


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own, which no other machine reaches."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve_page(server: PageServer, open_browser: Callable[[str], object] | None) -> None:
    """Serves until KeyboardInterrupt.

    Args:
        server: the server.
        open_browser: opens the page's address; None: nobody does.
    """
    with server:
        if open_browser is not None:
            threading.Thread(target=open_browser, args=(server.url,), daemon=True).start()
        server.serve_forever(poll_interval=0.2)
