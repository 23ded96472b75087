"""Memory for the keys and values that samples keep between forwards: which samples begin, wait, or run uncached."""

from collections.abc import Iterable, Sequence

from dlm_length.engine.budget import CACHE_SHARE
from dlm_length.engine.kept import kept_bytes
from dlm_length.engine.machine import describe_machine
from dlm_length.engine.sample import Sample
from dlm_length.models import MaskPredictor


class CacheMemory:
    """Bytes for the caches of all samples together. A sample whose own does not fit runs uncached: none is lost."""

    def __init__(self, model: MaskPredictor, limit: int | None) -> None:
        """`limit`: in bytes; None for `CACHE_SHARE` of the memory that is free now."""
        self._model = model
        self.limit = int(CACHE_SHARE * describe_machine(model.device).free) if limit is None else limit
        self.room = self.limit
        """What all samples together may keep: less once a forward ran out of memory while they were held."""
        self.most_tokens: int | None = None
        """Of a forward while caches are held, once one ran out of memory; else the engine's budget applies."""

    def held(self, samples: Iterable[Sample]) -> int:
        """What these keep, in bytes."""
        return sum(self._bytes_of(sample.kept.length) for sample in samples if sample.kept is not None)

    def added(self, samples: Iterable[Sample]) -> int:
        """What these would keep after their next forward beyond what they keep now, in bytes."""
        return sum(max(0, self._bytes_of(sample.length) - self.held([sample])) for sample in samples if sample.keeps)

    def check(self, sample: Sample) -> str | None:
        """Let a sample whose own keys and values never fit run uncached; then a note that says so."""
        if not sample.keeps or (needed := self._bytes_of(sample.length)) <= self.limit:
            return None
        sample.run_uncached()
        return (
            f"sample {sample.id} ran without cache: keys and values of its {sample.length} tokens take {needed} bytes,"
            f" {self.limit} are there for them"
        )

    def lower(self, used: int) -> None:
        """After a forward ran out of memory with `used` bytes of caches held: allow half of these from now on."""
        self.room = min(self.room, used) // 2

    def make_room(self, failed: Sequence[Sample], idle: Sequence[Sample]) -> str | None:
        """After a forward of equal samples alone ran out of memory: the next way to run it, as a note; None: no way.

        It waits for the caches of `idle` samples, the others, that go on without it. Where all of these wait
        themselves, one of them runs uncached from now on; where none has a cache, the failed ones do.
        """
        tokens, held = failed[0].queries, self.held([*idle, *failed])
        if will_free(idle):
            for sample in failed:
                sample.waits = True
            return (
                f"out of memory in a forward of {tokens} tokens with {held} bytes of keys and values held: at most"
                f" {self.room} are kept from now on"
            )
        holders = [sample for sample in idle if sample.kept is not None]
        if holders:
            dropped: Sequence[Sample] = [max(holders, key=lambda sample: self.held([sample]))]
        elif any(sample.keeps or sample.kept is not None for sample in failed):
            dropped = failed
        else:
            return None
        for sample in dropped:
            sample.run_uncached()
        return (
            f"sample {dropped[0].id} ran without cache from its forward {len(dropped[0].forwards) + 1} on: out of"
            f" memory in a forward of {tokens} tokens with {held} bytes of keys and values held"
        )

    def _bytes_of(self, length: int) -> int:
        return kept_bytes(self._model.architecture, length, self._model.dtype.itemsize)


def uses_cache(sample: Sample) -> bool:
    """Whether it keeps keys and values, or begins to with its next forward."""
    return sample.kept is not None or sample.keeps


def will_free(samples: Iterable[Sample]) -> bool:
    """Whether one of them keeps keys and values, and does not itself wait for the memory of others."""
    return any(sample.kept is not None and not sample.waits for sample in samples)
