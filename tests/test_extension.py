"""Mounting the service in an app. Nothing here serves or loads a model."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from flask import Flask

import whisper_service
from tests.servers import ROOT
from whisper_service.errors import ConfigError
from whisper_service.extension import Transcriber


def _routes(app: Flask) -> set[str]:
    return {rule.rule for rule in app.url_map.iter_rules()}


def test_one_line_mounts_the_socket_under_its_three_names() -> None:
    app = Flask("host", static_folder=None)
    Transcriber(app)
    assert {"/transcribe", "/transcription", "/ws/transcribe", "/healthz", "/readyz"} <= _routes(app)
    assert "/" not in _routes(app)


def test_without_figures_there_is_no_page_of_them() -> None:
    app = Flask("host", static_folder=None)
    app.config["WHISPER_METRICS"] = "off"
    Transcriber(app)
    assert not {"/metrics", "/status"} & _routes(app)


def test_a_prefix_moves_everything() -> None:
    app = Flask("host", static_folder=None)
    Transcriber(app, url_prefix="/speech", page=True)
    assert all(route.startswith("/speech/") for route in _routes(app))


def test_one_object_serves_several_apps_each_with_its_own_service() -> None:
    transcriber = Transcriber()
    apps = [Flask("one"), Flask("other")]
    for app in apps:
        transcriber.init_app(app)
    assert Transcriber.service(apps[0]) is not Transcriber.service(apps[1])


def test_two_in_one_app_are_refused_with_what_to_do() -> None:
    app = Flask("host")
    Transcriber(app)
    with pytest.raises(RuntimeError, match="has a Transcriber already: use Transcriber.service"):
        Transcriber(app, url_prefix="/again")


def test_an_app_without_one_says_so() -> None:
    with pytest.raises(RuntimeError, match="has no Transcriber: call init_app"):
        Transcriber.service(Flask("host"))


def test_settings_come_from_the_app_and_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISPER_MODEL", "small")
    app = Flask("host")
    app.config.update(WHISPER_MODEL="tiny", WHISPER_GRID_MS=400)
    Transcriber(app)
    config = Transcriber.service(app).config
    assert (config.model.name, config.grid_ms) == ("small", 400)


def test_a_bad_setting_stops_the_app() -> None:
    app = Flask("host")
    app.config["WHISPER_DEVICE"] = "gpu"
    with pytest.raises(ConfigError, match="WHISPER_DEVICE is 'gpu'; accepted: auto"):
        Transcriber(app)


def test_health_is_answered_and_a_plain_get_of_the_socket_is_no_fault() -> None:
    app = Flask("host")
    Transcriber(app)
    client = app.test_client()
    assert client.get("/healthz").json == {"status": "alive"}
    assert client.get("/transcribe").status_code in (400, 404)


def test_the_page_is_ours_even_where_the_app_has_an_index_html(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("the host's")
    app = Flask("host", template_folder=str(tmp_path))
    Transcriber(app, url_prefix="/speech", page=True)
    answer = app.test_client().get("/speech/")
    assert 'data-socket="transcribe"' in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_everything_on_the_page_is_served_by_us() -> None:
    app = Flask("host")
    Transcriber(app, page=True)
    client = app.test_client()
    page = client.get("/").text
    static = "whisper/static/"
    names = [part.split('"')[0] for part in page.split(static)[1:]]
    assert any("RecordRTC" in name for name in names) and "http" not in page.replace("http-equiv", "")
    for name in names:
        with client.get(f"/{static}{name}") as answer:
            assert answer.status_code == 200, name


def test_flask_prints_the_settings() -> None:
    app = Flask("host")
    Transcriber(app)
    result = app.test_cli_runner().invoke(args=["whisper", "settings"])
    assert "WHISPER_MODEL = auto" in result.output


def test_public_names() -> None:
    assert whisper_service.__all__ == [
        "BadMessage",
        "BadSetting",
        "ConfigError",
        "ModelUnavailable",
        "Transcriber",
        "TranscriptionError",
    ]
    assert all(getattr(whisper_service, name) for name in whisper_service.__all__)


def test_the_package_alone_imports_neither_flask_nor_torch() -> None:
    code = "import sys, whisper_service; sys.exit(bool({'flask', 'torch', 'gevent'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_the_wheel_carries_the_page_but_not_the_demonstration_model(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation", "-q"]
    subprocess.run([*command, "-w", str(tmp_path)], check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "whisper_service/extension.py",
        "whisper_service/templates/index.html",
        "whisper_service/static/recordrtc/RecordRTC.min.js",
        "whisper_service/static/recordrtc/LICENSE",
        "whisper_service/static/samples/talk-00.flac",
    ):
        assert needed in names
    assert not [name for name in names if name.endswith(".pt")]
    assert all(name.startswith("whisper_service") for name in names)


def test_an_app_that_loads_no_model_starts_without_torch() -> None:
    script = "import app, sys; sys.exit(bool({'torch', 'whisper', 'numba', 'silero_vad'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
