"""Chat templates are programs of the checkpoint: their limits, and the errors of those that exceed them."""

import resource
import signal

import pytest

from dlm_length.models import CheckpointError, load_tokenizer
from dlm_length.models import chat_template as bounds
from dlm_length.models.bounded import bounded
from tests.conftest import WriteCheckpoint

DOUBLED = (
    "{% set ns = namespace(x='a' * 1000) %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
)
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{{ messages }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'a' * 10**10 }}", "the operator **"),
        ("{{ 9**9**9 }}", "the operator **"),
        ("{{ 'a' * 10000000000 }}", "GiB of memory"),
        (DOUBLED, "GiB of memory"),
        ("{{ 'a'|center(10000000000) }}", "GiB of memory"),
        ("{{ 'a' * 2000000 }}", "it renders 2,000,000 characters for messages of 3"),
        ("{% for i in range(1000000000) %}{% endfor %}", "Range too big"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ '\\ud800' }}", "lone surrogate"),
        ("  {# nothing #}  ", "it renders an empty text"),
    ],
)
def test_a_template_beyond_its_bounds_is_refused(
    write_checkpoint: WriteCheckpoint, template: str, message: str
) -> None:
    tokenizer = load_tokenizer(str(write_checkpoint(tokenizer_config={"chat_template": template})))
    with pytest.raises(CheckpointError, match="its chat template cannot be used") as refused:
        tokenizer.chat_text([("user", "one")])
    assert message in str(refused.value)


def test_a_template_that_loops_is_stopped_by_its_cpu_time(
    write_checkpoint: WriteCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "CPU_SECONDS", 0.2)
    tokenizer = load_tokenizer(str(write_checkpoint(tokenizer_config={"chat_template": ENDLESS})))
    with pytest.raises(CheckpointError, match=r"it took more than 0\.2 seconds of CPU time"):
        tokenizer.chat_text([("user", "one")])


@pytest.mark.parametrize(
    "template",
    [
        "**bold** {{ messages[0]['content'] }}",
        "{{ dict(**messages[0])['content'] }}",
        "{{ 2 * 3 }} {{ messages[0].content }}",
    ],
)
def test_asterisks_that_are_not_a_power_are_allowed(write_checkpoint: WriteCheckpoint, template: str) -> None:
    tokenizer = load_tokenizer(str(write_checkpoint(tokenizer_config={"chat_template": template})))
    assert "one" in tokenizer.chat_text([("user", "one")])


def test_a_long_question_is_not_a_fault_of_the_template(write_checkpoint: WriteCheckpoint) -> None:
    question = "word " * 400_000
    assert question in load_tokenizer(str(write_checkpoint())).chat_text([("user", question)])


def spin() -> None:
    while True:
        pass


def test_limits_are_as_before_behind_a_bounded_block() -> None:
    limits, handler = resource.getrlimit(resource.RLIMIT_AS), signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(MemoryError), bounded(cpu_seconds=60.0, memory_bytes=2**20):
        bytearray(2**30)
    with pytest.raises(TimeoutError, match="CPU time"), bounded(cpu_seconds=0.05, memory_bytes=2**30):
        spin()
    assert resource.getrlimit(resource.RLIMIT_AS) == limits
    assert signal.getsignal(signal.SIGVTALRM) is handler
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert len(bytearray(2**28)) == 2**28
