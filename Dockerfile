# dlmlen with a CUDA build of torch from PyPI:   docker build -t dlmlen .
# Without CUDA, smaller by gigabytes:            docker build --build-arg TORCH="torch --index-url https://download.pytorch.org/whl/cpu" -t dlmlen .
# Run, records on the host:                      docker run --rm --gpus all -v "$PWD/results:/work/results" dlmlen run --config mini_gsm8k_smartcrop --limit 10
# Generated code is scored in bubblewrap, which needs user namespaces: add --security-opt seccomp=unconfined, or score outside (`dlmlen score`).
FROM python:3.12-slim

ARG TORCH="torch>=2.9,<3"

WORKDIR /opt/dlmlen
RUN pip install --no-cache-dir ${TORCH}
COPY pyproject.toml README.md LICENSE ./
COPY configs configs
COPY dlm_length dlm_length
RUN pip install --no-cache-dir ".[humaneval]" && dlmlen --version

WORKDIR /work
ENTRYPOINT ["dlmlen"]
CMD ["--help"]
