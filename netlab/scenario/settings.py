"""Settings as a line has them: ``KEY=VALUE``."""

from __future__ import annotations

import json
from typing import cast

from netlab.model.scenario import JsonValue
from netlab.scenario.tree import shown


def scale_setting(text: str) -> tuple[str, int]:
    """``SERVICE=N`` of the command line; raises ValueError."""
    name, _, number = text.partition("=")
    if not name or not number.isdecimal() or len(number) > 5:
        raise ValueError(f"{shown(text)} is not SERVICE=NUMBER")
    return name, int(number)


def daemon_setting(text: str) -> tuple[str, JsonValue]:
    """``KEY=VALUE`` of the command line; VALUE is JSON, or else a string. Raises ValueError without ``=``."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ValueError(f"{shown(text)} is not KEY=VALUE")
    return key, json_or_text(value)


def json_or_text(text: str) -> JsonValue:
    """The value of JSON, or else the text itself."""
    try:
        return cast(JsonValue, json.loads(text))
    except ValueError:
        return text
    except RecursionError:
        return text
