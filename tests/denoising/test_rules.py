"""Stop rules, commit rules and early commits in edge cases, on hand-made forwards; and refused settings."""

import numpy as np
import pytest
from pydantic import ValidationError

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import ConfigError, SpecialTokens
from dlm_length.denoising import DECODER_GROUPS, Answer, Canvas, Decoder, FollowUp, Query
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.denoising.commit_rules import factor_count, run_heads

MASK, EOS, EOT, WORD = 0, 1, 2, 9


def course(token: list[int], confidence: list[float], gap: float = 0.0, **parameters: object) -> tuple[list[int], int]:
    """Tokens and forwards over a canvas on which every forward finds the same; `steps`: planned forwards."""
    canvas = Canvas(5, SpecialTokens(mask=MASK, eos=EOS, eot=EOT))
    canvas.append_masks(len(token))
    steps = parameters.pop("steps", None)
    coroutine = Decoder(**parameters).decode(canvas, steps)
    question: Query | FollowUp | None = next(coroutine, None)
    forwards = 0
    while question is not None:
        forwards += isinstance(question, Query)
        at = question.positions
        size = len(at)
        answer = Answer(
            token=np.array(token)[at],
            confidence=np.array(confidence)[at],
            logit_gap=np.full(size, gap),
            unmasked_token=np.full(size, 7),
            unmasked_confidence=np.full(size, 0.5),
        )
        try:
            question = coroutine.send(answer)
        except StopIteration:
            question = None
    return canvas.ids.tolist(), forwards


FALLING = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]


@pytest.mark.parametrize("stop", ["cut", "eos_prefix"])
def test_an_end_with_masks_before_it_changes_nothing(stop: str):
    rising = FALLING[::-1]
    assert course([WORD, WORD, EOS, WORD, WORD, WORD], rising, stop=stop) == ([WORD, WORD, EOS], 6)
    assert course([WORD, WORD, EOS, WORD, WORD, WORD], FALLING, stop=stop) == ([WORD, WORD, EOS], 3)


def test_eos_prefix_is_tested_where_an_end_is_committed_and_after_a_block_only():
    """The end comes first, and what stood before it follows: cut stops there, eos_prefix at the block's end."""
    token, confidence = [WORD, EOS, WORD, WORD, WORD, WORD], [0.8, 0.9, 0.5, 0.4, 0.3, 0.2]
    assert course(token, confidence, stop="cut", block_length=3) == ([WORD, EOS], 2)
    assert course(token, confidence, stop="eos_prefix", block_length=3) == ([WORD, EOS], 3)


def test_crop_fill_fills_what_stands_before_the_end_in_one_forward():
    token, confidence = [WORD, MASK, WORD, EOS, WORD, WORD], [0.1, 0.2, 0.3, 0.9, 0.1, 0.1]
    assert course(token, confidence, stop="crop_fill") == ([WORD, 7, WORD, EOS], 2)


def test_an_end_at_the_last_position_triggers_no_crop_fill():
    assert course([WORD] * 5 + [EOS], FALLING[::-1], stop="crop_fill") == ([WORD] * 5 + [EOS], 6)


@pytest.mark.parametrize(("stop_tokens", "length"), [("eos", 6), ("eos_eot", 2)])
def test_the_end_of_the_turn_ends_the_answer_if_configured(stop_tokens: str, length: int):
    ids, _ = course([WORD, EOT, WORD, WORD, WORD, WORD], FALLING, stop="cut", stop_tokens=stop_tokens)
    assert len(ids) == length


def test_the_comparison_is_the_rule_s_own_or_the_one_given():
    def forwards(**parameters: object) -> int:
        return course([WORD] * 4, [0.5] * 4, threshold=0.5, **parameters)[1]

    assert (forwards(), forwards(threshold_is="at_least"), forwards(threshold_is="above")) == (1, 1, 4)
    assert forwards(low_threshold=0.5) == 4, "dInfer compares strictly, low threshold and high"
    assert forwards(low_threshold=0.4) == 4, "one run of masks stays one, as its first is committed"
    assert Decoder(preset="llada2").threshold_is == "above"


def test_a_confidence_of_1_is_that_of_the_rule_s_own_softmax():
    """Fast-dLLM's is in float64 for LLaDA, and in the dtype of the logits for Dream; so is AdaBlock's of delimiters."""
    nearly = [1 - 1e-9, 1.0, 1 - 1e-9]
    assert course([WORD] * 3, nearly, threshold=1.0) == ([WORD] * 3, 3)
    assert course([WORD] * 3, nearly, threshold=1.0, schedule="quota", steps=1) == ([WORD] * 3, 1)
    delimiters = Answer(token=np.array([5, WORD, WORD]), confidence=np.array(nearly))
    blocks = AdaptiveBlocks(blocks="adaptive", delimiters=(WORD,), delimiter_threshold=1.0)
    assert blocks.block_size(delimiters, 32) == 2
    assert blocks.block_size(delimiters.among(slice(2, None)), 32) == 1


