"""What runs publish while they are executed: progress.json, run.log, metrics for trackers, and the live display."""

import logging
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from dlm_length.common import UserError, printable
from dlm_length.common.program import LOGGER, command_line, package_version
from dlm_length.config import RunConfig
from dlm_length.records import (
    ProgressRecord,
    RecordError,
    RunMetrics,
    SampleRecord,
    read_metrics,
    read_summaries,
    write_progress,
)
from dlm_length.records.run_folder import CONFIG, ENVIRONMENT, LOG, METRICS, PROGRESS
from dlm_length.tracking import GuardedTracker, TrackedRun, open_tracker

_SHOWN_EVERY = 0.5
_WRITTEN_EVERY = 2.0
_TRACKED_EVERY = 5.0
"""Seconds."""
_LOGGED_PARTS = 20
"""Progress lines in run.log over a whole run."""

logging.getLogger(LOGGER).addHandler(logging.NullHandler())


class CostLeft:
    """Estimates the time left from an upper bound of each sample's cost.

    The ratio of actual to expected cost over the finished samples scales the bounds of the others.
    """

    def __init__(self, expected: Mapping[str, float]) -> None:
        """`expected`: FLOPs, or something proportional to them, by id of the unfinished samples."""
        self._left = dict(expected)
        self._expected = self._spent = self._last = 0.0

    def finished(self, name: str, flops: float, elapsed: float) -> None:
        """Record the cost of a finished sample, and when it was finished."""
        self._expected += self._left.pop(name, 0.0)
        self._spent += flops
        self._last = elapsed

    def seconds(self, elapsed: float) -> float | None:
        """Seconds left at the rate up to the last finished sample.

        None before the first sample is finished, and where the next ones take longer than that rate allows.
        """
        if not self._left:
            return 0.0
        if not (self._spent and self._expected):
            return None
        # The time since belongs to samples that are still being denoised: it is part of what was left.
        left = self._last * math.fsum(self._left.values()) / self._expected - (elapsed - self._last)
        return left if left > 0 else None


