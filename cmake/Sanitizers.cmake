# SPDX-License-Identifier: Apache-2.0

set(BLOCKSPARSE_SANITIZE
    ""
    CACHE STRING "Sanitizers for everything: 'address,undefined' or 'thread'; empty: none")
set_property(CACHE BLOCKSPARSE_SANITIZE PROPERTY STRINGS "" "address,undefined" "thread")

if(BLOCKSPARSE_SANITIZE)
  add_compile_options(-fsanitize=${BLOCKSPARSE_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${BLOCKSPARSE_SANITIZE})
endif()
