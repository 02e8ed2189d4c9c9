"""The server: its services on one port, health, metrics, and an end that lets streams finish."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from audio2face import __version__
from audio2face.console import LOGGER, fields
from audio2face.errors import UserError
from audio2face.serve import wire
from audio2face.serve.access import Keys, Tls, chosen_face
from audio2face.serve.authoring import Authoring
from audio2face.serve.calls import Pace, StreamCall, log_stream
from audio2face.serve.conversation import Limits, RefusedError, refused
from audio2face.serve.faces import Face, config_text
from audio2face.serve.metrics import Metrics, MetricsServer
from audio2face.serve.slices import Slices

Context = Any  # grpc.aio.ServicerContext, which is loaded when a server starts

_KEEPALIVE_SECONDS = 20
_LAST_WORDS_SECONDS = 0.5  # in which watchers of the health learn that the server ends


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Options of a server.

    Attributes:
        host: address to listen on.
        port: port; 0 for a free one.
        metrics_port: port of metrics and health over HTTP; None: they are not served.
        limits: of one stream.
        max_streams: streams at the same time.
        max_message: bytes of a message.
        pace: when frames are sent.
        drain: seconds in which streams may finish when the server ends.
        keys: bearer keys; None: anybody may call.
        tls: files of TLS; None: without.
        workers: threads that animate; None: one for each core.
    """

    host: str = "127.0.0.1"
    port: int = 52000
    metrics_port: int | None = None
    limits: Limits = field(default_factory=Limits)
    max_streams: int = 64
    max_message: int = 32 << 20
    pace: Pace = field(default_factory=Pace)
    drain: float = 30.0
    keys: Keys | None = None
    tls: Tls | None = None
    workers: int | None = None