def test_each_run_of_masks_has_a_head():
    positions, confidence = np.array([0, 1, 4, 5, 6, 9]), np.array([0.3, 0.5, 0.6, 0.2, 0.6, 0.1])
    assert run_heads(positions, confidence, 0.1).tolist() == [False, True, True, False, False, False]
    assert run_heads(positions[:0], confidence[:0], 0.1).tolist() == []


@pytest.mark.parametrize(
    ("ranked", "count"),
    [([0.1], 1), ([0.9, 0.1], 2), ([0.9, 0.1, 0.1], 1), ([0.9, 0.7, 0.1], 3), ([0.9, 0.7, 0.7, 0.1, 0.1], 2)],
)
def test_the_factor_rule_commits_the_last_one_too_where_it_alone_is_below(ranked: list[float], count: int):
    """Bounds of factor 1: none, 2/3, 3/4, 4/5, 5/6."""
    assert factor_count(np.array(ranked), 1.0) == count


@pytest.mark.parametrize(("gap", "forwards"), [(7.5, 1), (5.0, 4), (2.5, 7), (2.4, 10)])
def test_prophet_counts_its_forward_and_reaches_a_threshold_inclusively(gap: float, forwards: int):
    """Of ten forwards the fourth is the first at 0.33 or more, the seventh at 0.67 or more."""
    _, made = course([WORD] * 10, [0.5] * 10, gap, early_commit="prophet")
    assert made == forwards


def test_an_answer_behind_the_canvas_s_end_commits_nothing_early():
    for rule in ("prophet", "sched"):
        early = {"early_commit": rule, "commit_region": "answer", "answer_start": 6}
        assert course([WORD] * 6, FALLING, 99.0, **early)[1] == 6


def test_sched_needs_one_forward_in_which_nothing_changed():
    assert course([WORD] * 6, FALLING, 99.0, early_commit="sched") == ([WORD] * 6, 2)
    assert course([WORD] * 6, FALLING, 99.0, early_commit="sched", sched_patience=2)[1] == 4
    assert course([WORD] * 6, FALLING, 99.0, early_commit="sched", sched_max_change=1.0)[1] == 1


def test_sched_ends_once_its_region_holds_no_mask():
    early = {"early_commit": "sched", "commit_region": "answer", "answer_start": 0, "answer_length": 2}
    assert course([WORD] * 6, FALLING, 0.0, sched_high=99.0, sched_low=99.0, **early) == ([WORD] * 6, 3)


def test_an_early_commit_leaves_no_mask():
    ids, _ = course([WORD, MASK, WORD, MASK], [0.5] * 4, 99.0, early_commit="prophet")
    assert ids == [WORD, 7, WORD, 7]


def test_a_cut_follows_an_early_commit():
    ids, made = course([WORD, EOS, WORD, WORD], [0.5] * 4, 99.0, early_commit="prophet", stop="cut")
    assert (ids, made) == ([WORD, EOS], 1)


@pytest.mark.parametrize(
    ("stop", "expected"),
    [("block_any", [WORD, WORD, WORD, EOS, EOS, EOS, EOS]), ("block_last", [WORD, WORD, WORD, EOS])],
)
@pytest.mark.parametrize("blocks", [{}, {"blocks": "adaptive", "threshold": 0.99}])
def test_after_an_early_commit_a_rule_tests_one_block_after_the_other(stop: str, expected: list[int], blocks: dict):
    token, early = [WORD, WORD, WORD, EOS, WORD, WORD, WORD], {"early_commit": "prophet", "block_length": 2}
    ids, made = course(token, [0.5] * 7, 99.0, stop=stop, **early, **blocks)
    assert (ids, made) == (expected, 1)


def test_under_a_dual_cache_a_forward_that_does_not_compute_every_mask_commits_nothing_early():
    """The gap grows with each forward, so that the second would commit everything."""

    def forwards(cache: str, gaps: list[float]) -> int:
        canvas = Canvas(5, SpecialTokens(mask=MASK, eos=EOS, eot=EOT))
        canvas.append_masks(8)
        early = {"early_commit": "prophet", "prophet_gaps": (5.0, 5.0, 5.0), "commit_region": "canvas"}
        coroutine = Decoder(block_length=4, cache=cache, **early).decode(canvas)
        question: Query | FollowUp | None = next(coroutine)
        made = 0
        while question is not None:
            made += isinstance(question, Query)
            size = len(question.positions)
            gap = np.full(size, gaps[min(made, len(gaps)) - 1])
            answer = Answer(token=np.full(size, WORD), confidence=np.full(size, 0.5), logit_gap=gap)
            try:
                question = coroutine.send(answer)
            except StopIteration:
                question = None
        assert MASK not in canvas.ids
        return made

    rising = [0.0, 9.0]
    assert [forwards(cache, rising) for cache in ("none", "prefix", "dkv", "dual")] == [2, 2, 2, 5]
    assert forwards("dual", [9.0]) == 1


