# SPDX-License-Identifier: Apache-2.0

# The part that Debian's cross compilers for Linux have in common; included by linux-*.cmake.
find_program(BLOCKSPARSE_CXX NAMES ${BLOCKSPARSE_CROSS}-g++)
if(NOT BLOCKSPARSE_CXX)
  message(FATAL_ERROR "This platform needs the cross compiler ${BLOCKSPARSE_CROSS}-g++: "
                      "apt-get install ${BLOCKSPARSE_CROSS_PACKAGE}")
endif()
set(CMAKE_CXX_COMPILER "${BLOCKSPARSE_CXX}")
set(CMAKE_FIND_ROOT_PATH "/usr/${BLOCKSPARSE_CROSS}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_CROSSCOMPILING_EMULATOR ${BLOCKSPARSE_EMULATOR})
