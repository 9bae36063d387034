"""The checks of settings: each turns a value, or the text of one, into the value that is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Check:
    """Converts a value, or its text, to the value that is stored.

    :param accepts: a description of the accepted values.
    :param parse: returns the converted value; raises ValueError, TypeError or OverflowError if the value is
        not accepted.
    """

    accepts: str
    parse: Callable[[Any], Any]


def number(kind: type[int] | type[float], low: float, high: float, unit: str = "") -> Check:
    """Return the check of a number within ``[low, high]``."""

    def parse(value: Any) -> Any:
        number = kind(value)
        if isinstance(value, bool) or not low <= number <= high or (kind is int and number != float(value)):
            raise ValueError
        return number

    spelled = "," if kind is int else "g"
    return Check(f"{low:{spelled}} … {high:{spelled}} {unit}".rstrip(), parse)


def choice(*names: str) -> Check:
    """Return the check of one of ``names``."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return Check(" | ".join(name or "(empty)" for name in names), parse)


def switch() -> Check:
    """Return the check of a switch."""
    words = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }

    def parse(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        try:
            return words[str(value).strip().lower()]
        except KeyError:
            raise ValueError from None

    return Check("true | false", parse)


def text(accepts: str, longest: int) -> Check:
    """Return the check of a text."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest or not is_text(value):
            raise ValueError
        return value

    return Check(accepts, parse)


def origins(any_origin: str, same_origin: str) -> Check:
    """Return the check of a list of origins.

    :param any_origin: the word for all origins.
    :param same_origin: the word for those of the server itself.
    """

    def parse(value: Any) -> tuple[str, ...]:
        listed = value.split(",") if isinstance(value, str) else value
        chosen = tuple(dict.fromkeys(item.strip().rstrip("/").lower() for item in listed if item.strip()))
        for item in chosen:
            parts = urlsplit(item)
            is_origin = parts.scheme and parts.hostname and item == f"{parts.scheme}://{parts.netloc}"
            if item not in (any_origin, same_origin, "null") and not is_origin:
                raise ValueError
        if not chosen:
            raise ValueError
        return chosen

    return Check(
        f"{same_origin} | {any_origin} | origins such as https://app.example, with commas between", parse
    )


def is_text(value: str) -> bool:
    """Return whether UTF-8 can encode ``value``: JSON may contain half of a surrogate pair, UTF-8 may not."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


def keywords() -> Check:
    """Return the check of a list of keywords."""

    def parse(value: Any) -> tuple[str, ...]:
        listed = value.split(",") if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not all(
            isinstance(item, str) and is_text(item) for item in listed
        ):
            raise ValueError
        keywords = tuple(dict.fromkeys(item.strip() for item in listed if item.strip()))
        if len(keywords) > 100 or any(len(item) > 100 for item in keywords):
            raise ValueError
        return keywords

    return Check("words or phrases with commas between, at most 100, each at most 100 characters", parse)


def language() -> Check:
    """Return the check of a language code; None for auto."""

    def parse(value: Any) -> str | None:
        if value in (None, "", "auto"):
            return None
        if not (isinstance(value, str) and value.isascii() and value.isalpha() and 2 <= len(value) <= 3):
            raise ValueError
        return value.lower()

    return Check("auto | a language code such as en or de", parse)


def device() -> Check:
    """Return the check of a device."""

    def parse(value: Any) -> str:
        kind, _, index = str(value).partition(":")
        if value not in ("auto", "cpu", "cuda") and not (kind == "cuda" and index.isdigit()):
            raise ValueError
        return str(value)

    return Check("auto | cpu | cuda | cuda:N", parse)


def optional(check: Check) -> Check:
    """Return ``check`` for a value that may also be auto, which is None."""
    return Check(
        f"auto | {check.accepts}", lambda value: None if value in (None, "auto") else check.parse(value)
    )
