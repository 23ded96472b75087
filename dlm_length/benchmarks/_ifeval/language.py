"""Language detection by langdetect, with the same result on every call."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from langdetect import DetectorFactory

SEED = 0


def detected_language(text: str) -> str | None:
    """Code of the most likely language; `unknown` where none is likely; None for a text without letters."""
    from langdetect import LangDetectException

    detector = _factory().create()
    detector.append(text)
    try:
        language = detector.detect()
    except LangDetectException:
        return None
    assert isinstance(language, str)
    return language


def languages() -> list[str]:
    """Codes of the languages that can be detected."""
    return list(_profiles())


@cache
def _factory() -> "DetectorFactory":
    """A separate, seeded factory: langdetect's shared one is not seeded, and not thread-safe while it is loaded."""
    from langdetect import DetectorFactory

    factory = DetectorFactory()
    factory.load_json_profile([profile.read_text(encoding="utf-8") for profile in _profiles().values()])
    factory.set_seed(SEED)
    return factory


@cache
def _profiles() -> "dict[str, Traversable]":
    """Language -> profile, sorted; langdetect itself uses the order of the file system."""
    profiles = {profile.name: profile for profile in (files("langdetect") / "profiles").iterdir()}
    return dict(sorted(profiles.items()))
