# SPDX-License-Identifier: Apache-2.0

# On x86_64 Linux, the system's own compiler; elsewhere the cross compiler.
if(NOT CMAKE_HOST_SYSTEM_NAME STREQUAL Linux OR NOT CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL x86_64)
  set(CMAKE_SYSTEM_NAME Linux)
  set(CMAKE_SYSTEM_PROCESSOR x86_64)
  set(BLOCKSPARSE_CROSS x86_64-linux-gnu)
  set(BLOCKSPARSE_CROSS_PACKAGE g++-x86-64-linux-gnu)
  set(BLOCKSPARSE_EMULATOR qemu-x86_64 -L /usr/x86_64-linux-gnu)
  include("${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake")
endif()
