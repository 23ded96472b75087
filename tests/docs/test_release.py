"""What a release needs agrees: version, changelog, the names of its files, and the size of the wheel."""

import re
from datetime import date
from pathlib import Path

import dlm_length

ROOT = Path(__file__).parents[2]


def test_the_changelog_has_the_version_below_what_is_unreleased() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    first, latest, *_ = headings
    assert first == "Unreleased"
    version, separator, day = latest.partition(" - ")
    assert (version, separator) == (dlm_length.__version__, " - ")
    assert date.fromisoformat(day) > date(2026, 1, 1)


def test_the_documents_name_the_wheel_of_this_version() -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert set(re.findall(r"dlmlen-(.+?)-py3-none-any\.whl", text)) == {dlm_length.__version__}


def test_the_wheel_is_below_20_megabytes() -> None:
    """Of the files as they are; the wheel compresses them."""
    files = [path for name in ("dlm_length", "configs") for path in (ROOT / name).rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") < 20_000_000
