"""`microtasks consensus` on a plain file: columns of the contract, no order, the same as the server."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path

import pytest
from builders import answers, media, project, tasks
from click.testing import CliRunner, Result

from microtasks.cli import main
from microtasks.engine.results.aggregate import aggregate
from microtasks.engine.site import Site

LABELS = [("t1", "a", "yes"), ("t1", "b", "yes"), ("t1", "c", "no"), ("t2", "a", "yes"), ("t2", "b", "no")]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["consensus", *map(str, arguments)])


def rows(result: Result) -> list[dict[str, str]]:
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def write(path: Path, header: str, lines: list[tuple], seed: int | None = None) -> Path:
    if seed is not None:
        lines = random.Random(seed).sample(lines, len(lines))
    path.write_text("\n".join([header, *(",".join(map(str, line)) for line in lines)]) + "\n")
    return path


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    return write(tmp_path / "labels.csv", "task,worker,label", LABELS)


def circles(seed: int = 1, n_people: int = 5) -> list[tuple]:
    rng = random.Random(seed)
    lines = []
    for task in ("i1", "i2"):
        for person in range(n_people):
            for k in range(6):
                if rng.random() < 0.85:
                    x, y = 60 * k + 30 + rng.gauss(0, 1), 100 + rng.gauss(0, 1)
                    lines.append(
                        (task, f"p{person}", round(x, 2), round(y, 2), round(12 + rng.gauss(0, 1), 2))
                    )
    return lines


def test_labels_come_out_with_the_columns_of_the_contract(labels: Path):
    result = run("--type", "question", labels)
    assert result.stdout.splitlines()[0].startswith("task,label,agreement,confidence,n_answers")
    first, second = rows(result)
    assert (first["task"], first["label"], first["n_answers"]) == ("t1", "yes", "3")
    assert float(first["agreement"]) == pytest.approx(2 / 3)
    assert (second["label"], second["tied"]) == ("", "no|yes")


def test_texts_come_out_with_the_columns_of_the_contract(tmp_path: Path):
    path = write(
        tmp_path / "t.csv",
        "task,worker,text",
        [("1", "a", "Old mill"), ("1", "b", "old mill."), ("1", "c", "x")],
    )
    result = run("--type", "question", path)
    assert result.stdout.splitlines()[0].startswith("task,text,agreement,n_answers")
    (only,) = rows(result)
    assert (only["text"], only["n_answers"], only["basis"]) == ("Old mill", "3", "same")


def test_marks_come_out_with_the_columns_of_the_contract(tmp_path: Path):
    result = run("--type", "marking", write(tmp_path / "m.csv", "task,worker,x,y,r", circles()))
    header = "task,x,y,r,probability,n_marked,n_saw,x_sd,y_sd,r_sd"
    assert result.stdout.splitlines()[0].startswith(header)
    found = rows(result)
    assert [row["task"] for row in found] == ["i1"] * 6 + ["i2"] * 6
    assert {row["n_saw"] for row in found} == {"5"}


def test_tags_come_out_a_row_a_tag(tmp_path: Path):
    path = write(
        tmp_path / "g.csv",
        "task,worker,tags",
        [("1", "a", "dunes|crater"), ("1", "b", "dunes"), ("1", "c", "")],
    )
    found = rows(run("--type", "tagging", path))
    assert [(row["tag"], row["share"][:4], row["accepted"]) for row in found] == [
        ("crater", "0.33", "false"),
        ("dunes", "0.66", "true"),
    ]


@pytest.mark.parametrize("method", ["majority", "model", "committee"])
def test_the_order_of_the_rows_changes_no_byte(tmp_path: Path, method: str):
    rng = random.Random(1)
    lines = [(t, f"w{w}", rng.choice("abc")) for t in range(40) for w in rng.sample(range(12), 5)]
    path = tmp_path / "in.csv"
    one = run("--type", "question", "--method", method, write(path, "task,worker,label", lines)).stdout
    for seed in (1, 2):
        assert (
            run(
                "--type", "question", "--method", method, write(path, "task,worker,label", lines, seed)
            ).stdout
            == one
        )
    assert one.count("\n") == 41


def test_the_order_of_the_marks_changes_no_byte(tmp_path: Path):
    path = tmp_path / "in.csv"
    one = run("--type", "marking", write(path, "task,worker,x,y,r", circles())).stdout
    assert run("--type", "marking", write(path, "task,worker,x,y,r", circles(), 3)).stdout == one


def test_a_row_given_twice_counts_once_and_a_contradiction_names_nothing(tmp_path: Path, labels: Path):
    once = run("--type", "question", labels).stdout
    assert (
        run("--type", "question", write(tmp_path / "twice.csv", "task,worker,label", LABELS * 2)).stdout
        == once
    )
    lines = [("1", "a", "yes"), ("1", "b", "yes"), ("1", "c", "yes"), ("1", "c", "no")]
    result = run("--type", "question", write(tmp_path / "both.csv", "task,worker,label", lines))
    assert float(rows(result)[0]["agreement"]) == pytest.approx(2 / 3)
    assert "1 times" in result.stderr


def test_views_say_who_saw_and_did_not_mark(tmp_path: Path):
    marks = write(tmp_path / "m.csv", "task,worker,x,y,r", [("i", p, 50, 50, 10) for p in "ab"])
    views = write(tmp_path / "v.csv", "task,worker", [("i", p) for p in "abcdefghijkl"] + [("empty", "a")])
    assert rows(run("--type", "marking", marks))[0]["n_saw"] == "2"
    assert rows(run("--type", "marking", "--views", views, marks)) == []
    few = rows(run("--type", "marking", "--views", views, "--possible", marks))
    assert all(row["status"] == "possible" for row in few)


@pytest.mark.parametrize("r", [",r", ""])
def test_marks_without_a_radius_are_points(tmp_path: Path, r: str):
    lines = [("i", p, 50 + k, 50, *([""] if r else [])) for k, p in enumerate("abc")]
    found = rows(run("--type", "marking", write(tmp_path / "m.csv", f"task,worker,x,y{r}", lines)))
    assert [(row["x"][:2], row["r"], row["r_sd"]) for row in found] == [("51", "", "")]


def test_the_model_follows_those_with_a_record(tmp_path: Path):
    lines = [(t, w, "ab"[t % 2] if w in "pqrs" else "ba"[t % 2]) for t in range(30) for w in "pqrsxyz"]
    lines += [(99, "p", "a"), (99, "q", "a"), *((99, w, "b") for w in "xyz")]
    path = write(tmp_path / "in.csv", "task,worker,label", lines)
    assert rows(run("--type", "question", path))[-1]["label"] == "b"
    last = rows(run("--type", "question", "--method", "model", path))[-1]
    assert (last["label"], last["vote"], last["model"], last["differs"]) == ("a", "b", "a", "true")


def test_where_there_is_too_little_to_learn_from_the_vote_decides_and_the_command_says_so(tmp_path: Path):
    lines = [(t, f"{t}-{k}", "ab"[t % 2] if k else "a") for t in range(30) for k in range(3)]
    path = write(tmp_path / "in.csv", "task,worker,label", lines)
    by_model = run("--type", "question", "--method", "model", path)
    assert "The vote decides (answer)" in by_model.stderr
    plain = rows(run("--type", "question", path))
    keys = ("task", "label", "agreement", "confidence", "n_answers", "tied")
    assert [[row[key] for key in keys] for row in rows(by_model)] == [
        [row[key] for key in keys] for row in plain
    ]
    lines = [(t, f"w{k}", "ab"[t % 2]) for t in range(30) for k in range(3)]
    enough = run("--type", "question", "--method", "model", write(path, "task,worker,label", lines))
    assert "The vote decides" not in enough.stderr


NUMBERS = [(t, f"w{w}", v) for t in range(8) for w, v in enumerate((10 * t, 10 * t + 1, 10 * t + 2, 900))]


def test_numbers_come_out_with_their_interval(tmp_path: Path):
    found = rows(run("--type", "question", write(tmp_path / "in.csv", "task,worker,value", NUMBERS)))
    assert found[3] | {"agreement": "", "confidence": ""} == {
        "task": "3",
        "value": "31.5",
        "agreement": "",
        "confidence": "",
        "n_answers": "4",
        "interval_low": "30",
        "interval_high": "900",
    }


def test_the_model_leaves_junk_numbers_aside_and_says_where_it_differs(tmp_path: Path):
    path = write(tmp_path / "in.csv", "task,worker,value", NUMBERS)
    result = run("--type", "question", "--method", "model", path)
    found = rows(result)
    assert abs(float(found[3]["value"]) - 31) < 0.2
    assert (found[3]["vote"], found[3]["differs"]) == ("31.5", "true")
    assert "differs from the plain vote in 8 of 8 tasks" in result.stderr


def test_a_model_that_changes_nothing_says_so(tmp_path: Path):
    lines = [(t, w, "same text") for t in range(3) for w in "abc"]
    path = write(tmp_path / "in.csv", "task,worker,text", lines)
    result = run("--type", "question", "--method", "model", path)
    assert "changes nothing here" in result.stderr


def test_gold_teaches_the_model_who_is_right(tmp_path: Path):
    # Three against two: the crowd looks right, but gold says that it is not.
    lines = [(t, w, "a" if w in "xyz" else "b") for t in range(40) for w in "pqxyz"]
    path = write(tmp_path / "in.csv", "task,worker,label", lines)
    gold = write(tmp_path / "gold.csv", "task,label", [(t, "b") for t in range(30)])
    assert rows(run("--type", "question", "--method", "model", path))[-1]["label"] == "a"
    assert rows(run("--type", "question", "--method", "model", "--gold", gold, path))[-1]["label"] == "b"


def test_a_config_says_what_may_be_chosen(tmp_path: Path, labels: Path):
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps({"fields": [{"id": "a", "choices": [{"id": "yes"}, {"id": "no"}, {"id": "maybe"}]}]})
    )
    assert rows(run("--type", "question", "--config", config, labels))[0]["label"] == "yes"
    config.write_text(json.dumps({"fields": [{"id": "a", "choices": [{"id": "yes"}]}]}))
    refused = run("--type", "question", "--config", config, labels)
    assert refused.exit_code == 1
    assert "labels.csv, line 4" in refused.stderr


@pytest.mark.parametrize(
    ("header", "line", "said"),
    [
        ("task,label", "1,yes", "no column worker"),
        ("task,worker,lable", "1,a,yes", "no column label"),
        ("task,worker,answer", "1,a,yes", "With --config"),
        ("", "", "This table is empty"),
    ],
)
def test_a_file_without_its_columns_is_refused_with_a_sentence(
    tmp_path: Path, header: str, line: str, said: str
):
    path = tmp_path / "in.csv"
    path.write_text(f"{header}\n{line}\n")
    result = run("--type", "question", path)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_file_in_another_encoding_is_read_and_said_or_read_as_chosen(tmp_path: Path):
    path = tmp_path / "in.csv"
    path.write_bytes("task,worker,label\n1,a,да\n1,b,да\n".encode("cp1251"))
    guessed = run("--type", "question", path)
    assert guessed.exit_code == 0 and "Windows-1251" in guessed.stderr
    chosen = run("--type", "question", "--encoding", "windows-1251", path)
    assert chosen.exit_code == 0 and chosen.stderr == ""
    assert chosen.stdout.splitlines()[1].startswith("1,да,1,")


@pytest.mark.parametrize("separator", [";", "\t"])
def test_tables_of_other_spreadsheets_and_compressed_ones_give_the_same(
    tmp_path: Path, labels: Path, separator: str
):
    expected = run("--type", "question", labels).stdout
    other = tmp_path / "other.csv"
    other.write_text("\ufeff" + labels.read_text().replace(",", separator))
    assert run("--type", "question", other).stdout == expected
    packed = tmp_path / "other.csv.gz"
    packed.write_bytes(gzip.compress(other.read_bytes()))
    assert run("--type", "question", packed).stdout == expected


def test_an_empty_label_says_nothing(tmp_path: Path):
    path = write(tmp_path / "in.csv", "task,worker,label", [("1", "a", "yes"), ("1", "b", "")])
    (only,) = rows(run("--type", "question", path))
    assert (only["label"], only["agreement"], only["n_answers"]) == ("yes", "0.5", "2")


@pytest.mark.parametrize("cell", ["abc", "nan", "inf"])
def test_what_is_no_number_is_refused_with_its_line(tmp_path: Path, cell: str):
    result = run(
        "--type", "marking", write(tmp_path / "m.csv", "task,worker,x,y,r", [("i", "a", cell, 1, 2)])
    )
    assert result.exit_code == 1
    assert "line 2" in result.stderr


def test_the_result_goes_to_a_file_where_asked(tmp_path: Path, labels: Path):
    out = tmp_path / "out.csv"
    assert run("--type", "question", "--out", out, labels).stdout == ""
    assert out.read_text() == run("--type", "question", labels).stdout


def test_exported_answers_give_the_same_as_the_server(site: Site, tmp_path: Path):
    rng = random.Random(4)
    of = project(site, redundancy=5)
    made = tasks(site, of, 12)
    people = [f"w{k}" for k in range(9)]
    import uuid

    ids = {name: uuid.UUID(int=k + 1) for k, name in enumerate(people)}
    lines = []
    for task in made:
        chosen = rng.sample(people, 5)
        values = [rng.choice(["yes", "yes", "no"]) for _ in chosen]
        answers(site, of, task, [{"answer": v} for v in values], contributors=[ids[name] for name in chosen])
        lines += [(task, name, value) for name, value in zip(chosen, values, strict=True)]
    path = write(tmp_path / "in.csv", "task,contributor,label", lines, 1)
    for method in ("majority", "model"):
        aggregate(site, of.id, method)
        with site.db.connection() as connection:
            stored = connection.execute(
                "SELECT task_id, value->>'answer', agreement, confidence FROM consensus ORDER BY task_id"
            ).fetchall()
        found = rows(run("--type", "question", "--method", method, path))
        assert [
            (int(r["task"]), r["label"] or None, float(r["agreement"]), float(r["confidence"])) for r in found
        ] == [tuple(row) for row in stored]


def test_exported_marks_give_the_same_as_the_server(site: Site, tmp_path: Path):
    import uuid

    of = project(site, "marking", config={"shape": "circle"}, redundancy=5)
    made = dict(zip(("i1", "i2"), tasks(site, of, 2, media_ids=[media(site)]), strict=True))
    said: dict[tuple[str, str], list] = {}
    for task, person, x, y, r in circles():
        said.setdefault((task, person), []).append({"x": x, "y": y, "r": r})
    for name, task in made.items():
        mine = {person: marks for (of_task, person), marks in said.items() if of_task == name}
        ids = [uuid.UUID(int=int(person[1:]) + 1) for person in mine]
        answers(site, of, task, [{"marks": marks} for marks in mine.values()], contributors=ids)
    aggregate(site, of.id)
    with site.db.connection() as connection:
        stored = [
            tuple(mark[name] for name in ("x", "y", "r", "probability", "n_marked", "n_saw", "x_sd", "r_sd"))
            for (detail,) in connection.execute("SELECT detail FROM consensus ORDER BY task_id")
            for mark in detail["marks"]
        ]
    found = rows(run("--type", "marking", write(tmp_path / "m.csv", "task,worker,x,y,r", circles(), 5)))
    names = ("x", "y", "r", "probability", "n_marked", "n_saw", "x_sd", "r_sd")
    assert [tuple(float(row[name]) for name in names) for row in found] == stored


def test_aggregate_makes_the_consensus_of_a_project_anew(cli, site: Site):
    of = project(site, redundancy=3)
    for task in tasks(site, of, 4):
        answers(site, of, task, [{"answer": "yes"}, {"answer": "yes"}, {"answer": "no"}])
    done = cli("aggregate", of.slug)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert "4 tasks, method majority" in done.stderr
    assert "method model" in cli("aggregate", of.slug, "--method", "model").stderr
    assert cli("aggregate", "nothing-here").exit_code == 1


def test_what_was_exported_gives_what_the_server_exports(cli, site: Site, tmp_path: Path):
    of = project(
        site,
        "marking",
        config={"shape": "circle", "classes": [{"id": "fresh"}, {"id": "ghost"}]},
        redundancy=5,
    )
    rng = random.Random(6)
    for task in tasks(site, of, 3, media_ids=[media(site)]):
        marks = [
            {
                "marks": [
                    {
                        "x": 60.0 * k + 30 + round(rng.gauss(0, 1), 2),
                        "y": 100 + round(rng.gauss(0, 1), 2),
                        "r": 12 + round(rng.gauss(0, 1), 2),
                        "class": rng.choice(["fresh", "fresh", "ghost"]),
                    }
                    for k in range(5)
                    if rng.random() < 0.8
                ]
            }
            for _ in range(4)
        ]
        answers(site, of, task, [*marks, None])
    assert cli("aggregate", of.slug).exit_code == 0
    for what in ("answers", "marks", "consensus"):
        assert (
            cli(
                "export", of.slug, "--what", what, "--format", "csv", "--out", tmp_path / f"{what}.csv"
            ).exit_code
            == 0
        )
    stored = list(csv.DictReader(io.StringIO((tmp_path / "consensus.csv").read_text())))
    found = rows(run("--type", "marking", "--views", tmp_path / "answers.csv", tmp_path / "marks.csv"))
    names = ("task", "x", "y", "r", "class", "probability", "n_marked", "n_saw", "x_sd", "y_sd", "r_sd")
    assert len(found) > 8
    for one, other in zip(found, stored, strict=True):
        for name in names:
            same = one[name] == other[name] or float(one[name]) == float(other[name])
            assert same, name


def test_right_marks_tell_how_wide_a_region_must_be(tmp_path: Path):
    rng = random.Random(5)
    true = [(f"i{k % 3}", 60 + 80 * (k // 3 % 6), 60 + 80 * (k // 18), 12) for k in range(60)]
    marks = [
        (task, worker, x + rng.gauss(0, 1), y + rng.gauss(0, 1), r + rng.gauss(0, 0.5))
        for task, x, y, r in true
        for worker in "abcde"
    ]
    path = write(tmp_path / "marks.csv", "task,worker,x,y,r", marks)
    gold = write(tmp_path / "gold.csv", "task,x,y,r", true)
    plain, learnt = (rows(run("--type", "marking", *more, path)) for more in ((), ("--gold", gold)))
    assert [row["x"] for row in plain] == [row["x"] for row in learnt]
    narrower = [float(b["region_95"]) < float(a["region_95"]) for a, b in zip(plain, learnt, strict=True)]
    assert len(narrower) == 60 and all(narrower)
    bad = run(
        "--type", "marking", "--gold", write(tmp_path / "b.csv", "task,x,y,r", [("i0", 1, 1, "wide")]), path
    )
    assert bad.exit_code != 0 and "'wide' is not a number" in bad.output
