"""The language of a text, as langdetect has it, the same on every call."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from langdetect import DetectorFactory

SEED = 0


def detected_language(text: str) -> str | None:
    """The code of the likeliest language, `unknown` where none is likely, None where the text has nothing to go by."""
    from langdetect import LangDetectException

    detector = _factory().create()
    detector.append(text)
    try:
        found = detector.detect()
    except LangDetectException:
        return None
    assert isinstance(found, str)
    return found


def languages() -> list[str]:
    """The codes of the languages that can be detected."""
    return list(_profiles())


@cache
def _factory() -> "DetectorFactory":
    """A factory of our own: the one langdetect shares is not seeded, and half loaded for a thread that comes second."""
    from langdetect import DetectorFactory

    factory = DetectorFactory()
    factory.load_json_profile([profile.read_text(encoding="utf-8") for profile in _profiles().values()])
    factory.set_seed(SEED)
    return factory


@cache
def _profiles() -> "dict[str, Traversable]":
    """By language, and sorted: langdetect takes them as the file system lists them."""
    found = {profile.name: profile for profile in (files("langdetect") / "profiles").iterdir()}
    return dict(sorted(found.items()))
