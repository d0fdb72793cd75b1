#!/usr/bin/env bash
# A layout for nodes with four A100: the paper's ImageNet 64x64 row on two of them, a rank for every GPU. Set WEFT to
# build/cuda/weft in a site file of your own. No GPU has run it yet (docs/gpu.md).
#   sbatch --nodes=2 slurm/imagenet64_4xa100.sh [section.key=value ...]
#SBATCH --job-name=weft_imagenet64
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=16
#SBATCH --mem=0
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out

# training.batch must be a multiple of the ranks; the bits of the result do not depend on how many there are.
source "$SLURM_SUBMIT_DIR/slurm/job.sh"
weft_job inputs/imagenet64/strided.toml training.micro_batch=1 "$@"
