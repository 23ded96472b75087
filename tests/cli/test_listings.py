import json
import re
from itertools import groupby
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import dlm_length.cli.listings
from dlm_length.benchmarks import benchmarks
from dlm_length.cli.listing_headings import ROLES
from dlm_length.cli.listings import KINDS, rows_of
from dlm_length.cli.main import app
from dlm_length.config import search_path
from dlm_length.denoising import PRESETS, Decoder
from dlm_length.policies import policies


def write_config(name: str, text: str) -> None:
    file = Path("configs", f"{name}.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def listed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["list", *arguments])
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize(("kind", "registered"), [("policies", policies()), ("benchmarks", benchmarks())])
def test_every_registered_class_has_a_line_with_its_summary_source_and_defaults(
    kind: str, registered: dict[str, type]
) -> None:
    lines = [line for line in listed(kind).splitlines() if not line.startswith("# ")]
    remarks = [line.strip() for line in lines if line.startswith("    prompt_")]
    assert remarks == [remark for cls in registered.values() for remark in cls.remarks()]
    lines = [line for line in lines if not line.endswith(".yaml]") and line.strip() not in remarks]
    assert len(lines) == 2 * len(registered)
    below_line = {line.split()[0]: (line, below) for line, below in zip(lines[::2], lines[1::2], strict=True)}
    assert below_line.keys() == registered.keys()
    for name, cls in registered.items():
        line, below = below_line[name]
        assert cls.summary() in line
        assert line.endswith(f"[{cls.source}]")
        assert all(
            f"{field} = " in below or f"{field} (required)" in below for field in set(cls.model_fields) - {"name"}
        )


def test_the_decoder_s_fields_are_listed_in_groups_and_its_presets_below() -> None:
    lines = listed("decoders").splitlines()
    groups = ["sampler", "commit rule", "stop rule", "early commit", "adaptive blocks", "cache"]
    assert [line.partition("  ")[0] for line in lines if not line.startswith("    ")] == [
        *groups,
        *(f"preset {name}" for name in PRESETS),
    ]
    shown = [part.partition(" = ")[0].strip() for line in lines if line.startswith("    ") for part in line.split(", ")]
    assert set(Decoder.model_fields) <= set(shown)
    assert "    stop = 'none': 'none', 'block_any', 'block_last', 'cut', 'eos_prefix' or 'crop_fill'." in listed(
        "decoders", "--verbose"
    )


def test_a_benchmark_says_whose_words_its_prompts_are() -> None:
    below = listed("benchmarks").partition("gsm8k ")[2].partition("humaneval ")[0]
    assert "    prompt_style chat_cot_4shot: form of LLaDA's evaluation, our wording\n" in below
    assert below.endswith("    prompt_file may use {{question}}\n")


def test_verbose_shows_every_parameter_with_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = listed("policies", "--verbose")
    assert "    tau = 0.9: a number from 0 to 1. Crop at the first position" in shown
    for cls in policies().values():
        for field in cls.model_fields:
            assert field == "name" or f"    {field} = " in shown


def test_files_are_listed_with_their_first_comment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_config("policies/short", "# Crops soon.\nname: smartcrop\n")
    write_config("policies/fixed", "name: fixed\n")
    assert re.search(r"^short +Crops soon\.  \[configs/policies/short\.yaml\]$", listed("policies"), re.MULTILINE)
    assert re.search(r"^fixed +\[configs/policies/fixed\.yaml\]$", listed("policies"), re.MULTILINE)
    assert re.search(r"^llada-tiny +The tiny model", listed("models"), re.MULTILINE)
    assert "h100-80gb" in listed("hardware")
    assert "tiny_gsm8k_fixed" in listed("configs")


def test_policies_are_grouped_by_the_role_that_they_declare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_config("policies/shuffled", "# Of a control.\nname: random_length\n")
    write_config("policies/broken", "name: [\n")
    write_config("policies/own_crop", "name: smartcrop\n")
    write_config("own_gsm8k_fixed", "extends: gsm8k_fixed\n")
    group_of = {row.name: row.group for row in rows_of("policies")}
    roles = {"method": "Methods", "baseline": "Baselines", "control": ROLES["control"]}
    assert {name: group_of[name] for name in policies()} == {name: roles[cls.role] for name, cls in policies().items()}
    assert group_of["shuffled"] == group_of["random_length"]
    assert group_of["fixed_prophet"] == "Baselines"
    assert group_of["broken"] == "Others"
    assert group_of["mini_carve"] == group_of["mini_oracle"] == "For configs that begin with mini_"
    assert group_of["own_crop"] == "For configs that begin with own_"


def test_configs_are_grouped_by_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_config("mine", "extends: humaneval_fixed\nmodel: {path: owner/Some-Model}\n")
    write_config("broken", "extends: nowhere\n")
    rows = {row.name: row for row in rows_of("configs")}
    assert "offline" in rows["mini_ifeval_daedal"].group
    assert rows["mini_gsm8k_fixed"].group == rows["mini_ifeval_daedal"].group
    assert rows["tiny_gsm8k_carve"].group == rows["tiny_humaneval_fixed"].group
    assert "hub" in rows["tiny_gsm8k_carve"].group
    assert rows["gsm8k_carve"].group.startswith("gsm8k, with LLaDA-8B-Instruct")
    assert rows["mine"].group.startswith("humaneval, with Some-Model")
    assert rows["broken"].group == "Others"
    assert rows["study_mini"].group == list(rows.values())[-1].group
    assert rows["study_mini"].group.startswith("Studies")
    assert set(rows) == {*search_path.run_names(), *search_path.names(search_path.STUDIES)}
    assert [heading for heading, _ in groupby(rows.values(), key=lambda row: row.group)] == list(
        dict.fromkeys(row.group for row in rows.values())
    ), "no group is torn apart"


@pytest.mark.parametrize("kind", KINDS)
def test_every_listing_is_json_with_its_groups(kind: str) -> None:
    rows = json.loads(listed(kind, "--json"))
    assert [(row["name"], row["group"]) for row in rows] == [(row.name, row.group) for row in rows_of(kind)]


@pytest.mark.parametrize("width", [80, 160])
def test_a_terminal_gets_every_name_under_its_heading(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, color_system=None, width=width, record=True)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    dlm_length.cli.listings.show("configs")
    shown = console.export_text()
    assert all(len(line) <= width for line in shown.splitlines())
    words = re.findall(r"[\w.+-]+", shown)
    assert all(row.name in words for row in rows_of("configs"))
    groups = list(dict.fromkeys(row.group for row in rows_of("configs")))
    places = [" ".join(shown.split()).index(group) for group in groups]
    assert places == sorted(places)


@pytest.mark.parametrize("kind", ["policies", "models"])
def test_a_terminal_gets_lines_that_fit_and_paths_that_are_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, color_system=None, width=60, record=True)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    dlm_length.cli.listings.show(kind, verbose=True)
    shown = console.export_text()
    assert all(f" {row.source}\n" in shown for row in rows_of(kind) if row.source.endswith(".yaml"))
    assert all(len(line) <= 60 or " " not in line.strip() for line in shown.splitlines())
    if kind == "policies":
        assert "  tau = 0.9  a number from 0 to 1. Crop at the" in shown
