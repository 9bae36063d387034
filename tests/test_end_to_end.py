"""The whole service with its model, as its users run it: sockets in front, processes behind."""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import threading
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.audio.test_decode import chunk, fmt, riff
from tests.servers import MODEL, ROOT, Server, free_port, running, status, wait_until, wait_until_ready
from tests.talks import (
    DEADLINE_S,
    MAX_ERROR_RATE,
    MAX_ERROR_RATE_SHORT,
    RATE,
    Client,
    Heard,
    Talk,
    assert_whole,
    sentences,
    stream_talk,
    talk,
    word_error_rate,
)

WAYS = ("app.py", "gunicorn", "pywsgi", "gevent-websocket")
STOP_TIMEOUT_S = 25.0

ON_APP = pytest.mark.parametrize("server", ["app.py"], indirect=True)
ON_FOREIGN_APP = pytest.mark.parametrize("server", ["pywsgi"], indirect=True)
#: flask-sock shakes hands itself, which gevent-websocket has done by then.
IN_FOREIGN_APPS = pytest.mark.parametrize("server", ["pywsgi", "gevent-websocket"], indirect=True)


@contextmanager
def serving(way: str, folder: Path, **environment: str) -> Iterator[Server]:
    """Run one of the servers while the body runs; it may still be loading its model."""
    port = free_port()
    command, own = {
        "app.py": (["app.py"], {"PORT": str(port)}),
        "gunicorn": (
            ["-m", "gunicorn", "-c", "gunicorn.conf.py", "--bind", f"127.0.0.1:{port}", "app:app"],
            {},
        ),
        "host under gunicorn": (
            ["-m", "gunicorn", "-c", "tests/host_gunicorn.conf.py", "--bind", f"127.0.0.1:{port}"]
            + ["tests.foreign_app:app"],
            {},
        ),
        "pywsgi": (["-m", "tests.foreign_app", str(port)], {}),
        "gevent-websocket": (["-m", "tests.foreign_app", str(port), "gevent-websocket"], {}),
    }[way]
    with running(
        command, port=port, log_path=folder / "log", **{"WHISPER_MODEL": MODEL} | own | environment
    ) as server:
        yield server
    assert "Traceback" not in server.log(), server.log()


