# Script: writes OUTPUT, a source that names the git commit of SOURCE, and leaves it alone if nothing changed, so that a
# build without a new commit compiles nothing. "dirty": tracked files differ, or there are new ones among the sources.
cmake_minimum_required(VERSION 3.25)
set(commit unknown)
set(dirty false)
if(GIT)
  execute_process(COMMAND ${GIT} rev-parse HEAD WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
  # A release unpacked inside somebody else's checkout is not at that checkout's commit.
  execute_process(COMMAND ${GIT} ls-files --error-unmatch src/main.cpp WORKING_DIRECTORY ${SOURCE}
                  OUTPUT_QUIET ERROR_QUIET RESULT_VARIABLE foreign)
  if(NOT failed AND NOT foreign)
    set(commit ${found})
    execute_process(COMMAND ${GIT} status --porcelain --untracked-files=no WORKING_DIRECTORY ${SOURCE}
                    OUTPUT_VARIABLE changed ERROR_QUIET)
    execute_process(COMMAND ${GIT} status --porcelain -- kernels io src cmake CMakeLists.txt WORKING_DIRECTORY ${SOURCE}
                    OUTPUT_VARIABLE new ERROR_QUIET)
    if(NOT "${changed}${new}" STREQUAL "")
      set(dirty true)
    endif()
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
"// Written by cmake/Commit.cmake at every build.
extern const char* const weft_git_commit;
extern const bool weft_git_dirty;
const char* const weft_git_commit = \"${commit}\";
const bool weft_git_dirty = ${dirty};
")
