"""Every family's tiny checkpoint from the command line: run, traced, swept, reported, or refused in a sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from golden.families import FOLDER
from safetensors.torch import load_file, save_file

Dlmlen = Callable[..., tuple[int | str | None, str, str]]

LOOPS = {"a2d_qwen3_bd3lm": "bd3lm", "llada2_mini": "llada2", "sdar": "sdar"}
"""Folders of checkpoints trained in blocks, with the loop of their reference implementation."""
REFUSING = [family for family, loop in LOOPS.items() if loop != "bd3lm"]
"""Those that take block-causal policies alone; A2D's network is the same for MDLM and BD3LM."""
FAMILIES = sorted(folder.name for folder in FOLDER.iterdir())
BIDIRECTIONAL = [family for family in FAMILIES if family not in REFUSING]
SMALL = ("--limit", "1", "benchmark.path=questions.jsonl", "hardware=cpu")
PLAIN_SMARTCROP = ("policy.length=16", "policy.tau=0.02", "policy.tokens_per_step=4")


def smartcrop(folder: Path | str, *more: str) -> tuple[str, ...]:
    return ("--config", "mini_gsm8k_smartcrop", *SMALL, f"model.path={folder}", *PLAIN_SMARTCROP, *more)


def checkpoint(family: str) -> Path:
    return FOLDER / family / "checkpoint"


def own_arguments(family: str) -> tuple[str, ...]:
    """A small run of a family's checkpoint: its own loop where it was trained in blocks, SmartCrop elsewhere."""
    if family not in LOOPS:
        return smartcrop(checkpoint(family))
    policy = (f"policy.loop={LOOPS[family]}", "policy.length=8", "policy.block_length=4")
    return ("--config", "tiny_gsm8k_block_causal", *SMALL, f"model.path={checkpoint(family)}", *policy)


def only_run(pattern: str = "*") -> Path:
    (metrics,) = Path("results").glob(f"{pattern}/*/metrics.json")
    return metrics.parent


def reported(dlmlen: Dlmlen) -> str:
    """The report on all runs, as Markdown: how a page or a document is made of it does not depend on the family."""
    code, _, said = dlmlen("report", "results", "--format", "markdown", "--no-figures")
    assert code == 0, said
    return Path("report/report.md").read_text()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_run_is_reported_and_its_answer_traced(dlmlen: Dlmlen, family: str) -> None:
    code, shown, said = dlmlen("run", *own_arguments(family))
    assert code == 0, said
    run = only_run()
    metrics = json.loads((run / "metrics.json").read_text())
    (session,) = json.loads((run / "environment.json").read_text())
    (sample,) = map(json.loads, (run / "samples.jsonl").read_text().splitlines())
    assert (metrics["samples"], metrics["failed"]) == (1, 0)
    ends = ["eos", "eot"] if family == "sdar" else ["eos"]
    assert metrics["termination"] == [session["special_tokens"][end]["text"] for end in ends]
    assert f"Termination token: {' or '.join(metrics['termination'])}." in shown
    assert run.name in reported(dlmlen)
    arguments = [each for each in own_arguments(family) if each not in ("--limit", "1")]
    code, shown, said = dlmlen("trace", "--sample", "0", "--html", "trace.html", *arguments)
    assert code == 0, said
    nfe, probes = (sample["ledger"][part]["nfe"] for part in ("total", "probe"))
    assert f"Answer after {nfe} forwards ({probes} of them probes), {sample['e_token']} tokens:" in shown
    assert Path("trace.html").stat().st_size > 10_000


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sweep_is_reported(dlmlen: Dlmlen, family: str) -> None:
    varied = "policy.steps=2,4" if family in LOOPS else "policy.tau=0.02,0.5"
    code, _, said = dlmlen("sweep", *own_arguments(family), varied)
    assert code == 0, said
    assert all(json.loads(found.read_text())["failed"] == 0 for found in Path("results").glob("*/*/metrics.json"))
    policy = "block_causal" if family in LOOPS else "smartcrop"
    assert len(list(Path("results").glob(f"*/*{policy}*/metrics.json"))) == 2
    table = reported(dlmlen)
    values = ("τ = 0.02", "τ = 0.5") if family not in LOOPS else ("steps = 2", "steps = 4")
    assert all(value in table for value in values), table


@pytest.mark.parametrize("family", REFUSING)
def test_a_model_trained_in_blocks_refuses_policies_that_see_later_ones(dlmlen: Dlmlen, family: str) -> None:
    code, _, said = dlmlen("run", *smartcrop(checkpoint(family)))
    assert code == 1
    assert "trained with block-causal attention" in said
    assert "choose policy block_causal" in said


def test_the_end_of_turn_as_termination_token_is_another_run(dlmlen: Dlmlen) -> None:
    by_token = {}
    for chosen in ("eos", "eot"):
        code, _, said = dlmlen("run", *smartcrop(checkpoint("dream"), f"model.termination={chosen}"))
        assert code == 0, said
        run = only_run()
        by_token[chosen] = (run.name, json.loads((run / "metrics.json").read_text())["termination"])
        shutil.rmtree("results")
    assert by_token["eos"][0] != by_token["eot"][0]
    assert [ends for _, ends in by_token.values()] == [["<|endoftext|>"], ["<|im_end|>"]]


def wrong_family(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt_neox"}))
    return "model_type 'gpt_neox' is not supported; supported are"


def missing_weights(folder: Path) -> str:
    next(iter(sorted(folder.glob("model-*.safetensors")))).unlink()
    return "1 of 2 shards missing"


def router_in_16_bits(folder: Path) -> str:
    for shard in folder.glob("*.safetensors"):
        stored = load_file(shard)
        save_file({name: w.bfloat16() if name.endswith("expert_bias") else w for name, w in stored.items()}, shard)
    return "mlp.gate.expert_bias is bfloat16, expected float32"


def undeclared_mask(folder: Path) -> str:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "<[MASK]>"]
    content["model"]["vocab"].pop("<[MASK]>", None)
    (folder / "tokenizer.json").write_text(json.dumps(content))
    return "no mask token (mask_token_id in config.json"


@pytest.mark.parametrize(
    ("family", "spoil"),
    [
        ("illada", wrong_family),
        ("dream", missing_weights),
        ("llada2_mini", router_in_16_bits),
        ("illada", undeclared_mask),
    ],
)
def test_what_cannot_be_loaded_ends_a_run_with_a_sentence(
    dlmlen: Dlmlen, tmp_path: Path, family: str, spoil: Callable[[Path], str]
) -> None:
    folder = shutil.copytree(checkpoint(family), tmp_path / "checkpoint")
    sentence = spoil(folder)
    code, _, said = dlmlen("run", *smartcrop(folder))
    assert code == 1
    assert sentence in " ".join(said.split())
    assert "Traceback" not in said
