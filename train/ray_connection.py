"""Connecting to Ray, so that an address where nothing answers is told within seconds.

Ray itself tries for minutes, also where a port listens that is another program's. Ray speaks gRPC,
whose servers begin with a frame of settings (RFC 9113, sections 3.4 and 6.5): that is waited for.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from palmette.space.errors import InputError

LOCAL, AUTO, CLIENT = "local", "auto", "ray://"
ANSWER_SECONDS = 4.0
"""For a cluster to answer, each of two times."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
SETTINGS = 4


def connect(ray: Any, address: str, flag: str, cores: int) -> None:
    """Connect to a running cluster, or start one on this machine.

    Args:
        ray: the module.
        address: `local`: a cluster of this process's own; `auto`: this machine's; `host:port`; or
            `ray://host:port`, through Ray's client server.
        flag: that gave the address, for errors.
        cores: that `local` shall have.

    Raises:
        InputError: another form; no such cluster; one of this process's own that starts too late.
    """
    own: dict[str, Any] = {}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        own = {"num_cpus": cores, "include_dashboard": False}
    probe(address, flag)
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        if "AuthToken" in f"{error}{error.__cause__}":  # Ray itself would not say so
            raise InputError(
                f"{flag} {address}: the cluster asks for its token; set RAY_AUTH_MODE=token, with"
                " the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
            ) from None
        raise InputError(f"{flag} {address}: no Ray cluster there ({last_line(error)})") from None
    except Exception as error:
        if type(error) is not Exception:  # Ray raises a bare one if its servers take 30 s
            raise
        raise InputError(
            f"{flag} {address}: Ray did not start in time ({last_line(error)}); try again when the"
            " machine is less busy"
        ) from None


def probe(address: str, flag: str) -> None:
    """Raise InputError, as `connect` does, unless something like Ray answers; needs no Ray."""
    try:
        _expect_ray(address)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{flag} {address}: no Ray cluster there ({last_line(error)})") from None


def last_line(error: BaseException) -> str:
    """The last line of an error that may have a traceback in its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _expect_ray(address: str) -> None:
    """Raise OSError or ValueError unless something like Ray answers there."""
    if address == LOCAL:
        return
    if address == AUTO:
        from ray._private.services import canonicalize_bootstrap_address

        address = canonicalize_bootstrap_address(AUTO) or AUTO
    host, colon, port = address.removeprefix(CLIENT).rpartition(":")
    if not (host and colon and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"must be {LOCAL}, {AUTO}, HOST:PORT or {CLIENT}HOST:PORT")
    with socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS) as line:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return  # would answer to nothing but a handshake
        line.settimeout(ANSWER_SECONDS)
        line.sendall(GREETING)
        try:
            answer = line.recv(9)
        except TimeoutError:
            answer = b""
    if len(answer) < 4 or answer[3] != SETTINGS:
        raise ConnectionError("what listens there is not Ray")
