"""No log holds a key or what was said. Every test looks into its logs; these show that it would notice."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from tests.privacy import found_in, watched_log
from tests.servers import free_port, running
from whisper_service.audio.clock import Origin
from whisper_service.config import StreamSettings
from whisper_service.protocol.dialect import Checkpoint
from whisper_service.protocol.resume import Tokens
from whisper_service.session.carry import Carry
from whisper_service.web.keys import make
from whisper_service.web.secrets import ClientSecrets


def _secrets() -> list[str]:
    token = Tokens(lambda: "key", max_age_s=60).write(Checkpoint(Carry(), Origin()), "m", StreamSettings())
    secret = ClientSecrets(lambda: "key").make("a page", 60)["value"]
    return [make(), secret, token, "Ask not what your country can do for you", "w3. w4. w5."]


@pytest.mark.parametrize("secret", _secrets(), ids=["key", "client secret", "token", "talk", "fake words"])
def test_what_no_log_may_hold_is_found(secret: str) -> None:
    assert found_in(f"2026-11-27 INFO whisper_service.live: {secret!r} came")
    with pytest.raises(AssertionError), watched_log("a test"):
        logging.getLogger("a test").warning("%s came", secret)


def test_the_usual_lines_are_no_secrets() -> None:
    lines = "61c5b0a2c7d0e9f4: open\n61c5b0a2c7d0e9f4: of 'anna' at 127.0.0.1\nthe model micro.en is ready"
    assert not found_in(lines)


def test_the_log_of_a_server_is_searched(tmp_path: Path) -> None:
    port = free_port()
    script = tmp_path / "server.py"
    script.write_text(
        "import http.server, sys\n"
        f"print({make()!r}, flush=True)\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), http.server.BaseHTTPRequestHandler).serve_forever()\n"
    )
    with (
        pytest.raises(AssertionError, match="wsk_"),
        running([str(script)], port=port, log_path=tmp_path / "log"),
    ):
        assert sys.executable
