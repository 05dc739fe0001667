"""Variables in Compose files, and ``.env``."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.problem import ScenarioError
from netlab.scenario import dotenv
from netlab.scenario.interpolate import TemplateError, substitute

ENVIRONMENT = {"SET": "value", "EMPTY": "", "OTHER": "other"}

TABLE = [
    ("plain", "plain"),
    ("$SET", "value"),
    ("${SET}", "value"),
    ("a${SET}b$SET-c", "avalueb" + "value-c"),
    ("$UNSET|${UNSET}|$EMPTY", "||"),
    ("${SET:-d} ${EMPTY:-d} ${UNSET:-d}", "value d d"),
    ("${SET-d} ${EMPTY-d} ${UNSET-d}", "value  d"),
    ("${SET:+r} ${EMPTY:+r} ${UNSET:+r}", "r  "),
    ("${SET+r} ${EMPTY+r} ${UNSET+r}", "r r "),
    ("${SET:?e} ${SET?e} ${EMPTY?e}", "value value "),
    ("$$SET $${SET} $$$SET", "$SET ${SET} $value"),
    ("${UNSET:-${OTHER}}", "other"),
    ("${UNSET:-${EMPTY:-${SET}}}", "value"),
    ("${UNSET:-a-$OTHER-b}", "a-other-b"),
    ('${UNSET:-{"a": 1}}', '{"a": 1}'),
    ("${UNSET:-a:-b}", "a:-b"),
    ("${SET:-${NEVER?looked at}}", "value"),
    ("${SET:+${OTHER}}", "other"),
    ("${UNSET:-$$x}", "$x"),
    # as Compose 2.26 was seen to take it
    ("a $ b $1 ^/api$|$} end$", "a $ b $1 ^/api$|$} end$"),
    ("${UNSET:-$}", "$"),
]


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_operators(text: str, expected: str) -> None:
    assert substitute(text, ENVIRONMENT.get) == expected


BAD = [
    ("${UNSET:?say why}", 0, "the variable UNSET is required: say why"),
    ("x${EMPTY:?}", 1, "the variable EMPTY is required and not set"),
    ("${UNSET?$SET}", 0, "the variable UNSET is required: value"),
    ("${UNSET:-${X?in}}", 9, "the variable X is required: in"),
    ("${", 0, '"${" is not a variable; write $$ for a dollar sign'),
    ("${}", 0, '"${}" is not a variable; write $$ for a dollar sign'),
    ("${A", 0, '"${A" is not a variable; write $$ for a dollar sign'),
    ("${A!b}", 0, '"${A!b}" is not a variable; write $$ for a dollar sign'),
    ("${A:b}", 0, '"${A:b}" is not a variable; write $$ for a dollar sign'),
    ("${A:-" * 40 + "}" * 40, 165, "variables nested more than 32 deep"),
]


@pytest.mark.parametrize(("text", "at", "message"), BAD, ids=[b[0][:20] for b in BAD])
def test_errors(text: str, at: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        substitute(text, ENVIRONMENT.get)
    assert (str(caught.value), caught.value.at) == (message, at)


@given(st.text(alphabet="${}:-?+AB x", max_size=60))
def test_any_text_is_substituted_or_refused(text: str) -> None:
    try:
        result = substitute(text, {"A": "1"}.get)
    except TemplateError:
        return
    assert "$" in text or result == text


@given(st.text(max_size=30))
def test_a_doubled_dollar_is_one(text: str) -> None:
    assert substitute(text.replace("$", "$$"), {}.get) == text


# -- .env

DOTENV = r"""
# a comment
  # another
