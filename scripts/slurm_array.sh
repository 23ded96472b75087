#!/usr/bin/env bash
# One run, sweep or study as a SLURM job array: each task generates one shard of the samples, the last one merges them.
#
#     sbatch --array=1-16 scripts/slurm_array.sh run gsm8k_smartcrop hardware=h100-80gb
#     sbatch --array=1-16 scripts/slurm_array.sh sweep gsm8k_smartcrop tau hardware=h100-80gb
#
# A task that fails, is preempted or runs out of time continues where it stopped when it is submitted again:
#
#     sbatch --array=3,7 --export=ALL,DLMLEN_SHARDS=16 scripts/slurm_array.sh run gsm8k_smartcrop ...
#
# DLMLEN: the command, if it is not on the PATH (such as .venv/bin/dlmlen). DLMLEN_SHARDS: the number of shards, if the
# array covers only some of them. Array indices begin at 1, as shards do.
#SBATCH --job-name=dlmlen
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --requeue
#SBATCH --output=dlmlen-%A_%a.log
set -euo pipefail

if [[ $# -lt 1 || ( $1 != run && $1 != sweep ) ]]; then
    echo "slurm_array.sh: expected run or sweep and its arguments, found '${*:-nothing}'." >&2
    exit 2
fi
if [[ -z ${SLURM_ARRAY_TASK_ID:-} ]]; then
    echo "slurm_array.sh: not a task of a job array; submit it with sbatch --array=1-16." >&2
    exit 2
fi
shards=${DLMLEN_SHARDS:-${SLURM_ARRAY_TASK_COUNT:?}}
if [[ -z ${DLMLEN_SHARDS:-} && ${SLURM_ARRAY_TASK_MIN:-1}-${SLURM_ARRAY_TASK_MAX:-$shards} != "1-$shards" ]]; then
    echo "slurm_array.sh: the array is ${SLURM_ARRAY_TASK_MIN}-${SLURM_ARRAY_TASK_MAX} in $shards tasks, expected 1-$shards;" \
        "set DLMLEN_SHARDS if it covers only some of the shards." >&2
    exit 2
fi
exec "${DLMLEN:-dlmlen}" "$@" --shard "${SLURM_ARRAY_TASK_ID}/${shards}"