@pytest.mark.parametrize("suppressed", [True, False])
def test_crop_fill_predicts_as_the_decoder_does(suppressed: bool):
    canvas = Canvas(5, SpecialTokens(mask=MASK, eos=EOS, eot=EOT))
    canvas.append_masks(4)
    own = {"stop": "crop_fill", "stop_tokens": "eos_eot", "top_k": 3, "temperature": 0.5}
    coroutine = Decoder(logits_eos_inf=suppressed, **own).decode(canvas)
    first = next(coroutine)
    ends = Answer(token=np.array([WORD, WORD, EOT, WORD]), confidence=np.array([0.1, 0.2, 0.9, 0.3]))
    fill = coroutine.send(ends)
    assert first.head.suppress == fill.head.suppress == ((EOS,) if suppressed else ())
    assert (fill.head.top_k, fill.head.temperature) == (3, 0.0)
    forced = coroutine.send(Answer(token=np.array([WORD, MASK])))
    assert forced.head.suppress == fill.head.suppress


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"stop": "block_any"}, "tests finished blocks"),
        ({"stop_tokens": "eos_eot"}, "stop_tokens has no effect"),
        ({"stop": "cut", "logits_eos_inf": True}, "waits for EOS, which logits_eos_inf forbids"),
        ({"factor": 1.0, "threshold": 0.9}, "factor is a commit rule of its own"),
        ({"low_threshold": 0.4}, "go with a threshold"),
        ({"threshold_is": "above"}, "go with a threshold"),
        ({"low_threshold": 0.9, "threshold": 0.4}, "low_threshold must be at most"),
        ({"blocks": "adaptive"}, "follows no schedule"),
        ({"delimiters": (3,)}, "delimiters has no effect"),
        ({"sched_low": 1.0}, "sched_low has no effect"),
        ({"early_commit": "prophet", "sched_low": 1.0}, "sched_low has no effect"),
        ({"early_commit": "sched", "commit_region": "answer"}, "needs the answer_start"),
        ({"early_commit": "sched", "gap_over": "region"}, "gaps of the prompt"),
        ({"early_commit": "prophet", "prophet_progress": (0.7, 0.3)}, "must not fall"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(parameters: dict, message: str):
    with pytest.raises(ValidationError, match=message):
        Decoder(**parameters)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("block_extend", {"early_commit": "sched"}, "early_commit has no effect with block_extend"),
        ("block_extend", {"stop": "block_any"}, "does by itself"),
        ("block_causal", {"stop": "cut"}, "stop has no effect with block_causal"),
        ("block_causal", {"threshold": 0.9, "threshold_is": "at_least"}, "threshold_is must be above"),
        ("stop_at_eos", {"stop_tokens": "eos_eot"}, "which has include_eot"),
        ("daedal", {"stop": "crop_fill"}, "give tail_eos: 0"),
        ("daedal", {"stop_tokens": "eos_eot"}, "stop_tokens has no effect with stop: none"),
        ("stop_at_eos", {"logits_eos_inf": True}, "waits for EOS, which logits_eos_inf forbids"),
        ("block_extend", {"logits_eos_inf": True}, "ends with EOS, which logits_eos_inf forbids"),
        ("block_causal", {"logits_eos_inf": True}, "loop: llada2 ends with EOS, which logits_eos_inf forbids"),
        (
            "composed",
            {"length_from": "initial_adjustment", "then": "schedule", "stop": "crop_fill"},
            "give tail_eos: 0",
        ),
        ("fixed", {"factor": 1.0, "steps": 4}, "steps has no effect with the factor rule"),
    ],
)
def test_a_policy_refuses_what_it_has_of_its_own(name: str, parameters: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_policy(name, **parameters)


@pytest.mark.parametrize("stop", ["block_any", "block_last"])
def test_stop_at_eos_is_fixed_with_a_stop_rule(tiny_model: MaskPredictor, stop: str):
    prompts = [np.random.default_rng(place).integers(4, 700, 9).tolist() for place in range(4)]
    own = {"length": 21, "block_length": 7, "stop": stop}
    named, fixed = (
        {g.index: (g.canvas_ids, g.trajectory) for g in Engine(tiny_model).generate(prompts, build_policy(n, **own))}
        for n in ("stop_at_eos", "fixed")
    )
    assert named == fixed


def test_the_groups_of_a_listing_have_every_field_of_the_decoder_once():
    grouped = [field for group in DECODER_GROUPS for field in group.fields]
    assert sorted(grouped) == sorted(Decoder.model_fields)
