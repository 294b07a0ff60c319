"""Tables of tasks: every line becomes an item or a listed reason; one bad line costs only itself."""

import csv
import io
import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microtasks.core.errors import FileInvalid
from microtasks.core.parsing import rows
from microtasks.core.parsing.rows import Failed, Item


def read(content: bytes | str, separator: str | None = None) -> tuple[list[Item | Failed], list[str]]:
    raw = content.encode() if isinstance(content, str) else content
    found = rows.survey(io.BytesIO(raw))
    text = io.TextIOWrapper(io.BytesIO(raw), encoding=found.encoding, errors=found.errors, newline="")
    table = rows.Table(text, separator)
    return list(table), ([found.notice] if found.notice else []) + table.notices


def items(content: bytes | str, separator: str | None = None) -> list[Item]:
    read_rows = read(content, separator)[0]
    assert all(isinstance(row, Item) for row in read_rows), read_rows
    return [row for row in read_rows if isinstance(row, Item)]


def failures(content: bytes | str, separator: str | None = None) -> dict[int, str]:
    return {row.line: row.reason for row in read(content, separator)[0] if isinstance(row, Failed)}


def test_each_column_goes_where_its_name_says() -> None:
    (item,) = items(
        "\ufeffID, Image ,image_2,Image 3,text,question,Priority,redundancy,gold_answer,#site,!source,Year\n"
        "a1,one.png,two.png,,Hello,What?,0.5,7,yes,Mars,NASA,1997\n"
    )
    assert item._replace(n_characters=0) == Item(
        line=2,
        id="a1",
        images=("one.png", "two.png"),
        payload={"text": "Hello", "question": "What?", "metadata": {"Year": "1997"}},
        hidden={"site": "Mars"},
        after={"source": "NASA"},
        priority=0.5,
        redundancy=7,
        gold_fields={"answer": "yes"},
    )


def test_jsonl_says_the_same_as_csv() -> None:
    line = {
        "id": 7,
        "image": ["a.png", "b.png"],
        "Year": 1997,
        "ok": True,
        "#n": None,
        "gold": {"answer": "no"},
    }
    (item,) = items(json.dumps(line) + "\n\n", "")
    assert item.id == "7"
    assert item.images == ("a.png", "b.png")
    assert item.payload == {"metadata": {"Year": "1997", "ok": "true"}}
    assert item.gold == {"answer": "no"}
    assert item.hidden == {}


def test_gold_as_json_in_a_cell() -> None:
    found = read('id,gold\n1,"{""marks"": []}"\n2,{oops\n')[0]
    assert isinstance(found[0], Item) and found[0].gold == {"marks": []}
    assert isinstance(found[1], Failed) and found[1].line == 3 and "Column gold" in found[1].reason


ENCODED = "id,text\n1,Zoë’s café\n"


@pytest.mark.parametrize(("content", "n_lines"), [("a", 1), ("a\n", 1), ("a\r\nb", 2), ("a\nb\n", 2)])
def test_a_last_line_that_does_not_end_is_counted(content: str, n_lines: int) -> None:
    assert rows.survey(io.BytesIO(content.encode())).n_lines == n_lines


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_T08_unicode_is_recognised_without_a_word(encoding: str) -> None:
    found, notices = read(ENCODED.encode(encoding))
    assert [row.payload for row in found if isinstance(row, Item)] == [{"text": "Zoë’s café"}]
    assert notices == []


def test_T08_windows_1252_is_read_and_said() -> None:
    found, notices = read(ENCODED.encode("cp1252"))
    assert [row.payload for row in found if isinstance(row, Item)] == [{"text": "Zoë’s café"}]
    assert len(notices) == 1 and "line 2, column 5" in notices[0] and "Windows-1252" in notices[0]


def test_T08_one_damaged_line_of_utf8_is_listed_and_the_rest_read() -> None:
    found, notices = read(ENCODED.encode() + b"2,caf\xe9\n3,ok\n")
    assert [(row.line, type(row)) for row in found] == [(2, Item), (3, Failed), (4, Item)]
    assert "column 6" in failures(ENCODED.encode() + b"2,caf\xe9\n3,ok\n")[3]
    assert notices == []


@pytest.mark.parametrize("cut", ["\u20ac".encode()[:2], b"\xff"])
def test_T08_a_character_cut_off_at_the_end_is_listed(cut: bytes) -> None:
    assert list(failures("id,text\n1,é\n2,".encode() + cut)) == [3]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_T08_every_kind_of_line_end(ending: str) -> None:
    assert [item.id for item in items(ending.join(["id,text", "1,a", "", '2,"b', 'c"', "3,d"]))] == [
        "1",
        "2",
        "3",
    ]


def test_T08_mixed_line_ends_inside_and_outside_cells() -> None:
    found = items('id,text\r\n1,"a\nb"\n2,"c\r\nd"\r3,e')
    assert [(item.line, item.payload["text"]) for item in found] == [(2, "a\nb"), (4, "c\r\nd"), (6, "e")]


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_other_separators_are_found_and_said(mark: str, name: str) -> None:
    found, notices = read(f"id{mark}text\n1{mark}a, b\n")
    assert [row.payload for row in found if isinstance(row, Item)] == [{"text": "a, b"}]
    assert notices == [f"The cells of the table are separated by {name}."]


def test_excels_own_line_about_the_separator() -> None:
    assert [item.id for item in items("sep=;\r\nid;text\r\n1;a,b\r\n")] == ["1"]


def test_T08_an_open_quotation_mark_costs_one_line_and_names_it() -> None:
    content = "id,text\n1,a\n" + '2,"open\n' + "".join(f"{n},x\n" for n in range(3, 10_000))
    found, _ = read(content)
    bad = [row for row in found if isinstance(row, Failed)]
    assert [(row.line, row.reason) for row in bad] == [
        (3, "A quotation mark opened in line 3 is never closed.")
    ]
    assert len(found) == 9_999


