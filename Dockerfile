# dlmlen with a CUDA build of torch from PyPI:   docker build -t dlmlen .
# Without CUDA, smaller by gigabytes:            docker build --build-arg TORCH="torch --index-url https://download.pytorch.org/whl/cpu" -t dlmlen .
# Run, records on the host:                      docker run --rm --gpus all -v "$PWD/results:/runs/results" dlmlen run mini_gsm8k_smartcrop --limit 10
# Generated code is scored in bubblewrap, which needs user namespaces: add --security-opt seccomp=unconfined, or score outside (`dlmlen score`).
FROM python:3.12-slim

ARG TORCH="torch>=2.9,<3"

# Triton compiles the launchers of its kernels with the system's C compiler when they are first used.
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/dlmlen
RUN pip install --no-cache-dir ${TORCH}
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY dlm_length dlm_length
RUN pip install --no-cache-dir ".[humaneval]" && dlmlen --version

WORKDIR /runs
ENTRYPOINT ["dlmlen"]
CMD ["--help"]
