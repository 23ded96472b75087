"""Write docs/support.md: which model families, policies and decoder fields can be combined.

A pair is "tested" if golden cases of a reference implementation cover it (tests/golden), "runs" if dlmlen accepts it,
"refused" if dlmlen reports an error. Run this after a change of policies, decoder fields or families:

    python scripts/support_matrix.py
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from golden.families import FOLDER, cases, policy_for  # noqa: E402 - on the path set above

from dlm_length import Engine  # noqa: E402
from dlm_length.common import UserError  # noqa: E402
from dlm_length.denoising import PRESETS, Decoder  # noqa: E402
from dlm_length.models import MaskPredictor, load_model  # noqa: E402
from dlm_length.models.loading import checkpoint_folder, read_config  # noqa: E402
from dlm_length.policies import Policy, build_policy, policies  # noqa: E402

PAGE = ROOT / "docs" / "support.md"
PROMPT = [5, 6, 7]
Settings = Mapping[str, Any]
DECODERS: Mapping[str, Settings] = MappingProxyType(
    {
        **{f"preset={name}": {"preset": name} for name in PRESETS},
        "threshold": {"threshold": 0.9},
        "quota": {"schedule": "quota", "threshold": 0.9},
        "factor": {"factor": 1.0},
        "hierarchical": {"threshold": 0.9, "low_threshold": 0.4},
        "origin": {"schedule": "origin", "remasking": "random"},
        "temperature": {"temperature": 0.5, "top_p": 0.9},
        "blocks=adaptive": {"blocks": "adaptive", "threshold": 0.9},
        **{f"cache={name}": {"cache": name, "block_length": 32} for name in ("prefix", "dual", "dkv")},
        **{
            f"stop={name}": {"stop": name, "block_length": 32}
            for name in ("block_any", "block_last", "cut", "eos_prefix", "crop_fill")
        },
        **{f"early_commit={name}": {"early_commit": name} for name in ("prophet", "sched")},
    }
)
"""Ways to decode, as fields of a policy, by the name of a row."""
VARIANTS: Mapping[str, tuple[str, Settings]] = MappingProxyType(
    {
        **{f"block_causal, {loop}": ("block_causal", {"loop": loop}) for loop in ("bd3lm", "sdar", "llada2")},
        "composed, schedule": ("composed", {"then": "schedule"}),
        "composed, threshold": ("composed", {"then": "threshold", "threshold": 0.9}),
    }
)
"""Policies whose decoding depends on one field: a column for each value of it."""
_NEEDED: Mapping[str, Settings] = MappingProxyType({"oracle": {"lengths": {"0": 8}}})
"""Parameters without which a policy cannot run: lengths by sample id, which `dlmlen run` determines."""
_LLADA_METHODS = MappingProxyType(
    {
        "llada_fixed": ("fixed", "preset=llada"),
        "fast_dllm_threshold": ("fixed", "threshold"),
        "smartcrop": ("smartcrop", "preset=llada"),
        "daedal": ("daedal", None),
        "rho_eos": ("rho_eos", None),
    }
)
"""Policy and decoder of each method in tests/golden/cases.jsonl, whose checkpoint is a LLaDA."""


class Footnotes:
    """The error messages, numbered in the order of their first occurrence."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def cell(self, sentence: str) -> str:
        """A cell that refers to the message by its number."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return f"refused [{self.sentences.index(sentence) + 1}]"

    def lines(self) -> Iterator[str]:
        for number, sentence in enumerate(self.sentences, start=1):
            yield f"{number}. {sentence}"


@cache
def family_of(folder: str) -> str:
    """Name of the family class that recognises a checkpoint."""
    _, family = read_config(checkpoint_folder(folder, revision=None, weights=False))
    return type(family).__name__


@cache
def checkpoints() -> Mapping[str, str]:
    """A tiny checkpoint of each family that has one, by the family's name."""
    folders = ["embedded:llada-tiny", *(str(folder / "checkpoint") for folder in sorted(FOLDER.iterdir()))]
    return {family_of(folder): folder for folder in reversed(folders)}


