#!/usr/bin/env bash
# A layout for a node with four A100: an enwik8 row of the paper, a rank for every GPU. Set WEFT to build/cuda/weft in a
# site file of your own. No GPU has run it yet (docs/gpu.md). --array=1-3 runs three seeds, each on a node.
#   sbatch slurm/enwik8_4xa100.sh [fixed|strided|dense] [section.key=value ...]
#SBATCH --job-name=weft_enwik8
#SBATCH --nodes=1
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

# The batch of 16 is four sequences for each rank; the bits of the result do not depend on how many ranks there are.
source "$SLURM_SUBMIT_DIR/slurm/job.sh"
weft_named_row enwik8 fixed "$@" -- training.micro_batch=1
