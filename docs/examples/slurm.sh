#!/bin/bash
# A run on a cluster without network: sbatch slurm.sh --suite vggsound --method audiotoken
# The clips of a training step (16) must be divisible by the number of GPUs of all nodes together.
#SBATCH --job-name=bench
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1   # accelerate starts a process for each GPU itself
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=32
#SBATCH --mem=128G
#SBATCH --time=12:00:00
#SBATCH --requeue             # a run continues where it was stopped, bit for bit
#SBATCH --output=bench-%j.log
set -euo pipefail

# On a file system that all nodes see; bench doctor --suite vggsound says what is missing there.
: "${PLACE:=$HOME/work}"
export BENCH_WEIGHTS="${BENCH_WEIGHTS:-$PLACE/weights}" BENCH_DATA="${BENCH_DATA:-$PLACE/data}"
export BENCH_RUNS="${BENCH_RUNS:-$PLACE/runs}" BENCH_CACHE="${BENCH_CACHE:-$PLACE/cache}"
# No library asks the network for anything.
export HF_HUB_OFFLINE=1

MAIN_HOST=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# A port of the job's own, as two jobs may share a node.
MAIN_PORT=$((20000 + SLURM_JOB_ID % 20000))
export MAIN_HOST MAIN_PORT

# shellcheck disable=SC2016  # the variables in quotes are those of each node
srun --kill-on-bad-exit=1 bash -c '
    accelerate launch --multi_gpu --mixed_precision no --dynamo_backend no \
        --num_machines "$SLURM_NNODES" --machine_rank "$SLURM_NODEID" \
        --num_processes "$((SLURM_NNODES * SLURM_GPUS_ON_NODE))" \
        --main_process_ip "$MAIN_HOST" --main_process_port "$MAIN_PORT" \
        -m benchmark run --no-report "$@"
' bash "$@"