def test_T08_the_line_named_is_the_one_that_opened_it() -> None:
    found, _ = read('id,text,more\n1,"two\nlines","open\n2,b,c\n3,d,e\n')
    assert failures('id,text,more\n1,"two\nlines","open\n2,b,c\n3,d,e\n') == {
        2: "A quotation mark opened in line 3 is never closed."
    }
    assert [row.id for row in found if isinstance(row, Item)] == ["2", "3"]


def test_T08_a_quotation_mark_inside_a_cell() -> None:
    assert [item.payload["text"] for item in items('id,text\n1,5" pipe\n2,"5"" pipe"\n')] == [
        '5" pipe',
        '5" pipe',
    ]
    assert list(failures('id,text\n1,"5" pipe"\n2,ok\n')) == [2]


def test_T08_wrong_numbers_of_cells_are_listed() -> None:
    found = failures("id,text\n1,a,b\n2\n3,c,,\n,\n4,d\n")
    assert found == {
        2: "This line has 3 cells, but the table has 2 columns.",
        3: "This line has 1 cells, but the table has 2 columns.",
    }


def test_T08_a_huge_cell_is_fine_a_huger_line_is_listed_with_flat_memory() -> None:
    assert len(items("id,text\n1," + "x" * 200_000 + "\n")[0].payload["text"]) == 200_000

    class Endless(io.TextIOBase):
        """One line of 64 million characters, never held as a whole."""

        left = 64 << 20

        def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
            size = min(size, self.left)
            self.left -= size
            return "x" * size

    tracemalloc.start()
    found = list(rows.lines(Endless()))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 1 and "longer than a million" in str(found[0][1])
    assert peak < 8 << 20


def test_T08_a_nul_is_listed() -> None:
    assert list(failures(b"id,text\n1,a\0b\n2,ok\n")) == [2]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "empty"),
        (" \n\r\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\xff\xfe", "empty"),
        (",".join(f"c{n}" for n in range(5_000)) + "\n1\n", "5,000 columns"),
        ("id,text,TEXT\n1,a,b\n", "Two columns"),
        (",,\n1,2,3\n", "name its columns"),
        ('"id,text\n1,a\n', "never closed"),
        (b"\xff\xfe\0\0i\0\0\0", "UTF-32"),
        (b"\xff\xfe\x00\xd8\x00\xd8", "UTF-16"),
        ("x" * (1 << 20) + "\n", "longer than a million"),
    ],
)
def test_T08_a_table_that_cannot_be_used_at_all_says_why(content: bytes | str, part: str) -> None:
    with pytest.raises(FileInvalid, match=part):
        read(content)


@pytest.mark.parametrize(
    ("cells", "part"),
    [
        ("1,,2,", "priority"),
        ("1,,nan,", "priority"),
        ("1,,-0.1,", "priority"),
        ("1,,,0", "redundancy"),
        ("1,,,2.5", "redundancy"),
        ("1,,,99999999999999999999", "redundancy"),
        ("x" * 201 + ",,,", "id"),
        ('"a\nb",,,', "id"),
    ],
)
def test_T08_cells_that_make_no_sense_are_listed(cells: str, part: str) -> None:
    found = failures(f"id,text,priority,redundancy\n{cells}\nok,x,1,1\n")
    assert list(found) == [2] and part in found[2]


@pytest.mark.parametrize(
    "line",
    [
        '{"id": NaN}',
        '{"id": 1e999}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"id": ' + "9" * 5000 + "}",
        '{"id": 1, "id": 2}',
        '{"text": "\\ud800"}',
        '{"text": "\\u0000"}',
        "[1]",
        '"text"',
        "{",
        '{"text": "a", "Text ": "b", "x": 1, "x ": 2}',
        json.dumps({f"f{n}": n for n in range(5_000)}),
    ],
)
def test_T09_bad_json_lines_are_listed_and_the_rest_read(line: str) -> None:
    found, _ = read(f'{{"id": 1}}\n{line}\n{{"id": 3}}\n', "")
    assert [(row.line, type(row)) for row in found] == [(1, Item), (2, Failed), (3, Item)]
    assert len(found[1].reason) < 200  # type: ignore[union-attr]


def test_columns_without_a_name_are_left_out_and_said() -> None:
    found, notices = read("id,,text,,\n1,x,a,,\n")
    assert [row.payload for row in found if isinstance(row, Item)] == [{"text": "a"}]
    assert notices == ["Column 2 of the table has no name and was left out."]


def test_a_table_that_seems_to_have_no_names_is_questioned() -> None:
    assert "first line was taken as names" in read("Cat,Mammal\nTrout,Fish\n")[1][0]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12).map(str.strip)


@given(st.lists(st.tuples(cells, cells), max_size=8), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
def test_whatever_csv_writes_is_read_back(table: list[tuple[str, str]], quoting: int) -> None:
    written = io.StringIO()
    writer = csv.writer(written, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["#a", "#b"])
    writer.writerows(table)
    wanted = [{k: v for k, v in zip("ab", row, strict=True) if v} for row in table if any(row)]
    assert [item.hidden for item in items(written.getvalue(), ",")] == wanted


@given(
    st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_T08_any_bytes_give_rows_or_reasons(content: bytes) -> None:
    for separator in (None, "\t", ""):
        try:
            found, _ = read(b"id,text\n" + content if separator != "" else content, separator)
        except FileInvalid:
            continue
        numbers = [row.line for row in found]
        assert numbers == sorted(set(numbers))
