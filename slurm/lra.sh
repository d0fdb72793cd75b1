#!/usr/bin/env bash
# The Long Range Arena: every row of its table (inputs/lra/TASK/MODEL.toml), over seeds, as one job array, and the table when
# all have ended. Run it from the top of the project, and it submits itself (slurm/rows.sh):
#   source slurm/site.sh
#   slurm/lra.sh [--tasks text,listops] [--models transformer,linear] [--seeds 3] [section.key=value ...] [-- SBATCH OPTIONS]
#   slurm/lra.sh --list ...     prints what would run: number of the array's task, input file, seed
#SBATCH --job-name=weft_lra
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
source "${SLURM_SUBMIT_DIR:-.}/slurm/rows.sh"
weft_rows lra 'inputs/lra/*/*.toml' "$@"
