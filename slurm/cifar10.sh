#!/usr/bin/env bash
# The paper's CIFAR-10 row (inputs/cifar10/strided.toml), or another input file of that folder by its name. Submit from
# the top of the project; options on the command line win over these, arguments go to weft; --array=1-3: three seeds:
#   source slurm/site.sh && sbatch --nodes=2 --ntasks=8 slurm/cifar10.sh [strided|fixed|dense] [section.key=value ...]
#SBATCH --job-name=weft_cifar10
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
source "$SLURM_SUBMIT_DIR/slurm/job.sh"
weft_named_row cifar10 strided "$@"
