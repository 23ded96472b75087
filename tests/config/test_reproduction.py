"""Papers' plans as studies: every published number has its run, and overrides reach the runs they are about."""

from pathlib import Path
from typing import Any

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import Expected, Reproduction, RunConfig, load_config, load_reproduction
from dlm_length.papers import PAPERS, load_paper

PARTS = {"smartcrop": ("main",), "daedal": ("main", "ablations"), "rho_eos": ("main",)}
"""Those with published numbers."""


def of(reproduction: Reproduction, **wanted: object) -> list[Expected]:
    return [e for e in reproduction.expected if all(getattr(e.cell, name) == value for name, value in wanted.items())]


def settings(config: RunConfig | None) -> dict[str, Any]:
    assert config is not None
    return config.policy.model_dump()


@pytest.mark.parametrize("paper", PAPERS)
def test_every_published_number_has_a_run_with_the_papers_settings(paper: str) -> None:
    published = load_paper(paper)
    seen = []
    for model in published.plan.models.values():
        reproduction = load_reproduction(paper, model=model, only=PARTS[paper])
        seen += [each.cell for each in reproduction.expected]
        runs = {config.run_path for block in reproduction.study.blocks for config in block.all}
        for each in reproduction.expected:
            assert each.run is not None
            assert not each.reason
            assert each.run.run_path in runs
            assert each.run.model.short_name == reproduction.model
            assert each.run.benchmark.name == each.benchmark.name == each.cell.benchmark.lower()
            assert settings(each.run) | dict(each.cell.policy) == settings(each.run)
            assert each.run.experiment == f"reproduce_{paper}"
    assert set(map(str, seen)) == set(map(str, published.cells))


def test_smartcrops_canvases_are_those_of_its_table() -> None:
    reproduction = load_reproduction("smartcrop")
    for fixed in of(reproduction, method="FC", quantity="processed_length"):
        (prompt,) = of(reproduction, method="FC", quantity="prompt_length", benchmark=fixed.cell.benchmark)
        canvas = round(fixed.cell.value - prompt.cell.value)
        for each in of(reproduction, benchmark=fixed.cell.benchmark):
            assert settings(each.run)["length"] == canvas
            assert each.baseline == (fixed.run if each.cell.is_effect else None)
    for block in reproduction.study.blocks:
        assert block.baseline is not None
        assert block.baseline.policy.name == "fixed"
        assert [settings(config)["tau"] for config in block.runs] == [0.5, 0.75, 0.9, 0.95, 0.99]


def test_daedals_runs_are_the_shipped_configs() -> None:
    reproduction = load_reproduction("daedal")
    for block in reproduction.study.blocks:
        name = block.runs[0].benchmark.name
        *fixed, daedal = block.runs
        assert [settings(config)["length"] for config in fixed] == [64, 128, 256, 512, 1024, 2048]
        assert {settings(config)["block_length"] for config in fixed} == {32}
        assert daedal.policy == load_config(f"{name}_daedal").policy
        assert {config.benchmark.model_dump()["prompt_style"] for config in block.runs} == {"chat_tags"}
        assert block.baseline is None
    assert reproduction.unscored == ("mbpp", "humaneval")
    assert not load_reproduction("daedal", benchmarks=["GSM8K"]).unscored


def test_rows_of_one_setting_are_one_run() -> None:
    reproduction = load_reproduction("daedal", only=["main", "ablations"], benchmarks=["gsm8k"])
    (block,) = reproduction.study.blocks
    assert len(block.all) == len(block.runs) == 7 + 4 + 4 + 3 + 3, "each table but the first repeats the paper's own"
    same = {
        each.run.run_name
        for method in ("DAEDAL", "both L_init=64", "L_init=64", "E_factor=8", "W_eos=32")
        for each in of(reproduction, method=method)
        if each.run
    }
    assert len(same) == 1


@pytest.mark.parametrize(("only", "runs"), [("main", 28), ("ablations", 14 + 1 + 5), ("grids", 31)])
def test_daedals_parts(only: str, runs: int) -> None:
    """The grids share the paper's own setting; what has no published number is expected of nothing."""
    reproduction = load_reproduction("daedal", only=[only])
    assert sum(len(block.all) for block in reproduction.study.blocks) == runs
    assert bool(reproduction.expected) is (only != "grids")


def test_smartcrops_controls() -> None:
    blocks = load_reproduction("smartcrop", only=["controls"]).study.blocks
    assert [(block.runs[0].benchmark.name, len(block.runs)) for block in blocks] == [
        *(("ifeval", 11), ("gsm8k", 1), ("humaneval", 1))
    ]
    assert [settings(config)["delta"] for config in blocks[0].runs][::5] == [-0.5, 0.0, 0.5]


