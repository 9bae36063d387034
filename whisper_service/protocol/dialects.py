"""The dialects that the service's own routes speak."""

from __future__ import annotations

from collections.abc import Mapping

from whisper_service.config import RawFormat, StreamSettings
from whisper_service.protocol.dialect import Dialect
from whisper_service.protocol.native import NativeDialect
from whisper_service.protocol.plain import PlainTextDialect
from whisper_service.protocol.resume import Tokens


def of_transcribe(
    chosen: Mapping[str, str],
    defaults: StreamSettings,
    *,
    undeclared: RawFormat | None = None,
    tokens: Tokens | None = None,
) -> Dialect:
    """Return the dialect of a connection to ``/transcribe``: ``reply=text`` asks for plain text.

    :param chosen: the query parameters of the URL.
    :param defaults: the settings of a stream whose client chooses nothing.
    :param undeclared: see ``Dialect``.
    :param tokens: see ``NativeDialect``.
    """
    dialect = PlainTextDialect if chosen.get("reply") == "text" else NativeDialect
    return dialect(chosen, defaults, undeclared=undeclared, tokens=tokens)
