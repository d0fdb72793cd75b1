# shellcheck shell=bash
# What differs from cluster to cluster. Copy, change, and source it before you submit, from the top of the project:
#   source slurm/site.sh && sbatch slurm/enwik8_fixed.sh
# The job scripts source it again on the compute node (WEFT_SITE: another file than this one).

# Where and at whose cost: read by sbatch on submission. Leave a line out and the cluster's default holds.
# export SBATCH_PARTITION=gpu            # sinfo lists the partitions
# export SBATCH_ACCOUNT=project123
# export SBATCH_TIMELIMIT=24:00:00       # a job is requeued and resumes: short limits are fine
# export SBATCH_GPUS_PER_TASK=1          # one GPU for each rank; needs the preset cuda below

# Libraries: what `ldd $WEFT` asks for. With Debian's packages no module is needed.
# module load gcc/12 openmpi/4.1 hdf5/1.10-parallel cuda/13.0

# The program, and how srun starts its ranks (srun --mpi=list shows what this Slurm knows).
export WEFT="${WEFT:-build/cpu/weft}" # build/cuda/weft on GPUs
export WEFT_MPI="${WEFT_MPI:-pmix}"

# Fast scratch for runs; the data set is read from data.path of the input file, by every rank only its part.
export WEFT_RUNS="${WEFT_RUNS:-runs}"

# Threads of one rank on the host: all that Slurm gave it. The bits of a result depend on this number, not on the ranks.
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" OMP_PROC_BIND=false
