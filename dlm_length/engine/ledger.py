"""The cost of one sample. The engine counts it, so that no policy can forget to."""

from dataclasses import dataclass, field

from dlm_length.models import Architecture


@dataclass
class Cost:
    """Sums over forwards of one sample."""

    nfe: int = 0
    """Number of forwards (number of function evaluations)."""
    length_sum: int = 0
    """Sum of L = prompt + canvas tokens over forwards."""
    length_squared_sum: int = 0
    """Sum of L^2 over forwards."""
    query_sum: int = 0
    """Sum over forwards of the positions that were computed: L, or fewer with a key-value cache."""
    attended_sum: int = 0
    """Sum over forwards of computed positions times L, the positions that each of them attends to."""
    head_rows: int = 0
    """Positions that went through the vocabulary head."""
    flops_reference: int = 0
    """FLOPs if the head were computed at all computed positions of every forward, as reference implementations do."""
    flops_executed: int = 0
    """FLOPs that this engine computed, with the head at `head_rows` positions."""
    seconds: float = 0.0
    """Wall-clock of the forwards that the sample was part of, times its share of their tokens."""
    joules: float | None = None
    """Energy of the whole card in that time, times the same share; None if it was not measured."""


@dataclass
class Ledger:
    """One sample's cost: of all forwards, and of its probes alone."""

    total: Cost = field(default_factory=Cost)
    probe: Cost = field(default_factory=Cost)

    def add_forward(self, architecture: Architecture, length: int, queries: int | None = None, *, probe: bool) -> None:
        """Charge a forward over `length` tokens, without its head rows. `queries`: tokens computed; None: all."""
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
        """Charge `count` forwards, given the sums of `Cost` over them."""
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
        """Charge `rows` positions of the vocabulary head."""
        for cost in self._accounts(probe):
            cost.head_rows += rows
            cost.flops_executed += architecture.head_flops(rows)

    def add_seconds(self, seconds: float, *, probe: bool) -> None:
        """Charge the sample's share of a forward's wall-clock."""
        for cost in self._accounts(probe):
            cost.seconds += seconds

    def add_joules(self, joules: float | None, *, probe: bool) -> None:
        """Charge the sample's share of a forward's energy; None if that was not measured: the sum is None then."""
        for cost in self._accounts(probe):
            cost.joules = None if joules is None else (cost.joules or 0.0) + joules

    def _accounts(self, probe: bool) -> tuple[Cost, ...]:
        return (self.total, self.probe) if probe else (self.total,)
