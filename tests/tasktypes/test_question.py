"""Question: fields, show-if, ties, blanks, and what the form without a script sends."""

from __future__ import annotations

import pytest

from microtasks.core.errors import AnswerInvalid, ConfigInvalid
from microtasks.core.values import Answer, Payload
from microtasks.tasktypes import get

QUESTION = get("question")
YES_NO = [{"id": "yes", "label": "Yes"}, {"id": "no", "label": "No"}]


def config(*fields: dict):
    return QUESTION.parse_config({"fields": list(fields)})


def choice(**more):
    return {"id": "a", "kind": "choice", "choices": YES_NO} | more


def reduce(settings, *values):
    answers = [Answer(str(k), "cant_tell" if v is None else "value", v) for k, v in enumerate(values)]
    return QUESTION.reduce(answers, settings)


def parse(settings, value):
    return QUESTION.parse_value(value, Payload(), settings)


def test_a_tie_is_said_and_not_broken():
    result = reduce(config(choice()), {"a": "yes"}, {"a": "no"})
    assert (result.value, result.is_tied, result.agreement) == (None, True, 0.5)
    assert result.detail["fields"]["a"]["tied"] == ["no", "yes"]


def test_cant_tell_lowers_agreement_and_names_nothing():
    result = reduce(config(choice()), {"a": "yes"}, {"a": "yes"}, None, None)
    assert (result.value, result.agreement, result.n_answers) == ({"a": "yes"}, 0.5, 4)


def test_agreement_is_that_of_the_least_agreed_field():
    settings = config(choice(), choice(id="b"))
    result = reduce(settings, {"a": "yes", "b": "yes"}, {"a": "yes", "b": "yes"}, {"a": "yes", "b": "no"})
    assert result.value == {"a": "yes", "b": "yes"}
    assert result.agreement == pytest.approx(2 / 3)


def test_each_of_several_choices_is_decided_on_its_own():
    settings = config({"id": "c", "kind": "choices", "choices": [{"id": k} for k in "xyz"]})
    result = reduce(settings, {"c": ["x", "y"]}, {"c": ["x"]}, {"c": ["x", "z"]})
    assert result.value == {"c": ["x"]}
    assert result.detail["fields"]["c"]["choices"]["y"]["share"] == pytest.approx(1 / 3)


def test_numbers_meet_at_the_median_and_a_typing_error_does_not_move_it():
    settings = config({"id": "n", "kind": "number", "min": 0})
    result = reduce(settings, *({"n": n} for n in (10, 11, 10, 9, 1000)))
    assert result.value == {"n": 10}
    assert result.agreement == 0.8


def test_two_camps_of_numbers_are_flagged():
    settings = config({"id": "n", "kind": "number"})
    result = reduce(settings, *({"n": n} for n in (1, 1, 2, 50, 51, 50)))
    assert result.detail["fields"]["n"]["votes"]["has_two_camps"]


def test_texts_that_differ_in_case_and_punctuation_are_the_same():
    settings = config({"id": "t", "kind": "text"})
    result = reduce(settings, {"t": "River Bend."}, {"t": "river bend"}, {"t": "River Bend."})
    assert result.value == {"t": "River Bend."}
    assert result.agreement == 1.0


def test_a_scale_is_decided_by_plurality_and_stays_a_number():
    settings = config({"id": "s", "kind": "scale"})
    result = reduce(settings, {"s": 4}, {"s": 4}, {"s": 2})
    assert result.value == {"s": 4}
    tie = reduce(settings, {"s": 4}, {"s": 2})
    assert tie.detail["fields"]["s"]["tied"] == [2, 4]


def test_a_field_is_asked_only_where_the_earlier_answer_opens_it():
    settings = config(choice(), choice(id="b", show_if={"field": "a", "is": "yes"}))
    assert parse(settings, {"a": "no"}) == {"a": "no"}
    with pytest.raises(AnswerInvalid):
        parse(settings, {"a": "yes"})
    assert parse(settings, {"a": "no", "b": "yes"}) == {"a": "no"}  # typed, then hidden
    result = reduce(settings, {"a": "no"}, {"a": "no"}, {"a": "yes", "b": "yes"})
    assert result.value == {"a": "no"}
    result = reduce(settings, {"a": "yes", "b": "no"}, {"a": "yes", "b": "no"}, {"a": "no"})
    assert result.value == {"a": "yes", "b": "no"}
    assert result.detail["fields"]["b"]["agreement"] == 1.0


def test_a_blank_can_win_where_the_field_may_be_left_blank():
    settings = config(choice(), choice(id="b", required=False))
    result = reduce(settings, {"a": "yes"}, {"a": "yes"}, {"a": "yes", "b": "no"})
    assert result.value == {"a": "yes"}
    assert result.detail["fields"]["b"]["value"] is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"a": "maybe"},
        {"a": ["yes"]},
        {"a": 1},
        {"a": True},
        {"a": None},
    ],
)
def test_what_is_not_offered_is_refused(value):
    with pytest.raises(AnswerInvalid):
        parse(config(choice()), value)


@pytest.mark.parametrize("value", [-1, 101, True, "12", float("nan"), float("inf"), 1e300, [3]])
def test_numbers_out_of_range_or_none_at_all_are_refused(value):
    with pytest.raises(AnswerInvalid):
        parse(config({"id": "n", "kind": "number", "min": 0, "max": 100}), {"n": value})


