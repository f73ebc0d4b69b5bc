# SPDX-License-Identifier: Apache-2.0

# On Windows, the MinGW-w64 compiler on the PATH; elsewhere Debian's cross compiler. The variant
# with POSIX threads: the other one has no std::thread.
if(NOT CMAKE_HOST_WIN32)
  set(CMAKE_SYSTEM_NAME Windows)
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
  find_program(BLOCKSPARSE_CXX NAMES x86_64-w64-mingw32-g++-posix)
  if(NOT BLOCKSPARSE_CXX)
    message(FATAL_ERROR "This platform needs the cross compiler x86_64-w64-mingw32-g++-posix: "
                        "apt-get install g++-mingw-w64-x86-64-posix")
  endif()
  set(CMAKE_CXX_COMPILER "${BLOCKSPARSE_CXX}")
  set(CMAKE_RC_COMPILER x86_64-w64-mingw32-windres)
  set(CMAKE_FIND_ROOT_PATH /usr/x86_64-w64-mingw32)
  set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
  find_program(BLOCKSPARSE_WINE NAMES wine64 wine)
  if(BLOCKSPARSE_WINE)
    set(CMAKE_CROSSCOMPILING_EMULATOR "${BLOCKSPARSE_WINE}")
  endif()
endif()
