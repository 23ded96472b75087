"""scripts/shard_test.py with fewer shards."""

import subprocess
from collections.abc import Callable

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
def test_shards_made_at_once_and_in_another_order_are_the_run(call_script: Call) -> None:
    done = call_script("shard_test.py", "--shards", "4", "--at-once", "2", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 shards, 2 at once, in the order" in done.stdout
