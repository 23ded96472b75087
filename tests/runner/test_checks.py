"""Canvases that leave no room for a prompt, and policies that do not end, are refused before a run."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import Block, RunConfig, Study
from dlm_length.engine import estimate, watchdog
from dlm_length.policies import build_policy
from dlm_length.runner import Progress, plan, run, run_study, run_together
from dlm_length.runner.checks import check_answer_limit
from dlm_length.runner.prepare import prepare

Configure = Callable[..., RunConfig]
MOST = 1024
"""Positions of the tiny model."""


@pytest.fixture
def longest(configure: Configure) -> int:
    """Tokens of the longest prompt of `configure`'s runs."""
    (prepared,) = prepare([configure()])
    return max(len(job.prompt_ids) for job in prepared.jobs)


def refusal(what: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(ConfigError) as refused:
        what(*arguments)
    return str(refused.value)


def test_a_canvas_beyond_the_model_is_one_error_before_anything_is_left_or_loaded(
    configure: Configure, watch: Progress, no_model: Callable[[], None], longest: int
) -> None:
    no_model()
    config = configure(length=MOST + 1)
    message = (
        "policy.length: found a canvas of 1025 tokens to begin with, but model 'llada-tiny' takes at most 1024, prompt"
        f" and canvas together; allowed: at most {MOST - longest}, which leaves room for every prompt here (up to"
        f" {longest} tokens)."
    )
    assert refusal(run, config, watch) == message
    assert refusal(plan, config) == message
    assert not config.run_path.exists()


def test_what_is_said_to_be_allowed_is_allowed(configure: Configure, longest: int) -> None:
    assert plan(configure(length=MOST - longest)).too_long == 0
    assert plan(configure(length=MOST - longest + 1)).too_long == 1


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"name": "smartcrop", "length": 2000}, "policy.length"),
        ({"name": "random_length", "length": 2000}, "policy.length"),
        ({"name": "daedal", "initial_length": 2000}, "policy.initial_length"),
        ({"name": "rho_eos", "initial_length": 2000}, "policy.initial_length"),
    ],
)
def test_the_field_that_says_it_is_named(
    configure: Configure, watch: Progress, no_model: Callable[[], None], policy: dict, field: str
) -> None:
    no_model()
    config = configure().model_copy(update={"policy": build_policy(**policy)})
    assert refusal(run, config, watch).startswith(f"{field}: found a canvas of 2000 tokens")


def test_prompts_that_are_too_long_themselves_decide_nothing(
    configure: Configure, write_checkpoint: Callable[..., Path]
) -> None:
    folder = write_checkpoint()
    model, asked = f"model.path={folder}", ["What is 1 plus 1?", "What is " + "1 plus " * 200 + "1?"]
    short = plan(configure(model, asked=asked[:1])).prompt_tokens
    message = refusal(plan, configure(model, asked=asked, length=129))
    assert message.endswith(f"at most {128 - short}, which leaves room for 1 of 2 prompts here (up to {short} tokens).")
    assert refusal(plan, configure(model, asked=asked[1:], length=129)).endswith(
        "allowed: 128 less the tokens of the longest prompt."
    )


def test_what_only_a_prompt_or_a_later_forward_shows_is_no_error_of_the_run(
    configure: Configure, watch: Progress
) -> None:
    assert run(configure(length=MOST), watch).metrics.failed == 4
    growing = configure().model_copy(update={"policy": build_policy("daedal", initial_length=8, max_length=2000)})
    assert plan(growing).too_long == 4
    given = build_policy("random_length", length=2000, lengths={f"gsm8k/{number}": 4 for number in range(4)})
    assert run(configure().model_copy(update={"policy": given}), watch).metrics.failed == 0


def test_no_run_of_a_study_begins_where_one_cannot(
    configure: Configure, watch: Progress, no_model: Callable[[], None]
) -> None:
    no_model()
    runs, long = (configure(), configure("policy.block_length=4")), configure(length=2000)
    assert "found a canvas of 2000" in refusal(run_together, [*runs, long], watch)
    study = Study("both", (Block(runs[0], runs[1:]), Block(None, (long,))))
    assert "found a canvas of 2000" in refusal(run_study, study, watch)
    assert not any(config.run_path.exists() for config in (*runs, long))


def test_delimiters_that_the_model_does_not_have_are_refused(configure: Configure, watch: Progress) -> None:
    policy = build_policy("fixed", length=16, blocks="adaptive", threshold=0.9, delimiters=(5, 768))
    message = (
        "policy.delimiters: found token 768, which is outside the vocabulary of 768 tokens; allowed: token ids from 0"
        " to 767."
    )
    config = configure().model_copy(update={"policy": policy})
    assert refusal(run, config, watch) == refusal(plan, config) == message


@pytest.mark.parametrize("late", [False, True])
def test_what_the_code_of_a_file_raises_names_the_file(
    configure: Configure, watch: Progress, tmp_path: Path, late: bool
) -> None:
    """Before its first forward, or after some."""
    file = tmp_path / "my_policy.py"
    file.write_text(
        f"""from typing import Literal
from dlm_length.policies import Policy, build_policy
class Mine(Policy):
    \"\"\"Mine.\"\"\"
    source = "none"
    name: Literal["mine"] = "mine"
    def denoise(self, canvas):
        if {late}:
            yield from build_policy("fixed", length=4).denoise(canvas)
        canvas.no_such_thing()
        yield
"""
    )
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    for what in ((lambda: run(config, watch)), (lambda: plan(config))):
        message = refusal(what)
        assert message.startswith(f"{file}: denoise")
        assert "AttributeError: 'Canvas' object has no attribute 'no_such_thing', line 10." in message


