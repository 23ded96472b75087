"""The config among a command's arguments, the options that stand for overrides, completion, JSON."""

import json
from collections.abc import Callable

import pytest

from dlm_length.cli.completion import complete_config, complete_policy, complete_sweep, complete_words
from dlm_length.cli.option_values import choose_table_format, read_words
from dlm_length.common import ConfigError

Dlmlen = Callable[..., tuple[int, str, str]]


def test_the_word_without_an_equals_sign_is_the_config() -> None:
    assert read_words("run", ["a=1", "mine", "b.c=2"], None, policy="fixed") == (
        "mine",
        ["policy=fixed", "a=1", "b.c=2"],
    )
    assert read_words("run", ["a=1"], "mine") == ("mine", ["a=1"])


@pytest.mark.parametrize(
    ("words", "config", "policy", "message"),
    [
        ([], None, None, "no config is given"),
        (["a", "b"], None, None, "'a' and 'b'; allowed: one config"),
        (["a"], "b", None, "the config is given twice"),
        (["a", "policy=x"], None, "y", "--policy y: the override policy=x"),
    ],
)
def test_none_and_two_are_refused(words: list[str], config: str | None, policy: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_words("run", words, config, policy=policy)


def test_json_is_a_format_of_its_own() -> None:
    assert choose_table_format("terminal", True) == "json"
    with pytest.raises(ConfigError, match="found --format csv as well"):
        choose_table_format("csv", True)


def test_names_are_completed() -> None:
    assert "mini_gsm8k_smartcrop" in complete_config("mini_gsm8k")
    assert complete_policy("smartc") == ["smartcrop"]
    assert complete_words("hardware=cp") == ["hardware=cpu"]
    assert complete_sweep("ta")[0] == "tau"


def test_sweep_and_listing_print_json_alone(dlmlen: Dlmlen) -> None:
    small = ("policy.length=8", "benchmark.path=questions.jsonl", "--dry-run", "--json")
    code, out, error = dlmlen("sweep", "tiny_gsm8k_smartcrop", "tau", *small)
    assert code == 0, error
    assert json.loads(out)[0]["rows"]
    code, out, error = dlmlen("list", "policies", "--json")
    assert {"name", "summary"} <= json.loads(out)[0].keys()


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_every_command_has_short_help(dlmlen: Dlmlen, option: str) -> None:
    code, out, _ = dlmlen("run", option)
    assert code == 0
    assert "FIELD=VALUE" in out
