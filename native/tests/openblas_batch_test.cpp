// SPDX-License-Identifier: Apache-2.0
//
// cblas_sgemm_batch of the OpenBLAS we use kills the process for small products (upstream pull
// requests 5979 and 5980). This is why we have our own batches. If this test fails, OpenBLAS is
// fixed, a faster way may be open, and native/README.md is out of date.
#include <cblas.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace {

bool multiplies_right() {
  const float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8};
  float c[4] = {};
  const float* as[] = {a};
  const float* bs[] = {b};
  float* cs[] = {c};
  const CBLAS_TRANSPOSE plain[] = {CblasNoTrans};
  const blasint size[] = {2}, count[] = {1};
  const float alpha[] = {1.0f}, beta[] = {0.0f};
  cblas_sgemm_batch(CblasRowMajor, plain, plain, size, size, size, alpha, as, size, bs, size, beta,
                    cs, size, 1, count);
  return c[0] == 19.0f && c[1] == 22.0f && c[2] == 43.0f && c[3] == 50.0f;
}

}  // namespace

int main() {
  const pid_t child = fork();
  if (child == 0) {
    _exit(multiplies_right() ? 0 : 1);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) {
    std::perror("openblas_batch_test");
    return 1;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    std::printf("cblas_sgemm_batch works now, OpenBLAS: %s\n", openblas_get_config());
    return 1;
  }
  std::printf("cblas_sgemm_batch still fails (wait status %d)\n", status);
  return 0;
}
