"""Rules that netlab makes read no file, whatever a name in them holds."""

from __future__ import annotations

import pytest

from netlab.kernel import ruleset


@pytest.mark.parametrize(
    "text",
    [
        'oifname "";include"sh*";" drop',
        'include "/etc/shadow"',
        'table ip t { chain c { iifname "a"; include "/x" } }',
        '2include"x"',
    ],
)
def test_an_include_is_refused(text: str) -> None:
    with pytest.raises(ruleset.RulesetError, match="include no file"):
        ruleset.start_nft(text)


@pytest.mark.parametrize(
    "text",
    ["", 'comment "include x"', "jump filter-forward-in__include", "# include x\naccept"],
)
def test_a_name_with_that_word_is_not(text: str) -> None:
    assert not ruleset._includes(text)
