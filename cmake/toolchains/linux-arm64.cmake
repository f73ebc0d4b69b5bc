# SPDX-License-Identifier: Apache-2.0

# On arm64 Linux, the system's own compiler; elsewhere the cross compiler.
if(NOT CMAKE_HOST_SYSTEM_NAME STREQUAL Linux OR NOT CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL aarch64)
  set(CMAKE_SYSTEM_NAME Linux)
  set(CMAKE_SYSTEM_PROCESSOR aarch64)
  set(BLOCKSPARSE_CROSS aarch64-linux-gnu)
  set(BLOCKSPARSE_CROSS_PACKAGE g++-aarch64-linux-gnu)
  set(BLOCKSPARSE_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
  include("${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake")
endif()
