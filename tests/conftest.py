"""What many tests share: the model that ships with the package, and small checkpoints made to measure."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import settings

# Before anything imports the hub's client or torch; subprocesses inherit it. No test may need a network. One thread: on
# cores that others use as well, threads that wait for each other made the small forwards of tests fifty times slower.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A suite in a shell's background job ignores Ctrl-C, and so would the commands that it starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a machine that others use as well.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

if TYPE_CHECKING:
    from torch import Tensor

    from dlm_length.models import MaskPredictor
    from dlm_length.records import RunMetrics, SampleRecord

Weights = dict[str, "Tensor"]

TINY = "embedded:llada-tiny"
SMALL: Mapping[str, Any] = {
    "d_model": 32,
    "n_heads": 4,
    "n_kv_heads": 4,
    "n_layers": 2,
    "mlp_hidden_size": 48,
    "max_sequence_length": 128,
    "torch_dtype": "float32",
}
"""Sizes of `write_checkpoint`'s model; the rest, vocabulary and tokenizer included, is the tiny model's."""


class WriteCheckpoint(Protocol):
    """Makes a folder with a small random checkpoint in LLaDA's format."""

    def __call__(
        self,
        *,
        seed: int = 0,
        shards: int = 1,
        config: Mapping[str, Any] = ...,
        tokenizer_config: Mapping[str, Any] = ...,
        edit: Callable[[Weights], None] | None = None,
    ) -> Path:
        """`config`, `tokenizer_config`: fields that differ; `...` as a value leaves the field out.

        `edit` may change the weights before they are written to `shards` files, with an index where there are several.
        """


