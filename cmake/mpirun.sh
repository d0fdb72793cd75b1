#!/bin/sh
# The bundle's own mpirun: tells it where its plugins were unpacked. Uses no program but the shell.
here=$(cd "${0%/*}/.." && pwd) || exit 1
export OPAL_PREFIX="$here" PMIX_PKGLIBDIR="$here/lib/pmix" PMIX_PKGDATADIR="$here/share/pmix"
# Without ssh there is nothing but this machine; Open MPI would refuse to start.
command -v ssh > /dev/null || command -v rsh > /dev/null || export OMPI_MCA_plm="${OMPI_MCA_plm:-isolated}"
exec "$here/bin/orterun" "$@"