@pytest.mark.parametrize("paper", PAPERS)
def test_minis_stand_in_with_their_own_lengths(paper: str) -> None:
    reproduction = load_reproduction(paper, model="embedded", benchmarks=["mini"], only=PARTS[paper])
    assert reproduction.model == "llada-mini"
    twins = load_paper(paper).plan.benchmarks
    assert len(reproduction.study.blocks) == len({names.mini for names in twins.values()}), "a shared twin runs once"
    for each in reproduction.expected:
        assert (each.benchmark.name, each.benchmark.is_mini) == (twins[each.cell.benchmark].mini, True)
        length = max(each.cell.policy.get("length", 0), each.cell.policy.get("initial_length", 0))
        if paper == "rho_eos":
            assert each.run is not None
        elif length > 256:
            assert each.run is None
            assert each.reason == "the mini benchmarks have canvases up to 256"
        else:
            assert settings(each.run).get("length", 128) in (64, 128, 256)
    every = [config for block in reproduction.study.blocks for config in block.all]
    assert max(max(settings(c).get("length", 0), settings(c).get("max_length", 0)) for c in every) <= 256
    assert {config.hardware.profile for config in every} == {"cpu"}


def test_the_minis_own_lengths() -> None:
    (block,) = load_reproduction("daedal", model="embedded", benchmarks=["mini_gsm8k"]).study.blocks
    fixed = [settings(config) for config in block.runs if config.policy.name == "fixed"]
    assert sorted(config["length"] for config in fixed) == [32, 64, 128, 256]
    (daedal,) = [config for config in block.runs if config.policy.name == "daedal"]
    assert {config["block_length"] for config in fixed} == {settings(daedal)["block_length"]}
    assert daedal.policy == load_config("mini_gsm8k_daedal").policy
    (smartcrop, *_) = load_reproduction("smartcrop", model="embedded", benchmarks=["mini"]).study.blocks
    assert {settings(config)["length"] for config in smartcrop.all} == {128}


def test_two_benchmarks_with_one_twin_are_both_expected_of_its_runs() -> None:
    reproduction = load_reproduction("rho_eos", model="embedded", benchmarks=["mini"])
    first, second = (of(reproduction, benchmark=name, method="DAEDAL") for name in ("GSM8K", "MATH500"))
    assert first[0].run == second[0].run
    assert (first[0].cell.value, second[0].cell.value) == (74.1, 73.9)


def test_a_models_own_numbers_are_taken_and_else_the_first_models() -> None:
    own = load_reproduction("daedal", model="llada-1.5", only=["main", "ablations"], benchmarks=["GSM8K"])
    assert own.model == "LLaDA-1.5"
    assert {each.cell.model for each in own.expected if each.cell.table == "main"} == {"LLaDA-1.5"}
    assert {each.cell.model for each in own.expected if each.cell.table != "main"} == {"LLaDA-8B-Instruct"}
    for given in ({"model": "llada-tiny"}, {"overrides": ["model=llada-tiny"]}):
        other = load_reproduction("rho_eos", **given)
        assert (other.model, {each.cell.model for each in other.expected}) == ("llada-tiny", {"LLaDA-8B-Instruct"})
    local = load_reproduction("rho_eos", overrides=["model.path=/data/LLaDA-1.5"])
    assert {each.cell.model for each in local.expected} == {"LLaDA-1.5"}, "a copy on disk is the model too"


def test_benchmarks_by_any_of_their_names_each_once() -> None:
    def requested(*names: str) -> list[str]:
        return [b.all[0].benchmark.name for b in load_reproduction("smartcrop", benchmarks=names).study.blocks]

    assert requested("HumanEval", " gsm8k", "GSM8K") == ["gsm8k", "humaneval"]
    assert requested("mini_ifeval", "humaneval") == ["humaneval", "mini_ifeval"]
    assert len(requested("mini", "ifeval")) == 5


def test_overrides_go_where_there_is_such_a_field() -> None:
    given = ["benchmark.limit=3", "benchmark.execute_code=true", "policy.length=64", "hardware=cpu", "experiment=mine"]
    reproduction = load_reproduction("smartcrop", overrides=given)
    assert reproduction.study.name == "mine"
    assert reproduction.overrides == tuple(given)
    assert not reproduction.unscored
    for block in reproduction.study.blocks:
        for config in block.all:
            assert (config.benchmark.limit, settings(config)["length"]) == (3, 64)
            assert (config.hardware.profile, config.experiment) == ("cpu", "mine")


