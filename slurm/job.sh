# shellcheck shell=bash
# What every job script does: start the ranks, let them stop with a checkpoint, requeue. Sourced, not submitted.
#   weft_job INPUT.toml [section.key=value ...]
# In a job array (sbatch --array=1-3) the seed is the task's number, or WEFT_SEED, and the run's name ends with it.
weft_job() {
  cd "$SLURM_SUBMIT_DIR" || exit 1
  # shellcheck source=slurm/site.sh
  source "${WEFT_SITE:-slurm/site.sh}"
  local input=$1 seed=${WEFT_SEED:-${SLURM_ARRAY_TASK_ID:-}} name argument
  shift
  local arguments=("run.directory=$WEFT_RUNS" "$@")
  if [ -n "$seed" ]; then
    name=$(sed -n 's/^name *= *"\([^"]*\)".*/\1/p' "$input" | head -n 1)
    for argument in "$@"; do case $argument in run.name=*) name=${argument#run.name=} ;; esac; done
    arguments+=("run.seed=$seed" "run.name=${name}_seed$seed")
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
