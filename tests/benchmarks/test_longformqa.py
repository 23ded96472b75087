import json
from pathlib import Path

import pytest

from dlm_length.benchmarks import Problem
from dlm_length.benchmarks.longformqa import LongFormQA
from dlm_length.common import UserError

ROW = {
    "q_id": "1oy5tc",
    "title": "Why is the sky blue?",
    "answers": {"text": ["Air scatters blue light.", "Rayleigh."]},
}


def written(tmp_path: Path, *rows: object, name: str = "data.jsonl") -> str:
    file = tmp_path / name
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def problem(*references: str) -> Problem:
    return Problem("q", 0, references[0], {"question": "Why?", "references": list(references)})


def test_a_row_of_the_default_data_set_is_a_question_with_its_answers(tmp_path: Path) -> None:
    benchmark = LongFormQA(path=written(tmp_path, ROW))
    (found,) = benchmark.problems()
    assert (found.id, found.target) == ("1oy5tc", "Air scatters blue light.")
    assert found.fields["references"] == ROW["answers"]["text"]
    assert benchmark.prompt(found).messages == (("user", "Why is the sky blue?"),)
    assert LongFormQA(prompt_style="completion").prompt(found).text == "Question: Why is the sky blue?\nAnswer:"


def test_any_data_set_can_be_used_by_naming_its_fields(tmp_path: Path) -> None:
    rows = [{"ask": {"text": "Who?"}, "reply": "Nobody."}, {"ask": {"text": "When?"}, "reply": ["Never.", "", "Now."]}]
    benchmark = LongFormQA(path=written(tmp_path, *rows), question_field="ask.text", answer_field="reply")
    first, second = benchmark.problems()
    assert (first.id, first.fields["references"]) == ("longformqa/0", ["Nobody."])
    assert second.fields["references"] == ["Never.", "Now."]


def test_five_hundred_questions_are_chosen_by_seed_by_default(tmp_path: Path) -> None:
    rows = [ROW | {"q_id": str(n)} for n in range(700)]
    path = written(tmp_path, *rows)
    ids = [p.id for p in LongFormQA(path=path).problems()]
    assert len(ids) == 500
    assert ids != [str(n) for n in range(500)]
    assert ids == [p.id for p in LongFormQA(path=path).problems()]
    assert ids != [p.id for p in LongFormQA(path=path, subset_seed=1).problems()]
    assert len(LongFormQA(path=path, limit=None).problems()) == 700


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"title": "Why?"}, "expected the field 'answers.text', found the fields title where 'answers' should be"),
        ({"title": "Why?", "answers": "x"}, "found 'x' where 'text' should be"),
        ({"title": "Why?", "answers": {"text": 3}}, "expected an answer or a list of them in 'answers.text', found 3"),
        ({"title": "Why?", "answers": {"text": []}}, "at least one answer"),
        ({"title": "Why?", "answers": {"text": [" "]}}, "at least one answer"),
        ({"title": "Why?", "answers": {"text": ["?!", "語語"]}}, "a-z or 0-9 in 'answers.text': ROUGE ignores all"),
        ({"title": " ", "answers": {"text": ["x"]}}, "expected a question as text in 'title'"),
        ({"answers": {"text": ["x"]}}, "expected the field 'title'"),
    ],
)
def test_malformed_rows_are_named_by_file_and_row(tmp_path: Path, row: dict, message: str) -> None:
    path = written(tmp_path, ROW, row)
    with pytest.raises(UserError, match=r"data\.jsonl, row 2: ") as refused:
        LongFormQA(path=path).problems()
    assert message in str(refused.value)


def test_the_reference_that_counts_has_words(tmp_path: Path) -> None:
    path = written(tmp_path, ROW | {"answers": {"text": ["語", "Air."]}})
    assert LongFormQA(path=path).problems()
    with pytest.raises(UserError, match="a-z or 0-9"):
        LongFormQA(path=path, multi_reference=False).problems()


def test_a_missing_file_is_not_looked_up_on_the_hub(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        LongFormQA(path=str(tmp_path / "absent.jsonl")).problems()


def test_rouge_by_hand() -> None:
    # Answer: the cat sat (3 words). Reference: the cat ran off (4). Shared: the, cat; one bigram of 2 and 3.
    score = LongFormQA(stemming=False).score(problem("the cat ran off"), "The cat sat.")
    assert score.value == pytest.approx(2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4))
    assert score.details["rouge2"] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert score.details["rougeL"] == score.value
    assert (score.details["answer_words"], score.details["reference_words"]) == (3, 4)


def test_stemming_joins_forms_of_a_word() -> None:
    assert LongFormQA().score(problem("running dogs"), "run dog").value == 1.0
    assert LongFormQA(stemming=False).score(problem("running dogs"), "run dog").value == 0.0


def test_the_best_of_several_references_counts_by_default() -> None:
    several = problem("nothing alike", "the right words")
    assert LongFormQA().score(several, "The right words.").value == 1.0
    assert LongFormQA(multi_reference=False).score(several, "The right words.").value == 0.0


@pytest.mark.parametrize("answer", ["", " \n", "é 語 🙂 ∎", "verb " * 20_000])
def test_any_answer_is_scored(answer: str) -> None:
    score = LongFormQA().score(problem("A reference of a few words."), answer)
    assert score.value == 0.0
    assert score.details["reason"] == ("scored" if answer.strip() else "no_answer")


def test_a_run_has_the_mean_of_every_measure() -> None:
    benchmark = LongFormQA(stemming=False)
    scores = {name: benchmark.score(problem("a b c d"), answer) for name, answer in {"x": "a b c d", "y": "q"}.items()}
    assert benchmark.aggregate(scores) == {"rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5, "answer_words": 2.5}
    assert benchmark.aggregate({}) == {}


def test_long_texts_are_scored_as_a_whole_except_by_rouge_l_which_reports_it() -> None:
    words = [f"w{n}" for n in range(2600)]
    reference, answer = " ".join(words), " ".join([*words[:2500], *["other"] * 17_500])
    score = LongFormQA().score(problem(reference), answer)
    assert score.details["rougeL_words"] == 2500
    assert score.details["rougeL"] == 1.0
    assert score.value == pytest.approx(2 * 2500 / (20_000 + 2600))
    assert LongFormQA().score(problem(reference), "w1.w2," * 20_000).details["rougeL_words"] == 2500
    assert "rougeL_words" not in LongFormQA().score(problem("a b c"), " ".join(words[:2500])).details
