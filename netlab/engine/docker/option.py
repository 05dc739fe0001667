"""An option of Docker, with the versions that know it; the only way to read one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlab.model.version import Span, Version
from netlab.scenario.tree import hint

#: What Go's strconv.ParseBool takes.
BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class DriverOption:
    """One option: its key, and the versions that read it; ``source`` says how we know."""

    key: str
    span: Span
    source: str


class OptionError(ValueError):
    """A value cannot be read; the text is Docker's."""


class Options:
    """The options that were given, for one version: what it does not know is not there."""

    def __init__(self, given: Mapping[str, str], version: Version) -> None:
        self._given = given
        self._version = version

    def __contains__(self, option: DriverOption) -> bool:
        return option.key in self._given and self._version in option.span

    def get(self, option: DriverOption) -> str | None:
        """The value; None if it was not given, or if this version does not read it."""
        return self._given[option.key] if option in self else None

    def flag(self, option: DriverOption, default: bool) -> bool:
        """A boolean; raises OptionError as Go's ParseBool does, also for an empty one."""
        value = self.get(option)
        if value is None:
            return default
        if value not in BOOLEANS:
            raise parse_error(option, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')
        return BOOLEANS[value]

    def number(self, option: DriverOption, default: int) -> int:
        """An integer; raises OptionError as Go's Atoi does."""
        value = self.get(option)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            raise parse_error(option, value, f'strconv.Atoi: parsing "{value}": invalid syntax') from None

    def unread(self, known: Mapping[str, DriverOption]) -> Iterator[str]:
        """What is given and not read by this version, each with why."""
        for key in self._given:
            option = known.get(key)
            if option is None:
                yield f"Docker does not know the option {key}, and ignores it{hint(key, known)}"
            elif self._version not in option.span:
                yield f"{key} is an option of {option.span}; Docker {self._version} ignores it"


def parse_error(option: DriverOption, value: str, reason: str) -> OptionError:
    """The words of libnetwork's parseErr."""
    return OptionError(f"failed to parse {option.key} value: {value} ({reason})")


def declared(*options: DriverOption) -> dict[str, DriverOption]:
    """Options by key."""
    return {option.key: option for option in options}