def test_a_form_without_a_script_is_read_like_the_api():
    settings = config(
        choice(),
        {"id": "c", "kind": "choices", "choices": YES_NO, "required": False},
        {"id": "n", "kind": "number", "required": False},
        {"id": "s", "kind": "scale", "required": False},
        {"id": "t", "kind": "text", "required": False},
    )
    form = {
        "a": ["yes"],
        "c": ["no", "yes"],
        "n": ["1,5"],
        "s": ["3"],
        "t": ["  hello "],
        "csrf_token": ["x"],
    }
    assert parse(settings, QUESTION.from_form(form, settings)) == {
        "a": "yes",
        "c": ["yes", "no"],
        "n": 1.5,
        "s": 3,
        "t": "hello",
    }
    with pytest.raises(AnswerInvalid):
        parse(settings, QUESTION.from_form({"a": ["yes"], "n": ["many"]}, settings))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([], "at least 1"),
        ([choice(), choice()], "Two fields"),
        ([choice(choices=[])], "at least one choice"),
        ([choice(choices=[{"id": "x"}, {"id": "x"}])], "same id"),
        ([choice(id="9lives")], "pattern"),
        ([choice(show_if={"field": "b", "is": "yes"})], "not above it"),
        ([choice(), choice(id="b", show_if={"field": "a", "is": "perhaps"})], "never"),
        ([{"id": "s", "kind": "scale", "min": 5, "max": 1}], "not below"),
        ([{"id": "n", "kind": "number", "min": 5, "max": 1}], "not below"),
    ],
)
def test_a_config_that_cannot_work_is_refused_with_a_reason(fields, said):
    with pytest.raises(ConfigInvalid) as error:
        QUESTION.parse_config({"fields": fields})
    assert said in str(error.value.details["problems"])


def test_gold_may_know_some_fields_only_and_comes_from_columns():
    settings = config(choice(), choice(id="b"))
    gold = QUESTION.check_gold(QUESTION.gold_from_columns({"a": "yes"}, settings), Payload(), settings)
    assert gold == {"a": "yes"}
    assert QUESTION.score({"a": "yes", "b": "no"}, gold, settings) == 1.0
    with pytest.raises(AnswerInvalid):
        QUESTION.gold_from_columns({"z": "yes"}, settings)
    with pytest.raises(AnswerInvalid):
        QUESTION.check_gold({}, Payload(), settings)


def test_answers_of_an_earlier_config_do_not_break_the_reduction():
    settings = config(choice(), {"id": "n", "kind": "number", "required": False})
    old = [{"a": "perhaps", "n": "three"}, {"a": "perhaps"}, {"a": "yes", "n": 3}]
    fields = reduce(settings, *old).detail["fields"]
    assert (fields["a"]["value"], fields["n"]["value"]) == ("perhaps", 3)
    answers = [(1, [Answer(str(k), "value", v) for k, v in enumerate(old)])]
    ((_, result),) = QUESTION.reduce_project(answers, settings, "model")
    assert result.detail["fields"]["a"]["votes"] == {"perhaps": 2.0, "yes": 1.0}


def test_vote_and_model_stand_side_by_side_and_rows_that_differ_are_flagged():
    settings = config(choice())
    tasks = []
    for task in range(30):
        right, wrong = ("yes", "no") if task % 2 else ("no", "yes")
        said = [right, right, right, right, wrong, wrong, wrong]
        tasks.append((task, [Answer(str(k), "value", {"a": v}) for k, v in enumerate(said)]))
    # Two of the four who are always right against all three others; one alone would not win.
    last = ((0, "yes"), (1, "yes"), (4, "no"), (5, "no"), (6, "no"))
    tasks.append((30, [Answer(str(k), "value", {"a": v}) for k, v in last]))
    by_vote = dict(QUESTION.reduce_project(tasks, settings, "majority", compare=True))[30]
    by_model = dict(QUESTION.reduce_project(tasks, settings, "model"))[30]
    assert (by_vote.value, by_model.value) == ({"a": "no"}, {"a": "yes"})
    for result in (by_vote, by_model):
        field = result.detail["fields"]["a"]
        assert (field["vote"], field["model"], field["differs"]) == ("no", "yes", True)


#: What is said of one task, and what anybody must make of it: value, tied, n_answers.
SHARED_RULES = {
    "all say the same": (["yes"] * 4, "yes", (), 4),
    "two agree against one newcomer": (["yes", "yes", "no"], "yes", (), 3),
    "who can't tell names nothing": ([None, None, "no", "no"], "no", (), 4),
    "nobody can tell": ([None, None], None, (), 2),
    "a tie of newcomers": (["yes", "no"], None, ("no", "yes"), 2),
    "one alone": (["no"], "no", (), 1),
}


@pytest.mark.parametrize("has_record", [False, True])
@pytest.mark.parametrize("method", ["majority", "model", "committee"])
@pytest.mark.parametrize("case", SHARED_RULES)
def test_vote_and_model_share_their_rules(method, case, has_record):
    """The same case in a project from which much can be learnt, and in one from which nothing can."""
    given, value, tied, n_answers = SHARED_RULES[case]
    settings = config(choice())
    tasks = []
    for task in range(40):
        right, wrong = ("yes", "no") if task % 2 else ("no", "yes")
        people = [f"{k}" if has_record else f"{task}.{k}" for k in range(5)]
        answers = [Answer(who, "value", {"a": right if k else wrong}) for k, who in enumerate(people)]
        tasks.append((task, answers))
    new = [
        Answer(f"new {k}", "value" if v else "cant_tell", {"a": v} if v else None)
        for k, v in enumerate(given)
    ]
    result = dict(QUESTION.reduce_project([*tasks, (40, new)], settings, method))[40]
    field = result.detail["fields"]["a"]
    assert (field["value"], sorted(field["tied"]), result.n_answers) == (value, list(tied), n_answers)
    if method != "majority":
        assert result.detail["decided_by"] == {"a": "model" if has_record else "vote"}
