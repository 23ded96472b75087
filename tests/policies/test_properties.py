"""Properties of every policy for any model, tested with seeded random answers."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas
from dlm_length.engine.estimate import upper_bound
from dlm_length.engine.ledger import Ledger
from dlm_length.models import Architecture
from dlm_length.policies import Policy, build_policy, policies

MASK, EOS, EOT = 0, 1, 2
SIZES = st.integers(1, 24)
UNIT = st.floats(0, 1)
FACTOR = st.floats(0.01, 4)


CACHES = [{"cache": "prefix"}, {"cache": "dual"}, {"cache": "dkv"}, {"cache": "dkv", "refresh_interval": 3}]


@st.composite
def stops(draw: st.DrawFn) -> dict[str, Any]:
    """A stop rule, or none."""
    stop = draw(st.sampled_from(["none", "block_any", "block_last", "cut", "eos_prefix", "crop_fill"]))
    tokens = {} if stop == "none" else {"stop_tokens": draw(st.sampled_from(["eos", "eos_eot"]))}
    return {"stop": stop, **tokens}


@st.composite
def decoding(draw: st.DrawFn) -> dict[str, Any]:
    """Of a policy that decodes a canvas of known length."""
    own: dict[str, Any] = {"block_length": draw(SIZES)}
    if draw(st.booleans()):
        return own | draw(st.fixed_dictionaries({"threshold": UNIT}) | st.fixed_dictionaries({"factor": FACTOR}))
    remasking = draw(st.sampled_from(["low_confidence", "random", "margin", "entropy"]))
    return own | {"tokens_per_step": draw(st.integers(1, 5)), "remasking": remasking}


@st.composite
def rules(draw: st.DrawFn, own: dict[str, Any]) -> dict[str, Any]:
    """Stop rules, early commits, blocks and caches for a canvas of known length, in addition to `decoding`."""
    own = own | draw(stops())
    own |= draw(st.sampled_from([{}, *CACHES]))
    if "threshold" in own and draw(st.booleans()):
        own["low_threshold"] = draw(st.floats(0, own["threshold"]))
    if {"threshold", "factor"} & set(own) and draw(st.booleans()):
        share = draw(UNIT)
        own |= {"blocks": "adaptive", "delimiters": (3, 4), "delimiter_threshold": draw(UNIT), "delimiter_share": share}
    match draw(st.sampled_from(["none", "prophet", "sched"])):
        case "prophet":
            own |= {"early_commit": "prophet", "commit_region": draw(st.sampled_from(["all", "canvas"]))}
        case "sched":
            own |= {"early_commit": "sched", "sched_max_change": draw(UNIT), "sched_patience": draw(st.integers(0, 2))}
            own |= draw(
                st.sampled_from(
                    [
                        {},
                        {"commit_region": "canvas", "gap_over": "region"},
                        {"commit_region": "answer", "answer_start": 3},
                    ]
                )
            )
    return own


@st.composite
def growing(draw: st.DrawFn) -> dict[str, Any]:
    """Of a policy that inserts masks."""
    tau_low, tau_high = sorted(draw(st.lists(UNIT, min_size=2, max_size=2, unique=True)))
    return {
        "max_length": draw(SIZES),
        "expansion_factor": draw(st.integers(1, 10)),
        "eos_window": draw(st.integers(1, 8)),
        "eos_scan": draw(st.sampled_from(["released", "window"])),
        "block_length": draw(SIZES),
        "tau_low": tau_low,
        "tau_high": tau_high,
        "tau_expand": draw(UNIT),
    }


@st.composite
def policy(draw: st.DrawFn, name: str) -> Policy:
    """A policy of that name with parameters of every kind that go together."""
    length = draw(SIZES)
    crop = {
        "length": length,
        "tau": draw(UNIT),
        "round_to": draw(st.integers(1, 9)),
        "include_eot": draw(st.booleans()),
    }
    adjust = {"tau_eos": draw(UNIT), "tail_eos": draw(st.none() | st.integers(0, 30))}
    grow = draw(growing())
    inserting = grow | {"max_length": max(grow["max_length"], length)}
    first_stage = {**inserting, **adjust, "initial_length": length}
    match name:
        case "fixed":
            own = {"length": length} | draw(rules(draw(decoding())))
        case "block_extend":
            own = {"length": length, "include_eot": draw(st.booleans())} | draw(decoding())
        case "block_causal":
            loops = [
                {"loop": "bd3lm", "cache_fills": False},
                {"loop": "sdar", "cache_fills": False},
                {"loop": "llada2"},
            ]
            own = {"length": length, **draw(st.sampled_from([*loops, {"loop": "llada2", "early_stop": False}]))}
            own |= draw(decoding().filter(lambda own: "factor" not in own))
            own |= draw(st.sampled_from([{}, {"cache": "prefix"}]))
            if "tokens_per_step" not in own:
                own["steps"] = draw(st.none() | SIZES)
        case "stop_at_eos":
            stop = {"stop": draw(st.sampled_from(["block_any", "block_last"])), "include_eot": draw(st.booleans())}
            own = {"length": length} | stop | draw(decoding())
        case "smartcrop":
            own = crop | draw(rules(draw(decoding())))
        case "perturbed":
            own = crop | draw(decoding()) | {"delta": draw(st.floats(-1, 3))}
        case "random_length":
            own = crop | draw(decoding()) | {"lengths": {"0": draw(st.integers(1, length))}}
        case "oracle":
            own = draw(decoding()) | {"lengths": {"0": length}}
        case "crop_insert":
            own = crop | inserting | {"margin": draw(st.floats(0, 2))} | draw(stops())
        case "daedal":
            own = draw(
                st.sampled_from(
                    [
                        first_stage,
                        {**inserting, "initial_length": length, "stages": "insertion"},
                        {f: v for f, v in first_stage.items() if f not in ("tau_low", "tau_high", "tau_expand")}
                        | {"stages": "initial"},
                    ]
                )
            ) | draw(stops())
            if own["stop"] == "crop_fill" and own.get("stages") != "insertion":
                own["tail_eos"] = 0
        case "rho_eos":
            low, high = sorted([draw(UNIT), draw(UNIT)])
            confidence = {"signal": "confidence", "eos_window": grow["eos_window"], "eos_scan": grow["eos_scan"]}
            own = {
                "initial_length": length,
                "max_length": inserting["max_length"],
                "block_length": grow["block_length"],
                "tau_high": grow["tau_high"],
                "rho_low": low,
                "rho_high": high,
                "unit": draw(st.integers(1, 9)),
                "scheduler": draw(st.sampled_from(["const", "linear", "exp"])),
                "insert_at": draw(st.sampled_from(["first_eos", "end"])),
            } | draw(st.sampled_from([{}, confidence]))
            own |= draw(stops())
        case "carve":
            window = 2 * draw(st.integers(1, 5))
            own = {
                "initial_length": max(length, window),
                "max_length": max(inserting["max_length"], window),
                "window": window,
                "steps": draw(st.none() | SIZES),
                "insert": draw(st.integers(1, 9)),
                "interval": draw(st.integers(1, 4)),
                "tau_js": draw(UNIT),
                "block_length": draw(st.none() | SIZES),
                "remasking": draw(st.sampled_from(["low_confidence", "margin", "entropy"])),
                "crop_at_eos": draw(st.booleans()),
                "include_eot": draw(st.booleans()),
            }
        case "length_search":
            listed = st.none() | st.lists(st.integers(1, length), min_size=1, max_size=5)
            own = draw(decoding()) | {"length": length, "criterion": draw(st.sampled_from(["cal", "lr", "entropy"]))}
            if own["criterion"] == "cal":
                own |= {"initial_length": draw(st.integers(1, length)), "span": draw(st.integers(1, 5))}
                own |= {"patience": draw(st.integers(1, 5))}
            else:
                own["candidates"] = draw(listed)
        case "composed":
            length_from = draw(st.sampled_from(["smartcrop", "initial_adjustment", "fixed"]))
            lengths: dict[str, dict[str, Any]] = {
                "smartcrop": crop,
                "initial_adjustment": {
                    field: first_stage[field]
                    for field in ("initial_length", "max_length", "expansion_factor", "eos_window", "eos_scan", *adjust)
                },
                "fixed": {"length": length},
            }
            if draw(st.booleans()):
                own = {"then": "insertion"} | inserting | draw(stops())
            else:
                own = draw(decoding())
                own["then"] = "threshold" if {"threshold", "factor"} & set(own) else "schedule"
            own |= {"length_from": length_from} | lengths[length_from]
            if own.get("stop") == "crop_fill" and length_from == "initial_adjustment":
                own["tail_eos"] = 0
        case _:
            pytest.fail(f"add the parameters of the policy {name!r} here")
    return build_policy(name, **own)


def longest(policy: Policy) -> int:
    """No canvas of the policy may have more tokens."""
    grows = getattr(policy, "then", None) == "insertion" or getattr(policy, "length_from", "") == "initial_adjustment"
    match policy.name:
        case "daedal" | "rho_eos" | "crop_insert" | "carve":
            return policy.max_length
        case "composed" if grows:
            return policy.max_length
        case "oracle":
            return max(policy.lengths.values())
        case "block_causal":
            return policy.length + policy.block_length - 1
    return policy.length


class Chance:
    """Random answers: how often EOS and MASK are predicted, and how sure everything is, differ from run to run."""

    def __init__(self, seed: int, eos: float, mask: float, sureness: float) -> None:
        self.predicts_mask = mask > 0
        self._rng = np.random.default_rng(seed)
        self._eos, self._mask, self._power = eos, mask, 4 ** (1 - 2 * sureness)

    def __call__(self, canvas: Canvas) -> Answer:
        rng, size = self._rng, len(canvas)
        token = rng.integers(2, 9, size)
        token[rng.random(size) < self._eos] = EOS
        token[rng.random(size) < self._mask] = MASK
        eos, eot = rng.random(size) ** self._power, rng.random(size) / 9
        eos[rng.random(size) < 0.3] = 1.0
        confidence = rng.random(size) ** self._power
        return Answer(
            token=token,
            confidence=confidence,
            eos=eos,
            eot=eot,
            margin=rng.random(size),
            entropy=rng.random(size),
            logit_gap=rng.random(size) * 9,
            uniform=rng.random(size),
            unmasked_token=rng.integers(1, 9, size),
            unmasked_confidence=rng.random(size),
            divergence=rng.random(size) ** self._power,
        )


chances = st.builds(Chance, st.integers(0, 2**32 - 1), UNIT, st.sampled_from([0.0, 0.0, 0.3, 0.9, 1.0]), UNIT)


def moved(ids: list[int], changes: list, expansion: int) -> list[int | None]:
    """Where the tokens of `ids` stand after these changes of the canvas's length; None where there was none before.

    `expansion`: masks that one mask becomes; 0 where masks are put between tokens.
    """
    canvas: list[int | None] = list(ids)
    for change in changes:
        assert len(canvas) == change.before
        match change.kind:
            case "append":
                assert change.position == change.before
                canvas += [None] * (change.after - change.before)
            case "insert" if not expansion:
                canvas[change.position : change.position] = [None] * (change.after - change.before)
            case "remove":
                removed = slice(change.position, change.position + change.before - change.after)
                assert set(canvas[removed]) == {MASK}, "only masks are taken back"
                del canvas[removed]
            case "insert":
                assert canvas[change.position] in (MASK, None), "only a mask is expanded"
                canvas[change.position : change.position + 1] = [MASK] * expansion
                canvas = canvas[: change.after]
            case "crop":
                assert change.position == change.after
                canvas = canvas[: change.after]
        assert len(canvas) == change.after
    return canvas


@pytest.mark.parametrize("name", list(policies()))
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_whatever_the_model_says(play: Callable, name: str, data: st.DataObject):
    """It ends; its canvas keeps within its limit, is full at the end, and tells every change; tokens stay."""
    chosen, chance = data.draw(policy(name)), data.draw(chances)
    course = play(chosen.denoise, chance)
    limit, canvas = longest(chosen), course.canvas
    assert MASK not in course.ids
    assert len(canvas) <= limit
    assert all(length <= limit for length in course.lengths)

    assert [change.before for change in canvas.changes] == [0, *[change.after for change in canvas.changes[:-1]]]
    assert canvas.changes[-1].after == len(canvas)
    assert all(change.before != change.after for change in canvas.changes)
    forwards = [change.forward for change in canvas.changes]
    assert forwards == sorted(forwards)
    assert forwards[-1] <= canvas.forwards == len(course.lengths)

    states = [*course.seen, course.ids]
    for forward, (before, after) in enumerate(pairwise(states), start=1):
        between = [change for change in canvas.changes if change.forward == forward]
        for token, now in zip(moved(before, between, getattr(chosen, "expansion_factor", 0)), after, strict=True):
            assert token in (MASK, None, now), "a committed token changed"
        if not (course.questions[forward - 1][0].probe or chance.predicts_mask or name == "rho_eos"):
            assert before != after, "a forward for nothing"


@pytest.mark.parametrize("stop", ["block_any", "block_last", "cut", "eos_prefix", "crop_fill"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_stop_rule_changes_no_token_before_the_stop(play: Callable, stop: str, data: st.DataObject):
    """Forward for forward it is the canvas without the rule, until it ends; what was committed then stays."""
    own = {"length": data.draw(SIZES)} | data.draw(decoding())
    seed, eos, sure = data.draw(st.integers(0, 2**32 - 1)), data.draw(st.floats(0, 0.3)), data.draw(UNIT)
    whole, stopped = (
        play(build_policy("fixed", stop=rule, **own).denoise, Chance(seed, eos, 0.05, sure)) for rule in ("none", stop)
    )
    assert len(stopped.seen) <= len(whole.seen) + (stop == "crop_fill")
    common = len(stopped.seen) - (len(stopped.seen[-1]) < own["length"])
    assert stopped.seen[:common] == whole.seen[:common]
    states = [*whole.seen, whole.ids]
    committed = states[min(common, len(whole.seen))]
    for before, after in zip(committed, stopped.ids, strict=False):
        assert before in (MASK, after)


SIZES_OF = Architecture(
    layers=1, width=8, heads=1, head_size=8, kv_width=8, mlp_width=8, vocabulary=64, max_length=4096
)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("name", [name for name in policies() if name != "oracle"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_sample_costs_more_than_the_estimate(play: Callable, name: str, shifted: bool, data: st.DataObject):
    """Whatever a model says that does not predict MASK."""
    chosen = data.draw(policy(name))
    seed, eos, sure = data.draw(st.integers(0, 2**32 - 1)), data.draw(UNIT), data.draw(UNIT)
    prompt = data.draw(st.integers(1, 40))
    canvas = Canvas(prompt, SpecialTokens(mask=MASK, eos=EOS, eot=EOT))
    course = play(chosen.denoise, Chance(seed, eos, 0.0, sure), canvas=canvas)
    spent = Ledger()
    for length, questions in zip(course.lengths, course.questions, strict=True):
        recompute, probe = questions[0].recompute, questions[0].probe
        queries = prompt + length
        if recompute is not None:
            queries = len(np.union1d(recompute, recompute - 1) if shifted else recompute)
        spent.add_forward(SIZES_OF, prompt + length, queries, probe=probe)
        rows = sum(question.head.head_rows(len(question.positions)) for question in questions)
        spent.add_rows(SIZES_OF, rows, probe=probe)
    most = upper_bound(chosen.worst_case(), shifted=shifted).ledger(SIZES_OF, prompt).total
    assert spent.total.nfe <= most.nfe
    assert spent.total.flops_reference <= most.flops_reference
    assert spent.total.flops_executed <= most.flops_executed


@pytest.mark.parametrize("name", list(policies()))
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_equal_answers_give_an_equal_course(play: Callable, name: str, data: st.DataObject):
    """Nothing of one sample stays behind in its policy."""
    chosen = data.draw(policy(name))
    seed, eos, sure = data.draw(st.integers(0, 2**32 - 1)), data.draw(UNIT), data.draw(UNIT)
    courses = [play(chosen.denoise, Chance(seed, eos, 0.1, sure)) for _ in range(2)]
    assert courses[0].ids == courses[1].ids
    assert courses[0].seen == courses[1].seen
    assert courses[0].rows == courses[1].rows
