"""The machine that a run is planned for. Profiles are in configs/hardware/."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dlm_length.common import Parameters


class Hardware(Parameters):
    """Device, dtype and limits of the machine. Only `seed` decides answers; `dtype`, `compile`, `fused` and
    `batch_invariant` change their rounding, and with it answers at near-ties.
    """

    profile: str = "inline"
    """Name of the profile, for messages and records."""
    device: Annotated[str, Field(pattern=r"^(cpu|auto|cuda(:\d+)?)$")] = "auto"
    """cpu, cuda, cuda:N, or auto (cuda where there is one)."""
    device_name: str | None = None
    """Part of the name of the accelerator that this profile was written for; another one is reported."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Of weights and activations; head statistics are float32 at least. auto: bfloat16 on a GPU that has it, float16 on
    an older one, float32 on a CPU."""
    memory_gib: Annotated[float, Field(gt=0.0, le=2**20)] | None = None
    """Memory of the device in GiB; None: as detected."""
    peak_tflops: Annotated[float, Field(ge=1e-6, le=1e9)] | None = None
    """Dense matrix-product rate in `dtype`, in 10^12 FLOPs per second, for the dry run's hours; None: measured."""
    max_batch_tokens: Annotated[int, Field(gt=0, le=2**31 - 1)] | Literal["auto"] = "auto"
    """Tokens of all samples in one forward; auto: as many as use the device fully within its memory."""
    threads: Annotated[int, Field(gt=0, le=1024)] | None = None
    """CPU threads; None: torch's default."""
    fused: bool = True
    """On a GPU, joined projections and fused elementwise kernels, which in half precision round once where the
    reference implementations round several times; false: their rounding."""
    batch_invariant: bool = False
    """Matrix products that round alike in every batch, so that in any dtype no sample's tokens depend on the budget, on
    other samples or on their order."""
    compile: bool = False
    """Compile the layers with torch.compile (on a CPU that needs a C++ compiler); rounds differently by some 1e-5."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random stream of the run."""

    executor: Literal["local", "ray"] = "local"
    """local: one device, in the command's own process. ray: a worker on each of several devices (`dlmlen[ray]`)."""
    devices: Annotated[int, Field(gt=0, le=4096)] | None = None
    """Workers of executor ray, a GPU each, or on a CPU `threads` cores each (one, where that is None); None: as many as
    Ray has room for."""
    address: str | None = None
    """Of the Ray cluster that is joined, `auto` for the one of this machine; None: Ray is started here for the run."""

    @model_validator(mode="after")
    def _one_executor(self) -> Self:
        if self.executor == "local":
            for name in ("devices", "address"):
                if (value := getattr(self, name)) is not None:
                    raise ValueError(f"{name}: {value!r} is not used by executor local; set executor to ray")
        elif ":" in self.device:
            raise ValueError(f"device: found {self.device!r}, but Ray chooses the device of each worker; give cuda")
        elif self.address is not None and self.dtype == "auto":
            raise ValueError("dtype: auto means what this machine has, which is not the cluster; name it (bfloat16)")
        return self

    @model_validator(mode="after")
    def _one_rounding(self) -> Self:
        if self.compile and self.batch_invariant:
            raise ValueError(
                "compile and batch_invariant exclude each other: code is compiled again for other numbers of rows"
                " and then rounds differently; leave one of them out"
            )
        return self
