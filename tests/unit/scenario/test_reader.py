"""YAML as Compose reads it: types, merge keys, anchors, positions, bounds."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.problem import ScenarioError
from netlab.model.scenario import JsonValue
from netlab.scenario.reader import read, scalar


def plain(text: str | bytes) -> JsonValue:
    return read(text if isinstance(text, bytes) else text.encode(), "f").plain()


def problem(text: str | bytes) -> str:
    with pytest.raises(ScenarioError) as caught:
        plain(text)
    return str(caught.value)


TYPES = [
    ("22:22", "22:22"),
    ("80:80:80", "80:80:80"),
    ("yes", "yes"),
    ("on", "on"),
    ("Off", "Off"),
    ("y", "y"),
    ("true", True),
    ("FALSE", False),
    ("~", None),
    ("Null", None),
    ("0", 0),
    ("-7", -7),
    ("+7", 7),
    ("1_000", 1000),
    ("010", 8),
    ("0o10", 8),
    ("0x1F", 31),
    ("0b101", 5),
    ("089", 89.0),
    ("1.5", 1.5),
    ("1e3", 1000.0),
    (".5", 0.5),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("1.2.3", "1.2.3"),
    ("2001-01-01", "2001-01-01"),
    ("fd00::1", "fd00::1"),
    ("0x", "0x"),
    ("-", "-"),
    ("_1", "_1"),
    ("9" * 100, "9" * 100),
]


@pytest.mark.parametrize(("text", "value"), TYPES, ids=[t[0][:20] for t in TYPES])
def test_plain_scalars(text: str, value: JsonValue) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quotes_and_tags_decide() -> None:
    assert plain("[ '80', \"true\", !!str 80, !!int '80', !!bool 'true', ! 80 ]") == [
        "80",
        "true",
        "80",
        80,
        True,
        "80",
    ]


def test_merge_keys() -> None:
    text = (
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\none: {<<: *x, b: 9}\ntwo: {d: 5, <<: [*x, *y]}\nq: {'<<': 1}"
    )
    found = plain(text)
    assert isinstance(found, dict)
    assert found["one"] == {"a": 1, "b": 9}
    assert found["two"] == {"d": 5, "a": 1, "b": 2, "c": 4}
    assert list(found["two"]) == ["d", "a", "b", "c"]
    assert found["q"] == {"<<": 1}


def test_positions_of_keys_and_values() -> None:
    root = read(b"a: 1\nb:\n  - x\n  - 'y'\n", "f")
    assert root.key_at("b") == ("f", 2, 1)
    items = root.map["b"].list
    assert [item.at for item in items] == [("f", 3, 5), ("f", 4, 5)]
    assert items[1].inner == ("f", 4, 6)


def test_a_byte_order_mark_and_windows_lines_are_nothing() -> None:
    assert plain(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n") == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "f:1:1: the file is empty"),
        (b"# only a comment\n", "f:1:1: the file is empty"),
        (b"---\n...\n", "f:1:1: the file is empty"),
        (b"null", "f:1:1: the file is empty"),
        (b"a: \xff\n", "f:1:4: not UTF-8 text: byte 0xff"),
        (b"a: b\nc: \xc3\xa4\xe4\n", "f:2:5: not UTF-8 text: byte 0xe4"),
        (b"\xff\xfea\0:\0", "f:1:1: not UTF-8 text: byte 0xff"),
        (b"a: b\x00c", "f:1:5: control character '\\x00' in the text"),
        (b'a: "b\\0c"', "f:1:4: a NUL character, which no name, path or argument can hold"),
        (b"a:\n\tb: c", "f:2:1: not YAML: a tab cannot be used to indent"),
        (b"a: b: c", "f:1:5: not YAML: mapping values are not allowed in this context"),
        (b'a: "b', "f:1:6: not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        (b"a: 1\n...\nb: 2\n", "f:3:1: not YAML: did not find expected <document start>"),
        (
            b"a: 1\nb: 1\na: 2\na: 3",
            'f:3:1: the key "a" is already on line 1\nf:4:1: the key "a" is already on line 1',
        ),
        (b"{true: 1}", 'f:1:2: a key must be a string, not a boolean: put "true" in quotes'),
        (b"{~: 1}", 'f:1:2: a key must be a string, not nothing: put "~" in quotes'),
        (b"? [a]\n: 1", "f:1:3: a key must be a string, not a list"),
        (b"? {a: 1}\n: 1", "f:1:3: a key must be a string, not a mapping"),
        (b"a: {<<: 5}", "f:1:9: << takes a mapping or a list of them, not a number"),
        (b"a: !!int x", 'f:1:4: "x" is not !!int'),
        (b"a: !!set {x}", 'f:1:4: unknown YAML tag "tag:yaml.org,2002:set"'),
        (b"a: !mine [x]", 'f:1:4: unknown YAML tag "!mine"'),
        (b"[" * 1_000, "f:1:65: nested more than 64 levels deep"),
        (b"- " * 100_000, "f:1:129: nested more than 64 levels deep"),
        (b"a: &a {b: &b {c: *a}}", "f:1:18: alias *a is inside its own anchor"),
    ],
    ids=range(25),
)
def test_problems(text: bytes, message: str) -> None:
    assert problem(text) == message


@pytest.mark.parametrize("opening", ["[", "{", "{a: ", "- ", "? "])
def test_unbounded_depth_is_reported_whichever_library_meets_it_first(opening: str) -> None:
    assert re.fullmatch(r"f:1:\d+: nested more than 64 levels deep", problem(opening * 100_000))


def test_nesting_is_counted_through_aliases() -> None:
    levels = "\n".join(f"l{n}: &l{n} " + "[" * 30 + (f"*l{n - 1}" if n else "x") + "]" * 30 for n in range(3))
    assert problem(levels) == "f:3:39: nested more than 64 levels deep"


def test_a_billion_laughs() -> None:
    bomb = "l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n" + "".join(
        f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 10)
    )
    assert problem(bomb).endswith("the aliases of this file expand without limit")


def test_many_honest_aliases_are_no_bomb() -> None:
    text = "x: &x {a: 1, b: 2, c: 3}\n" + "".join(f"s{n}: {{<<: *x, d: {n}}}\n" for n in range(20_000))
    found = plain(text)
    assert isinstance(found, dict)
    assert len(found) == 20_001


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text("abc: #&*!|>'\"%@`{}[],-?\\\n", max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd-", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values.filter(lambda value: value is not None))
def test_json_is_yaml(value: JsonValue) -> None:
    import json

    assert plain(json.dumps(value)) == value


@given(st.text(alphabet="ab:-[]{}&*!<>|?#'\",\n \t%@`0", max_size=60))
def test_any_text_is_a_tree_or_a_problem(text: str) -> None:
    try:
        plain(text)
    except ScenarioError as error:
        places = [problem.position for problem in error.problems]
        lines = text.count("\n") + 2
        if not all(1 <= place.line <= lines and place.column >= 1 for place in places):
            raise AssertionError(places) from error


@given(st.binary(max_size=60))
def test_any_bytes_are_a_tree_or_a_problem(content: bytes) -> None:
    try:
        plain(content)
    except ScenarioError as error:
        if not error.problems:
            raise AssertionError("no problem") from error