class LiveRun:
    """Publishes the progress of one run."""

    def __init__(
        self,
        config: RunConfig,
        folder: Path,
        ids: Sequence[str],
        costs: Mapping[str, float],
        notice: Callable[[str], None],
        session: Mapping[str, Any],
    ) -> None:
        """`costs`: expected FLOPs by id of the missing samples. `session`: its entry of environment.json."""
        self._config, self._folder = config, folder
        own = frozenset(ids)
        recorded = [sample for sample in read_summaries(folder) if sample.id in own]
        self._recorded, self._total = len(recorded), len(recorded) + len(costs)
        self._failed = sum(sample.error is not None for sample in recorded)
        self._scores = [sample.score for sample in recorded if sample.score is not None]
        self._tokens = self._flops = 0
        self._left = CostLeft(costs)
        self._start = self._written = self._tracked_at = self._finished = time.monotonic()
        self._use = ""
        self._notice, self._noticed = notice, False
        self._log = _open_log(folder, self._unwritten)
        self._log.info("dlmlen %s: %s", package_version(), printable(command_line() or ""))
        kept = ("device", "device_name", "dtype", "threads", "torch", "transformers", "checkpoint", "seed")
        self._log.info("begins: %s", ", ".join(f"{name} {session.get(name)}" for name in kept))
        self._log.info("%d of %d samples are on disk", self._recorded, self._total)
        self._ended = False
        write_progress(folder, self.status("running"))
        self._tracker: GuardedTracker | None = None
        if config.tracking is not None:  # last: who gets no LiveRun has no tracker to close
            tracked = TrackedRun(config.experiment, config.run_name, folder)
            self._tracker = open_tracker(config.tracking, tracked, config.model_dump(mode="json"), notice)

    def kept(self, record: SampleRecord) -> None:
        """A sample was recorded."""
        self._recorded += 1
        self._failed += record.error is not None
        self._scores += [] if record.score is None else [record.score]
        self._tokens += record.e_token
        self._flops += record.ledger.total.flops_reference
        self._finished = time.monotonic()
        self._left.finished(record.id, record.ledger.total.flops_executed, self._finished - self._start)
        total = record.ledger.total
        self._log.debug(
            "sample %s: score %s, n_token %d, e_token %d, NFE %d, %.2f s%s",
            printable(record.id),
            record.score,
            record.n_token,
            record.e_token,
            total.nfe,
            total.seconds,
            f", failed: {printable(record.error)}" if record.error else "",
        )
        if self._recorded % max(1, self._total // _LOGGED_PARTS) == 0 or self._recorded == self._total:
            self._log.info("%s", self.status("running").line())

    def note(self, sentence: str) -> None:
        """Log a remark that a reader of the results should know."""
        self._log.warning("%s", printable(sentence))

    def status(self, state: Literal["running", "interrupted", "done"]) -> ProgressRecord:
        """The progress as of now."""
        # Among runs that are made together, one that is complete keeps its rate while the others go on.
        elapsed = (self._finished if self._recorded == self._total else time.monotonic()) - self._start
        config = self._config
        return ProgressRecord(
            label=f"{config.benchmark.label} {config.model.short_name} {config.policy.label}",
            state=state,
            updated=time.time(),
            host=socket.gethostname(),
            process=os.getpid(),
            done=self._recorded - self._failed,
            failed=self._failed,
            total=self._total,
            metric=config.benchmark.main_metric,
            score=math.fsum(self._scores) / len(self._scores) if self._scores else None,
            tokens_per_second=self._tokens / elapsed if self._tokens and elapsed else None,
            flops=self._flops,
            seconds_left=self._left.seconds(elapsed),
            device_use=self._use,
        )

    def look(self, use: str) -> ProgressRecord:
        """The progress as of now; written and tracked at their intervals. `use`: of the device."""
        self._use = use
        now = time.monotonic()
        if now - self._written >= _WRITTEN_EVERY:
            self._write("running")
        if now - self._tracked_at >= _TRACKED_EVERY:
            self._track()
        return self.status("running")

    def close(self, error: BaseException | None) -> None:
        """Everything was generated, or `error` ended the run."""
        self._write("done" if error is None else "interrupted")
        self._track()
        if error is None:
            self._log.info("all samples are on disk")
        else:
            self._log.warning("ended early: %s %s", type(error).__name__, printable(str(error)))
            self._end(None)

    def leave(self, error: BaseException | None) -> None:
        """End the session unless `close` or `finish` has: `error` came before, between or within them."""
        if self._ended:
            return
        complete = (self._folder / METRICS).is_file() and not (self._folder / PROGRESS).exists()
        try:
            if error is not None and not complete:
                self.close(error)
        finally:
            self._end(None)

    def finish(self) -> None:
        """End the session, with the run's metrics if it is finished."""
        try:
            metrics = read_metrics(self._folder)
        except RecordError:  # a shard: metrics are written when all are merged
            metrics = None
        self._end(metrics)

    def _end(self, metrics: RunMetrics | None) -> None:
        if self._ended:
            return
        if self._tracker is not None:
            final = {} if metrics is None else _final(metrics)
            names = () if metrics is None else (CONFIG, ENVIRONMENT, METRICS, LOG)
            self._tracker.finish(final, [file for name in names if (file := self._folder / name).exists()])
            self._tracker = None
        if metrics is not None:
            self._log.info("finished: %s", metrics.model_dump_json(include={"score", "samples", "failed", "e_ratio"}))
        _close(self._log)
        self._ended = True

    def _write(self, state: Literal["running", "interrupted", "done"]) -> None:
        self._written = time.monotonic()
        try:
            write_progress(self._folder, self.status(state))
        except RecordError as error:
            self._unwritten(str(error))

    def _unwritten(self, fault: str) -> None:
        """Report once that progress.json or run.log cannot be written: no result depends on them."""
        if not self._noticed:
            self._noticed = True
            self._notice(f"{fault.removesuffix('.')}; the run goes on, but its progress or its log has gaps")

    def _track(self) -> None:
        if self._tracker is None:
            return
        self._tracked_at = time.monotonic()
        status = self.status("running")
        known = {"score": status.score, "tokens_per_second": status.tokens_per_second, "flops": status.flops}
        values = {f"live/{name}": float(value) for name, value in known.items() if value is not None}
        self._tracker.log(self._recorded, values)


class LiveRuns:
    """Publishes the progress of a group of runs; as a context, closes them with the error that ended them."""

    def __init__(
        self,
        runs: Sequence[LiveRun],
        show: Callable[[Sequence[ProgressRecord]], None],
        use: Callable[[], str],
    ) -> None:
        self._runs = runs
        self._show = show
        self._use = use
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        statuses = [run.look(self._use()) for run in self._runs] if error is None else []
        for run in self._runs:
            run.close(error)
        if statuses:
            self._show(statuses)  # last, as it may raise an interrupt

    def beat(self) -> None:
        """Called repeatedly while samples are generated."""
        now = time.monotonic()
        if now - self._shown >= _SHOWN_EVERY:
            self._shown = now
            use = self._use()
            self._show([run.look(use) for run in self._runs])


class _LogFile(logging.FileHandler):
    """Reports a line that cannot be written, where `logging` would print a traceback for each."""

    def __init__(self, file: Path, unwritten: Callable[[str], None]) -> None:
        super().__init__(file, encoding="utf-8")
        self._file, self._unwritten = file, unwritten

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exception()
        if isinstance(error, OSError):
            self._unwritten(f"{self._file}: cannot be written ({error.strerror})")
        else:
            super().handleError(record)


def _open_log(folder: Path, unwritten: Callable[[str], None]) -> logging.Logger:
    """A logger per run that writes to run.log; it propagates to the logger of the package.

    `unwritten` gets the reason where a line cannot be written later.
    """
    logger = logging.getLogger(f"{LOGGER}.runs.{str(folder.resolve()).replace('.', '_')}")
    logger.setLevel(min(logging.INFO, logging.getLogger(LOGGER).level or logging.INFO))
    _close(logger)  # of a run of this process that ended before its metrics were written
    try:
        handler = _LogFile(folder / LOG, unwritten)
    except OSError as error:
        raise UserError(f"{folder / LOG}: cannot be written ({error.strerror}).") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    return logger


def _close(log: logging.Logger) -> None:
    for handler in list(log.handlers):
        log.removeHandler(handler)
        with suppress(OSError):  # what could not be written was reported
            handler.close()


def _final(metrics: RunMetrics) -> dict[str, float]:
    """Every number of metrics.json by its name; the benchmark's own metrics as `metrics/NAME`."""
    numbers = {name: value for name, value in metrics.model_dump(mode="json").items() if isinstance(value, int | float)}
    return {name: float(value) for name, value in numbers.items()} | {
        f"metrics/{name}": value for name, value in metrics.metrics.items()
    }