@pytest.fixture(scope="session")
def tiny_model() -> "MaskPredictor":
    """The model that ships with the package, in float32 on the CPU."""
    from dlm_length.models import load_model

    return load_model(TINY, device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def write_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> WriteCheckpoint:
    """Writes small random checkpoints, each in a folder of its own."""

    def write(
        *,
        seed: int = 0,
        shards: int = 1,
        config: Mapping[str, Any] | None = None,
        tokenizer_config: Mapping[str, Any] | None = None,
        edit: Callable[[Weights], None] | None = None,
    ) -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        shipped = Path(str(files("dlm_length.models") / "embedded" / "llada-tiny"))
        shutil.copy(shipped / "tokenizer.json", folder)
        sizes: dict[str, Any] = {}
        for name, changes in (
            ("config.json", {**SMALL, **(config or {})}),
            ("tokenizer_config.json", tokenizer_config),
        ):
            fields = json.loads((shipped / name).read_text()) | dict(changes or {})
            fields = {field: value for field, value in fields.items() if value is not ...}
            (folder / name).write_text(json.dumps(fields))
            sizes = sizes or {**SMALL, **fields}
        weights = random_weights(sizes, seed)
        if edit is not None:
            edit(weights)
        _save(folder, weights, shards)
        return folder

    return write


def random_weights(config: Mapping[str, Any], seed: int) -> Weights:
    """Weights of a model with LLaDA's names, for a config.json."""
    import torch

    width, mlp = config["d_model"], config["mlp_hidden_size"]
    kv = width // config["n_heads"] * (config.get("n_kv_heads") or config["n_heads"])
    rows = config.get("embedding_size") or config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {"wte": (rows, width), "ln_f": (width,)}
    if not config.get("weight_tying"):
        shapes["ff_out"] = (rows, width)
    for block in range(config["n_layers"]):
        shapes |= {
            f"blocks.{block}.{name}": shape
            for name, shape in {
                "attn_norm": (width,),
                "q_proj": (width, width),
                "k_proj": (kv, width),
                "v_proj": (kv, width),
                "attn_out": (width, width),
                "ff_norm": (width,),
                "ff_proj": (mlp, width),
                "up_proj": (mlp, width),
                "ff_out": (width, mlp),
            }.items()
        }
    random = torch.Generator().manual_seed(seed)
    return {
        f"model.transformer.{name}.weight": torch.randn(shape, generator=random) * (0.3 if len(shape) == 2 else 1.0)
        for name, shape in shapes.items()
    }


def _save(folder: Path, weights: Weights, shards: int) -> None:
    from safetensors.torch import save_file

    if shards == 1:
        save_file(weights, folder / "model.safetensors")
        return
    names = sorted(weights)
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05}-of-{shards:05}.safetensors"
        part = names[shard::shards]
        save_file({name: weights[name] for name in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; where none may be mounted, the test is skipped."""
    place = tmp_path / "full"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The command of a browser; without one the test is skipped."""
    command = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if command is None:
        pytest.skip("no Chromium here")
    return command


# Not for the whole session: while Playwright runs, no other test could start an event loop in its thread.
@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """A headless browser, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called, loading a model for a run fails the test."""
    import dlm_length.runner.model

    def load(*_: object, **__: object) -> None:
        pytest.fail("a model was loaded for nothing")

    return lambda: monkeypatch.setattr(dlm_length.runner.model, "load_model", load)


@pytest.fixture
def make_metrics() -> "Callable[..., RunMetrics]":
    """A finished run's metrics by hand, no two numbers the same."""
    from dlm_length.records import RunMetrics

    def make_metrics(**changes: Any) -> "RunMetrics":
        fields: dict[str, Any] = {
            "schema_version": 1,
            "benchmark": "gsm8k",
            "metric": "exact_match",
            "model": "some-model",
            "policy": "fixed",
            "policy_label": "fixed 64",
            "samples": 61,
            "scored": 53,
            "failed": 8,
            "score": 0.71234,
            "metrics": {"exact_match": 0.71234, "another": 0.61},
            "prompt_length": 101.11,
            "n_token": 202.22,
            "e_token": 30.33,
            "processed_length": 404.44,
            "e_ratio": 0.50555,
            "nfe": 606.66,
            "probe_nfe": 1.77,
            "flops_reference": 8_880_000_000,
            "flops_executed": 999_000_000,
            "probe_flops_reference": 10_100_000,
            "forward_seconds": 11.11,
            "wall_clock_seconds": 12.12,
            "tokens_per_second": 1313.13,
        }
        return RunMetrics.model_validate(fields | changes)

    return make_metrics


@pytest.fixture
def make_sample() -> "Callable[..., SampleRecord]":
    """A sample by hand in which no two numbers are the same, so that one read in another's place shows."""
    from dlm_length.records import SampleRecord

    def make_sample(sample_id: str = "task/0", **changes: Any) -> "SampleRecord":
        fields: dict[str, Any] = {
            "doc_id": 3,
            "id": sample_id,
            "prompt": "the prompt \u2028 é 語",
            "target": "the target",
            "resps": [["the answer 🙂"]],
            "filtered_resps": ["the extraction"],
            "canvas_ids": [31, 32, 1],
            "prompt_length": 11,
            "n_token": 13,
            "e_token": 7,
            "processed_length": 24,
            "trajectory": [(29, 1), (13, 12)],
            "changes": [{"forward": 1, "kind": "crop", "position": 14, "before": 29, "after": 15}],
            "ledger": {"total": cost(100), "probe": cost(200)},
            "score": 0.625,
            "extracted": {"strict": None, "flexible": "42"},
            "details": {"reason": "correct"},
            "error": None,
            "session": 2,
            "elapsed": 5.5,
        }
        return SampleRecord.model_validate(fields | changes)

    return make_sample


def cost(start: int) -> dict[str, float]:
    """A CostRecord's fields, counted up from `start`."""
    names = ("nfe", "length_sum", "length_squared_sum", "head_rows", "flops_reference", "flops_executed")
    return {name: start + place for place, name in enumerate(names)} | {"seconds": start + 0.25}
