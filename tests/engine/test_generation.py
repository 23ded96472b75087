"""The repr of a generation."""

from types import SimpleNamespace
from typing import Any

from dlm_length.common import SpecialTokens
from dlm_length.engine import Generation
from dlm_length.engine.ledger import Cost, Ledger


def generation(text: str, error: str | None = None) -> Generation:
    tokenizer: Any = SimpleNamespace(decode=lambda _: text)
    ledger = Ledger(Cost(nfe=17), Cost())
    return Generation(
        index=0, arm=0, sample_id="q/1", prompt_ids=[1], canvas_ids=[5, 6, 2], trajectory=[3], changes=[], forwards=[],
        ran_uncached=False,
        ledger=ledger, error=error, tokens=SpecialTokens(eos=2, mask=9), tokenizer=tokenizer,
    )  # fmt: skip


def test_a_generation_is_one_short_line() -> None:
    assert repr(generation("It is\n 4.")) == "<Generation 'q/1': n_token 3, e_token 2, NFE 17, 'It is 4.'>"
    long = repr(generation("word " * 500))
    assert len(long) < 130
    assert "..." in long


def test_one_that_could_not_be_run_says_why() -> None:
    assert repr(generation("", "out of memory")).endswith("error 'out of memory'>")
