/* SPDX-License-Identifier: Apache-2.0 */
/* The machine-dependent half of jni.h for Windows, where the JDK of the host has only its own. */
#ifndef BLOCKSPARSE_JNI_MD_H
#define BLOCKSPARSE_JNI_MD_H

#define JNIEXPORT __declspec(dllexport)
#define JNIIMPORT __declspec(dllimport)
#ifndef JNICALL
#define JNICALL __stdcall
#endif

typedef int jint;
typedef long long jlong;
typedef signed char jbyte;

#endif /* BLOCKSPARSE_JNI_MD_H */
