"""The settings of the service (``WHISPER_*`` keys) and of one stream (chosen by its client).

Each setting is declared once, with its default, its check and a description, in the group that it belongs to.
``flask whisper settings`` and ``docs/config.md`` are made from these declarations.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import partial
from typing import Any

from whisper_service import checks
from whisper_service.checks import Check
from whisper_service.errors import BadSetting, ConfigError

KEY_PREFIX = "WHISPER_"
#: In the list of origins: all of them, and those of the server itself.
ANY_ORIGIN, SAME_ORIGIN = "*", "same"


def _setting(
    default: Any,
    check: Check,
    description: str,
    *,
    key: str = "",
    service: bool = True,
    secret: bool = False,
) -> Any:
    """Declare a setting.

    :param key: its ``WHISPER_*`` key without the prefix; by default the name of the field.
    :param service: whether it has such a key. Without one, only the client of a stream can choose it.
    :param secret: whether its value must not appear in errors, which end up in logs.
    """
    metadata = {"check": check, "description": description, "key": key, "service": service, "secret": secret}
    return field(default=default, metadata=metadata)


_of_client = partial(_setting, service=False)


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The format of samples without a header.

    :param encoding: ``s16le``, ``f32le``, ``mulaw`` or ``alaw``.
    :param rate: the sample rate in Hz.
    """

    encoding: str
    rate: int
    channels: int

    @classmethod
    def of(cls, encoding: str, rate: int | None = None, channels: int = 1) -> RawFormat:
        """Return the format. Without a ``rate`` it has the usual rate of its encoding."""
        return cls(encoding, rate or RAW_RATES[encoding], channels)


