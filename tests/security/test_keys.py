"""API keys and client secrets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from whisper_service.cli import flask_commands
from whisper_service.config import Config
from whisper_service.errors import BadMessage, ConfigError
from whisper_service.web.keys import PREFIX, KeyRing, hash_of, make
from whisper_service.web.secrets import ClientSecrets


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(flask_commands, ["keys", *arguments])


def _key_in(output: str) -> str:
    (key,) = [word for word in output.split() if word.startswith(PREFIX)]
    return key


def test_a_key_is_made_listed_used_and_revoked(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "file"
    ring = KeyRing("", path)
    assert ring.exists and ring.name_of("anything") is None
    made = _run("add", "alice", "--file", str(path))
    alice = _key_in(made.output)
    bob = _key_in(_run("add", "bob", "--file", str(path)).output)
    assert ring.name_of(alice) == "alice" and ring.name_of(bob) == "bob"
    assert _run("list", "--file", str(path)).output.split() == ["alice", "bob"]
    assert alice not in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "already" in _run("add", "alice", "--file", str(path)).output
    assert _run("revoke", "alice", "--file", str(path)).exit_code == 0
    assert ring.name_of(alice) is None and ring.name_of(bob) == "bob"
    assert "no key of alice" in _run("revoke", "alice", "--file", str(path)).output


def test_without_a_file_the_hash_goes_into_the_environment() -> None:
    output = _run("add", "carol").output
    (listed,) = [word for word in output.split() if word.startswith("carol:")]
    ring = KeyRing(listed)
    assert ring.exists and ring.name_of(_key_in(output)) == "carol"
    assert "WHISPER_KEYS_FILE" in _run("list").output


def test_only_whole_keys_open() -> None:
    key = make()
    ring = KeyRing(f"one:{hash_of(key)}, two:{hash_of(make())}")
    assert ring.name_of(key) == "one"
    for wrong in ("", key[:-1], key + "x", key.upper(), hash_of(key), "\ud800", "ключ"):
        assert ring.name_of(wrong) is None


def test_an_error_does_not_quote_what_may_be_a_key(tmp_path: Path) -> None:
    key = make()
    with pytest.raises(ConfigError) as problem:
        KeyRing(f"alice:{key}")
    assert key not in str(problem.value) and "WHISPER_KEYS" in str(problem.value)
    (tmp_path / "keys").write_text(key)
    with pytest.raises(ConfigError) as problem:
        KeyRing("", tmp_path / "keys").name_of("x")
    assert key not in str(problem.value)
    for name in ("WHISPER_KEYS", "WHISPER_SIGNING_KEY"):
        with pytest.raises(ConfigError) as problem:
            Config.from_mapping({name: "secret" * 20_000})
        assert "secretsecret" not in str(problem.value)


def test_names_that_would_break_the_file_or_the_log_are_refused(tmp_path: Path) -> None:
    for name in ("a:b", "a b", "a\nb", "", "x" * 65):
        assert _run("add", name, "--file", str(tmp_path / "keys")).exit_code != 0
    assert not (tmp_path / "keys").exists()


def test_a_client_secret_opens_until_its_time_is_over() -> None:
    now = 1_000.0
    secrets = ClientSecrets(lambda: "the key", clock=lambda: now)
    made = secrets.answer("alice", {"expires_after": {"anchor": "created_at", "seconds": 60}})
    assert made["expires_at"] == 1_060 and secrets.name_of(made["value"]) == "alice"
    other = ClientSecrets(lambda: "another key", clock=lambda: now)
    assert other.name_of(made["value"]) is None
    for wrong in (made["value"][:-1], "ek_", "ek_x.y", make(), ""):
        assert secrets.name_of(wrong) is None
    now = 1_060.0
    assert secrets.name_of(made["value"]) is None


@pytest.mark.parametrize("seconds", [9, 7_201, 60.5, "60", True, None])
def test_a_client_secret_lives_for_ten_seconds_to_two_hours(seconds: object) -> None:
    secrets = ClientSecrets(lambda: "the key", clock=lambda: 0.0)
    with pytest.raises(BadMessage, match="10 to 7200"):
        secrets.answer("alice", {"expires_after": {"seconds": seconds}})
    for asked in (None, [], {}, {"expires_after": None}, {"session": {"type": "transcription"}}):
        assert secrets.answer("alice", asked)["expires_at"] == 600
