"""Which web pages may use the service. Browsers name the page's origin; other clients name none.

Browsers let any page open a WebSocket to any server, and send the server's cookies with it (RFC 6455,
section 10.2). So without this check a page anywhere could use the service of its visitor, or one on its
visitor's own machine.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from flask import Request

from whisper_service.config import ANY_ORIGIN, SAME_ORIGIN

_DEFAULT_PORTS = {"http": 80, "https": 443}


def is_allowed(
    origin: str | None, *, host: str, server_port: int, peer: str, allowed: Collection[str]
) -> bool:
    """Return whether a page of ``origin`` may use the service.

    :param origin: the header ``Origin``; None if the client is no browser.
    :param host: the header ``Host``: the name by which the client knows the server.
    :param server_port: the port at which the server listens.
    :param peer: the address of the client, or of the proxy before it.
    :param allowed: origins; ``*`` allows all, and ``same`` those of the server itself.
    """
    if origin is None or ANY_ORIGIN in allowed:
        return True
    if normalised(origin) in map(normalised, allowed):
        return True
    return SAME_ORIGIN in allowed and _is_same(origin, host=host, server_port=server_port, peer=peer)


def is_local(request: Request) -> bool:
    """Return whether a request comes from this machine, and names it by a name of its own.

    A proxy on this machine passes the name on that its clients use.
    """
    host = _split(f"//{request.host}")
    return _is_loopback(request.remote_addr or "") and host is not None and _is_loopback(host.hostname or "")


def normalised(origin: str) -> str:
    """Return ``origin`` as it is compared: in lower case, without the default port of its scheme."""
    parts = _split(origin)
    if parts is None or not parts.hostname:
        return origin.lower()
    return f"{parts.scheme}://{_with_port(parts)}"


def _is_same(origin: str, *, host: str, server_port: int, peer: str) -> bool:
    """Return whether a page comes from the server itself.

    The schemes cannot be compared: a proxy may have ended TLS. On a loopback address pages from other
    loopback ports count as well, because developers serve their pages there.

    A page can make its own name mean 127.0.0.1 (DNS rebinding). Then the browser takes the server for that
    page's own. It comes from this machine, and names the server's own port; a proxy names another port, or
    none.
    """
    theirs, ours = _split(origin), _split(f"//{host}")
    if theirs is None or ours is None or theirs.scheme not in _DEFAULT_PORTS:
        return False
    if not theirs.hostname or not ours.hostname:
        return False
    if _is_loopback(ours.hostname):
        return _is_loopback(theirs.hostname)
    if _is_loopback(peer) and ours.port == server_port:
        return False
    return _with_port(theirs) == _with_port(ours._replace(scheme=theirs.scheme))


def _split(address: str) -> SplitResult | None:
    """Return the parts of an address, or None if it is none."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return None
    return parts


def _with_port(parts: SplitResult) -> str:
    """Return host and port, without the default port of the scheme."""
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return name if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f"{name}:{parts.port}"


def _is_loopback(name: str) -> bool:
    """Return whether a host is this machine, whatever a name server says (RFC 6761, section 6.3)."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
