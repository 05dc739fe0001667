"""Pages in Japanese say what the English ones say: the same code, headings, tables and links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README", "docs/tutorial"]
#: The one of each page that has the other language, in its second paragraph.
OTHER = re.compile(r"^\[(?:English|日本語)\]\(.*\)\n\n", re.MULTILINE)


def pair(name: str) -> tuple[str, str]:
    """A page in English and in Japanese."""
    english, japanese = ((ROOT / f"{name}{end}").read_text("utf-8") for end in (".md", ".ja.md"))
    return english, japanese


def blocks(text: str) -> list[str]:
    """The code blocks, with what they are of."""
    return re.findall(r"^```\w+\n.*?^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """A page without its code blocks and without its link to the other language."""
    for block in blocks(text):
        text = text.replace(block, "")
    return OTHER.sub("", text)


@pytest.mark.parametrize("name", PAGES)
def test_the_code_is_the_same(name: str) -> None:
    english, japanese = map(blocks, pair(name))
    assert english == japanese
    assert len(english) > 5


@pytest.mark.parametrize("name", PAGES)
def test_headings_list_items_and_table_rows_are_as_many_in_the_same_order(name: str) -> None:
    english, japanese = (re.findall(r"^(#+ |\||- )", prose(text), re.MULTILINE) for text in pair(name))
    assert english == japanese


@pytest.mark.parametrize("name", PAGES)
def test_the_rows_begin_alike_where_they_begin_with_code_or_a_number(name: str) -> None:
    english, japanese = (re.findall(r"^\| (`\w+`|\d+) \|", text, re.MULTILINE) for text in pair(name))
    assert english == japanese


@pytest.mark.parametrize("name", PAGES)
def test_the_links_lead_to_the_same_places(name: str) -> None:
    english, japanese = (
        {link.replace(".ja.md", ".md") for link in re.findall(r"\]\(([^)]+)\)", prose(text))}
        for text in pair(name)
    )
    assert english == japanese


@pytest.mark.parametrize("name", PAGES)
def test_each_page_leads_to_the_other(name: str) -> None:
    english, japanese = pair(name)
    page = Path(name).name
    assert f"[日本語]({page}.ja.md)" in english
    assert f"[English]({page}.md)" in japanese
    text = prose(japanese)
    assert len(re.findall("[ぁ-んァ-ヶ一-龠]", text)) > len(text) / 4
