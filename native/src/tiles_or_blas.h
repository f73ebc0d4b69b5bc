// SPDX-License-Identifier: Apache-2.0
// The one place that chooses between tiles and BLAS for a product, by a measured crossover:
// native/README.md has the table and the command that measures it.
#ifndef BLOCKSPARSE_SRC_TILES_OR_BLAS_H
#define BLOCKSPARSE_SRC_TILES_OR_BLAS_H

#include <cstdint>

namespace blocksparse {

// The kinds of products. `transposed` is a product with W^T, the gradient of h for instance.
enum class operation { forward, transposed, outer };

bool is_path(int32_t path);

// Returns the path of products with weights of a type: BLAS multiplies floats alone.
int32_t path_of(int32_t path, int32_t w_type);

// Returns whether a product goes to BLAS: `rows` rows times one block of size1 x size2, or the sum
// of `rows` outer products in such a block.
bool goes_to_blas(int32_t path, int32_t isa, operation what, int32_t rows, int32_t size1,
                  int32_t size2);

// Returns whether any such product with blocks of these sizes, in either order, may go to BLAS.
bool may_go_to_blas(int32_t path, int32_t isa, operation what, int32_t size1, int32_t size2);

}  // namespace blocksparse

#endif  // BLOCKSPARSE_SRC_TILES_OR_BLAS_H
