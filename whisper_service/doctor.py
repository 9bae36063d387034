"""``flask whisper doctor``: looks at an installation and says what to do."""

from __future__ import annotations

import os
import resource
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from whisper_service.config import Config
from whisper_service.errors import ConfigError, TranscriptionError

#: As many descriptors as ``server.py`` wants: two thousand connections, and some files.
_DESCRIPTORS = 2_200
_ANSWER_S = 10.0


class Finding(NamedTuple):
    """What the doctor says.

    :param level: ``ok``, ``warning`` or ``problem``.
    """

    level: str
    text: str


def examine(
    settings: Mapping[str, Any], *, secret: object, instance: Path | None, url: str = ""
) -> Iterator[Finding]:
    """Yield what there is to say about an installation. Loads the model, but downloads nothing.

    :param settings: the ``WHISPER_*`` keys of the app.
    :param secret: the app's secret key, or None.
    :param instance: the app's instance folder; None if there is no app.
    :param url: the address at which people reach the service, to look at it through its proxies; "" for none.
    """
    try:
        config = Config.from_mapping(settings, os.environ)
    except ConfigError as problem:
        yield Finding("problem", str(problem))
        return
    yield Finding("ok", "The settings are accepted.")
    for look in (_model, _audio, _access, _files):
        yield from _safely(look, config)
    yield _signing(config, secret, instance)
    if config.limits.redis_url:
        yield _redis(config.limits.redis_url)
    yield from _address() if not url else _proxies(url)


def _safely(look: Callable[[Config], Iterator[Finding]], config: Config) -> Iterator[Finding]:
    try:
        yield from look(config)
    except TranscriptionError as problem:
        yield Finding("problem", str(problem))


def _model(config: Config) -> Iterator[Finding]:
    from whisper_service.assembly import Assembly

    try:
        here = replace(config, model=replace(config.model, download_timeout_s=0.0))
        assembly = Assembly.of(here, demonstration=True)
    except TranscriptionError as problem:
        yield Finding(
            "warning",
            f"The model {config.model.name} is not on this machine ({problem}) A server fetches it when it "
            "starts.",
        )
        return
    runner = assembly.runner()
    runner.warm_up()
    info = runner.info()
    size, seconds = info.timings[-1]
    job_s = seconds / size
    streams = int(0.85 / (0.6 * job_s * 1000 / config.grid_ms))
    yield Finding(
        "ok" if streams else "warning",
        f"{info.model} computes in {info.precision} on {info.device}. A request takes {job_s * 1000:.0f} ms: "
        f"that is enough for about {streams} live streams.",
    )
    for text in info.warnings:
        yield Finding("warning", text)


def _audio(config: Config) -> Iterator[Finding]:
    import av
    import numpy as np

    from whisper_service.model.speech.detector import SpeechDetector, SpeechState

    version = ".".join(map(str, av.library_versions["libavcodec"]))
    missing = [name for name in ("opus", "vorbis", "aac", "mp3", "flac") if name not in av.codecs_available]
    if missing:
        names = ", ".join(missing)
        yield Finding("problem", f"FFmpeg {version} cannot decode {names}: install PyAV from PyPI.")
    else:
        yield Finding("ok", f"FFmpeg is there (libavcodec {version}).")
    silence = np.zeros(16_000, dtype=np.float32)
    (speech,) = SpeechDetector().probabilities([(SpeechState(), silence)])
    if max(speech) < 0.5:
        yield Finding("ok", "The speech detector works.")
    else:
        yield Finding("problem", "The speech detector takes silence for speech: install silero-vad again.")


def _access(config: Config) -> Iterator[Finding]:
    from whisper_service.web.keys import KeyRing, read

    access = config.access
    path = Path(access.keys_file) if access.keys_file else None
    ring = KeyRing(access.keys, path)
    host = os.environ.get("HOST", "127.0.0.1")
    if path is not None:
        names = read(path)
        yield Finding("ok" if names else "warning", f"{path} has {len(names)} keys.")
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding("warning", f"Others can read {path}: chmod 600 {path}")
    if not ring.exists and host not in ("127.0.0.1", "localhost", "::1"):
        yield Finding("warning", f"Anybody who reaches {host} can use the service: 'flask whisper keys add'.")
    if "*" in access.origins:
        yield Finding("warning", "Every web page may use the service (WHISPER_ORIGINS=*).")


def _files(config: Config) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _DESCRIPTORS:
        yield Finding(
            "warning",
            f"The process may open {hard} files; for 2,000 connections allow {_DESCRIPTORS} (ulimit -n).",
        )
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and not os.access(folder, os.W_OK):
        yield Finding("problem", f"PROMETHEUS_MULTIPROC_DIR ({folder}) cannot be written.")


def _signing(config: Config, secret: object, instance: Path | None) -> Finding:
    if config.signing_key or secret:
        return Finding("ok", "Streams can go on after a restart: there is a key that signs their tokens.")
    try:
        if instance is None:
            raise OSError
        instance.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=instance):
            return Finding("ok", f"Streams can go on after a restart: their key is kept in {instance}.")
    except OSError:
        return Finding(
            "warning", "After a restart no stream can go on: set WHISPER_SIGNING_KEY to a long random text."
        )


def _redis(url: str) -> Finding:
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=_ANSWER_S, socket_connect_timeout=_ANSWER_S) as client:
            client.ping()
    except (redis.RedisError, ValueError) as problem:
        reason = type(problem).__name__
        return Finding("problem", f"The Redis of WHISPER_REDIS_URL does not answer ({reason}).")
    return Finding("ok", "Redis answers.")


def _address() -> Iterator[Finding]:
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "5003")
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, int(port)))
        except (OSError, ValueError) as problem:
            yield Finding("warning", f"A server could not listen at {host}:{port} now: {problem}")
        else:
            yield Finding("ok", f"{host}:{port} is free.")


def _proxies(url: str) -> Iterator[Finding]:
    """Look at a service through its proxies, as a page of its own would."""
    base = url.rstrip("/")
    try:
        with urlopen(f"{base}/readyz", timeout=_ANSWER_S):
            yield Finding("ok", f"{base}/readyz answers.")
    except HTTPError as error:
        error.close()
        what = "is not ready" if error.code == 503 else "is not this service: is the prefix right?"
        yield Finding("problem", f"{base}/readyz answers with {error.code}: it {what}")
        return
    except (URLError, OSError, ValueError) as problem:
        yield Finding("problem", f"{base} cannot be reached: {problem}")
        return
    yield _handshake(base)


def _handshake(base: str) -> Finding:
    from websockets.exceptions import InvalidHandshake, InvalidStatus
    from websockets.sync.client import connect
    from websockets.typing import Origin

    parts = urlsplit(base)
    scheme = "wss" if parts.scheme == "https" else "ws"
    address = f"{scheme}://{parts.netloc}{parts.path}/transcribe"
    origin = Origin(f"{parts.scheme}://{parts.netloc}")
    try:
        with connect(address, origin=origin, open_timeout=_ANSWER_S):
            return Finding("ok", f"{address} opens a WebSocket for pages of {origin}.")
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status == 401:
            return Finding("ok", f"{address} asks for a key.")
        if status == 403:
            return Finding(
                "problem",
                f"Pages of {origin} are refused: the proxy must pass the name on "
                "(proxy_set_header Host $host).",
            )
        return Finding(
            "problem",
            f"{address} answers with {status}: the proxy must pass WebSockets on (README.md has the lines "
            "for nginx).",
        )
    except (InvalidHandshake, OSError, TimeoutError) as problem:
        return Finding("problem", f"{address} opens no WebSocket: {problem}")
