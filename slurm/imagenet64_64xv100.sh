#!/usr/bin/env bash
# A layout for the machine of the paper's ImageNet 64x64 row, 64 V100: sixteen nodes with four each, a rank for every
# GPU. Set WEFT to build/cuda/weft in a site file of your own. V100 has no bf16, hence fp16 with a scale on the loss
# (docs/gpu.md). No GPU has run it yet.
#   sbatch slurm/imagenet64_64xv100.sh [section.key=value ...]
#SBATCH --job-name=weft_imagenet64
#SBATCH --nodes=16
#SBATCH --ntasks-per-node=4
#SBATCH --gres=gpu:4
#SBATCH --cpus-per-task=8
#SBATCH --mem=0
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out

# One node with a broken link or GPU ends the job within parallel.timeout; Slurm starts it again without that node.
source "$SLURM_SUBMIT_DIR/slurm/job.sh"
# A sequence for every GPU: the paper does not state its batch, and the input's 16 has work for 16 ranks.
weft_job inputs/imagenet64/strided.toml run.precision=fp16 training.batch=64 training.micro_batch=1 "$@"
