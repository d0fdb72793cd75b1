#!/usr/bin/env bash
# The Reformer's copy task: four trainings over seeds as one job array, the five evaluations of each as a second one behind it,
# and the table when all have ended. Run it from the top of the project, and it submits itself (slurm/rows.sh):
#   source slurm/site.sh
#   slurm/reformer_copy.sh [inputs/reformer_two_cores] [--models full,lsh4] [--seeds 3] [--name _lr1e-4] [--mixture]
#                          [section.key=value ...] [-- SBATCH OPTIONS]
#   slurm/reformer_copy.sh --list ...     prints what would run
# --mixture: the reproduction's mixture of scores too, by a fifth training; scripts/reformer_matrix.sh says what it is, and does
# the same on one machine.
#SBATCH --job-name=weft_reformer
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
source "${SLURM_SUBMIT_DIR:-.}/slurm/rows.sh"
folder=inputs/reformer arguments=()
if [ -d "${1:-}" ]; then folder=${1%/} && shift; fi
inputs="$folder/full.toml $folder/lsh4.toml $folder/lsh2.toml $folder/lsh1.toml"
for argument in "$@"; do
  case $argument in
    --mixture) export WEFT_MIXTURE=--mixture && inputs+=" $folder/full_raw.toml" ;;
    *) arguments+=("$argument") ;;
  esac
done
weft_row_after() { # INPUT RUN [--list]
  scripts/reformer_matrix.sh ${WEFT_MIXTURE:+"$WEFT_MIXTURE"} "${@:3}" --evaluate "$2" "$(dirname "$1")"
}
weft_rows reformer "$inputs" "${arguments[@]}"
