"""Every error that netlab raises on purpose, and the exit code that each becomes.

::

    NetlabError              1
    ├── UsageError           2   an argument, an option or a file cannot be used; also a ValueError
    │   ├── OptionError      2   the value of one option cannot be used
    │   ├── NoLabError       2   no running lab has that name; also a LookupError
    │   ├── NoNodeError      2   the lab has no node of that name; also a LookupError
    │   └── ScenarioError    2   the files of a scenario cannot be used: every problem with its position
    ├── Unmeasured           3   the instrument failed; never a pass, never a fail
    ├── MachineError         4   the machine lacks something: privileges, a tool, a kernel feature
    ├── NothingTested        5
    └── LabError             1   a running lab refused or failed
        └── EngineFailed     1   the engine failed at an event, as the real one does
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from typing import Any


class NetlabError(Exception):
    """The base class of all errors that netlab raises on purpose. Its text is for the user.

    ``exit_code`` is what the command line exits with.

    >>> try:
    ...     netlab.load_plan(["missing.yaml"])
    ... except netlab.NetlabError as error:
    ...     print(error.exit_code, error)
    2 missing.yaml:1:1: cannot read missing.yaml: No such file or directory
    """

    exit_code = 1
    #: Whether each line of the text begins with the place in a file that it is about.
    positioned = False

    def fields(self) -> dict[str, Any]:
        """What a message to another process must contain besides the text, as JSON: see
        :mod:`netlab.model.error_messages`.

        >>> netlab.OptionError("unknown engine", "engine").fields()
        {'message': 'unknown engine', 'option': 'engine'}
        """
        return {}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> NetlabError:
        """The inverse of :meth:`fields`; a class with a different constructor overrides both.

        >>> netlab.LabError.of("the lab shop is closed", {})
        LabError('the lab shop is closed')
        """
        del fields
        return cls(text)


class UsageError(NetlabError, ValueError):
    """An argument, an option or a file cannot be used, or a name in it does not exist. Also a ValueError.

    >>> lab.probe("client -> host:[80,443]", family=4)
    Traceback (most recent call last):
    netlab.model.errors.UsageError: client -> host:[80,443] means 2 flows (...); give family=4 ...
    """

    exit_code = 2

    def spelled(self, spell: Callable[[str], str]) -> UsageError:
        """The same error, with the names of options as ``spell`` writes them.

        >>> print(netlab.OptionError("unknown engine", "engine").spelled(lambda name: f"--{name}"))
        --engine: unknown engine
        """
        del spell  # no options in it
        return self


class NoLabError(UsageError, LookupError):
    """No running lab has that name. Also a LookupError.

    ::

        try:
            lab = netlab.attach("shop")
        except netlab.NoLabError:
            lab = netlab.up("shop.yaml")
    """


class NoNodeError(UsageError, LookupError):
    """The lab has no node of that name. Also a LookupError.

    >>> lab.probe("cleint -> host:80", family=4)
    Traceback (most recent call last):
    netlab.model.errors.NoNodeError: there is no node 'cleint' (did you mean client?)
    """


class SeveralLabsError(UsageError):
    """Nothing says which of ``labs``, which are all up, is meant; ``node`` was named without its lab."""

    def __init__(self, message: str, labs: Sequence[str] = (), node: str = "") -> None:
        super().__init__(message)
        self.labs = tuple(labs)
        self.node = node

    def fields(self) -> dict[str, Any]:
        """The names of the labs and the node."""
        return {"labs": list(self.labs), "node": self.node}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> SeveralLabsError:
        """The inverse of :meth:`fields`."""
        return cls(text, fields["labs"], fields["node"])


class OptionError(UsageError):
    """The value of an option cannot be used. ``option`` is the option's name in Python.

    >>> try:
    ...     netlab.load_plan(["scenarios/httpd.yaml"], scale={"httpd": "many"})
    ... except netlab.OptionError as error:
    ...     print(error.option)
    scale
    """

    def __init__(self, message: str, option: str = "") -> None:
        self.message = message
        self.option = option
        super().__init__(f"{option}: {message}" if option else message)

    def fields(self) -> dict[str, Any]:
        """The message without the option, and the option.

        >>> netlab.OptionError("unknown engine", "engine").fields()
        {'message': 'unknown engine', 'option': 'engine'}
        """
        return {"message": self.message, "option": self.option}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> OptionError:
        """The inverse of :meth:`fields`.

        >>> print(netlab.OptionError.of("", {"message": "unknown engine", "option": "engine"}))
        engine: unknown engine
        """
        del text
        return cls(fields["message"], fields["option"])

    def spelled(self, spell: Callable[[str], str]) -> OptionError:
        """The same error, with the option's name as ``spell`` writes it.

        >>> print(netlab.OptionError("unknown engine", "engine").spelled(lambda name: f"--{name}"))
        --engine: unknown engine
        """
        return OptionError(self.message, self.option and spell(self.option))


class ScenarioWarning(UserWarning):
    """A warning about a scenario, with its position in the file.

    ::

        warnings.simplefilter("error", netlab.ScenarioWarning)  # to be as strict as possible
        netlab.Lab("scenarios/httpd.yaml").close()
    """


class Unmeasured(NetlabError):
    """The measurement failed, so there is no result: neither a pass nor a failure.

    ::

        try:
            journey = lab.probe("client -> host:80", family=4)
        except netlab.Unmeasured as error:
            print("measure again:", error)
    """

    exit_code = 3


class MachineError(NetlabError):
    """The machine lacks something; the text says what, and how to get it.

    ::

        try:
            lab = netlab.Lab("scenarios/httpd.yaml")
        except netlab.MachineError as error:
            pytest.skip(str(error))
    """

    exit_code = 4


class NothingTested(NetlabError):
    """There was nothing to test; the exit code of ``netlab verify`` without any expectations.

    >>> netlab.NothingTested.exit_code
    5
    """

    exit_code = 5


class LabError(NetlabError):
    """A running lab refused a request, failed, or is gone.

    ::

        lab = netlab.Lab("scenarios/httpd.yaml")
        lab.close()
        try:
            lab.probe("client -> host:80", family=4)
        except netlab.LabError as error:
            print(error)  # the lab httpd-4711-1 is closed
    """


class EngineFailed(LabError):
    """The engine began an event and failed, as the real one does; the text is the engine's message.

    ::

        lab.exec("host", ["iptables", "-t", "nat", "-F", "DOCKER"], check=True)
        try:
            lab.do("restart httpd")
        except netlab.LabError as error:
            print(error)

    The lab is then in the state that the real daemon leaves behind. Source: Docker after its chains were
    deleted.
    """


#: What a machine, or a process on it, can run out of (errno(3)), and the remedy.
_EXHAUSTED = {
    errno.EMFILE: "raise the limit of open files (ulimit -n 4096)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.ENOSPC: "",
    errno.EDQUOT: "",
    errno.ENOMEM: "give it more memory: a cgroup or ulimit -v may be in the way",
}


def exhausted(error: BaseException, doing: str = "") -> MachineError | None:
    """The error to show if files, space or memory ran out, with a remedy; None for any other error."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "Cannot allocate memory")
    if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
        return None
    path = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    what = ": ".join(filter(None, (doing, path and str(path), error.strerror)))
    return MachineError("; ".join(filter(None, (what, _EXHAUSTED[error.errno]))))
