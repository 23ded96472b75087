"""Explaining why a path is not a folder, and which folder may be meant."""

from pathlib import Path

from dlm_length.common import nearest


def explain_missing(path: Path) -> str | None:
    """What is at `path` instead of a folder, as the end of a message; None where it is a folder."""
    if path.is_dir():
        return None
    if path.exists():
        return f"is a file, expected a folder. Did you mean the one that it is in, '{path.parent}'?"
    near = _nearest_folder(path)
    return "there is no such folder." + ("" if near is None else f" Did you mean '{near}'?")


def _nearest_folder(path: Path) -> Path | None:
    """The folder with the name nearest to that of `path`, next to it or one level further down."""
    parent = path.parent if path.parent.is_dir() else _nearest_folder(path.parent)
    if parent is None:
        return None
    if (parent / path.name).is_dir():
        return parent / path.name
    folders = {folder.name: folder for folder in (*parent.glob("*/*/"), *parent.glob("*/"))}
    return next((folders[name] for name in nearest(path.name, folders)), None)