def golden_cases() -> Counter[tuple[str, str, str | None]]:
    """Number of golden cases by (family, policy, decoder); decoder None: the policy's own decoding."""
    counts = Counter[tuple[str, str, str | None]]()
    for folder in sorted(FOLDER.iterdir()):
        if (folder / "cases.jsonl").exists():
            for case in cases(folder.name):
                policy = policy_for(case)
                counts[family_of(str(folder / "checkpoint")), policy.name, _decoder_of(policy)] += 1
    for line in (FOLDER.parent / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        policy, decoder = _LLADA_METHODS[json.loads(line)["method"]]
        counts["LLaDA", policy, decoder] += 1
    for line in (FOLDER.parent / "caches" / "cases.jsonl").read_text(encoding="utf-8").splitlines():
        counts["LLaDA", "fixed", f"cache={json.loads(line)['params']['cache']}"] += 1
    return counts


def _decoder_of(policy: Policy) -> str | None:
    """The row of `DECODERS` that a golden case belongs to."""
    if not isinstance(policy, Decoder) or policy.name == "block_causal":
        return None
    if policy.schedule == "quota":
        return "quota"
    return f"preset={policy.preset or 'llada'}"


@cache
def model(folder: str) -> MaskPredictor:
    return load_model(folder, device="cpu")


class _StartedError(Exception):
    """Raised after the engine's first forward, as nothing was refused until then."""


def _started(_: object) -> None:
    raise _StartedError


def family_refusal(family: str, policy: Policy) -> str | None:
    """The engine's error for a policy on a family's checkpoint; None if it runs."""
    folder = checkpoints()[family]
    try:
        for _ in Engine(model(folder)).generate([PROMPT], policy, on_step=_started):
            pass
    except _StartedError:
        return None
    except UserError as error:
        return str(error).replace(f"checkpoint {folder}: ", "")
    return None


def decoder_refusal(policy: str, settings: Settings) -> str | None:
    """The error of a policy with these fields; None if they are valid."""
    try:
        build_policy(policy, **settings)
    except UserError as error:
        return str(error).removeprefix(f"policy {policy!r}: ")
    return None


def decoding_policies() -> dict[str, tuple[str, Settings]]:
    """(policy, fields) by column, for the policies with the decoder's fields; variants have columns of their own."""
    apart = {policy for policy, _ in VARIANTS.values()}
    known = policies()
    plain = {name: (name, {}) for name in known if issubclass(known[name], Decoder) and name not in apart}
    return dict(sorted({**plain, **VARIANTS}.items()))


def _tested(counts: Mapping[tuple[str, str, str | None], int], **wanted: str) -> int:
    """Number of golden cases of a given family, policy and decoder, or of some of the three."""
    names = ("family", "policy", "decoder")
    return sum(
        count
        for key, count in counts.items()
        if all(wanted.get(name, part) == part for name, part in zip(names, key, strict=True))
    )


def _cell(notes: Footnotes, refusal: str | None, tested: int) -> str:
    if refusal is not None:
        return notes.cell(refusal)
    return f"tested ({tested})" if tested else "runs"


def page() -> str:
    """The page as Markdown."""
    counts, known = golden_cases(), policies()
    families, columns = sorted(checkpoints()), decoding_policies()
    own = sorted(name for name in known if not issubclass(known[name], Decoder))
    by_policy, by_decoder = Footnotes(), Footnotes()
    family_rows = []
    for name in sorted(known):
        policy = build_policy(name, **_NEEDED.get(name, {}))
        cells = (
            _cell(by_policy, family_refusal(family, policy), _tested(counts, family=family, policy=name))
            for family in families
        )
        family_rows.append([f"`{name}`", *cells])
    decoder_rows = []
    for row, settings in DECODERS.items():
        cells = (
            _cell(by_decoder, decoder_refusal(name, {**more, **settings}), _tested(counts, policy=name, decoder=row))
            for name, more in columns.values()
        )
        decoder_rows.append([f"`{row}`", *cells])
    return "\n".join(
        [
            "# What goes with what",
            "",
            "Written by `python scripts/support_matrix.py` from the registries and the program's own answers; a test"
            " compares this page with what the script writes.",
            "",
            "- **tested (n)**: n golden cases of a reference implementation are reproduced token for token"
            " ([tests/golden](../tests/golden/README.md)).",
            "- **runs**: the program accepts the pair; no reference implementation was compared.",
            "- **refused [k]**: the program answers with sentence k below the table.",
            "",
            "All on a CPU in float32, as CI runs them. [gpu.md](gpu.md) says what was checked on CUDA.",
            "",
            "## Families and policies",
            "",
            "Each policy with its defaults, on a tiny checkpoint in the family's published format. Dream includes"
            " Dream-Coder and DiffuCoder, LLaDA includes LLaDA-1.5, SDAR includes TraDo; A2DQwen3 and A2DQwen2 are MDLM"
            " and BD3LM.",
            "",
            *_table(["", *families], family_rows),
            "",
            *by_policy.lines(),
            "",
            "## Decoders and policies",
            "",
            "Each row sets fields of the decoder, such as `policy.threshold=0.9`; `dlmlen list decoders -v` explains"
            " them. A family that runs a policy runs it with every decoder that the policy takes."
            f" {', '.join(own[:-1])} and {own[-1]} commit by algorithms of their own, and of these fields have at most"
            " `temperature` and `block_length`.",
            "",
            *_table(["", *(f"`{name}`" for name in columns)], decoder_rows),
            "",
            *by_decoder.lines(),
            "",
        ]
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
