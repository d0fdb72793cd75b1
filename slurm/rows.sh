# shellcheck shell=bash
# Rows of a published table as a job array, and the table behind it. Sourced, not submitted, by a script that calls
#   weft_rows TABLE 'inputs/PATTERN' [--tasks A,B] [--models A,B] [--seeds N] [--name SUFFIX] [--list] [section.key=value ...]
#             [-- OPTIONS]
# TABLE: of postproc/table_paper.py. A task is the name of an input file's folder, a model its own; base.toml is no row.
# Started by hand the script submits itself with all rows and seeds; as a task of the array it trains its row. Where the script
# has a function weft_row_after INPUT RUN [--list], a second array calls it for each row when all are trained.

weft_submit() { # TABLE FILES SEEDS ARGUMENTS...; `options`: sbatch's
  local table=$1 array last
  export WEFT_ROWS=$2 WEFT_ROW_SEEDS=$3
  shift 3
  local count
  count=$(wc -w <<< "$WEFT_ROWS")
  # shellcheck source=slurm/site.sh
  source "${WEFT_SITE:-slurm/site.sh}"
  array=$(sbatch --parsable --array="1-$count" "${options[@]}" "$0" "$@") || exit 1
  array=${array%%;*}
  echo "submitted $count runs as the array $array"
  if declare -F weft_row_after > /dev/null; then
    array=$(WEFT_ROWS_AFTER=yes sbatch --parsable --dependency="afterany:$array" --array="1-$count" \
      --job-name="weft_${table}_eval" "${options[@]}" "$0" "$@") || exit 1
    array=${array%%;*}
    echo "and what comes behind each as the array $array"
  fi
  last=$(sbatch --parsable --dependency="afterany:$array" --job-name="weft_${table}_table" --ntasks=1 --output="%x-%j.out" \
    "${options[@]}" --wrap="'$WEFT_PYTHON' postproc/table_paper.py --table $table --runs '$WEFT_RUNS' --out '$WEFT_TABLES'") || exit 1
  echo "and the table behind them as job ${last%%;*}: $WEFT_TABLES/$table.md, .csv and .tex"
}

weft_row() { # ARGUMENTS...: the row of this task of the array
  local files=() seeds=() file
  # shellcheck source=slurm/job.sh
  source "$SLURM_SUBMIT_DIR/slurm/job.sh"
  read -ra files <<< "$WEFT_ROWS" # as they were when it was submitted, each as often as there are seeds
  read -ra seeds <<< "$WEFT_ROW_SEEDS"
  file=${files[SLURM_ARRAY_TASK_ID - 1]}
  export WEFT_SEED=${seeds[SLURM_ARRAY_TASK_ID - 1]}
  [ -n "${WEFT_ROWS_AFTER:-}" ] || weft_job "$file" "$@"
  cd "$SLURM_SUBMIT_DIR" || exit 1
  # shellcheck source=slurm/site.sh
  source "${WEFT_SITE:-slurm/site.sh}"
  export WEFT_LAUNCH="srun --mpi=$WEFT_MPI --cpus-per-task=${SLURM_CPUS_PER_TASK:-1}"
  weft_row_after "$file" "$WEFT_RUNS/$(weft_run_name "$file" "$WEFT_SEED" "$@")"
  exit
}

weft_rows() {
  local table=$1 pattern=$2 files=() seeds=() arguments=() options=() tasks='' models='' count=1 list='' file seed
  shift 2
  if [ -n "${SLURM_ARRAY_TASK_ID:-}" ] && [ -n "${WEFT_ROWS:-}" ]; then weft_row "$@"; fi
  while [ $# -gt 0 ]; do
    case $1 in
      --tasks) tasks=${2:-} && shift ;;
      --models) models=${2:-} && shift ;;
      --seeds) count=${2:-} && shift ;;
      --name) export WEFT_NAME_SUFFIX=${2:-} && shift ;;
      --list) list=yes ;;
      --) shift && options=("$@") && break ;;
      *=*) arguments+=("$1") ;;
      *) echo "$0: got $1, expected --tasks, --models, --seeds, --name, --list, section.key=value or --" >&2 && exit 2 ;;
    esac
    shift
  done
  case $count in '' | *[!0-9]* | 0) echo "$0: --seeds: got '$count', expected a number from 1" >&2 && exit 2 ;; esac
  for file in $pattern; do
    case "$(basename "$file")" in base.toml | '*.toml') continue ;; esac
    case ",$tasks," in ,, | *",$(basename "$(dirname "$file")"),"*) ;; *) continue ;; esac
    case ",$models," in ,, | *",$(basename "$file" .toml),"*) ;; *) continue ;; esac
    for seed in $(seq 1 "$count"); do files+=("$file") seeds+=("$seed"); done
  done
  if [ ${#files[@]} = 0 ]; then
    echo "$0: no input file $pattern fits --tasks '$tasks' --models '$models'; run it from the top of the project" >&2
    exit 2
  fi
  if [ -n "$list" ]; then
    # shellcheck source=slurm/job.sh
    source slurm/job.sh
    # shellcheck source=slurm/site.sh
    source "${WEFT_SITE:-slurm/site.sh}"
    for seed in "${!files[@]}"; do
      file=${files[seed]}
      echo "$((seed + 1)) $file seed ${seeds[seed]}"
      if declare -F weft_row_after > /dev/null; then
        weft_row_after "$file" "$WEFT_RUNS/$(weft_run_name "$file" "${seeds[seed]}" "${arguments[@]}")" --list | sed 's/^/  /'
      fi
    done
    exit 0
  fi
  weft_submit "$table" "${files[*]}" "${seeds[*]}" "${arguments[@]}"
}
