"""Lazy imports: a model family's classes only with a checkpoint of it, torch only with a model."""

import json
import subprocess
import sys

import pytest
from golden.families import FOLDER

_COUNT = """
import json, sys
sys.argv = ["dlmlen", *{arguments!r}]
from dlm_length.cli.main import run
try:
    run()
except SystemExit as left:
    assert not left.code, left.code
names = [name for name in sys.modules if name in ("torch", "transformers", "triton")]
kinds = sorted(n.split(".")[2] for n in sys.modules if n.startswith("transformers.models.") and ".modeling_" in n)
print("MODULES", json.dumps([names, kinds]))
"""


def imported(*arguments: str) -> tuple[list[str], list[str]]:
    """The heavy libraries that a command imports, and the families whose networks it imports."""
    source = _COUNT.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    names, kinds = json.loads(done.stdout.rpartition("MODULES ")[2])
    return names, [kind for kind in kinds if kind != "auto"]


@pytest.mark.parametrize(
    "arguments", [("--help",), ("list", "models"), ("config", "show", "--config", "mini_gsm8k_smartcrop")]
)
def test_what_needs_no_model_imports_no_torch(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) == ([], [])


def test_a_checkpoint_imports_only_its_own_network() -> None:
    names, kinds = imported("doctor", "--json", "--model", str(FOLDER / "dream" / "checkpoint"))
    assert "torch" in names
    assert kinds == ["qwen2"]