@pytest.fixture(scope="module", params=WAYS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(request.param, tmp_path_factory.mktemp("server")) as server:
        wait_until_ready(server, prefix_of(request.param))
        yield server


@pytest.fixture
def prefix(request: pytest.FixtureRequest) -> str:
    """Where the service is mounted in the server of this test."""
    return prefix_of(request.node.callspec.params["server"])


def prefix_of(way: str) -> str:
    return "" if way in ("app.py", "gunicorn") else "/speech"


def stream_together(url: str, talks: Sequence[Talk]) -> list[Heard]:
    """Stream each talk in a connection of its own, all at the same time."""
    heard: dict[int, Heard] = {}

    def stream(index: int) -> None:
        heard[index] = stream_talk(url, talks[index].wavs())

    threads = [threading.Thread(target=stream, args=(index,)) for index in range(len(talks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [heard[index] for index in range(len(talks))]


# --- every way to serve


def test_two_talks_at_once(server: Server, prefix: str) -> None:
    # As whole talks on gunicorn, which serves in production.
    talks = [talk("talk-00"), talk("talk-04")]
    if "gunicorn" not in server.process.args:
        talks = [talks[0].until(7.2), talks[1].until(6.8)]

    for spoken, heard in zip(talks, stream_together(server.ws(f"{prefix}/transcribe"), talks), strict=True):
        assert_whole(heard, samples=spoken.samples.shape[0])
        assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE, heard.transcript
        assert heard.done["lost_samples"] == 0


def test_page_and_its_files_are_served(server: Server, prefix: str) -> None:
    page = server.get(f"{prefix}/").decode()

    [address] = re.findall(r'data-socket="([^"]+)"', page)
    assert address == "transcribe"  # relative, as all addresses: a proxy may strip a prefix
    paths = [path for path in re.findall(r'(?:src|href|data-sample)="([^"]+)"', page) if "static/" in path]
    assert len(paths) >= 5
    for path in paths:
        name = path.partition("static/")[2]
        assert server.get(f"{prefix}/{path}") == (ROOT / "static" / name).read_bytes()


def test_modules_of_the_page_are_served(server: Server, prefix: str) -> None:
    folder = "/speech/static" if prefix else "/whisper/static"
    for file in (ROOT / "static" / "live").iterdir():
        assert server.get(f"{folder}/live/{file.name}") == file.read_bytes()


def test_health(server: Server, prefix: str) -> None:
    assert status(server, f"{prefix}/healthz") == (200, "alive")
    assert status(server, f"{prefix}/readyz") == (200, "ready")


# --- a foreign app


@IN_FOREIGN_APPS
def test_host_keeps_its_page(server: Server) -> None:
    assert server.get("/") == b"<title>The host's own page</title>"
    assert b"<title>Live transcription</title>" in server.get("/speech/")


@ON_FOREIGN_APP
def test_host_keeps_its_sockets(server: Server) -> None:
    with connect(server.ws("/echo"), proxy=None, close_timeout=0.1) as client:
        client.send("hello")
        assert client.recv(DEADLINE_S) == "hello"


@IN_FOREIGN_APPS
def test_host_keeps_its_addresses(server: Server) -> None:
    for path in ("/healthz", "/readyz", "/transcribe"):
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            server.get(path)
        refused.value.close()


# --- what a client may send


@ON_APP
def test_base64_text_on_transcription(server: Server) -> None:
    spoken = sentences()
    texts = [base64.b64encode(wav).decode() for wav in spoken.wavs()]
    texts[1::2] = [f"data:audio/wav;base64,{text}" for text in texts[1::2]]

    heard = stream_talk(server.ws("/transcription"), texts)

    assert_whole(heard, samples=spoken.samples.shape[0])
    assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT


@ON_APP
def test_undeclared_raw_samples_on_ws_transcribe(server: Server) -> None:
    spoken = sentences()

    heard = stream_talk(server.ws("/ws/transcribe"), spoken.raw())

    assert_whole(heard, samples=spoken.samples.shape[0])
    assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT


@ON_APP
def test_declared_floats_and_plain_text_back(server: Server) -> None:
    spoken = sentences()

    heard = stream_talk(server.ws("/transcribe?format=f32le&rate=16000&reply=text"), spoken.raw(dtype="<f4"))

    assert heard.code == 1000
    assert heard.frames and not any(frame.startswith("{") for frame in heard.frames)
    assert word_error_rate(spoken.text, "".join(heard.frames)) <= MAX_ERROR_RATE_SHORT


@ON_APP
def test_bad_slice_does_not_end_the_stream(server: Server) -> None:
    spoken = sentences()
    frames = spoken.wavs()
    frames.insert(3, b"\x00 no audio at all")

    heard = stream_talk(server.ws("/transcribe"), frames)

    [error] = heard.of("error")
    assert (error["code"], error["fatal"]) == ("unsupported_audio", False)
    assert_whole(heard, samples=spoken.samples.shape[0])
    assert heard.done["lost_samples"] == 0
    assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT


@ON_APP
def test_bad_slice_of_known_length_becomes_silence(server: Server) -> None:
    spoken = sentences(until_s=7.2)
    frames = spoken.wavs()
    # A coding that nobody knows, for 3.0 to 3.5 s, in the pause between the sentences.
    frames[6] = riff(fmt(0x7777), chunk(b"data", bytes(RATE)))

    heard = stream_talk(server.ws("/transcribe"), frames)

    [error] = heard.of("error")
    assert (error["code"], error["fatal"]) == ("unsupported_audio", False)
    assert_whole(heard, samples=spoken.samples.shape[0])
    assert heard.done["lost_samples"] == RATE // 2
    assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE
    assert heard.of("final")[-1]["end"] == pytest.approx(spoken.words[-1][2], abs=0.5)


@ON_APP
def test_unknown_setting_is_refused(server: Server) -> None:
    heard = stream_talk(server.ws("/transcribe?langauge=en"), [])

    [error] = heard.messages
    assert (error["type"], error["code"], error["fatal"]) == ("error", "bad_setting", True)
    assert error["message"] == "There is no setting 'langauge'. Did you mean language?"
    assert (heard.code, heard.reason) == (4400, "bad_setting")


@ON_APP
def test_bad_control_message_does_not_end_the_stream(server: Server) -> None:
    heard = stream_talk(server.ws("/transcribe"), ["{", '{"type":"sing"}'])

    assert [(error["code"], error["fatal"]) for error in heard.of("error")] == [("bad_message", False)] * 2
    assert_whole(heard, samples=0)


@ON_APP
def test_flush_makes_final_what_was_said(server: Server) -> None:
    first, whole = talk("talk-04").until(1.1), talk("talk-04").until(3.2)
    with Client(server.ws("/transcribe")) as client:
        client.send(first.wavs())
        client.control("flush")
        client.wait_for("speech_ended")
        client.wait_for("final", lambda final: "good" in final["text"])
        client.send(whole.wavs(start_s=1.1))
        client.control("stop")
        heard = client.heard()

    assert_whole(heard, samples=whole.samples.shape[0])
    assert word_error_rate(whole.text, heard.transcript) <= MAX_ERROR_RATE_SHORT


@ON_APP
def test_words(server: Server) -> None:
    heard = stream_talk(server.ws("/transcribe?words=1"), sentences().wavs())

    assert heard.of("final")
    for message in heard.of("final") + heard.of("partial"):
        words = message["words"]
        assert "".join(word["word"] for word in words) == message["text"]
        assert all(word["start"] <= word["end"] and 0 <= word["probability"] <= 1 for word in words)


@ON_APP
def test_full_transcript(server: Server) -> None:
    heard = stream_talk(server.ws("/transcribe?full_transcript=1"), sentences().wavs())

    finals = heard.of("final")
    assert len(finals) > 1
    for index, final in enumerate(finals, start=1):
        assert final["full_transcript"] == "".join(final["text"] for final in finals[:index])


# --- ends


@ON_APP
def test_vanished_client_leaves_nothing_behind(server: Server) -> None:
    def descriptors() -> int:
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    before = descriptors()
    with Client(server.ws("/transcribe")) as client:
        client.send(sentences(until_s=6.0).wavs())
        session = client.wait_for("ready")["session"]
        client.wait_for("final")
        client.vanish()
        assert wait_until(lambda: f"{session}: closed after" in server.log(), timeout_s=DEADLINE_S)

    assert wait_until(lambda: descriptors() <= before, timeout_s=DEADLINE_S)
    spoken = sentences()
    heard = stream_talk(server.ws("/transcribe"), spoken.wavs())
    assert_whole(heard, samples=spoken.samples.shape[0])


@pytest.mark.parametrize("way", ["app.py", "host under gunicorn"])
def test_stopping_server_gives_the_last_words(way: str, tmp_path: Path) -> None:
    # Both end in mid-sentence.
    cuts = {"talk-00": talk("talk-00").until(5.6), "talk-04": talk("talk-04").until(5.1)}
    with serving(way, tmp_path) as server:
        wait_until_ready(server, prefix_of(way))
        url = server.ws(f"{prefix_of(way)}/transcribe")
        with (
            Client(url) as first,
            Client(url) as second,
            Client(url) as silent,
        ):
            silent.wait_for("ready")
            for client, spoken in zip((first, second), cuts.values(), strict=True):
                client.send(spoken.wavs())
                client.arrived()
            for client in (first, second):
                client.wait_for("final", lambda final: final["end"] > 3.5)
            server.process.send_signal(signal.SIGTERM)
            ends = [client.heard() for client in (first, second, silent)]
        assert server.process.wait(STOP_TIMEOUT_S) == 0

    for heard in ends:
        assert (heard.code, heard.reason) == (1012, "draining")
        assert (heard.messages[-1]["code"], heard.messages[-1]["fatal"]) == ("draining", True)
        assert not heard.of("done")
        assert [final["id"] for final in heard.of("final")] == list(range(len(heard.of("final"))))
    for heard, spoken in zip(ends, cuts.values(), strict=False):
        assert word_error_rate(spoken.text, heard.transcript) <= MAX_ERROR_RATE_SHORT, heard.transcript
        assert heard.of("final")[-1]["end"] > spoken.words[-1][1]


# --- the model


@contextmanager
def silent_proxy() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """Give the address of a proxy, what it sets when it is called, and what makes it hang up."""
    called, over = threading.Event(), threading.Event()

    def hold() -> None:
        with suppress(OSError):  # nobody called
            peer, _ = listener.accept()
            called.set()
            over.wait(DEADLINE_S)
            peer.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hold)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", called, over
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_without_network_the_demonstration_model_serves(tmp_path: Path) -> None:
    with silent_proxy() as (proxy, called, hang_up):
        nowhere = {"https_proxy": proxy, "HTTPS_PROXY": proxy, "no_proxy": "", "NO_PROXY": ""}
        nowhere |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
        settings = {"WHISPER_MODEL": "auto", "WHISPER_DOWNLOAD_TIMEOUT_S": "60"}
        with serving("app.py", tmp_path, XDG_CACHE_HOME=str(tmp_path), **nowhere, **settings) as server:
            assert called.wait(DEADLINE_S), server.log()
            # The download hangs: the process is alive, and says that it is not ready.
            assert status(server, "/healthz") == (200, "alive")
            assert status(server, "/readyz") == (503, "loading")
            hang_up.set()
            wait_until_ready(server)
            [ready, _] = stream_talk(server.ws("/transcribe"), []).messages

    assert ready["model"] == "micro.en"
    [warning] = ready["warnings"]
    assert warning.startswith("Demonstration model: it understands only the synthetic voices")


def test_missing_model_is_told(tmp_path: Path) -> None:
    sentence = "The server has no model; its log says why."
    with serving("app.py", tmp_path, WHISPER_MODEL="/nowhere.pt") as server:
        assert wait_until(lambda: status(server, "/readyz") == (503, sentence), timeout_s=DEADLINE_S)
        assert status(server, "/healthz") == (200, "alive")
        heard = stream_talk(server.ws("/transcribe"), [])
        assert "There is no checkpoint /nowhere.pt: correct the path in WHISPER_MODEL." in server.log()

    [error] = heard.messages
    assert (error["code"], error["message"], error["fatal"]) == ("model_unavailable", sentence, True)
    assert (heard.code, heard.reason) == (1011, "model_unavailable")
