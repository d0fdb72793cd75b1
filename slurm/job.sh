# shellcheck shell=bash
# What every job script does: start the ranks, let them stop with a checkpoint, requeue. Sourced, not submitted.
#   weft_job INPUT.toml [section.key=value ...]
# In a job array (sbatch --array=1-3) the seed is the task's number, or WEFT_SEED, and the run's name ends with it, behind
# WEFT_NAME_SUFFIX.

weft_run_name() { # INPUT.toml SEED [section.key=value ...]
  local name argument
  name=$(sed -n 's/^name *= *"\([^"]*\)".*/\1/p' "$1" | head -n 1)
  for argument in "${@:3}"; do case $argument in run.name=*) name=${argument#run.name=} ;; esac; done
  echo "${name}${WEFT_NAME_SUFFIX:-}_seed$2"
}

weft_job() {
  cd "$SLURM_SUBMIT_DIR" || exit 1
  # shellcheck source=slurm/site.sh
  source "${WEFT_SITE:-slurm/site.sh}"
  local input=$1 seed=${WEFT_SEED:-${SLURM_ARRAY_TASK_ID:-}}
  shift
  local arguments=("run.directory=$WEFT_RUNS" "$@")
  if [ -n "$seed" ]; then
    arguments+=("run.seed=$seed" "run.name=$(weft_run_name "$input" "$seed" "$@")")
  fi

  # Before the time limit (--signal) and on preemption the ranks get a signal, finish their step, write a checkpoint
  # and leave with status 75: "requeue me". The next start resumes from it, bit for bit.
  trap : USR1 TERM # this shell outlives the signals and waits for the ranks
  srun --mpi="$WEFT_MPI" --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" "$WEFT" train "$input" "${arguments[@]}"
  local status=$?
  if [ $status -eq 75 ]; then
    echo "$(date -Is): stopped on request after a checkpoint; requeueing job $SLURM_JOB_ID"
    scontrol requeue "$SLURM_JOB_ID" && exit 0
  fi
  exit $status
}

# A row by its name, the first word, which may be missing; behind -- what the layout sets unless the command line does.
weft_named_row() { # FOLDER ROW [ROW] [section.key=value ...] [-- section.key=value ...]
  local folder=$1 row=$2 given=() layout=()
  shift 2
  case ${1:-} in '' | *=* | --) ;; *) row=$1 && shift ;; esac
  while [ $# -gt 0 ] && [ "$1" != -- ]; do given+=("$1") && shift; done
  [ $# = 0 ] || layout=("${@:2}")
  if [ ! -f "$SLURM_SUBMIT_DIR/inputs/$folder/$row.toml" ]; then
    echo "got the row $row, expected one of $(cd "$SLURM_SUBMIT_DIR/inputs/$folder" && echo *.toml) without .toml" >&2
    exit 2
  fi
  weft_job "inputs/$folder/$row.toml" "${layout[@]}" "${given[@]}"
}
