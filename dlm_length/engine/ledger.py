"""What one sample cost. Written by the engine alone, so no policy can forget to count."""

from dataclasses import dataclass, field

from dlm_length.models import Architecture


@dataclass
class Cost:
    """Sums over forwards."""

    nfe: int = 0
    """Forwards."""
    length_sum: int = 0
    """Sum of L = prompt + canvas tokens over forwards."""
    length_squared_sum: int = 0
    """Sum of L^2 over forwards."""
    query_sum: int = 0
    """Sum over forwards of the positions that were computed: L, or fewer where a cache is reused."""
    attended_sum: int = 0
    """Sum over forwards of computed positions times the L that each of them attends to."""
    head_rows: int = 0
    """Positions that went through the vocabulary head."""
    flops_reference: int = 0
    """FLOPs with the head over all computed positions of every forward, as the reference implementations do."""
    flops_executed: int = 0
    """FLOPs with the head over `head_rows` positions, what this engine computed."""
    seconds: float = 0.0
    """Wall-clock of the forwards this sample took part in, by its share of their tokens."""
    joules: float | None = None
    """Energy of the whole card meanwhile, shared likewise; None where it is not measured."""


@dataclass
class Ledger:
    """One sample's cost: everything, and the part of it spent on probes."""

    total: Cost = field(default_factory=Cost)
    probe: Cost = field(default_factory=Cost)

    def add_forward(self, architecture: Architecture, length: int, queries: int | None = None, *, probe: bool) -> None:
        """A forward over `length` tokens, before any head row. `queries`: tokens it computed; None: all."""
        queries = length if queries is None else queries
        self.add_forwards(
            architecture, 1, length, length * length, query_sum=queries, attended_sum=queries * length, probe=probe
        )

    def add_forwards(
        self,
        architecture: Architecture,
        count: int,
        length_sum: int,
        length_squared_sum: int,
        *,
        query_sum: int,
        attended_sum: int,
        probe: bool,
    ) -> None:
        """`count` forwards at once, by the sums of their lengths, of these squared, and of what they computed."""
        backbone = architecture.forwards_flops(query_sum, attended_sum)
        for cost in self._accounts(probe):
            cost.nfe += count
            cost.length_sum += length_sum
            cost.length_squared_sum += length_squared_sum
            cost.query_sum += query_sum
            cost.attended_sum += attended_sum
            cost.flops_reference += backbone + architecture.head_flops(query_sum)
            cost.flops_executed += backbone

    def add_rows(self, architecture: Architecture, rows: int, *, probe: bool) -> None:
        """`rows` positions through the vocabulary head."""
        for cost in self._accounts(probe):
            cost.head_rows += rows
            cost.flops_executed += architecture.head_flops(rows)

    def add_seconds(self, seconds: float, *, probe: bool) -> None:
        """Charge a share of a forward's wall-clock."""
        for cost in self._accounts(probe):
            cost.seconds += seconds

    def add_joules(self, joules: float | None, *, probe: bool) -> None:
        """None: this forward was not measured, and so the sum is unknown."""
        for cost in self._accounts(probe):
            cost.joules = None if joules is None else (cost.joules or 0.0) + joules

    def _accounts(self, probe: bool) -> tuple[Cost, ...]:
        return (self.total, self.probe) if probe else (self.total,)
