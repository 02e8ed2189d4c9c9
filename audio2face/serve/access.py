"""Who may call the server: bearer keys, TLS, and the face that a call asks for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from audio2face.errors import UserError
from audio2face.serve.conversation import RefusedError
from audio2face.serve.faces import Face

if TYPE_CHECKING:
    import grpc

_SHORTEST_KEY = 16  # characters
_LARGEST_FILE = 1 << 20  # bytes
FACE_METADATA = "function-id"  # by which NVIDIA's cloud chooses a model


class Keys:
    """Bearer keys; only their digests are kept.

    Args:
        keys: the keys.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [_digest(key) for key in keys]

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Reads a file with one key on each line; empty lines and those that begin with # are skipped.

        Raises:
            UserError: it cannot be read, holds no key, or one that is easily guessed.
        """
        lines = [line.strip() for line in _read(path).decode("utf-8", "replace").splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise UserError("holds no key", path=path, hint="Put one key on each line.")
        if min(map(len, keys)) < _SHORTEST_KEY:
            raise UserError(
                f"holds a key of less than {_SHORTEST_KEY} characters",
                path=path,
                hint='python -c "import secrets; print(secrets.token_urlsafe())" makes one.',
            )
        return cls(keys)

    def check(self, metadata: Mapping[str, str]) -> None:
        """Checks the key of a call.

        Raises:
            RefusedError: UNAUTHENTICATED, where it has none of the keys.
        """
        scheme, _, key = metadata.get("authorization", "").partition(" ")
        found = _digest(key.strip())
        is_known = [hmac.compare_digest(found, known) for known in self._digests]  # all, so that time tells nothing
        if scheme.lower() != "bearer" or not any(is_known):
            raise RefusedError(
                "UNAUTHENTICATED", "Unauthenticated: send a valid key as metadata 'authorization: Bearer KEY'"
            )


@dataclass(frozen=True)
class Tls:
    """Files of TLS.

    Attributes:
        certificate: the server's certificate chain, PEM.
        key: its private key, PEM.
        client_ca: certificates that clients' certificates are checked with (mTLS); None: clients need none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """The credentials of the server.

        Raises:
            UserError: a file cannot be read.
        """
        import grpc

        chain = [(_read_pem(self.key), _read_pem(self.certificate))]
        ca = None if self.client_ca is None else _read_pem(self.client_ca)
        return grpc.ssl_server_credentials(chain, ca, require_client_auth=ca is not None)


def chosen_face(faces: Mapping[str, Face], metadata: Mapping[str, str]) -> Face:
    """The face that a call asks for by `function-id`; of a server with one face that one, whatever the call says.

    Raises:
        RefusedError: NOT_FOUND, where there is no such face.
    """
    name = metadata.get(FACE_METADATA, "")
    if name in faces:
        return faces[name]
    if len(faces) > 1 and name:
        raise RefusedError(
            "NOT_FOUND", f"there is no face {name[:80]!r}", f"{FACE_METADATA} may be: {', '.join(faces)}."
        )
    return next(iter(faces.values()))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _read_pem(path: Path) -> bytes:
    data = _read(path)
    if b"-----BEGIN " not in data:
        raise UserError("is no PEM file", path=path, hint="Convert it: it begins with -----BEGIN.")
    return data


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}", path=path) from error
    if len(data) > _LARGEST_FILE:
        raise UserError(f"is larger than {_LARGEST_FILE >> 20} MB", path=path)
    return data
