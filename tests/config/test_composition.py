"""Names, bases and places: what a config is put together from."""

from collections.abc import Callable
from pathlib import Path

import pytest

import dlm_length.config
from dlm_length.config import RunConfig, config_names, load_config
from dlm_length.config.search_path import packaged_configs

Write = Callable[..., Path]
Refusal = Callable[..., str]


def policy(config: RunConfig) -> dict[str, object]:
    return config.policy.model_dump()


def test_names_refer_to_files_and_registered_classes(write: Write) -> None:
    write("model: llada-8b-instruct\npolicy: smartcrop\nbenchmark: humaneval\nhardware: a100-80gb\n")
    config = load_config("run.yaml")
    assert config.model.path == "GSAI-ML/LLaDA-8B-Instruct"
    assert policy(config)["name"] == "smartcrop"
    assert config.benchmark.name == "humaneval"
    assert (config.hardware.profile, config.hardware.peak_tflops) == ("a100-80gb", 312)
    assert config.experiment == "run"


def test_what_is_not_required_has_defaults(write: Write) -> None:
    write("model: llada-tiny\npolicy: fixed\nbenchmark: gsm8k\n")
    config = load_config("run")
    assert (config.hardware.profile, config.hardware.device, config.output.directory) == ("inline", "auto", "results")


def test_a_path_then_local_configs_then_packaged_ones(write: Write, run_text: str) -> None:
    write(run_text, "configs/other.yaml")
    assert load_config("gsm8k_fixed").model.path == "GSAI-ML/LLaDA-8B-Instruct"
    write(run_text, "configs/gsm8k_fixed.yaml")
    assert load_config("gsm8k_fixed").model.path == "embedded:llada-tiny"
    write(run_text + "experiment: mine", "gsm8k_fixed.yaml")
    assert load_config("gsm8k_fixed").experiment == "mine"
    assert load_config("configs/gsm8k_fixed").experiment == "gsm8k_fixed"
    assert load_config(Path("gsm8k_fixed.yaml").absolute()).experiment == "mine"


def test_a_local_section_stands_before_the_packaged_one(write: Write, run_text: str) -> None:
    write(run_text)
    write("path: here\n", "configs/models/llada-tiny.yaml")
    write("name: smartcrop\ntau: 0.7\n", "configs/policies/smartcrop.yaml")
    config = load_config("run", ["policy=smartcrop"])
    assert config.model.path == "here"
    assert policy(config)["tau"] == 0.7
    assert config_names()["models"]["llada-tiny"] == Path("configs/models/llada-tiny.yaml")
    assert config_names()["models"]["llada-1.5"] == packaged_configs() / "models/llada-1.5.yaml"


def test_a_folder_or_a_bare_file_of_that_name_is_in_nobodys_way(write: Write, run_text: str) -> None:
    write(run_text)
    write("not a config", "cpu")
    write("not a config", "llada-tiny/config.json")
    assert load_config("run").hardware.profile == "cpu"


def test_packaged_configs_of_a_wheel_lie_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "site-packages/dlm_length/config/__init__.py"
    monkeypatch.setattr(dlm_length.config, "__file__", str(module))
    assert packaged_configs() == tmp_path / "site-packages/configs"
    inside = tmp_path / "site-packages/dlm_length/configs"
    inside.mkdir(parents=True)
    assert packaged_configs() == inside


def test_extends_holds_only_what_differs(write: Write, run_text: str) -> None:
    write(run_text + "output: {directory: there}\n", "base.yaml")
    write("extends: base\npolicy: {tau: 0.6}\nhardware: {threads: 2}\n")
    config = load_config("run")
    assert policy(config)["tau"] == 0.6
    assert policy(config)["name"] == "smartcrop"
    assert (config.hardware.profile, config.hardware.threads) == ("cpu", 2)
    assert config.output.directory == "there"
    assert config.experiment == "run"


def test_extends_over_several_files_and_relative_to_the_file_that_says_it(write: Write, run_text: str) -> None:
    write(run_text + "experiment: study\n", "deep/down/base.yaml")
    write("extends: ./down/base\npolicy: {length: 99}\n", "deep/middle.yaml")
    write("extends: ../deep/middle.yaml\npolicy: {tau: 0.6}\n", "beside/run.yaml")
    config = load_config("beside/run")
    assert (policy(config)["length"], policy(config)["tau"], config.experiment) == (99, 0.6, "study")


def test_another_name_starts_from_that_classs_defaults(write: Write, run_text: str) -> None:
    write(run_text, "base.yaml")
    write("extends: base\npolicy: {name: fixed, length: 8}\n")
    assert policy(load_config("run"))["length"] == 8
    assert policy(load_config("base", ["policy.name=fixed"]))["name"] == "fixed"


def test_a_section_may_extend_a_file_or_a_class(write: Write) -> None:
    write("name: smartcrop\nlength: 40\ntau: 0.7\n", "configs/policies/short.yaml")
    write("extends: short\ntau: 0.8\n", "configs/policies/shorter.yaml")
    write("model: llada-tiny\nbenchmark: {extends: gsm8k, limit: 3}\npolicy: {extends: shorter, length: 20}\n")
    config = load_config("run")
    assert (policy(config)["length"], policy(config)["tau"], config.benchmark.limit) == (20, 0.8, 3)


def test_the_profile_is_the_name_of_the_outermost_file(write: Write, run_text: str) -> None:
    write("extends: cpu\nthreads: 2\n", "configs/hardware/desk.yaml")
    write("extends: cpu\nprofile: bench\n", "configs/hardware/lab.yaml")
    write(run_text)
    assert load_config("run", ["hardware=desk"]).hardware.profile == "desk"
    assert load_config("run", ["hardware=lab"]).hardware.profile == "bench"
    assert load_config("run", ["hardware={extends: desk, threads: 1}"]).hardware.profile == "desk"