def test_each_benchmark_may_have_a_file_of_its_own() -> None:
    given = ["gsm8k=questions.jsonl", "IFEval=./own.jsonl"]
    reproduction = load_reproduction("smartcrop", data=given, overrides=["benchmark.limit=3"])
    paths = {
        block.all[0].benchmark.name: {config.benchmark.path for config in block.all}
        for block in reproduction.study.blocks
    }
    own = str(Path("own.jsonl").absolute())
    assert paths == {"ifeval": {own}, "gsm8k": {"questions.jsonl"}, "humaneval": {None}, "longformqa": {None}}
    assert reproduction.overrides == ("--data gsm8k=questions.jsonl", "--data ifeval=./own.jsonl", "benchmark.limit=3")
    alone = load_reproduction("smartcrop", benchmarks=["gsm8k"], overrides=["benchmark.path=questions.jsonl"])
    assert {config.benchmark.path for config in alone.study.blocks[0].all} == {"questions.jsonl"}


def test_what_varies_is_the_plans_and_the_rest_the_users() -> None:
    reproduction = load_reproduction(
        "daedal", only=["main", "ablations"], benchmarks=["gsm8k"], overrides=["policy.eos_window=24"]
    )
    windows = {each.cell.method: settings(each.run).get("eos_window") for each in reproduction.expected}
    assert [windows[f"W_eos={window}"] for window in (8, 16, 24, 32)] == [8, 16, 24, 32]
    assert windows["DAEDAL"] == windows["L_init=32"] == 24


@pytest.mark.parametrize(
    ("paper", "given", "message"),
    [
        ("smartcorp", {}, "no paper is named 'smartcorp'; .* Did you mean 'smartcrop'"),
        ("", {}, "no paper is named ''"),
        ("daedal", {"only": ["main", "grid"]}, "--only 'grid': daedal has no such part; .* Did you mean 'grids'"),
        ("rho_eos", {"only": ["ablations"]}, "there are main"),
        (
            "daedal",
            {"benchmarks": ["gsm"]},
            "--benchmarks 'gsm': DAEDAL has no such benchmark; .* Did you mean 'GSM8K'",
        ),
        ("daedal", {"benchmarks": ["ifeval"]}, "there are mini, GSM8K"),
        ("daedal", {"benchmarks": [""]}, "--benchmarks ''"),
        ("daedal", {"benchmarks": ["humaneval"], "only": ["grids"]}, "grids has no runs on HumanEval"),
        ("smartcrop", {"data": ["gsmk=x"]}, "--data 'gsmk=x': 'gsmk' is not run here; there are .* mean 'gsm8k'"),
        ("smartcrop", {"data": ["mini_gsm8k=x"]}, "'mini_gsm8k' is not run here"),
        ("smartcrop", {"data": ["gsm8k"]}, "--data 'gsm8k': expected BENCHMARK=FILE"),
        ("smartcrop", {"data": ["gsm8k="]}, "expected BENCHMARK=FILE, such as ifeval=FILE.jsonl"),
        ("smartcrop", {"data": ["gsm8k=x", "GSM8K=y"]}, "gsm8k has a file already, x"),
        (
            "smartcrop",
            {"data": ["longformqa=x"], "only": ["controls"]},
            "have no longformqa, only ifeval, gsm8k or hum",
        ),
        ("smartcrop", {"overrides": ["benchmark.path=x"]}, "x: would be the data of every benchmark; .*--data"),
        (
            "smartcrop",
            {"overrides": ["benchmark.path=x"], "data": ["gsm8k=y"], "benchmarks": ["gsm8k"]},
            "would be the data of every benchmark",
        ),
        ("smartcrop", {"model": "embeded"}, "no model is named 'embeded'; .* Did you mean 'embedded'"),
        ("daedal", {"model": "llada-1.6"}, "no model is named 'llada-1.6'.*Did you mean 'llada-1.5'"),
        ("daedal", {"model": ""}, "model: found nothing"),
        ("smartcrop", {"overrides": ["policy.tau=0.3"]}, "the plan itself gives policy.tau to every run that has it"),
        ("smartcrop", {"overrides": ["policy.tua=0.3"]}, "policy.tua: unknown field.*Did you mean 'tau'"),
        ("smartcrop", {"overrides": ["benchmark.limt=3"]}, "benchmark.limt: unknown field.*Did you mean 'limit'"),
        ("smartcrop", {"overrides": ["benchmark.limit=0"]}, "benchmark.limit: found 0"),
        ("smartcrop", {"overrides": ["policy=fixed"]}, "the plan says which policy each run has"),
        ("smartcrop", {"overrides": ["benchmark = gsm8k"]}, "the plan says which benchmark each run has"),
        ("smartcrop", {"overrides": ["polcy.tau=1"]}, "Did you mean 'policy'"),
        ("smartcrop", {"overrides": ["policy.length"]}, "is not an override"),
        ("smartcrop", {"overrides": ["policy.=1"]}, "empty field name"),
        ("smartcrop", {"overrides": ["nonsense"]}, "is not an override"),
    ],
)
def test_what_is_wrong_is_reported(paper: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_reproduction(paper, **given)