PLAIN=value
SPACED = spaced value   # comment
HASH=a#b
export EXPORTED=yes
YAML: style
EMPTY=
COMMENTED= # nothing
SINGLE='$PLAIN \n # literal'
DOUBLE="a\tb\n$PLAIN \"quoted\" \$PLAIN"
EXPANDED=${PLAIN}-${MISSING:-default}
LINES="one
two"
OUTER=$FROM_OUTSIDE
FROM_OUTSIDE
NOT_THERE
PLAIN2=$$PLAIN
dotted.key-x=1
LAST=end"""


def test_dotenv_forms() -> None:
    assert dotenv.parse(DOTENV, ".env", {"FROM_OUTSIDE": "out"}.get) == {
        "PLAIN": "value",
        "SPACED": "spaced value",
        "HASH": "a#b",
        "EXPORTED": "yes",
        "YAML": "style",
        "EMPTY": "",
        "COMMENTED": "",
        "SINGLE": r"$PLAIN \n # literal",
        "DOUBLE": 'a\tb\nvalue "quoted" $PLAIN',
        "EXPANDED": "value-default",
        "LINES": "one\ntwo",
        "OUTER": "out",
        "FROM_OUTSIDE": "out",
        "PLAIN2": "$PLAIN",
        "dotted.key-x": "1",
        "LAST": "end",
    }


def test_dotenv_windows_lines() -> None:
    assert dotenv.parse("A=1\r\nB='2'\r\n", ".env", {}.get) == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nB C=2", '.env:2:3: "B C=2" is not KEY=VALUE'),
        ("=x", '.env:1:1: "=x" is not KEY=VALUE'),
        ('A=1\n\nB="open\nmore', ".env:3:3: the quoted value has no end"),
        ("A='x' y", '.env:1:6: "y" follows the closing quote'),
        ("A=${B", '.env:1:3: "${B" is not a variable; write $$ for a dollar sign'),
        ("A=1\nB=${C:?gone}", ".env:2:3: the variable C is required: gone"),
    ],
)
def test_dotenv_errors(text: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        dotenv.parse(text, ".env", {}.get)
    assert str(caught.value) == message


@given(st.text(alphabet="AB='\"\\$#: \n{}\r", max_size=40))
def test_any_dotenv_is_read_or_refused(text: str) -> None:
    try:
        found = dotenv.parse(text, ".env", {}.get)
    except ScenarioError:
        return
    assert all(isinstance(value, str) for value in found.values())


# -- in files

IMAGE = "services: {web: {image: '${TAG:-default}', hostname: \"$COMPOSE_PROJECT_NAME\"}}"


def test_the_environment_wins_over_env_files(loaded: Callable) -> None:
    def image(**more) -> str:
        return loaded(IMAGE, **more).services[0].image

    assert image() == "default"
    assert image(others={".env": "TAG=file"}) == "file"
    assert image(others={".env": "TAG=file"}, environ={"TAG": "shell"}) == "shell"
    assert image(others={".env": "TAG=file"}, environ={"COMPOSE_DISABLE_ENV_FILE": "1"}) == "default"
    two = {"a.env": "TAG=a\nX=x", "b.env": "TAG=$X-b"}
    assert image(others=two, environ={"COMPOSE_ENV_FILES": "a.env,b.env"}) == "x-b"
    assert image(others=two, env_files=["b.env"], environ={"COMPOSE_ENV_FILES": "a.env"}) == "-b"
    assert image(others=two, env_files=["a.env", "b.env"]) == "x-b"
    assert image(others=two | {".env": "TAG=file"}, env_files=["b.env"]) == "-b", "in the place of .env"


def test_the_project_name_can_be_interpolated(loaded: Callable) -> None:
    assert loaded(IMAGE).services[0].hostname == "lab"
    assert loaded(IMAGE, project_name="mine").services[0].hostname == "mine"


def test_a_missing_env_file_is_named(problems: Callable) -> None:
    assert problems(IMAGE, environ={"COMPOSE_ENV_FILES": "gone.env"}) == [
        "gone.env:1:1: cannot read gone.env: No such file or directory"
    ]


def test_below_x_netlab_a_plain_variable_has_the_type_of_its_value(loaded: Callable) -> None:
    text = "x-netlab: {host: {daemon: {userland-proxy: $PROXY, mtu: $MTU, bridge: '$MTU'}}}"
    host = loaded(text, environ={"PROXY": "false", "MTU": "1400"}).hosts[0]
    assert host.daemon == {"userland-proxy": False, "mtu": 1400, "bridge": "1400"}


def test_columns_point_into_the_string(problems: Callable) -> None:
    text = 'services:\n  web:\n    image: "nginx:${TAG:?choose one}"\n'
    assert problems(text) == ["f:3:19: the variable TAG is required: choose one"]
