"""Which pages may use the service, by their origin."""

from __future__ import annotations

import pytest

from whisper_service.config import Config
from whisper_service.errors import ConfigError
from whisper_service.web.origins import is_allowed

EVIL = "https://evil.example"


def _allowed(
    origin: str | None,
    host: str = "speech.example",
    *,
    origins: str = "same",
    server_port: int = 5003,
    peer: str = "203.0.113.7",
) -> bool:
    access = Config.from_mapping({"WHISPER_ORIGINS": origins}).access
    return is_allowed(origin, host=host, server_port=server_port, peer=peer, allowed=access.origins)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://speech.example", "speech.example"),  # a proxy has ended TLS
        ("https://speech.example:443", "speech.example"),
        ("https://speech.example", "speech.example:443"),
        ("http://speech.example:8080", "speech.example:8080"),
        ("http://SPEECH.example", "Speech.Example"),
        ("http://127.0.0.1:5003", "127.0.0.1:5003"),
        ("http://localhost:8000", "127.0.0.1:5003"),  # developers serve their pages at another port
        ("http://127.0.0.1:8000", "localhost:5003"),
        ("http://[::1]:8000", "[::1]:5003"),
        ("http://app.localhost:8000", "127.0.0.1:5003"),
        (None, "speech.example"),  # no browser
    ],
)
def test_pages_of_the_server_itself_may(origin: str | None, host: str) -> None:
    assert _allowed(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (EVIL, "speech.example"),
        (EVIL, "127.0.0.1:5003"),
        ("http://localhost:8000", "speech.example"),
        ("http://127.0.0.1.evil.example", "127.0.0.1:5003"),
        ("http://localhost.evil.example", "127.0.0.1:5003"),
        ("http://evil.example/127.0.0.1", "127.0.0.1:5003"),
        ("http://127.0.0.1@evil.example", "127.0.0.1:5003"),
        ("http://speech.example:8080", "speech.example"),
        ("http://speech.example.evil.example", "speech.example"),
        ("ftp://speech.example", "speech.example"),
        ("null", "speech.example"),
        ("null", "127.0.0.1:5003"),
        ("", "speech.example"),
        ("http://", "speech.example"),
        ("http://speech.example:port", "speech.example"),
        ("http://[::1", "speech.example"),
        ("file://", "speech.example"),
    ],
)
def test_other_pages_may_not(origin: str, host: str) -> None:
    assert not _allowed(origin, host)


def test_a_page_whose_name_has_come_to_mean_this_machine_may_not() -> None:
    """DNS rebinding: the browser sends the page's own name, and the port at which the server listens."""
    assert not _allowed("http://evil.example:5003", "evil.example:5003", peer="127.0.0.1")
    assert not _allowed("http://evil.example:5003", "evil.example:5003", peer="::1")
    # A proxy on the same machine names the port at which it listens itself.
    assert _allowed("https://speech.example", "speech.example", peer="127.0.0.1")


def test_listed_origins_may_and_no_others() -> None:
    listed = "https://app.example, http://localhost:3000/, null, https://other.example:443"
    assert _allowed("https://app.example", origins=listed)
    assert _allowed("https://APP.example:443", origins=listed)
    assert _allowed("http://localhost:3000", origins=listed)
    assert _allowed("null", origins=listed)
    assert _allowed("https://other.example", origins=listed)
    assert not _allowed("http://app.example", origins=listed)
    assert not _allowed("https://speech.example", origins=listed)  # `same` is not listed
    assert _allowed("https://speech.example", origins=f"{listed},same")


def test_all_may_if_the_operator_says_so() -> None:
    assert _allowed(EVIL, origins="*")


@pytest.mark.parametrize(
    "value", ["", ",", "app.example", "https://app.example/page", "https://", "*.example"]
)
def test_what_is_no_origin_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(ConfigError, match="WHISPER_ORIGINS"):
        Config.from_mapping({"WHISPER_ORIGINS": value})