@pytest.mark.parametrize(
    ("files", "circle"),
    [
        ({"run.yaml": "extends: run"}, "run.yaml:1: extends: goes in a circle: run.yaml -> run.yaml"),
        (
            {"run.yaml": "extends: a", "a.yaml": "extends: b", "b.yaml": "\nextends: ./a"},
            "b.yaml:2: extends: goes in a circle: run.yaml -> a.yaml -> b.yaml",
        ),
        (
            {"run.yaml": "policy: a", "configs/policies/a.yaml": "extends: a"},
            "configs/policies/a.yaml:1: extends: goes in a circle",
        ),
    ],
)
def test_circles_are_refused(write: Write, refusal: Refusal, files: dict[str, str], circle: str) -> None:
    for path, text in files.items():
        write(text, path)
    assert circle in refusal(files["run.yaml"])


def test_a_name_that_leads_nowhere_tells_the_nearest(write: Write, refusal: Refusal, run_text: str) -> None:
    message = refusal(run_text.replace("cpu", "h100"))
    assert message.startswith(
        "run.yaml:6: hardware: no hardware is named 'h100'; there are a100-80gb, a6000, auto, b200, cpu,"
    )
    assert message.endswith("Did you mean 'h100-80gb'?")
    write(run_text, "configs/base.yaml")
    assert "run.yaml:1: extends: no config is named 'basee'" in (message := refusal("extends: basee\n"))
    assert "Did you mean 'base'?" in message
    with pytest.raises(
        dlm_length.common.ConfigError, match=r"no config is named 'gsm8k_smartcrp.yaml'.*'gsm8k_smartcrop'"
    ):
        load_config("gsm8k_smartcrp.yaml")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("mini_gsm8k", "'mini_gsm8k_fixed', 'mini_gsm8k_carve' or 'mini_gsm8k_oracle'"),
        ("study_minii", "'study_mini' or 'study_decoding'"),
    ],
)
def test_of_many_names_the_nearest_come_first_and_the_others_are_a_command_away(name: str, near: str) -> None:
    with pytest.raises(dlm_length.common.ConfigError) as refused:
        load_config(name)
    message = str(refused.value)
    assert message.startswith(f"command line: no config is named {name!r}. Did you mean {near}? `dlmlen list configs` ")
    assert f"names all {len(config_names()['configs'])}, looked for in" in message
    assert len(message) < 400


def test_a_study_is_no_runs_config() -> None:
    with pytest.raises(dlm_length.common.ConfigError, match="found the study 'study_mini', expected the config of one"):
        load_config("study_mini")


def test_a_hub_id_in_a_names_place_is_answered_with_where_it_belongs(refusal: Refusal, run_text: str) -> None:
    assert "given as 'model: {path: ...}'" in refusal(run_text.replace("llada-tiny", "GSAI-ML/LLaDA-8B-Base"))


@pytest.mark.parametrize("base", ["[a, b]", "null", "{a: 1}", "true"])
def test_a_base_is_one_name(refusal: Refusal, run_text: str, base: str) -> None:
    assert "run.yaml:1: extends: found" in refusal(f"extends: {base}\n{run_text}")
    assert "run.yaml:6: extends: found" in refusal(run_text.replace("cpu", f"{{extends: {base}}}"))


def test_local_paths_are_relative_to_the_file_that_says_them(
    write: Write, run_text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("path: ../weights/mine\n", "configs/models/mine.yaml")
    write(
        run_text.replace("llada-tiny", "mine").replace("gsm8k", "{name: gsm8k, path: ./data/test.jsonl}"),
        "sub/run.yaml",
    )
    config = load_config("sub/run")
    assert config.model.path == str(tmp_path / "configs/weights/mine")
    assert config.benchmark.path == str(tmp_path / "sub/data/test.jsonl")
    given = load_config("sub/run", ["benchmark.path=./own.jsonl", "model.path=weights/as/given"])
    assert given.benchmark.path == str(tmp_path / "own.jsonl")
    assert given.model.path == "weights/as/given"
    monkeypatch.setenv("HOME", "/home/someone")
    assert load_config("sub/run", ["benchmark.path=~/own.jsonl"]).benchmark.path == "/home/someone/own.jsonl"


def test_a_file_as_a_section_by_path(write: Write, run_text: str) -> None:
    write("name: fixed\nlength: 7\n", "elsewhere/seven.yaml")
    write(run_text)
    assert policy(load_config("run", ["policy=elsewhere/seven.yaml"]))["length"] == 7
    assert policy(load_config("run", ["policy=./elsewhere/seven"]))["length"] == 7


def test_a_broken_section_file_does_not_hide_other_faults(write: Write, refusal: Refusal, run_text: str) -> None:
    write("name: [fixed\n", "configs/policies/broken.yaml")
    message = refusal(run_text.replace("gsm8k", "{name: gsm8k, limit: 0}"), "policy=broken")
    assert "configs/policies/broken.yaml:2: not valid YAML" in message
    assert "run.yaml:5: benchmark.limit: found 0" in message


def test_a_mistyped_file_of_ones_own_is_suggested_before_packaged_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_fixed.yaml").write_text("extends: mini_gsm8k_fixed\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(dlm_length.common.ConfigError, match=r"named 'my_fixd.yaml'. Did you mean 'my_fixed.yaml'\?"):
        load_config("my_fixd.yaml")
