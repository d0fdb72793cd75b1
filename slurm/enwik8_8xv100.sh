#!/usr/bin/env bash
# A layout for the machine of the paper's enwik8 rows, 8 V100: two nodes with four each, a rank for every GPU. Set WEFT
# to build/cuda/weft in a site file of your own. V100 has no bf16, hence fp16 with a scale on the loss (docs/gpu.md), as
# in the paper. No GPU has run it yet. 64 V100 take eight such jobs: the batch of 16 sequences has no work for 64 ranks;
# --array=1-3 runs three seeds side by side.
#   sbatch slurm/enwik8_8xv100.sh [fixed|strided|dense] [section.key=value ...]
#SBATCH --job-name=weft_enwik8
#SBATCH --nodes=2
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

source "$SLURM_SUBMIT_DIR/slurm/job.sh"
weft_named_row enwik8 fixed "$@" -- run.precision=fp16 training.micro_batch=1
