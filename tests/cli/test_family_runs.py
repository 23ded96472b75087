"""Every family's tiny checkpoint from the command line: run, traced, swept, reported, or refused in a sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from golden.families import FOLDER
from safetensors.torch import load_file, save_file

Dlmlen = Callable[..., tuple[int | str | None, str, str]]

BLOCK_CAUSAL = {"llada2_mini": "llada2", "sdar": "sdar"}
"""By folder, the loop that its program makes."""
FAMILIES = sorted(folder.name for folder in FOLDER.iterdir())
BIDIRECTIONAL = [family for family in FAMILIES if family not in BLOCK_CAUSAL]
SMALL = ("--limit", "1", "benchmark.path=questions.jsonl", "hardware=cpu")
PLAIN_SMARTCROP = ("policy.length=16", "policy.tau=0.02", "policy.tokens_per_step=4")


def smartcrop(folder: Path | str, *more: str) -> tuple[str, ...]:
    return ("--config", "mini_gsm8k_smartcrop", *SMALL, f"model.path={folder}", *PLAIN_SMARTCROP, *more)


def checkpoint(family: str) -> Path:
    return FOLDER / family / "checkpoint"


def only_run(pattern: str = "*") -> Path:
    (metrics,) = Path("results").glob(f"{pattern}/*/metrics.json")
    return metrics.parent


@pytest.mark.parametrize("family", BIDIRECTIONAL)
def test_smartcrop_runs_is_reported_and_says_its_termination_token(dlmlen: Dlmlen, family: str) -> None:
    code, shown, said = dlmlen("run", *smartcrop(checkpoint(family)))
    assert code == 0, said
    run = only_run()
    metrics = json.loads((run / "metrics.json").read_text())
    (session,) = json.loads((run / "environment.json").read_text())
    assert (metrics["samples"], metrics["failed"]) == (1, 0)
    assert metrics["termination"] == [session["special_tokens"]["eos"]["text"]]
    assert f"Termination token: {metrics['termination'][0]}." in shown
    code, _, said = dlmlen("report", "results")
    assert code == 0, said


@pytest.mark.parametrize("family", BLOCK_CAUSAL)
def test_a_block_causal_model_runs_by_its_own_loop_and_refuses_other_policies(dlmlen: Dlmlen, family: str) -> None:
    code, _, said = dlmlen("run", *smartcrop(checkpoint(family)))
    assert code == 1
    assert "trained to see no later block" in said
    assert "choose policy block_causal" in said
    shutil.rmtree("results", ignore_errors=True)
    loop = (f"policy.loop={BLOCK_CAUSAL[family]}", "policy.length=8", "policy.block_length=4")
    code, _, said = dlmlen(
        "run", "--config", "tiny_gsm8k_block_causal", *SMALL, f"model.path={checkpoint(family)}", *loop
    )
    assert code == 0, said
    metrics = json.loads((only_run() / "metrics.json").read_text())
    assert (metrics["samples"], metrics["failed"]) == (1, 0)
    assert len(metrics["termination"]) == (2 if family == "sdar" else 1)


@pytest.mark.parametrize("family", ["dream", "llada_moe", "a2d_qwen3_bd3lm"])
def test_an_answer_is_traced(dlmlen: Dlmlen, family: str) -> None:
    arguments = [each for each in smartcrop(checkpoint(family)) if each not in ("--limit", "1")]
    code, shown, said = dlmlen("trace", "--sample", "0", "--html", "trace.html", *arguments)
    assert code == 0, said
    assert "Answer after" in shown
    assert Path("trace.html").stat().st_size > 10_000


def test_a_sweep_over_a_family(dlmlen: Dlmlen) -> None:
    code, _, said = dlmlen("sweep", *smartcrop(checkpoint("illada")), "policy.tau=0.02,0.5")
    assert code == 0, said
    assert len(list(Path("results").glob("*/*smartcrop*/metrics.json"))) == 2


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
