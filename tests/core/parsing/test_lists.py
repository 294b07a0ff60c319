"""Lists in one cell come back as they were, whatever their values hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.parsing.lists import join_list, split_list


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=1).filter(lambda values: values != [""]))
def test_a_list_comes_back_from_its_cell(values: list[str]) -> None:
    assert split_list(join_list(values)) == values


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([], ""),
        (["a", "b"], "a|b"),
        (["a|b", "c"], '"a|b"|c'),
        ([1, 2.5], "1|2.5"),
        (['say "x"'], 'say "x"'),
        (['"x"'], '"""x"""'),
    ],
)
def test_only_what_must_be_is_quoted(values: list[object], cell: str) -> None:
    assert join_list(values) == cell


def test_what_a_person_wrote_is_read_as_it_stands() -> None:
    assert split_list('"half|open') == ['"half', "open"]
    assert split_list("a||b|") == ["a", "", "b", ""]