#: The commit policies of ``session/commit.py``. The first is the default.
POLICIES = ("confident_agreement", "local_agreement", "align_att")
#: The encodings of raw samples, each with its default rate in Hz. Telephones send 8 kHz.
RAW_RATES = {"s16le": 16_000, "f32le": 16_000, "mulaw": 8_000, "alaw": 8_000}


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings that a client chooses for its stream, as query parameters or in a ``start`` message.

    Those that have a ``WHISPER_*`` key as well take their default from it.
    """

    language: str | None = _setting(None, checks.language(), "Language of the speech; auto detects it.")
    task: str = _of_client(
        "transcribe", checks.choice("transcribe", "translate"), "Translate means: into English."
    )
    prompt: str = _setting(
        "",
        checks.text("text, at most 1000 characters", 1000),
        "Text that stands before the speech: names, spelling.",
    )
    keywords: tuple[str, ...] = _of_client(
        (),
        checks.keywords(),
        "Words that are reported as soon as they are said, in any inflection. The model does not see them.",
    )
    context: bool = _setting(
        True,
        checks.switch(),
        "Give the model the last utterances with the next one, as text and as audio.",
    )
    words: bool = _of_client(False, checks.switch(), "Send time and probability of each word.")
    interim: bool = _of_client(True, checks.switch(), "Send partials.")
    full_transcript: bool = _of_client(False, checks.switch(), "Send the whole transcript with every final.")
    resumable: bool = _of_client(
        False,
        checks.switch(),
        "Send what the client needs to go on after a broken connection: ack, and resume with every final.",
    )
    policy: str = _setting(
        POLICIES[0],
        checks.choice(*POLICIES),
        "How words become final: by agreement of two or three hypotheses, of two, or by attention, see "
        "quality.md.",
    )
    vad_threshold: float = _setting(
        0.5, checks.number(float, 0.05, 0.95), "Speech begins at this probability."
    )
    min_silence_ms: int = _setting(
        500, checks.number(int, 100, 5000, "ms"), "A pause of this length ends an utterance."
    )
    min_speech_ms: int = _setting(
        0,
        checks.number(int, 0, 2000, "ms"),
        "Shorter speech counts as noise, and the model does not hear it. With 0 the model gets all speech.",
    )
    pre_roll_ms: int = _of_client(
        400, checks.number(int, 0, 2000, "ms"), "Audio before the first speech that belongs to an utterance."
    )
    max_utterance_s: float = _of_client(
        22.0,
        checks.number(float, 10, 22, "s"),
        "Longer speech without a pause is cut, at its quietest place between two words.",
    )
    beam_size: int = _of_client(
        1,
        checks.number(int, 1, 5),
        "Width of the beam search for the last answer on an utterance; 1 decodes greedily.",
    )
    reply: str = _of_client(
        "json",
        checks.choice("json", "text"),
        "With text the server sends the text of finals as plain frames and nothing else.",
    )
    format: str = _of_client(
        "",
        checks.choice("", *RAW_RATES),
        "Type of raw samples, for slices without a header; empty means that slices are files.",
    )
    rate: int | None = _of_client(
        None,
        checks.optional(checks.number(int, 1000, 384_000, "Hz")),
        "Sample rate of raw samples; auto is 8000 for mulaw and alaw, else 16000.",
    )
    channels: int = _of_client(1, checks.number(int, 1, 32), "Channels of raw samples, interleaved.")

    def merged(self, chosen: Mapping[str, Any]) -> StreamSettings:
        """Return a copy of these settings with the values of ``chosen``.

        :raises BadSetting: if a name is unknown or a value is not accepted.
        """
        known = {item.name: item for item in fields(StreamSettings)}
        for name in chosen:
            if name not in known:
                raise BadSetting(f"There is no setting {name!r:.80}.{_hint(name, known)}")
        return replace(
            self, **{name: _checked(known[name], name, value, BadSetting) for name, value in chosen.items()}
        )

    def with_known_language(self, languages: frozenset[str]) -> StreamSettings:
        """Return these settings, after a check of their language.

        :param languages: the codes that the model knows.
        :raises BadSetting: if the language of the stream is not among them.
        """
        if self.language is not None and self.language not in languages:
            known = ", ".join(sorted(languages))
            raise BadSetting(f"The model does not know language {self.language!r}; it knows: {known}.")
        return self

    @property
    def raw_format(self) -> RawFormat | None:
        """The format of raw samples that the client has declared, or None."""
        return RawFormat.of(self.format, self.rate, self.channels) if self.format else None


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Which checkpoint is loaded, and how it computes."""

    name: str = _setting(
        "auto",
        checks.text("auto | a name such as base.en | a path | hf:owner/name", 4096),
        "The checkpoint, see deploy.md. Auto is base.en, or tiny.en where that cannot be had, or the "
        "demonstration model.",
        key="MODEL",
    )
    device: str = _setting("auto", checks.device(), "Where the model runs; auto takes CUDA if there is one.")
    dtype: str = _setting(
        "auto",
        checks.choice("auto", "float32", "bfloat16", "float16", "int8"),
        "Number format of the weights; auto is bfloat16 where it is clearly faster, else float32.",
    )
    encoder: str = _setting(
        "incremental",
        checks.choice("incremental", "full"),
        "How a live window is encoded when it has grown: only what is new, or as a whole.",
    )
    state_memory: int | None = _setting(
        None,
        checks.optional(checks.number(int, 0, 2**44, "bytes")),
        "Memory for what incremental windows keep; auto is a quarter of the free memory of the machine, or "
        "half of that of the GPU. Streams that do not fit take more time.",
    )
    cache_dir: str = _setting(
        "",
        checks.text("a folder", 4096),
        "Folder for downloaded checkpoints; empty takes the cache of openai-whisper.",
    )
    download_timeout_s: float = _setting(
        600.0,
        checks.number(float, 0, 86_400, "s"),
        "Longest time for a download of the checkpoint; 0 forbids downloads.",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one stream, and all streams together, may take."""

    max_streams: int | None = _setting(
        None,
        checks.optional(checks.number(int, 1, 1_000_000)),
        "Streams at once; one more is refused with 1013. Auto is as many as the model can serve in time, by "
        "measurement.",
    )
    max_message_bytes: int = _setting(
        32 * 2**20, checks.number(int, 65_536, 2**30, "bytes"), "A longer message closes its stream."
    )
    buffer_bytes: int = _setting(
        256 * 2**20,
        checks.number(int, 2**20, 2**36, "bytes"),
        "Bytes of incomplete and unread messages that all streams together may hold. A stream that needs "
        "more is closed with 1013. The first 256 KiB of each connection do not count.",
    )
    max_audio_s: float = _setting(
        3_600.0,
        checks.number(float, 1, 604_800, "s"),
        "Longest audio of a connection; then it is closed with 4408. A resumable stream goes on in another.",
    )
    user_streams: int | None = _setting(
        None,
        checks.optional(checks.number(int, 1, 100_000)),
        "Streams at once of one user, or of one address where users have no names; one more is refused with "
        "429. Auto does not limit them.",
    )
    user_audio_s: int | None = _setting(
        None,
        checks.optional(checks.number(int, 60, 1_000_000, "s")),
        "Audio of one user or address within a minute; with more, the stream is closed with 4429. A live "
        "stream has 60 s a minute. Auto does not limit it.",
    )
    redis_url: str = _setting(
        "",
        checks.text("redis://host:port/number", 1000),
        "Redis in which all workers and servers count the streams and the audio of users together; without, "
        "each process counts its own.",
        secret=True,
    )
    max_messages_s: int = _setting(
        500,
        checks.number(int, 1, 100_000),
        "Messages of one client a second; faster ones wait.",
    )
    idle_s: float = _setting(
        600.0,
        checks.number(float, 1, 86_400, "s"),
        "A client that sends no message for this long is closed with 4408; keepalive counts as one.",
    )
    container_streams: int = _setting(
        64,
        checks.number(int, 0, 10_000),
        "WebM, Ogg, MP4, MP3 and FLAC streams at once; each takes a thread.",
    )
    send_timeout_s: float = _setting(
        10.0,
        checks.number(float, 0.1, 600, "s"),
        "A client that does not take a message within this time is closed.",
    )
    ping_interval_s: float = _setting(
        25.0,
        checks.number(float, 1, 600, "s"),
        "Time between pings; a client that answers none of two is closed.",
    )
    drain_timeout_s: float = _setting(
        20.0,
        checks.number(float, 0, 600, "s"),
        "How long a server that stops waits until all streams are final.",
    )


@dataclass(frozen=True, slots=True)
class Access:
    """Who may enter. See security.md."""

    origins: tuple[str, ...] = _setting(
        (SAME_ORIGIN,),
        checks.origins(ANY_ORIGIN, SAME_ORIGIN),
        "Web pages that may use the service, by the origin that the browser names; null is a page that was "
        "opened as a file. Clients that are no browsers name none, and pass.",
    )
    keys: str = _setting(
        "",
        checks.text("name:hash, with commas between", 65_536),
        "API keys, as 'flask whisper keys add' prints them. If there are keys, nobody enters without.",
        secret=True,
    )
    keys_file: str = _setting(
        "",
        checks.text("a file", 4096),
        "File with more API keys. It is read again when it changes.",
    )
    metrics: str = _setting(
        "local",
        checks.choice("local", "open", "off"),
        "Who may read /metrics: clients on the server's own machine and holders of an API key, everybody, or "
        "nobody.",
    )
    proxy_hops: int = _setting(
        0,
        checks.number(int, 0, 10),
        "How many proxies stand before the server, whose X-Forwarded-For tells the client's address.",
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of the service.

    :param stream: the settings of a stream whose client chooses none.
    """

    model: ModelSettings = ModelSettings()
    stream: StreamSettings = StreamSettings()
    raw_format: str = _setting(
        "",
        checks.choice("", *RAW_RATES),
        "Type of undeclared binary frames that are no known file: mono, 16 kHz (mulaw and alaw 8 kHz). Empty "
        "refuses them, except on /ws/transcribe (s16le).",
    )
    signing_key: str = _setting(
        "",
        checks.text("text, at most 1000 characters", 1000),
        "Signs the tokens with which streams go on; servers that share streams need the same one. Empty "
        "takes the app's SECRET_KEY, or else a file in its instance folder.",
        secret=True,
    )
    resume_max_age_s: int = _setting(
        86_400,
        checks.number(int, 1, 2**31 - 1, "s"),
        "How long after its last message a stream can go on elsewhere.",
    )
    grid_ms: int = _setting(
        500, checks.number(int, 200, 2000, "ms"), "Distance of the positions at which words may become final."
    )
    access: Access = Access()
    limits: Limits = Limits()

    @classmethod
    def from_mapping(cls, *sources: Mapping[str, Any]) -> Config:
        """Return the settings from the ``WHISPER_*`` keys of ``sources``. Later sources win.

        :raises ConfigError: if a key is unknown or a value is not accepted.
        """
        known = _keys()
        chosen: dict[str, dict[str, Any]] = {group: {} for group in ("", *_GROUPS)}
        for source in sources:
            for key, value in source.items():
                if not key.startswith(KEY_PREFIX):
                    continue
                if key not in known:
                    raise ConfigError(f"There is no setting {key}.{_hint(key, known)}")
                group, item = known[key]
                chosen[group][item.name] = _checked(item, key, value, ConfigError)
        return cls(
            model=ModelSettings(**chosen["model"]),
            stream=StreamSettings(**chosen["stream"]),
            access=Access(**chosen["access"]),
            limits=Limits(**chosen["limits"]),
            **chosen[""],
        )


#: The fields of Config that are groups of settings.
_GROUPS: dict[str, type[Any]] = {
    "model": ModelSettings,
    "stream": StreamSettings,
    "access": Access,
    "limits": Limits,
}


def _keys() -> dict[str, tuple[str, Field[Any]]]:
    """Return the group (empty for Config itself) and the field of each ``WHISPER_*`` key, as declared."""
    known: dict[str, tuple[str, Field[Any]]] = {}
    for outer in fields(Config):
        grouped = outer.name in _GROUPS
        for item in fields(_GROUPS[outer.name]) if grouped else (outer,):
            if item.metadata["service"]:
                key = KEY_PREFIX + (item.metadata["key"] or item.name.upper())
                known[key] = (outer.name if grouped else "", item)
    return known


@dataclass(frozen=True, slots=True)
class Described:
    """One setting, as it is shown to people."""

    name: str
    default: str
    accepts: str
    description: str


def describe(settings: type[Config] | type[StreamSettings]) -> Iterator[Described]:
    """Yield the settings of the service or of a stream, each under the name that sets it."""
    named: dict[str, Field[Any]]
    if settings is Config:
        named = {key: item for key, (_, item) in _keys().items()}
    else:
        named = {item.name: item for item in fields(settings)}
    for name, item in named.items():
        value = ", ".join(item.default) if isinstance(item.default, tuple) else item.default
        default = "auto" if value is None else str(value) or "(empty)"
        yield Described(name, default, item.metadata["check"].accepts, item.metadata["description"])


def _checked(item: Field[Any], name: str, value: Any, error: type[ConfigError] | type[BadSetting]) -> Any:
    check: Check = item.metadata["check"]
    try:
        return check.parse(value)
    except (ValueError, TypeError, OverflowError):
        shown = "not accepted" if item.metadata["secret"] else f"{value!r:.80}"
        raise error(f"{name} is {shown}; accepted: {check.accepts}.") from None


def _hint(name: str, known: Mapping[str, Any]) -> str:
    if len(name) > 2 * max(map(len, known)):  # comparing a long name takes quadratic time
        return ""
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""
