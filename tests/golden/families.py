"""The golden cases of model families: where they are, and which policy is the program that made a case."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dlm_length.policies import Policy, build_policy

FOLDER = Path(__file__).parent / "families"
Params = Mapping[str, Any]
_ILLADA_EOS = "<seed:eos>"
_ALGORITHMS = {"maskgit_plus": "low_confidence", "topk_margin": "margin", "entropy": "entropy"}


def cases(family: str) -> list[dict[str, Any]]:
    """The reference implementation's answers, see README.md."""
    lines = (FOLDER / family / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def policy_for(case: Mapping[str, Any]) -> Policy:
    """The policy that computes what the case's method computes with its params. Raises KeyError for other methods."""
    return _POLICIES[case["method"]](case["params"])


def _check_greedy(params: Params) -> None:
    drawn = {name: params[name] for name in ("temperature", "alg_temp") if params.get(name)}
    assert not drawn, f"cases are greedy, this one draws: {drawn}"


def _llada_fixed(params: Params) -> Policy:
    _check_greedy(params)
    return build_policy(
        "fixed",
        length=params["length"],
        block_length=params["block_length"],
        steps=params["steps"],
        remasking=params.get("remasking", "low_confidence"),
    )


def _mdlm(params: Params) -> Policy:
    _check_greedy(params)
    return build_policy(
        "fixed",
        preset="mdlm",
        length=params["length"],
        block_length=params["block_length"],
        steps=params["steps"],
        remasking=params.get("remasking", "low_confidence"),
    )


def _dream(params: Params) -> Policy:
    _check_greedy(params)
    return build_policy(
        "fixed",
        preset="dream",
        length=params["length"],
        steps=params["steps"],
        eps=params.get("eps", 1e-3),
        top_k=params.get("top_k"),
        remasking=_ALGORITHMS[params["alg"]],
    )


def _dream_threshold(params: Params) -> Policy:
    _check_greedy(params)
    return build_policy(
        "fixed",
        schedule="quota",
        length=params["length"],
        steps=params["steps"],
        threshold=params["threshold"],
        top_k=params.get("top_k"),
    )


def _illada_var(params: Params) -> Policy:
    _check_greedy(params)
    blocks = -(-params["length"] // params["block_length"])
    assert _ILLADA_EOS in params["stop_tokens"], "block_extend ends with EOS in any case"
    return build_policy(
        "block_extend",
        preset="illada",
        length=params["length"],
        block_length=params["block_length"],
        steps=params["steps_per_block"] * blocks,
        stop_strings=[text for text in params["stop_tokens"] if text != _ILLADA_EOS],
    )


def _bd3lm(params: Params) -> Policy:
    _check_greedy(params)
    blocks = -(-params["length"] // params["block_length"])
    return build_policy(
        "block_causal",
        loop="bd3lm",
        preset="mdlm",
        length=params["length"],
        block_length=params["block_length"],
        steps=-(-params["steps"] // blocks),
        remasking=params.get("remasking", "low_confidence"),
    )


def _sdar(params: Params) -> Policy:
    """At top_k 1 a temperature draws nothing."""
    assert params["top_k"] == 1, "cases are greedy"
    return build_policy(
        "block_causal",
        loop="sdar",
        length=params["length"],
        block_length=params["block_length"],
        steps=params["steps_per_block"],
        remasking=params["remasking"],
        masks_behind=True,
    )


def _llada2(params: Params) -> Policy:
    _check_greedy(params)
    return build_policy(
        "block_causal",
        loop="llada2",
        length=params["length"],
        block_length=params["block_length"],
        steps=min(params["steps"], params["length"] // params.get("minimal_topk", 1)),
        threshold=params["threshold"] if params["threshold"] <= 1 else None,  # no probability is above 1
        early_stop=params.get("eos_early_stop", False),
    )


_POLICIES: Mapping[str, Callable[[Params], Policy]] = {
    "llada_fixed": _llada_fixed,
    "mdlm": _mdlm,
    "dream": _dream,
    "dream_fast_dllm_threshold": _dream_threshold,
    "illada_var": _illada_var,
    "bd3lm": _bd3lm,
    "sdar_sequential": _sdar,
    "llada2": _llada2,
}
