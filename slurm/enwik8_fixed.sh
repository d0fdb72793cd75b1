#!/usr/bin/env bash
# The paper's enwik8 row "fixed" (inputs/enwik8/fixed.toml). Submit from the top of the project; options on the command line
# win over these, arguments go to weft:
#   source slurm/site.sh && sbatch --nodes=2 --ntasks=8 slurm/enwik8_fixed.sh [section.key=value ...]
#SBATCH --job-name=weft_enwik8_fixed
#SBATCH --ntasks=2
#SBATCH --cpus-per-task=1
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out

# Two minutes before the limit (--signal) and on preemption the ranks get a signal, finish their step, write a
# checkpoint and leave with status 75: "requeue me". The next start resumes from it, bit for bit.
set -u
cd "$SLURM_SUBMIT_DIR" || exit 1
# shellcheck source=site.sh
source "${WEFT_SITE:-slurm/site.sh}"
trap : USR1 TERM # this shell outlives the signals and waits for the ranks

srun --mpi="$WEFT_MPI" --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" \
  "$WEFT" train inputs/enwik8/fixed.toml run.directory="$WEFT_RUNS" "$@"
status=$?

if [ $status -eq 75 ]; then
  echo "$(date -Is): stopped on request after a checkpoint; requeueing job $SLURM_JOB_ID"
  scontrol requeue "$SLURM_JOB_ID" && exit 0
fi
exit $status