ENDLESS = """from typing import Literal
from dlm_length.denoising import Query, Stat, StatSpec
from dlm_length.policies import Policy
class Mine(Policy):
    \"\"\"Mine.\"\"\"
    source = "none"
    name: Literal["mine"] = "mine"
    def denoise(self, canvas):
        canvas.append_masks(4)
        while True:
            GROW
            answer = yield Query(canvas, canvas.all, StatSpec(Stat.TOKEN | Stat.CONFIDENCE))
            if (answer.confidence > 0.9).all():
                canvas.commit(canvas.all, answer.token)
                return
"""


@pytest.mark.parametrize("catching", [False, True])
def test_a_policy_that_ends_on_a_confident_model_alone_is_one_error(
    configure: Configure, watch: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catching: bool
) -> None:
    """A dry run and the limit of an answer's length follow it on a model that never is."""
    file = tmp_path / "my_policy.py"
    text = ENDLESS.replace("GROW", "pass")
    line = 12
    if catching:  # whatever is thrown at its yield
        text, line = text.replace("            answer = yield", "            try: answer = yield"), 0
        text = text.replace("Stat.CONFIDENCE))\n", "Stat.CONFIDENCE))\n            except Exception: continue\n")
    file.write_text(text)
    monkeypatch.setattr(watchdog, "MOST_FORWARDS", 500)
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    message = refusal(plan, config)
    assert "no end after 500 forwards of a model that is never confident" in message
    assert message.startswith("policy 'mine':" if catching else f"{file}: denoise raised TimeoutError: ")
    assert (f", line {line}." in message) == (not catching)
    monkeypatch.setattr(type(config.benchmark), "max_answer_tokens", 64)
    assert refusal(run, config, watch) == message
    assert not config.run_path.exists()


def test_a_canvas_that_grows_without_end_is_followed_up_to_the_models_limit(
    configure: Configure, watch: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my_policy.py"
    file.write_text(ENDLESS.replace("GROW", "canvas.append_masks(64)"))
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    assert plan(config).too_long == 4
    assert estimate.upper_bound(config.policy).longest_canvas == 4 + 64 * 1024, "where no limit is known"
    monkeypatch.setattr(type(config.benchmark), "max_answer_tokens", 64)
    assert "found a canvas of up to 1024 tokens, the most that the model takes" in refusal(run, config, watch)


def test_the_suggested_limit_of_an_answer_is_allowed(
    configure: Configure, watch: Progress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "my_policy.py"
    file.write_text(ENDLESS.replace("GROW", "canvas.append_masks(64)"))
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    monkeypatch.setattr(type(config.benchmark), "max_answer_tokens", 64)
    suggested = re.search(r"max_gen_toks=([0-9]+)\.", refusal(run, config, watch))
    assert suggested is not None
    (prepared,) = prepare([config])
    assert int(suggested[1]) == prepared.architecture.max_length
    monkeypatch.setattr(type(config.benchmark), "max_answer_tokens", int(suggested[1]))
    check_answer_limit(prepared)


@pytest.mark.parametrize("catching", [False, True])
def test_a_policy_that_never_asks_for_a_forward_is_one_error(
    configure: Configure,
    watch: Progress,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    catching: bool,
) -> None:
    file = tmp_path / "my_policy.py"
    loop = "        while True:\n            pass\n        yield\n"
    if catching:
        loop = loop.replace("pass", "try: int('x')\n            except Exception: pass")
    file.write_text(ENDLESS.partition("        while True:")[0] + loop)
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    monkeypatch.setattr(type(config.policy), "step_seconds", 0.3)
    monkeypatch.setattr(watchdog, "NOTICE_SECONDS", 0.1)
    monkeypatch.setattr(watchdog, "INTERVAL", 0.1)
    message = refusal(run, config, watch)
    assert message.startswith(f"{file}: denoise computed for 0.3 s without asking for a forward, at line 1")
    assert f" of {file}." in message
    assert f"{file}: denoise has computed for" in caplog.text
    assert not config.run_path.exists()


def test_a_policy_that_asks_nothing_costs_nothing(configure: Configure, tmp_path: Path) -> None:
    file = tmp_path / "my_policy.py"
    file.write_text(ENDLESS.replace("while True:", "while False:").replace("GROW", "pass"))
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    assert plan(config).forwards == 0


def test_what_a_policy_yields_by_mistake_is_named_in_a_plan_too(configure: Configure, tmp_path: Path) -> None:
    file = tmp_path / "my_policy.py"
    file.write_text(ENDLESS.replace("GROW", "yield 7"))
    config = configure().model_copy(update={"policy": build_policy("mine", file=file)})
    message = refusal(plan, config)
    assert message == (
        f"{file}: denoise raised TypeError: denoise yielded a int; expected are a Query and a FollowUp, line 11."
    )