class SpeechServer:
    """Serves faces.

    Args:
        faces: by the names that clients choose them by; the first is the default.
        options: of the server.
    """

    def __init__(self, faces: Mapping[str, Face], options: ServerOptions) -> None:
        self._faces, self._options = faces, options
        self.metrics = Metrics()
        self._workers = ThreadPoolExecutor(options.workers or os.cpu_count() or 1, thread_name_prefix="animate")
        self._slices = Slices(self._workers)
        self._authoring = Authoring(self._workers)
        self._draining = asyncio.Event()
        self._metrics_server: MetricsServer | None = None
        self._number = 0
        self.port = 0

    @property
    def is_serving(self) -> bool:
        """Whether new streams are taken."""
        return bool(self.port) and not self._draining.is_set()

    @property
    def metrics_port(self) -> int | None:
        """The port of metrics and health over HTTP; None without one."""
        return None if self._metrics_server is None else self._metrics_server.port

    async def start(self) -> None:
        """Listens.

        Raises:
            UserError: a port is in use or not allowed, or a file of TLS is wrong.
        """
        import grpc

        options = self._options
        self._server = grpc.aio.server(
            options=(
                ("grpc.max_receive_message_length", options.max_message),
                ("grpc.so_reuseport", 0),  # otherwise a second server would silently share the port
                ("grpc.keepalive_time_ms", 1000 * _KEEPALIVE_SECONDS),
                ("grpc.keepalive_timeout_ms", 500 * _KEEPALIVE_SECONDS),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
                ("grpc.keepalive_permit_without_calls", 1),
            )
        )
        self._server.add_generic_rpc_handlers(self._handlers())
        address = f"[{options.host}]:{options.port}" if ":" in options.host else f"{options.host}:{options.port}"
        try:
            if options.tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, options.tls.credentials())
        except RuntimeError as error:
            raise UserError(
                f"cannot listen on {address}: the port is in use, not allowed, or a certificate is invalid",
                hint="Choose another --port, or end the other server.",
            ) from error
        if options.metrics_port is not None:
            self._metrics_server = MetricsServer(
                self.metrics, lambda: self.is_serving, options.host, options.metrics_port
            )
        await self._server.start()
        self.port = port

    async def stop(self) -> None:
        """Takes no new streams, lets the open ones finish for the time of `drain`, and ends."""
        self._draining.set()
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        LOGGER.info(
            "draining: %d streams are open", self.metrics.active, extra=fields(event="drain", open=self.metrics.active)
        )
        await self._server.stop(self._options.drain)
        if self._metrics_server is not None:
            await asyncio.to_thread(self._metrics_server.stop)
        self._workers.shutdown(cancel_futures=True)

    async def end_now(self) -> None:
        """Ends without waiting for streams."""
        self._draining.set()
        await self._server.stop(None)
        self._workers.shutdown(wait=False, cancel_futures=True)

    # --- services ----------------------------------------------------------------------------------------------------

    def _handlers(self) -> tuple[Any, ...]:
        """Handlers take and give bytes: what cannot be decoded is then answered like any other mistake."""
        import grpc

        unary, many = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
        services = {
            wire.CONTROLLER: {"ProcessAudioStream": grpc.stream_stream_rpc_method_handler(self._process)},
            wire.CONFIGS: {"GetConfigs": many(self._get_configs)},
            wire.AUTHORING: {"UploadAudioClip": unary(self._upload), "GetAvatarFacePose": unary(self._pose)},
            wire.VERSION: {"GetVersionInformation": unary(self._version)},
            wire.HEALTH: {"Check": unary(self._check_health), "Watch": many(self._watch_health)},
        }
        return tuple(grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items())

    async def _process(self, _requests: Any, context: Context) -> None:
        face = await self._admit(context)
        metrics = self.metrics
        if metrics.active >= self._options.max_streams:
            metrics.ended["RESOURCE_EXHAUSTED"] += 1
            await _abort(
                context, RefusedError("RESOURCE_EXHAUSTED", f"{self._options.max_streams} streams are open already")
            )
        options = self._options
        call = StreamCall(face, options.limits, options.pace, self._slices, metrics)
        self._number += 1
        number, code = self._number, "CANCELLED"
        metrics.active += 1
        try:
            await call.run(context)
            code = "OK"
        except RefusedError as error:
            code = error.code
            if call.is_blocked:
                raise asyncio.CancelledError from error  # no status reaches a client that does not read
            await _abort(context, error)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if context.cancelled():  # a write failed because the client is gone
                raise asyncio.CancelledError from error
            code = "INTERNAL"
            LOGGER.exception("stream %d", number)
            await _abort(context, RefusedError("INTERNAL", f"internal error: {type(error).__name__}"))
        finally:
            metrics.active -= 1
            metrics.ended[code] += 1
            metrics.sound += call.seconds
            log_stream(number, face.name, code, call)

    async def _get_configs(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        face = await self._admit(context)
        async with _refusing(context):
            is_json = wire.parse("configs.ConfigsTypeRequest", request).config_type == wire.JSON_CONFIGS
            for other in [face, *(other for other in self._faces.values() if other is not face)]:
                name = f"{other.name.replace('/', '_')}_stylization_config.{'json' if is_json else 'yaml'}"
                content = config_text(other.config(), is_json)
                yield wire.new("configs.A2XConfig", name=name, content=content).SerializeToString()

    async def _upload(self, request: bytes, context: Context) -> bytes:
        face = await self._admit(context)
        async with _refusing(context):
            return self._authoring.upload(face, request)
        raise AssertionError  # `_refusing` aborts

    async def _pose(self, request: bytes, context: Context) -> bytes:
        face = await self._admit(context)
        async with _refusing(context):
            return await self._authoring.pose(face, request)
        raise AssertionError  # `_refusing` aborts

    async def _version(self, _request: bytes, context: Context) -> bytes:
        await self._admit(context)
        data: bytes = wire.new("version.VersionInformation", version=__version__).SerializeToString()
        return data

    async def _check_health(self, request: bytes, context: Context) -> bytes:
        async with _refusing(context):
            status = self._status(request)
            if status == wire.SERVICE_UNKNOWN:
                raise RefusedError("NOT_FOUND", "there is no such service")
            return _health(status)
        raise AssertionError  # `_refusing` aborts

    async def _watch_health(self, request: bytes, context: Context) -> AsyncIterator[bytes]:
        async with _refusing(context):
            status = self._status(request)
            yield _health(status)
            await self._draining.wait()
            if status == wire.SERVING:
                yield _health(wire.NOT_SERVING)

    def _status(self, request: bytes) -> int:
        name = wire.parse("health.HealthCheckRequest", request).service
        if name not in ("", wire.CONTROLLER, wire.CONFIGS, wire.AUTHORING, wire.VERSION):
            return wire.SERVICE_UNKNOWN
        return wire.SERVING if self.is_serving else wire.NOT_SERVING

    async def _admit(self, context: Context) -> Face:
        """The face that a call asks for, where it may ask; otherwise the call ends."""
        metadata = {str(key): str(value) for key, value in context.invocation_metadata() or ()}
        try:
            if self._options.keys is not None:
                self._options.keys.check(metadata)
            if self._draining.is_set():
                raise RefusedError("UNAVAILABLE", "this server is about to end", "Connect again, to another one.")
            return chosen_face(self._faces, metadata)
        except RefusedError as error:
            self.metrics.ended[error.code] += 1
            await _abort(context, error)


@asynccontextmanager
async def _refusing(context: Context) -> AsyncIterator[None]:
    """Answers a user error with its status."""
    try:
        yield
    except UserError as error:
        await _abort(context, refused(error))


async def _abort(context: Context, error: RefusedError) -> NoReturn:
    import grpc

    text = f"{error.problem} {error.hint or ''}".strip()
    await context.abort(getattr(grpc.StatusCode, error.code), text)
    raise AssertionError  # it does not return


def _health(status: int) -> bytes:
    data: bytes = wire.new("health.HealthCheckResponse", status=status).SerializeToString()
    return data


async def serve_until_stopped(
    faces: Mapping[str, Face], options: ServerOptions, on_start: Callable[[SpeechServer], None]
) -> None:
    """Serves until SIGTERM or Ctrl-C; streams that are open then may finish, a second signal ends them.

    Args:
        faces: as `SpeechServer`.
        options: as `SpeechServer`.
        on_start: is told when the server listens.

    Raises:
        UserError: it cannot listen.
    """
    loop, signals = asyncio.get_running_loop(), asyncio.Queue[int]()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.put_nowait, number)
    server = SpeechServer(faces, options)
    await server.start()
    on_start(server)
    await signals.get()
    stopping, again = asyncio.create_task(server.stop()), asyncio.create_task(signals.get())
    await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not stopping.done():
        stopping.cancel()
        await server.end_now()
    else:
        stopping.result()
