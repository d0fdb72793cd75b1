#!/usr/bin/env bash
# The ListOps study: every row of its table (inputs/listops_study), over seeds, as one job array, and the table when all have
# ended. Run it from the top of the project, and it submits itself (slurm/rows.sh):
#   source slurm/site.sh
#   slurm/listops_study.sh --data [--list]    generates the data sets that the inputs name, those of inputs/listops_depth too
#   slurm/listops_study.sh [--models A,H,H_as_published] [--seeds 3] [section.key=value ...] [-- SBATCH OPTIONS]
#   slurm/listops_study.sh --depth ...        the comparisons of depth and of length (inputs/listops_depth) instead
#   slurm/listops_study.sh --list ...         prints what would run: number of the array's task, input file, seed
#SBATCH --job-name=weft_listops_study
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
source "${SLURM_SUBMIT_DIR:-.}/slurm/rows.sh"
inputs='inputs/listops_study/*.toml'
case ${1:-} in
  --data) # the commands stand in the inputs, each once or more
    # shellcheck source=slurm/site.sh
    source "${WEFT_SITE:-slurm/site.sh}"
    cat inputs/listops_study/*.toml inputs/listops_depth/*.toml |
      sed -n ':more; /^#   weft generate/ { /\\$/ { N; s/ *\\\n# */ /; b more }; s/^# *weft //p }' | sort -u |
      while read -ra words; do
        echo "weft ${words[*]}"
        if [ "${2:-}" != --list ]; then "$WEFT" "${words[@]}" || exit; fi
      done
    exit
    ;;
  --depth) inputs='inputs/listops_depth/*.toml' && shift ;;
esac
weft_rows listops_study "$inputs" "$@"
