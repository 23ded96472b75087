"""docs/support.md says what the program says."""

import pytest
import support_matrix
from golden.families import FOLDER

from dlm_length.models.loading import _families
from dlm_length.policies import build_policy


def test_the_page_is_what_the_program_says() -> None:
    assert support_matrix.PAGE.read_text(encoding="utf-8") == support_matrix.page(), "run scripts/support_matrix.py"


def test_every_family_is_in_it() -> None:
    assert set(support_matrix.checkpoints()) == {type(family).__name__ for family in _families()}


def test_golden_cases_are_counted_once() -> None:
    counts = support_matrix.golden_cases()
    files = [*FOLDER.glob("*/cases.jsonl"), *(FOLDER.parent / name for name in ("cases.jsonl", "caches/cases.jsonl"))]
    assert sum(counts.values()) == sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files)
    assert counts["Dream", "fixed", "quota"] == 2
    assert counts["LLaDA2", "block_causal", None] == 10


@pytest.mark.parametrize(("family", "name", "refused"), [("SDAR", "smartcrop", True), ("Dream", "smartcrop", False)])
def test_a_refusal_is_the_engines_own(family: str, name: str, refused: bool) -> None:
    sentence = support_matrix.family_refusal(family, build_policy(name))
    assert (sentence is not None) == refused
    if sentence is not None:
        assert "choose policy block_causal" in sentence


def test_a_sentence_has_one_number() -> None:
    notes = support_matrix.Footnotes()
    assert [notes.cell(sentence) for sentence in ("a.", "b.", "a.")] == ["refused [1]", "refused [2]", "refused [1]"]
    assert list(notes.lines()) == ["1. a.", "2. b."]
