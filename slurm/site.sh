# shellcheck shell=bash
# What differs from cluster to cluster. Copy it, change the copy, and let WEFT_SITE name it (docs/cluster.md):
#   export WEFT_SITE=$PWD/my_site.sh; source "$WEFT_SITE" && sbatch slurm/enwik8_fixed.sh
# It is sourced twice: by you before sbatch, for the SBATCH_ lines, and by the job on its first node, for all the rest.

# Where and at whose cost: read by sbatch on submission. Leave a line out and the cluster's default holds.
# export SBATCH_PARTITION=gpu            # sinfo lists the partitions; one with preemption is fine
# export SBATCH_ACCOUNT=project123       # sacctmgr show associations user=$USER
# export SBATCH_TIMELIMIT=24:00:00       # a job is requeued and resumes: short limits are fine
# export SBATCH_GPUS_PER_TASK=1          # one GPU for each rank; needs the preset cuda below

# Libraries: what `ldd $WEFT` asks for; the same modules as when it was built. With Debian's packages none is needed.
# module load gcc/12 openmpi/4.1 hdf5/1.10-parallel cuda/13.0

# The program, and how srun starts its ranks (srun --mpi=list shows what this Slurm knows).
export WEFT="${WEFT:-build/cpu/weft}" # build/cuda/weft on GPUs; or a script that starts the container of slurm/weft.def
export WEFT_MPI="${WEFT_MPI:-pmix}"

# Runs: a file system that all nodes see and that nobody purges while a job waits. The data set is read from data.path of
# the input file, by every rank only its part.
export WEFT_RUNS="${WEFT_RUNS:-runs}"

# Tables that a script makes when its runs have ended (slurm/lra.sh), and the Python with NumPy and h5py that makes them.
export WEFT_TABLES="${WEFT_TABLES:-tables}" WEFT_PYTHON="${WEFT_PYTHON:-/usr/bin/python3}"

# Networks, if Open MPI picks a wrong one:
# export OMPI_MCA_btl_tcp_if_include=ib0 UCX_NET_DEVICES=mlx5_0:1

# Threads of one rank on the host: all that Slurm gave it. The bits of a result depend on this number, not on the ranks.
export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK:-1}" OMP_PROC_BIND=false
