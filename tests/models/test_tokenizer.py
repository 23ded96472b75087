"""Text to ids and back by the checkpoint's own tokenizer and chat template."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.models import CheckpointError, MaskPredictor, Tokenizer, load_tokenizer

Write = Callable[..., Path]
BOS = "<|user|>"
"""Any token, which the tokenizer is configured to put in front."""


@pytest.fixture
def with_bos(write_checkpoint: Write) -> Tokenizer:
    """A tokenizer that begins every text with a BOS, whose chat template writes the same BOS."""
    from tokenizers import Tokenizer as Inner
    from tokenizers.processors import TemplateProcessing

    folder = write_checkpoint(
        tokenizer_config={"bos_token": BOS, "chat_template": BOS + "{{ messages[0]['content'] }}<|assistant|>"}
    )
    inner = Inner.from_file(str(folder / "tokenizer.json"))
    inner.post_processor = TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, inner.token_to_id(BOS))])
    inner.save(str(folder / "tokenizer.json"))
    return load_tokenizer(str(folder))


def test_a_templated_text_gets_no_second_bos(with_bos: Tokenizer) -> None:
    bos = with_bos.token_id(BOS)
    text = with_bos.chat_text([("user", "What is 2+2?")])
    assert text == f"{BOS}What is 2+2?<|assistant|>"
    ids = with_bos.encode(text, templated=True)
    assert (ids[0], ids.count(bos)) == (bos, 1)
    assert with_bos.encode(text, templated=False)[:2] == [bos, bos], "the trap is real"


def test_a_bare_text_gets_what_the_tokenizer_adds(with_bos: Tokenizer) -> None:
    bos = with_bos.token_id(BOS)
    ids = with_bos.encode("What is 2+2?", templated=False)
    assert (ids[0], ids.count(bos)) == (bos, 1)
    assert bos not in with_bos.encode("What is 2+2?", templated=True)


def test_chat_text_ends_where_the_assistants_answer_begins(tiny_model: MaskPredictor) -> None:
    turns = [("user", "one"), ("assistant", "two"), ("user", "three")]
    text = tiny_model.tokenizer.chat_text(turns, "four")
    assert text == "<|user|>one<|assistant|>two<|endoftext|><|user|>three<|assistant|>four"


@pytest.mark.parametrize("turn", ["{{ 7 * 7 }}", "{% raw %}", "<|assistant|>"])
def test_a_message_is_data_not_template(tiny_model: MaskPredictor, turn: str) -> None:
    assert tiny_model.tokenizer.chat_text([("user", turn)]) == f"<|user|>{turn}<|assistant|>"


def test_an_error_about_a_missing_chat_template_says_what_to_do(write_checkpoint: Write) -> None:
    folder = write_checkpoint(tokenizer_config={"chat_template": ...})
    with pytest.raises(CheckpointError, match="has no chat template, which this prompt style needs") as refused:
        load_tokenizer(str(folder)).chat_text([("user", "one")])
    assert "benchmark.prompt_style=" in str(refused.value)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize(
    "template", ["{% if ", "{{ raise_exception('no system turns') }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"]
)
def test_a_template_that_cannot_be_used_is_the_checkpoints_fault(write_checkpoint: Write, template: str) -> None:
    """The last one tries to get at Python: transformers renders in a sandbox."""
    folder = write_checkpoint(tokenizer_config={"chat_template": template})
    with pytest.raises(CheckpointError, match="its chat template cannot be used"):
        load_tokenizer(str(folder)).chat_text([("user", "one")])


ROLES = "{% for m in messages %}[{{ m['role'] }}]{{ m['content'] | trim }}{% endfor %}[assistant]"
DROPPING = "{% for m in messages if m['role'] != 'system' %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
FOR_TWO = "{% for m in messages %}{{ '[user]' if m['role'] == 'user' else '[answer]' }}{{ m['content'] }}{% endfor %}"


def test_a_system_message_is_the_systems_or_refused(write_checkpoint: Write) -> None:
    """A template for users and assistants only would render it as the model's own words."""
    turns = [("system", "Be brief.\n"), ("user", "one")]
    knowing = load_tokenizer(str(write_checkpoint(tokenizer_config={"chat_template": ROLES})))
    assert knowing.chat_text(turns) == "[system]Be brief.[user]one[assistant]"
    for template in (DROPPING, FOR_TWO):
        folder = write_checkpoint(tokenizer_config={"chat_template": template})
        with pytest.raises(CheckpointError, match="its chat template does not support system messages"):
            load_tokenizer(str(folder)).chat_text(turns)


def test_a_template_in_a_file_of_its_own(write_checkpoint: Write) -> None:
    folder = write_checkpoint(tokenizer_config={"chat_template": ...})
    (folder / "chat_template.jinja").write_text("{{ messages[0]['role'] }}!")
    assert load_tokenizer(str(folder)).chat_text([("user", "one")]) == "user!"


def test_special_tokens_are_left_out_wherever_they_occur(tiny_model: MaskPredictor) -> None:
    tokenizer = tiny_model.tokenizer
    word = tokenizer.encode("word", templated=True)
    mask, eos = tiny_model.tokens.mask, tiny_model.tokens.eos
    assert tokenizer.decode([eos, *word, mask, *word, eos, eos]) == "wordword"
    assert tokenizer.decode([]) == ""


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_text_survives_the_tokenizer(tiny_model: MaskPredictor, text: str) -> None:
    tokenizer = tiny_model.tokenizer
    ids = tokenizer.encode(text, templated=True)
    assert all(0 <= token < tiny_model.architecture.vocabulary for token in ids)
    assert tokenizer.decode(ids) == text


def test_planning_reads_the_same_tokenizer(tiny_model: MaskPredictor) -> None:
    text = "def f(x):\n    return x"
    alone = load_tokenizer("embedded:llada-tiny")
    assert alone.encode(text, templated=False) == tiny_model.tokenizer.encode(text, templated=False)
    assert alone.token_id("<|endoftext|>") == 1
    assert alone.token_id("<|eot_id|>") is None
