import re
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

import dlm_length.cli.listings
from dlm_length.benchmarks import benchmarks
from dlm_length.cli.listings import rows_of
from dlm_length.cli.main import app
from dlm_length.denoising import PRESETS, Decoder
from dlm_length.policies import policies


def listed(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["list", *arguments])
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize(("kind", "registered"), [("policies", policies()), ("benchmarks", benchmarks())])
def test_every_registered_class_has_a_line_with_its_summary_source_and_defaults(
    kind: str, registered: dict[str, type]
) -> None:
    lines = listed(kind).splitlines()
    remarks = [line.strip() for line in lines if line.startswith("    prompt_")]
    assert remarks == [remark for cls in registered.values() for remark in cls.remarks()]
    lines = [line for line in lines if not line.endswith(".yaml]") and line.strip() not in remarks]
    assert len(lines) == 2 * len(registered)
    for line, below, (name, cls) in zip(lines[::2], lines[1::2], registered.items(), strict=True):
        assert line.startswith(f"{name} ")
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
    for path, text in {"policies/short": "# Crops soon.\nname: smartcrop\n", "policies/fixed": "name: fixed\n"}.items():
        file = Path("configs", f"{path}.yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert re.search(r"^short +Crops soon\.  \[configs/policies/short\.yaml\]$", listed("policies"), re.MULTILINE)
    assert re.search(r"^fixed +\[configs/policies/fixed\.yaml\]$", listed("policies"), re.MULTILINE)
    assert re.search(r"^llada-tiny +The tiny model", listed("models"), re.MULTILINE)
    assert "h100-80gb" in listed("hardware")
    assert "tiny_gsm8k_fixed" in listed("configs")


@pytest.mark.parametrize("kind", ["policies", "models"])
def test_a_terminal_gets_lines_that_fit_and_paths_that_are_whole(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(force_terminal=True, color_system=None, width=60, record=True)
    monkeypatch.setattr("rich.console.Console", lambda: console)
    dlm_length.cli.listings.show(kind, verbose=True)
    shown = console.export_text()
    assert all(f"\n  {row.source}\n" in shown for row in rows_of(kind) if row.source.endswith(".yaml"))
    assert all(len(line) <= 60 or " " not in line.strip() for line in shown.splitlines())
    if kind == "policies":
        assert "  tau = 0.9  a number from 0 to 1. Crop at the" in shown
