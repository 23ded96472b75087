"""What docs/upgrading.md says of renamed things is what the program knows of them."""

import re
from pathlib import Path

import pytest

from dlm_length.benchmarks import _prompts
from dlm_length.common import UserError
from dlm_length.config import load_benchmark, load_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "upgrading.md").read_text(encoding="utf-8")
STYLES = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", TEXT, re.MULTILINE)


def test_the_table_has_every_renamed_prompt_style() -> None:
    books = {
        path.stem: _prompts.prompt_book(path.stem) for path in (ROOT / "dlm_length/benchmarks/prompts").glob("*.yaml")
    }
    renamed = [
        (benchmark, style.former, name)
        for benchmark, book in books.items()
        for name, style in book.styles.items()
        if style.former is not None
    ]
    assert renamed
    assert sorted(STYLES) == sorted(renamed)


@pytest.mark.parametrize(("benchmark", "old", "new"), STYLES)
def test_an_old_name_is_an_error_that_gives_the_new_one(benchmark: str, old: str, new: str) -> None:
    with pytest.raises(UserError, match=rf"prompt_style '{old}', which is called '{new}' now"):
        load_benchmark(benchmark, [f"benchmark.prompt_style={old}"])


def test_a_path_to_a_config_without_a_file_is_an_error_that_gives_its_name() -> None:
    with pytest.raises(UserError, match="mini_gsm8k_smartcrop"):
        load_config("configs/mini_gsm8k_smartcrop.yaml")
