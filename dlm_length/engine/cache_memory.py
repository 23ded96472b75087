"""The memory of key-value caches: which samples begin to cache, wait for memory, or run uncached."""

from collections.abc import Iterable, Sequence

from dlm_length.engine.budget import CACHE_SHARE
from dlm_length.engine.kv_cache import kv_cache_bytes
from dlm_length.engine.machine import describe_machine
from dlm_length.engine.sample import Sample
from dlm_length.models import MaskPredictor


class CacheMemory:
    """The bytes that all samples' caches together may take. A sample whose own cache does not fit runs uncached."""

    def __init__(self, model: MaskPredictor, limit: int | None) -> None:
        """`limit`: bytes for all caches; None: `CACHE_SHARE` of the memory that is free now."""
        self._model = model
        self.limit = int(CACHE_SHARE * describe_machine(model.device).free) if limit is None else limit
        self.allowed = self.limit
        """Bytes that all caches may take now; lowered when a forward runs out of memory next to caches."""
        self.most_tokens: int | None = None
        """Most tokens of a forward next to caches, once one ran out of memory; None: the engine's budget."""

    def held(self, samples: Iterable[Sample]) -> int:
        """Bytes of these samples' caches."""
        return sum(self._bytes_of(sample.cache.length) for sample in samples if sample.cache is not None)

    def added(self, samples: Iterable[Sample]) -> int:
        """Bytes by which these samples' caches would grow with their next forwards."""
        return sum(
            max(0, self._bytes_of(sample.length) - self.held([sample])) for sample in samples if sample.fills_cache
        )

    def check(self, sample: Sample) -> str | None:
        """Make a sample run uncached if its cache alone exceeds the limit; returns a note about it, else None."""
        if not sample.fills_cache or (needed := self._bytes_of(sample.length)) <= self.limit:
            return None
        sample.run_uncached()
        return (
            f"sample {sample.id} ran without cache: keys and values of its {sample.length} tokens take {needed} bytes,"
            f" {self.limit} are there for them"
        )

    def lower(self, used: int) -> None:
        """Allow half of `used` from now on: a forward ran out of memory next to `used` bytes of caches."""
        self.allowed = min(self.allowed, used) // 2

    def make_room(self, failed: Sequence[Sample], idle: Sequence[Sample]) -> str | None:
        """Find memory for a forward of `failed`, equal samples without others, which ran out of it.

        The samples wait until caches of the `idle` samples (all others) are freed. If all of those wait as well, the
        one with the largest cache runs uncached from now on; if none of them has a cache, the failed samples do.
        Returns a note about what was done; None if nothing can be done.
        """
        tokens, held = failed[0].queries, self.held([*idle, *failed])
        if will_free(idle):
            for sample in failed:
                sample.waits_for_memory = True
            return (
                f"out of memory in a forward of {tokens} tokens with {held} bytes of keys and values held: at most"
                f" {self.allowed} are kept from now on"
            )
        holders = [sample for sample in idle if sample.cache is not None]
        if holders:
            dropped: Sequence[Sample] = [max(holders, key=lambda sample: self.held([sample]))]
        elif any(sample.fills_cache or sample.cache is not None for sample in failed):
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
        return kv_cache_bytes(self._model.architecture, length, self._model.dtype.itemsize)


def uses_cache(sample: Sample) -> bool:
    """Whether a sample has a cache, or will have one after its next forward."""
    return sample.cache is not None or sample.fills_cache


def will_free(samples: Iterable[Sample]) -> bool:
    """Whether some of these samples have a cache and do not themselves wait for memory, and so will free it."""
    return any(sample.cache is not None and not sample.waits_for_memory for sample in samples)
