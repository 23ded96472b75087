"""The wall-clock of runs by themselves, after they were made together."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from dlm_length.config import Block, RunConfig, Study
from dlm_length.records import read_samples, read_timing
from dlm_length.runner import run, run_study, run_together, time_alone
from dlm_length.runner.timing import spread

Configure = Callable[..., RunConfig]


def test_every_arm_is_measured_on_the_same_samples(configure: Configure, watch: Any) -> None:
    arms = [configure(), configure(length=12), configure("policy.name=smartcrop", "policy.tau=0.3")]
    together = run_together(arms, watch)
    assert [read_timing(each.path) for each in together.finished] == [None] * 3
    time_alone(arms, watch, samples=2)
    timings = [read_timing(config.run_path) for config in arms]
    for timing, config in zip(timings, arms, strict=True):
        assert timing is not None
        assert timing.sample_ids == ["gsm8k/0", "gsm8k/3"]
        assert timing.n == 2
        assert timing.seconds > 0
        # What was measured is what was recorded: the same tokens for the same forwards.
        records = {record.id: record for record in read_samples(config.run_path)}
        timed = [records[name] for name in timing.sample_ids]
        assert timing.nfe == sum(record.ledger.total.nfe for record in timed)
        assert timing.n_token == sum(record.n_token for record in timed)
        assert timing.e_token == sum(record.e_token for record in timed)
        assert timing.environment["device"] == "cpu"
        assert timing.environment["dtype"] == "float32"
        assert timing.environment["max_batch_tokens"] == 200
        assert timing.environment["measured"].startswith("20")


def test_records_are_left_as_they_are(configure: Configure, watch: Any) -> None:
    finished = run(configure(), watch)
    before = {file.name: file.read_bytes() for file in finished.path.iterdir() if file.is_file()}
    time_alone([configure()], watch, samples=2)
    after = {file.name: file.read_bytes() for file in finished.path.iterdir() if file.is_file()}
    assert after.pop("timing.json")
    assert after == before


def test_what_was_measured_so_is_not_measured_again(
    configure: Configure, watch: Any, no_model: Callable[[], None]
) -> None:
    config = configure()
    run(config, watch)
    time_alone([config], watch, samples=2)
    written = (config.run_path / "timing.json").read_bytes()
    time_alone([config], watch, samples=3)
    assert (config.run_path / "timing.json").read_bytes() != written, "other samples are another measurement"
    written = (config.run_path / "timing.json").read_bytes()
    no_model()
    time_alone([config], watch, samples=3)
    assert (config.run_path / "timing.json").read_bytes() == written


def test_another_device_is_another_measurement(configure: Configure, watch: Any) -> None:
    config = configure()
    run(config, watch)
    time_alone([config], watch, samples=2)
    file = config.run_path / "timing.json"
    there = json.loads(file.read_text())
    there["environment"]["device_name"] = "an accelerator"
    file.write_text(json.dumps(there))
    time_alone([config], watch, samples=2)
    timing = read_timing(config.run_path)
    assert timing is not None
    assert timing.environment["device_name"] != "an accelerator"


def test_lengths_that_were_found_before_a_run_are_those_that_are_measured(configure: Configure, watch: Any) -> None:
    config = configure("policy.name=random_length", "policy.tau=0.3")
    run(config, watch)
    time_alone([config], watch, samples=3)
    timing = read_timing(config.run_path)
    assert timing is not None
    lengths = {record.id: record.n_token for record in read_samples(config.run_path)}
    assert timing.n_token == sum(lengths[name] for name in timing.sample_ids)


def test_samples_that_could_not_be_run_are_not_measured(configure: Configure, watch: Any) -> None:
    asked = ("What is 1 plus 1?", "How many? " * 400, "What is 2 plus 2?")
    config = configure(asked=asked)
    run(config, watch)
    time_alone([config], watch, samples=3)
    timing = read_timing(config.run_path)
    assert timing is not None
    assert timing.sample_ids == ["gsm8k/0", "gsm8k/2"]


def test_a_study_measures_every_run_and_seed_at_its_end(configure: Configure, watch: Any) -> None:
    blocks = (Block(configure("policy.temperature=1.0", length=12), (configure("policy.temperature=1.0"),)),)
    studied = run_study(Study("s", blocks, seeds=(0, 1)), watch, timed=1)
    runs = [each for block in studied.blocks for each in (*block.baseline, *block.runs)]
    assert len(runs) == 4
    assert all(read_timing(each.path) is not None for each in runs)


def test_a_study_measures_no_run_of_another_experiment(configure: Configure, watch: Any) -> None:
    """Nothing is written there: it may be read-only, or published."""
    there = run(configure("experiment=another"), watch)
    before = {file.name: file.read_bytes() for file in there.path.iterdir() if file.is_file()}
    study = Study("s", (Block(configure(), (configure(length=12),)),))
    (block,) = run_study(study, watch, timed=1).blocks
    assert block.baseline[0].path == there.path
    assert {file.name: file.read_bytes() for file in there.path.iterdir() if file.is_file()} == before
    assert read_timing(block.runs[0].path) is not None
    (told,) = [notice for notice in watch.notices if "not measured alone" in notice]
    assert str(there.path) in told


def test_a_run_begun_again_has_no_measurement_of_the_earlier_one(configure: Configure, watch: Any) -> None:
    config = configure()
    run(config, watch)
    time_alone([config], watch, samples=1)
    run(config, watch, fresh=True)
    assert read_timing(config.run_path) is None
    (aside,) = config.run_path.parent.glob("*.old1")
    assert read_timing(aside) is not None


@pytest.mark.parametrize(
    ("count", "of", "places"),
    [
        (1, 5, [0]),
        (2, 5, [0, 4]),
        (3, 5, [0, 2, 4]),
        (5, 5, [0, 1, 2, 3, 4]),
        (9, 3, [0, 1, 2]),
        (5, 101, [0, 25, 50, 75, 100]),
    ],
)
def test_samples_are_spread_over_the_benchmark(count: int, of: int, places: list[int]) -> None:
    assert spread(list(range(of)), count) == places  # type: ignore[arg-type]
