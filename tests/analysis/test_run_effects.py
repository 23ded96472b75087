"""Effects as one result each, looked up by run and kind."""

from collections.abc import Callable, Mapping
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from dlm_length.analysis.effects import Testing, compare_all
from dlm_length.analysis.runs import Run, read_run
from dlm_length.analysis.sections import collect, compared
from dlm_length.stats import Statistic, bootstrap, holm, mcnemar

FinishRun = Callable[..., Path]


def samples(right: int, flops: int) -> dict[str, dict[str, Any]]:
    return {f"s{k:02}": {"score": float(k < right), "flops": flops + k} for k in range(30)}


@pytest.fixture
def runs(finish_run: FinishRun) -> list[Run]:
    """The baseline, with 20 of 30 right, and two crops that lose 3 and 12 of them."""
    paths = [finish_run("tiny_gsm8k_fixed", samples(20, 1000))]
    paths += [
        finish_run("tiny_gsm8k_smartcrop", samples(right, 500), f"policy.tau={tau}")
        for tau, right in ((0.9, 17), (0.5, 8))
    ]
    return list(map(read_run, paths))


def columns(run: Run, baseline: Run) -> Mapping[str, tuple[list[float], list[float]]]:
    def flops(each: Run) -> list[float]:
        return [float(each.samples[name].ledger.total.flops_reference) for name in sorted(each.samples)]

    def scores(each: Run) -> list[float]:
        return [each.samples[name].score or 0.0 for name in sorted(each.samples)]

    return {"flops": (flops(run), flops(baseline)), "score": (scores(run), scores(baseline))}


def test_an_effect_has_its_estimate_interval_test_and_holms_p(runs: list[Run]) -> None:
    baseline, *others = runs
    effects = compare_all(others, baseline)
    assert set(effects) == {(run.path, name) for run in others for name in ("flops_saved", "performance_delta")}
    own = {run.path: columns(run, baseline) for run in others}
    for name, statistic, column in (
        ("flops_saved", Statistic.flops_saved, "flops"),
        ("performance_delta", Statistic.performance_delta, "score"),
    ):
        by_hand = bootstrap({path: statistic(*each[column]) for path, each in own.items()}, rng=0, resamples=10_000)
        adjusted = holm([each.test.p for each in by_hand.values() if each.test])
        for (path, estimate), p in zip(by_hand.items(), adjusted, strict=True):
            effect = effects[path, name]  # type: ignore[index]
            assert (effect.name, effect.value, effect.low, effect.high) == (
                name, estimate.value, estimate.low, estimate.high,
            )  # fmt: skip
            assert effect.result == effect.bootstrap == estimate.test
            assert effect.adjusted_p == effect.p == p
            assert effect.family == 2
    with pytest.raises(FrozenInstanceError):
        effect.value = 0.0  # type: ignore[misc]


def test_another_test_may_set_the_stars_of_an_effect(runs: list[Run]) -> None:
    baseline, *others = runs
    effects = compare_all(others, baseline, testing=Testing(stars_by="mcnemar", adjust="none"))
    for run in others:
        effect = effects[run.path, "performance_delta"]
        assert effect.result == mcnemar(*columns(run, baseline)["score"])
        assert effect.bootstrap.name == "paired bootstrap"
        assert effect.p == effect.result.p
        assert effects[run.path, "flops_saved"].result.name == "paired bootstrap"


def test_a_section_looks_its_effects_up(runs: list[Run], finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_fixed", samples(20, 800), "policy.stop=block_any", "policy.block_length=8")
    (section,) = compared(collect([Path("results")]))
    crop = next(run for run in section.runs if run.metrics.policy_label.endswith("0.9"))
    assert section.of(crop, "flops_saved") is section.effects[crop.path, "flops_saved"]
    early = section.of(crop, "flops_saved_vs_early_stop")
    assert early is not None
    assert early.family == len(section.by_run("flops_saved_vs_early_stop")) == 2
    assert 0 < early.value < section.effects[crop.path, "flops_saved"].value
    assert section.section.baseline is not None
    assert section.of(section.section.baseline, "flops_saved") is None
