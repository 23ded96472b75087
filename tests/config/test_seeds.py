"""One config under several seeds: as many runs, each with the name that it has by itself."""

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import load_config, load_sweep, read_seeds, repeated

NAME = "tiny_gsm8k_fixed"


def test_repeats_are_the_runs_of_the_seeds_by_themselves() -> None:
    three = repeated(load_config(NAME, ["benchmark.repeats=3", "hardware.seed=4"]))
    alone = [load_config(NAME, [f"hardware.seed={seed}"]) for seed in (4, 5, 6)]
    assert list(three) == alone
    assert [run.run_name for run in three] == [run.run_name for run in alone]
    assert [run.to_yaml() for run in three] == [run.to_yaml() for run in alone]
    assert len({run.run_path for run in three}) == 3


def test_seeds_named_are_those_that_are_run() -> None:
    config = load_config(NAME)
    assert [run.hardware.seed for run in repeated(config, (7, 0))] == [7, 0]
    assert repeated(config) == (config,), "by default there is one run, the config itself"
    assert repeated(config, (config.hardware.seed,)) == (config,)


def test_how_many_repeats_there_are_does_not_name_a_run() -> None:
    one, many = load_config(NAME), load_config(NAME, ["benchmark.repeats=5"])
    assert one.fingerprint == many.fingerprint
    assert "repeats" not in one.to_yaml(), "records written before there were repeats are of equal configs"
    assert "repeats: 5" in many.to_yaml(), "what config show prints can be run"


@pytest.mark.parametrize("benchmark", ["gsm8k", "humaneval", "ifeval", "longformqa", "math500", "mini_gsm8k"])
def test_every_benchmark_has_repeats(benchmark: str) -> None:
    config = load_config(NAME, [f"benchmark={{name: {benchmark}}}", "benchmark.repeats=2"])
    assert len(repeated(config)) == 2


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "two", "1001", "99999999999"])
def test_a_number_of_repeats_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"benchmark\.repeats"):
        load_config(NAME, [f"benchmark.repeats={given}"])


def test_seeds_are_read_from_the_command_line() -> None:
    assert read_seeds("0,1,2") == (0, 1, 2)
    assert read_seeds(" 5 , 3") == (5, 3)
    assert read_seeds("4", ["policy.tau=0.9"]) == (4,)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("0,x", [], "--seeds '0,x': found 'x'; allowed: integers from 0, such as 0,1,2"),
        ("", [], "found ''"),
        ("1,2,1", [], "has 1 more than once"),
        ("0,1", ["hardware.seed=3"], "hardware.seed=3: the seeds are those of --seeds 0,1; give one of them"),
    ],
)
def test_what_is_no_list_of_seeds_is_refused(text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_seeds(text, overrides)


def test_seeds_and_repeats_that_contradict_each_other_are_refused() -> None:
    config = load_config(NAME, ["benchmark.repeats=3"])
    with pytest.raises(ConfigError, match=r"--seeds has 2 seeds, but benchmark.repeats is 3"):
        repeated(config, (0, 1))
    assert len(repeated(config, (5, 6, 7))) == 3
    for beyond in (-1, 2**63):
        with pytest.raises(ConfigError, match=r"hardware\.seed: found .*; allowed: 0 to 2\^63 - 1"):
            repeated(load_config(NAME), (beyond,))


def test_a_sweep_repeats_every_run() -> None:
    study = load_sweep("tiny_gsm8k_smartcrop", ["tau", "benchmark.repeats=2"])
    (block,) = study.blocks
    assert block.baseline is not None
    assert [len(study.repeats(config)) for config in block.all] == [2] * 6
