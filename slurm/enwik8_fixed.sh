#!/usr/bin/env bash
# The paper's enwik8 row "fixed" (inputs/enwik8/fixed.toml). Submit from the top of the project; options on the command line
# win over these, arguments go to weft; --array=1-3 runs three seeds:
#   source slurm/site.sh && sbatch --nodes=2 --ntasks=8 slurm/enwik8_fixed.sh [section.key=value ...]
#SBATCH --job-name=weft_enwik8_fixed
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
source "$SLURM_SUBMIT_DIR/slurm/job.sh"
weft_job inputs/enwik8/fixed.toml "$@"
