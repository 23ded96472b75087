import json
from pathlib import Path

from dlm_length.records import read_samples
from dlm_length.records.schema import WORKERS_DIED

RUN = ("run", "tiny_gsm8k_fixed", "benchmark.path=questions.jsonl", "policy.length=4", "hardware.device=cpu")


def test_samples_that_a_merged_run_lost_are_named_with_what_generates_them_again(dlmlen) -> None:
    assert dlmlen(*RUN, "--shard", "1/1")[0] == 0
    (run,) = Path("results").glob("*/*/")
    records = read_samples(run)
    lost = records[1].model_copy(update={"error": f"{WORKERS_DIED} 2 times (x)", "score": None})
    (run / "samples.jsonl").write_text(
        "".join(each.model_dump_json() + "\n" for each in (records[0], lost, records[2]))
    )
    code, output, _ = dlmlen(*RUN, "--shard", "1/1")
    assert code == 0
    said = f"1 sample of {run} failed because their workers died ({lost.id}): the same command without --shard"
    assert f"{said} generates them again." in output
    as_json = json.loads(dlmlen(*RUN, "--shard", "1/1", "--json")[1])
    assert as_json["lost"] == {str(run): [lost.id]}
    (run / "metrics.json").unlink()
    (run / "shards" / "1-of-1").mkdir(parents=True)
    assert f"Merged: {run}" in (merged := dlmlen("merge", str(run))[1])
    (run / "metrics.json").unlink()
    (run / "shards" / "1-of-1").mkdir(parents=True)
    assert json.loads(dlmlen("merge", str(run), "--json")[1]) == {"merged": [str(run)], "lost": {str(run): [lost.id]}}
    assert f"({lost.id}): the command that made it, without --shard, generates them again." in merged
    assert dlmlen(*RUN)[0] == 0
    assert [record.error for record in read_samples(run)] == [None] * 3
    assert "failed" not in dlmlen(*RUN, "--shard", "1/1")[1]
