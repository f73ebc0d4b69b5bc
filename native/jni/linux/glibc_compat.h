/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps sscanf and strtol in the generated sources at their old symbol versions: the headers of
 * glibc 2.38 and later would bind __isoc23_* instead, which systems with glibc 2.34 do not have.
 */
#include <features.h>
#undef __GLIBC_USE_C2X_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C23_STRTOL 0
